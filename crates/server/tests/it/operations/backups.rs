use std::path::Path;

use crate::fixture::Fixture;

use super::postgres::Database;
use super::{run, run_with};

#[test]
fn a_backup_goes_round_on_sqlite() {
    a_backup_goes_round(None);
}

#[test]
fn a_backup_goes_round_on_postgresql() {
    if let Some(database) = Database::new() {
        a_backup_goes_round(Some(&database));
    }
}

fn a_backup_goes_round(database: Option<&Database>) {
    let fixture = Fixture::new();
    let assay = |args: &[&str]| run(&fixture, database, args);
    let has_user = |email: &str| {
        let users = assay(&["user", "list"]).expect_code(0).stdout();
        users.contains(email)
    };
    assay(&["user", "add", "ada@example.com"]).expect_code(0);
    let made = assay(&["backup", "create", "--json"]).expect_code(0).json();
    let name = made["name"].as_str().unwrap();
    assert_eq!(made["row_counts"]["users"], 2);
    assert!(made["last_seal"]["number"].as_i64() > Some(0), "{made}");
    let listed = assay(&["backup", "list", "--json"]).expect_code(0).json();
    assert_eq!(listed, made);
    let verified = assay(&["backup", "verify", "--json"]).expect_code(0).json();
    assert_eq!(verified["backup"], made);

    assay(&["user", "add", "grace@example.com"]).expect_code(0);
    let refused = assay(&["backup", "restore", name]).expect_code(1);
    assert!(
        refused.stderr().contains("[store_not_empty]"),
        "{}",
        refused.stderr()
    );
    assert!(has_user("grace@example.com"));
    assay(&["backup", "restore", name, "--force"]).expect_code(0);
    assert!(has_user("ada@example.com") && !has_user("grace@example.com"));
    assay(&["audit", "verify"]).expect_code(0);
    let tail = assay(&["audit", "tail"]).expect_code(0).stdout();
    assert!(tail.contains("backup_restored"), "{tail}");

    let file = fixture.data_dir().join(format!("backups/{name}.backup"));
    truncate(&file);
    for args in [
        ["backup", "verify", name, "--json"],
        ["backup", "restore", name, "--force"],
    ] {
        let refused = assay(&args).expect_code(1);
        assert!(
            refused.stderr().contains("[invalid_backup]"),
            "{}",
            refused.stderr()
        );
    }
    assert_eq!(assay(&["backup", "list"]).expect_code(0).stdout(), "");
}

fn truncate(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn without_a_folder_there_are_no_backups() {
    let fixture = Fixture::new();
    let refused =
        run_with(&fixture, None, &[("BACKUP_DIR", "")], &["backup", "list"]).expect_code(1);
    assert!(refused.stderr().contains("hint: name one with BACKUP_DIR"));
}
