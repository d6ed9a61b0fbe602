use crate::fixture::Fixture;

use super::postgres::Database;
use super::{run, run_with, step};

#[test]
fn a_healthy_deployment_has_nothing_wrong() {
    let fixture = Fixture::new();
    let report = run(&fixture, None, &["doctor", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(report["ok"], true);
    // Looking has made nothing.
    assert!(!fixture.data_dir().join("system.db").exists());
}

#[test]
fn folders_that_cannot_be_written_are_named() {
    let fixture = Fixture::new();
    // A file where a folder should be stops everyone, the superuser too.
    let file = fixture.data_dir().with_file_name("a-file");
    std::fs::write(&file, "").unwrap();
    let backups = file.join("backups").display().to_string();
    let report = run_with(
        &fixture,
        None,
        &[("BACKUP_DIR", &backups)],
        &["doctor", "--json"],
    )
    .expect_code(1)
    .json();
    let found = step(&report, "backup folder");
    assert_eq!(found["ok"], false);
    assert!(found["hint"].to_string().contains("BACKUP_DIR"), "{found}");
}

#[test]
fn a_newer_file_is_told_from_one_that_lacks_migrations() {
    let fixture = Fixture::new();
    run(&fixture, None, &["migrate"]).expect_code(0);
    fixture
        .system_store()
        .execute(
            "INSERT INTO schema_migrations (name, applied_at) VALUES ('9999_later', '2099')",
            [],
        )
        .unwrap();
    let report = run(&fixture, None, &["doctor", "--json"])
        .expect_code(1)
        .json();
    let found = step(&report, "system store").to_string();
    assert!(
        found.contains("9999_later") && found.contains("newer version"),
        "{found}"
    );
}

#[test]
fn a_broken_postgresql_is_explained() {
    let Some(database) = Database::new() else {
        return;
    };
    let fixture = Fixture::new();
    let doctor = |url: Option<&str>, code| {
        let vars: Vec<_> = url.iter().map(|url| ("DATABASE_URL", *url)).collect();
        run_with(&fixture, Some(&database), &vars, &["doctor", "--json"])
            .expect_code(code)
            .json()
    };
    let found = |url: Option<&str>| step(&doctor(url, 1), "system store").to_string();

    let lacking = found(None);
    assert!(
        lacking.contains("lacks") && lacking.contains("assay init"),
        "{lacking}"
    );
    let nowhere = found(Some("postgresql://u:p@127.0.0.1:9/d"));
    assert!(nowhere.contains("cannot connect"), "{nowhere}");
    let (_, place) = database
        .url()
        .rsplit_once('@')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let wrong = found(Some(&format!("postgresql://postgres:wrong@{place}")));
    assert!(wrong.contains("check the user and the password"), "{wrong}");
    let (server, _) = place.rsplit_once('/').unwrap();
    let (login, _) = database
        .url()
        .rsplit_once('@')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let absent = found(Some(&format!("{login}@{server}/there_is_none")));
    assert!(absent.contains("createdb"), "{absent}");
    assert!(!format!("{nowhere}{wrong}{absent}").contains("wrong@"));

    run(&fixture, Some(&database), &["init"]).expect_code(0);
    let report = doctor(None, 0);
    assert!(
        step(&report, "pg_dump")["found"]
            .to_string()
            .contains("version")
    );
    assert_eq!(step(&report, "clock")["ok"], true);
    let trail = step(&report, "audit trail")["found"].to_string();
    assert!(trail.contains("append-only"), "{trail}");

    database.run("INSERT INTO schema_migrations (name, hash) VALUES ('9999_later', '')");
    let newer = found(None);
    assert!(
        newer.contains("9999_later") && newer.contains("newer version"),
        "{newer}"
    );
}
