use std::process::Stdio;

use crate::fixture::{Fixture, Ran};

use super::postgres::Database;
use super::{mode, run, run_with, step};

const ONTOLOGY: &str = "
- term_name: revenue
  description: The sum of all order totals.
  synonyms: [turnover, sales]
  data_source: orders.total
";

#[test]
fn two_at_once_on_sqlite_make_one_of_each() {
    two_at_once_make_one_of_each(None);
}

#[test]
fn two_at_once_on_postgresql_make_one_of_each() {
    if let Some(database) = Database::new() {
        two_at_once_make_one_of_each(Some(&database));
    }
}

fn two_at_once_make_one_of_each(database: Option<&Database>) {
    let fixture = Fixture::new();
    let ontology = fixture.data_dir().with_file_name("terms.yaml");
    let terms = format!("terms:\n{ONTOLOGY}");
    std::fs::write(&ontology, terms).unwrap();
    let ontology = ontology.display().to_string();
    let args = ["init", "--json", "--ontology", &ontology];
    let processes: Vec<_> = (0..2)
        .map(|_| {
            let mut command = fixture.assay();
            command
                .env("TARGET_DB_SOURCE", fixture.original())
                .envs([("LLM_PROVIDER", "openai"), ("LLM_MODEL", "none")])
                .args(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            if let Some(database) = database {
                database.configure(&mut command);
            }
            command.spawn().unwrap()
        })
        .collect();
    for process in processes {
        let report = Ran::of(process.wait_with_output().unwrap())
            .expect_code(0)
            .json();
        for part in [
            "environment",
            "connection",
            "migrations",
            "administrator",
            "ontology",
            "keys",
            "schema",
            "golden copy",
            "model",
        ] {
            assert_eq!(step(&report, part)["ok"], true, "{part}");
        }
    }
    let again = run(&fixture, database, &args).expect_code(0).json();
    assert_eq!(step(&again, "migrations")["found"], "up to date");
    let terms = step(&again, "ontology")["found"].to_string();
    assert!(
        terms.contains("0 terms created, 0 changed, 1 as they were"),
        "{terms}"
    );

    let users = run(&fixture, database, &["user", "list", "--json"]).expect_code(0);
    assert_eq!(users.stdout().lines().count(), 1, "{}", users.stdout());
    assert_eq!(users.json()["email"], "admin@localhost");
    run(&fixture, database, &["audit", "verify"]).expect_code(0);
    fixture.assert_original_untouched();
}

#[test]
fn demo_data_becomes_the_target_when_asked_for() {
    let fixture = Fixture::new();
    let vars = [("TARGET_DB_SOURCE", ""), ("SEED_DEMO_DATA", "true")];
    let report = run_with(&fixture, None, &vars, &["init", "--json"])
        .expect_code(0)
        .json();
    let copy = step(&report, "golden copy")["found"].to_string();
    assert!(copy.contains("the demo company"), "{copy}");
    // Business rows never reach the system store.
    let tables: i64 = fixture
        .system_store()
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'accounting_transactions'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(tables, 0);
}

#[test]
fn a_step_that_fails_says_what_to_do_and_the_others_go_on() {
    let fixture = Fixture::new();
    std::fs::write(fixture.original(), "no database").unwrap();
    let report = run(&fixture, None, &["init", "--json"])
        .expect_code(1)
        .json();
    assert_eq!(report["ok"], false);
    assert_eq!(step(&report, "golden copy")["code"], "invalid_target");
    assert_eq!(step(&report, "administrator")["ok"], true);
}

#[test]
fn with_postgresql_secrets_must_be_given_and_init_makes_them() {
    let fixture = Fixture::new();
    let refused = run_with(&fixture, None, &[("POSTGRES_HOST", "db")], &["migrate"]).expect_code(1);
    for variable in ["JWT_SECRET", "ENCRYPTION_KEY"] {
        assert!(refused.stderr().contains(variable), "{}", refused.stderr());
    }
    assert!(refused.stderr().contains("assay init --write-env FILE"));

    let file = fixture.data_dir().with_file_name("secrets.env");
    let path = file.display().to_string();
    run_with(
        &fixture,
        None,
        &[("POSTGRES_HOST", "db")],
        &["init", "--write-env", &path],
    )
    .expect_code(0);
    assert_eq!(mode(&file), 0o600);
    let written = std::fs::read_to_string(&file).unwrap();
    let lengths: Vec<_> = written
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name, value.len()))
        .collect();
    assert_eq!(lengths, [("JWT_SECRET", 64), ("ENCRYPTION_KEY", 64)]);
    let refused = run(&fixture, None, &["init", "--write-env", &path]).expect_code(1);
    assert!(
        refused.stderr().contains("[conflict]"),
        "{}",
        refused.stderr()
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
}
