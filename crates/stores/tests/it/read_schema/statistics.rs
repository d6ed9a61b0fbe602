//! What is measured of the values.

use engine::schema::Column;
use stores::target::read_schema::SchemaLimits;

use super::{schema_of, schema_within, table};

fn column(sql: &str, name: &str) -> Column {
    let schema = schema_of(sql);
    schema.tables[0].column(name).unwrap().clone()
}

#[test]
fn counts_shares_and_samples_are_those_of_the_rows() {
    let schema = schema_of(
        "CREATE TABLE t(id INTEGER, status TEXT, note TEXT);
         INSERT INTO t VALUES (1, 'open', NULL), (2, 'closed', NULL), (3, 'open', 'x'), (4, 'void', NULL);",
    );
    let t = table(&schema, "t");
    assert_eq!(t.row_count, Some(4));
    let (id, status, note) = (&t.columns[0], &t.columns[1], &t.columns[2]);
    assert_eq!(
        (id.null_share, id.distinct, id.is_unique),
        (Some(0.0), Some(4), Some(true))
    );
    assert_eq!((status.distinct, status.is_unique), (Some(3), Some(false)));
    assert_eq!(
        status.samples,
        ["open", "closed", "void"],
        "the most frequent first, then by value"
    );
    assert_eq!(
        (note.null_share, note.distinct, note.is_unique),
        (Some(0.75), Some(1), Some(true))
    );
}

#[test]
fn an_empty_table_has_no_shares() {
    let a = column("CREATE TABLE t(a)", "a");
    assert_eq!(
        (a.null_share, a.distinct, a.samples),
        (None, Some(0), vec![])
    );
}

#[test]
fn samples_are_one_short_line_each() {
    let samples = column(
        "CREATE TABLE t(a); INSERT INTO t VALUES ('two' || char(10) || 'lines'), (''), ('   '), (x'00ff'),
         (printf('%.*c', 500, 'é')), (NULL);",
        "a",
    )
    .samples;
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[0], "two lines");
    assert_eq!(samples[1].chars().count(), 40);
    assert!(samples[1].ends_with('…'));
}

#[test]
fn numbers_are_sampled_in_the_order_of_numbers() {
    let samples = |values: &str| {
        column(
            &format!("CREATE TABLE t(a); INSERT INTO t VALUES {values}"),
            "a",
        )
        .samples
    };
    assert_eq!(samples("(10), (9), (-3)"), ["-3", "9", "10"]);
    assert_eq!(
        samples("(2.5), (-2.5), (0.5), (-0.5), (10.25)"),
        ["-2.5", "-0.5", "0.5", "2.5", "10.25"]
    );
}

#[test]
fn text_that_is_not_utf8_is_read_with_replacement() {
    let a = column(
        "CREATE TABLE t(a TEXT); INSERT INTO t VALUES (CAST(x'41ff42' AS TEXT))",
        "a",
    );
    assert_eq!(a.samples, ["A\u{fffd}B"]);
    assert_eq!(a.distinct, Some(1));
}

#[test]
fn a_utf16_database_is_read_as_any_other() {
    let a = column(
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a TEXT); INSERT INTO t VALUES ('schön')",
        "a",
    );
    assert_eq!(a.samples, ["schön"]);
}

const BIG: &str = "
    CREATE TABLE t(id INTEGER PRIMARY KEY, half INTEGER);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO t SELECT i * 7, i > 10000 FROM n;";

fn small_limits() -> SchemaLimits {
    SchemaLimits {
        max_cells_per_table: 2000,
        ..SchemaLimits::default()
    }
}

#[test]
fn a_big_table_is_counted_wholly_and_sampled_over_its_whole_length() {
    let schema = schema_within(BIG, &small_limits());
    let t = table(&schema, "t");
    assert_eq!(t.row_count, Some(20_000));
    let (id, half) = (&t.columns[0], &t.columns[1]);
    assert_eq!(id.is_unique, None, "not all rows were seen");
    let seen = id.distinct.unwrap();
    assert!((900..=1100).contains(&seen), "{seen} rows sampled");
    assert_eq!(
        half.distinct,
        Some(2),
        "the end of the table was not reached"
    );
}

#[test]
fn a_big_table_without_rowid_is_sampled_from_its_start() {
    let schema = schema_within(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO t SELECT i, i FROM n;",
        &small_limits(),
    );
    let t = table(&schema, "t");
    assert_eq!(
        (t.row_count, t.columns[0].distinct),
        (Some(5000), Some(1000))
    );
}

#[test]
fn rowids_at_the_ends_of_their_range_do_not_overflow() {
    let schema = schema_within(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO t SELECT i, i FROM n;
         INSERT INTO t VALUES (9223372036854775807, 'last'), (-9223372036854775808, 'first');",
        &small_limits(),
    );
    let t = table(&schema, "t");
    assert_eq!(t.row_count, Some(3002));
    assert!(t.columns[0].distinct.unwrap() > 10);
}

#[test]
fn long_values_end_the_reading_of_a_table() {
    let limits = SchemaLimits {
        max_bytes_per_table: 10_000,
        ..SchemaLimits::default()
    };
    let schema = schema_within(
        "CREATE TABLE t(a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
         INSERT INTO t SELECT printf('%05000d', i) FROM n;",
        &limits,
    );
    let a = &table(&schema, "t").columns[0];
    assert_eq!((a.distinct, a.is_unique), (Some(2), None));
}

#[test]
fn the_same_database_always_reads_the_same() {
    let sql = format!(
        "{BIG} CREATE TABLE u(a TEXT, b REAL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO u SELECT 'v' || (i % 50), i % 20 / 3.0 FROM n;"
    );
    let first = schema_within(&sql, &small_limits());
    for _ in 0..3 {
        assert_eq!(schema_within(&sql, &small_limits()), first);
    }
    let text = serde_json::to_string(&first).unwrap();
    assert_eq!(
        serde_json::from_str::<engine::schema::Schema>(&text)
            .unwrap()
            .fingerprint(),
        first.fingerprint()
    );
}
