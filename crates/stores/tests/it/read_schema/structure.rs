//! Tables, views, columns and declared keys.

use engine::schema::{ColumnRef, TableKind};
use engine::{Code, Error};
use stores::target::read_schema::{SchemaLimits, read_schema};

use super::{names, schema_of, table};

fn columns(table: &engine::schema::Table) -> Vec<&str> {
    table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect()
}

fn reads(table: &engine::schema::Table) -> Vec<String> {
    let name = |read: &ColumnRef| format!("{}.{}", read.table, read.column);
    table.reads.iter().map(name).collect()
}

#[test]
fn comments_beside_columns_describe_them() {
    let schema = schema_of(
        "CREATE TABLE orders( -- what was ordered
           id INTEGER PRIMARY KEY, -- counted from 1
           total REAL /* without tax */,
           paid INT
         );
         ALTER TABLE orders ADD COLUMN note TEXT; -- not kept by SQLite
         CREATE VIEW sums AS SELECT total -- of all
           FROM orders;",
    );
    let said = |name: &str| -> Vec<Option<String>> {
        let columns = table(&schema, name).columns.iter();
        columns.map(|column| column.description.clone()).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let expected = [some("counted from 1"), some("without tax"), None, None];
    assert_eq!(said("orders"), expected);
    assert_eq!(said("sums"), [None]);
}

#[test]
fn tables_and_views_come_in_declared_order_with_types_keys_and_ddl() {
    let schema = schema_of(
        "CREATE TABLE zebra(id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, born);
         CREATE TABLE apple(a TEXT, b INT, PRIMARY KEY (b, a));
         CREATE VIEW both AS SELECT zebra.name, apple.b FROM zebra JOIN apple ON apple.b = zebra.id;",
    );
    assert_eq!(names(&schema), ["zebra", "apple", "both"]);
    let zebra = table(&schema, "zebra");
    assert_eq!(columns(zebra), ["id", "name", "born"]);
    let types: Vec<&str> = zebra
        .columns
        .iter()
        .map(|column| column.declared_type.as_str())
        .collect();
    assert_eq!(types, ["INTEGER", "VARCHAR(20)", ""]);
    let not_null: Vec<bool> = zebra.columns.iter().map(|column| column.not_null).collect();
    assert_eq!(not_null, [true, true, false]);
    assert_eq!(zebra.primary_key, ["id"]);
    assert!(zebra.ddl.starts_with("CREATE TABLE zebra("));
    assert_eq!(table(&schema, "apple").primary_key, ["b", "a"]);
    let both = table(&schema, "both");
    assert_eq!((both.kind, both.row_count), (TableKind::View, None));
    assert_eq!(columns(both), ["name", "b"]);
    assert_eq!(reads(both), ["apple.b", "zebra.id", "zebra.name"]);
}

#[test]
fn unique_means_a_whole_constraint_or_index_over_one_column() {
    let schema = schema_of(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b, c, d, e, f, UNIQUE (b, c));
         CREATE UNIQUE INDEX d_index ON t(d); CREATE UNIQUE INDEX e_index ON t(e) WHERE e > 0;
         CREATE UNIQUE INDEX f_index ON t(lower(f)); CREATE TABLE pair(x, y, PRIMARY KEY (x, y));",
    );
    let unique: Vec<&str> = table(&schema, "t")
        .columns
        .iter()
        .filter(|column| column.declared_unique)
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(unique, ["id", "a", "d"]);
    assert!(
        table(&schema, "pair")
            .columns
            .iter()
            .all(|column| !column.declared_unique)
    );
}

#[test]
fn a_primary_key_is_never_null_only_where_sqlite_says_so() {
    let schema = schema_of(
        "CREATE TABLE loose(code TEXT PRIMARY KEY); CREATE TABLE plain(id INT PRIMARY KEY);
         CREATE TABLE tight(code TEXT PRIMARY KEY) WITHOUT ROWID; CREATE TABLE strict_one(code TEXT PRIMARY KEY) STRICT;",
    );
    let not_null = |name: &str| table(&schema, name).columns[0].not_null;
    assert!(!not_null("loose"));
    assert!(!not_null("plain"));
    assert!(not_null("tight"));
    assert!(not_null("strict_one"));
}

#[test]
fn generated_columns_are_columns() {
    let schema = schema_of(
        "CREATE TABLE t(a INTEGER, double AS (a * 2), stored INTEGER AS (a + 1) STORED); INSERT INTO t VALUES (3);",
    );
    assert_eq!(columns(table(&schema, "t")), ["a", "double", "stored"]);
    assert_eq!(table(&schema, "t").columns[1].samples, ["6"]);
}

#[test]
fn a_virtual_table_is_shown_without_its_shadow_tables_and_hidden_columns() {
    let schema = schema_of(
        "CREATE VIRTUAL TABLE notes USING fts5(title, body); INSERT INTO notes VALUES ('a', 'some words');
         CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1);",
    );
    assert_eq!(names(&schema), ["notes", "boxes"]);
    let notes = table(&schema, "notes");
    assert_eq!(notes.kind, TableKind::Virtual);
    assert_eq!(columns(notes), ["title", "body"]);
    assert_eq!(notes.row_count, Some(1));
    assert_eq!(notes.columns[1].samples, ["some words"]);
}

#[test]
fn a_virtual_table_over_another_table_reads_that_table_and_so_does_a_view_over_it() {
    let schema = schema_of(
        "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, salary INTEGER);
         CREATE VIRTUAL TABLE found USING fts5(name, content='people', content_rowid='id');
         INSERT INTO people VALUES (1, 'Ada', 9); INSERT INTO found(found) VALUES ('rebuild');
         CREATE VIEW names AS SELECT name FROM found;",
    );
    let found = reads(table(&schema, "found"));
    assert!(found.contains(&"people.name".to_owned()), "{found:?}");
    let names = reads(table(&schema, "names"));
    assert!(names.contains(&"people.name".to_owned()), "{names:?}");
    assert!(names.contains(&"found.name".to_owned()), "{names:?}");
}

#[test]
fn a_view_over_views_reads_base_tables_whatever_names_its_text_uses() {
    let schema = schema_of(
        "CREATE TABLE People(Id INTEGER PRIMARY KEY, Name TEXT, Salary INTEGER);
         CREATE VIEW a AS SELECT id, salary FROM PEOPLE;
         CREATE VIEW b AS WITH pub AS (SELECT salary FROM a) SELECT max(salary) AS top FROM pub;
         CREATE VIEW c AS SELECT (SELECT count(*) FROM people) AS n;",
    );
    assert_eq!(reads(table(&schema, "a")), ["People.Id", "People.Salary"]);
    assert!(reads(table(&schema, "b")).contains(&"People.Salary".to_owned()));
    assert!(!reads(table(&schema, "b")).contains(&"People.Name".to_owned()));
    let counted = reads(table(&schema, "c"));
    assert!(
        counted.iter().any(|read| read.starts_with("People.")),
        "{counted:?}"
    );
}

#[test]
fn views_and_virtual_tables_that_do_not_work_are_left_out() {
    let schema = schema_of(
        "CREATE TABLE t(a); CREATE TABLE gone(a); CREATE VIEW broken AS SELECT * FROM gone;
         CREATE VIEW over_broken AS SELECT * FROM broken; CREATE VIEW works AS SELECT a FROM t;
         CREATE VIEW by_string AS SELECT \"just text\" AS b FROM t;
         DROP TABLE gone; PRAGMA writable_schema = ON;
         INSERT INTO sqlite_master VALUES ('table', 'foreign_one', 'foreign_one', 0,
             'CREATE VIRTUAL TABLE foreign_one USING no_such_module(a)');",
    );
    assert_eq!(names(&schema), ["t", "works"]);
}

#[test]
fn declared_keys_have_declared_names_and_refer_to_something() {
    let schema = schema_of(
        "CREATE TABLE Customers(CustomerID TEXT PRIMARY KEY); CREATE TABLE pairs(a, b, PRIMARY KEY (a, b));
         CREATE TABLE orders(
             id INTEGER PRIMARY KEY, customer TEXT REFERENCES CUSTOMERS, pa, pb, nowhere REFERENCES absent(id),
             wrong REFERENCES Customers(no_such_column), parent REFERENCES orders(ID),
             FOREIGN KEY (pa, pb) REFERENCES pairs);",
    );
    let keys: Vec<String> = table(&schema, "orders")
        .foreign_keys
        .iter()
        .map(|key| {
            format!(
                "{:?} {} {:?} {}",
                key.columns, key.table, key.referenced, key.inferred
            )
        })
        .collect();
    assert_eq!(
        keys,
        [
            r#"["customer"] Customers ["CustomerID"] false"#,
            r#"["parent"] orders ["id"] false"#,
            r#"["pa", "pb"] pairs ["a", "b"] false"#,
        ]
    );
}

#[test]
fn any_name_works() {
    let schema = schema_of(
        r#"CREATE TABLE "Order Details"("Unit Price" REAL, "select" TEXT, "quote""d" INT, "o'clock" INT, "größe" INT);
           INSERT INTO "Order Details" VALUES (1.5, 'x', 1, 2, 3);
           CREATE TABLE "table"("rowid" TEXT, "oid" TEXT, "_rowid_" TEXT); INSERT INTO "table" VALUES ('a', 'b', 'c');
           CREATE TABLE "semi;colon --"("日本" TEXT, "" TEXT); INSERT INTO "semi;colon --" VALUES ('値', 'e');
           CREATE VIEW "a ""view""" AS SELECT "Unit Price" FROM "Order Details";
           CREATE TABLE [brackets]([a b] INT); CREATE TABLE sqlitefoo(a);"#,
    );
    assert_eq!(
        names(&schema),
        [
            "Order Details",
            "table",
            "semi;colon --",
            "a \"view\"",
            "brackets",
            "sqlitefoo"
        ]
    );
    let details = table(&schema, "Order Details");
    assert_eq!(
        columns(details),
        ["Unit Price", "select", "quote\"d", "o'clock", "größe"]
    );
    assert_eq!(details.columns[4].samples, ["3"]);
    assert_eq!(table(&schema, "semi;colon --").columns[0].samples, ["値"]);
    assert_eq!(
        reads(table(&schema, "a \"view\"")),
        ["Order Details.Unit Price"]
    );
}

#[test]
fn tables_of_sqlite_itself_are_no_tables_of_the_business() {
    let schema = schema_of(
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a); CREATE INDEX i ON t(a); INSERT INTO t(a) VALUES (1);
         ANALYZE;",
    );
    assert_eq!(names(&schema), ["t"]);
}

#[test]
fn a_thousand_tables_are_read_with_progress() {
    let sql: String = (0..1000)
        .map(|i| format!("CREATE TABLE t{i}(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t{i} VALUES (1, 'n{i}');"))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(&format!("BEGIN; {sql} COMMIT;"))
        .unwrap();
    let heard = std::cell::RefCell::new(Vec::new());
    let schema = read_schema(&path, &SchemaLimits::default(), &|done, total| {
        heard.borrow_mut().push((done, total));
    })
    .unwrap();
    assert_eq!(schema.tables.len(), 1000);
    assert_eq!(schema.tables[999].columns[1].samples, ["n999"]);
    assert_eq!(heard.borrow().last(), Some(&(1000, 1000)));
}

#[test]
fn what_is_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let read =
        || -> Error { read_schema(&path, &SchemaLimits::default(), &|_, _| {}).unwrap_err() };
    assert_eq!(read().code(), Code::TargetDatabaseDown);
    std::fs::write(&path, vec![7_u8; 5000]).unwrap();
    assert_eq!(read().code(), Code::InvalidTarget);
}

#[test]
fn a_path_with_two_slashes_at_its_start_names_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE t(a)").unwrap();
    let doubled = std::path::PathBuf::from(format!("/{}", path.display()));
    let schema = read_schema(&doubled, &SchemaLimits::default(), &|_, _| {}).unwrap();
    assert_eq!(names(&schema), ["t"]);
}
