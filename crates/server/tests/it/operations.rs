//! What operators do: initialise, look after users, make and restore backups, find out what is wrong.

mod backups;
mod doctor;
mod http;
mod import;
mod init;
mod jobs;
mod postgres;
mod users;

use std::path::Path;

use crate::fixture::{Fixture, Ran};

use postgres::Database;

/// Runs the program on PostgreSQL, or on SQLite without a database.
pub fn run(fixture: &Fixture, database: Option<&Database>, args: &[&str]) -> Ran {
    run_with(fixture, database, &[], args)
}

/// Runs the program with more settings.
pub fn run_with(
    fixture: &Fixture,
    database: Option<&Database>,
    vars: &[(&str, &str)],
    args: &[&str],
) -> Ran {
    let mut command = fixture.assay();
    command
        .env("TARGET_DB_SOURCE", fixture.original())
        .env("BACKUP_DIR", fixture.data_dir().join("backups"))
        // No question is asked here, so nobody has to be there.
        .envs([
            ("LLM_PROVIDER", "openai"),
            ("LLM_BASE_URL", "http://127.0.0.1:9/v1"),
            ("LLM_MODEL", "none"),
        ]);
    if let Some(database) = database {
        database.configure(&mut command);
    }
    command.envs(vars.iter().copied()).args(args);
    Ran::of(command.output().unwrap())
}

/// Returns the lines of a step's name in what `init` and `doctor` print as JSON.
pub fn step(report: &serde_json::Value, part: &str) -> serde_json::Value {
    let steps = report["checks"].as_array().unwrap();
    let found = steps.iter().find(|step| step["part"] == part);
    found.unwrap_or_else(|| panic!("{part}: {report}")).clone()
}

/// Returns the mode of a file.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
