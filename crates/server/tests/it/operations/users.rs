use crate::fixture::{Fixture, ScriptedModel, Server};

use super::postgres::Database;
use super::{mode, run};

#[test]
fn users_are_looked_after_on_sqlite() {
    users_are_looked_after(None);
}

#[test]
fn users_are_looked_after_on_postgresql() {
    if let Some(database) = Database::new() {
        users_are_looked_after(Some(&database));
    }
}

fn users_are_looked_after(database: Option<&Database>) {
    let fixture = Fixture::new();
    let user = |args: &[&str]| {
        let args: Vec<&str> = ["user"].iter().chain(args).copied().collect();
        run(&fixture, database, &args)
    };
    let line = |email: &str| {
        let listed = user(&["list"]).expect_code(0).stdout();
        let line = listed.lines().find(|line| line.ends_with(email));
        line.unwrap_or_else(|| panic!("{email}: {listed}"))
            .to_owned()
    };
    let added = user(&["add", "ada@example.com", "--role", "analyst"]).expect_code(0);
    let (_, file) = added
        .stderr()
        .trim()
        .rsplit_once(' ')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(mode(file.as_ref()), 0o600);
    let first = std::fs::read_to_string(&file).unwrap();
    assert!(!added.stdout().contains(&first) && !added.stderr().contains(&first));
    assert!(line("ada@example.com").contains("analyst  active"));

    user(&["role", "ADA@example.com", "viewer"]).expect_code(0);
    user(&["disable", "ada@example.com"]).expect_code(0);
    assert!(line("ada@example.com").contains("viewer   disabled"));
    user(&["enable", "ada@example.com"]).expect_code(0);
    user(&["reset-password", "ada@example.com"]).expect_code(0);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), first);

    // The only administrator cannot be lost, but may have forgotten the password.
    let refused = user(&["disable", "admin@localhost"]).expect_code(1);
    assert!(
        refused.stderr().contains("[last_admin]"),
        "{}",
        refused.stderr()
    );
    user(&["reset-password", "admin@localhost"]).expect_code(0);
    let refused = user(&["role", "nobody@example.com", "admin"]).expect_code(1);
    assert!(refused.stderr().contains("[not_found]"));
    let refused = user(&["add", "ada@example.com"]).expect_code(1);
    assert!(refused.stderr().contains("[email_taken]"));
    run(&fixture, database, &["audit", "verify"]).expect_code(0);
}

#[test]
fn a_password_from_the_command_line_logs_in() {
    let fixture = Fixture::new();
    run(&fixture, None, &["user", "add", "ada@example.com"]).expect_code(0);
    let password = std::fs::read_to_string(fixture.data_dir().join("password-of-user-2")).unwrap();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    assert_eq!(server.log_in("ada@example.com", &password).status(), 200);
}
