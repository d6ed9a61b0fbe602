use rusqlite::Connection;

use crate::fixture::Fixture;

use super::postgres::Database;
use super::{run, run_with};

const LEGACY: &str = "
    CREATE TABLE accounting_transactions (
        id serial PRIMARY KEY, booked_on date NOT NULL, at timestamptz, amount numeric(12, 2) NOT NULL,
        rate double precision, \"long number\" numeric, is_paid boolean, note text, tags jsonb, scan bytea
    );
    INSERT INTO accounting_transactions (booked_on, at, amount, rate, \"long number\", is_paid, note, tags, scan)
    SELECT date '2025-01-01' + n, timestamptz '2025-01-01 12:00:00+02' + n * interval '1 minute', n * 0.01 - 5,
           n / 3.0, 12345678901234567890.123 + n, n % 2 = 0, 'entry ' || n || ' ü', jsonb_build_object('n', n),
           decode(lpad(to_hex(n), 8, '0'), 'hex')
    FROM generate_series(1, 2500) AS n;
    INSERT INTO accounting_transactions (booked_on, amount) VALUES ('2024-02-29', 99999999.99);";

#[test]
fn legacy_rows_move_into_a_file_and_leave_only_on_request() {
    let Some(database) = Database::new() else {
        return;
    };
    database.run(LEGACY);
    let fixture = Fixture::new();
    let file = fixture.data_dir().with_file_name("business.db");
    let path = file.display().to_string();
    let moved = run(
        &fixture,
        Some(&database),
        &["import", "legacy", "--to", &path, "--json"],
    )
    .expect_code(0)
    .json();
    assert_eq!((&moved["rows"], &moved["sums"]), (&2501.into(), &5.into()));
    assert_eq!(moved["was_dropped"], false);

    let copy = Connection::open(&file).unwrap();
    let row: (i64, String, String, f64, String, i64, String, Vec<u8>) = copy
        .query_row(
            "SELECT id, booked_on, at, amount, \"long number\", is_paid, note, scan
             FROM accounting_transactions WHERE id = 2",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                    row.get(6)?,
                    row.get(7)?,
                ))
            },
        )
        .unwrap();
    let expected = (
        2,
        "2025-01-03".to_owned(),
        "2025-01-01 10:02:00.000000Z".to_owned(),
        -4.98,
        "12345678901234567892.123".to_owned(),
        1,
        "entry 2 ü".to_owned(),
        vec![0, 0, 0, 2],
    );
    assert_eq!(row, expected);
    drop(copy);

    let refused = run(
        &fixture,
        Some(&database),
        &["import", "legacy", "--to", &path],
    )
    .expect_code(1);
    assert!(
        refused.stderr().contains("[conflict]"),
        "{}",
        refused.stderr()
    );
    // The program asks the new file like any other.
    let asked = run(
        &fixture,
        None,
        &[
            "sql",
            "--db",
            &path,
            "--json",
            "SELECT count(*) FROM accounting_transactions",
        ],
    );
    assert_eq!(asked.expect_code(0).json()["rows"][0][0], 2501);

    let other = file.with_file_name("other.db").display().to_string();
    let url = database
        .url()
        .replacen("postgres://", "postgresql+psycopg2://", 1);
    let args = [
        "import", "legacy", "--from", &url, "--to", &other, "--drop", "--json",
    ];
    let moved = run_with(&fixture, None, &[], &args).expect_code(0).json();
    assert_eq!(moved["was_dropped"], true);
    assert_eq!(
        database.run("SELECT to_regclass('accounting_transactions') IS NULL"),
        "t"
    );
    let gone = file.with_file_name("third.db").display().to_string();
    let refused = run(
        &fixture,
        Some(&database),
        &["import", "legacy", "--to", &gone],
    )
    .expect_code(1);
    assert!(refused.stderr().contains("[not_found]"));
}
