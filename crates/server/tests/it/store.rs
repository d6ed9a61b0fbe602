//! The system stores that a server is tested on: SQLite in its data folder, and a PostgreSQL database of the test's own.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::fixture::Fixture;

/// Where a server under test keeps what it knows.
pub enum Store {
    Sqlite,
    Postgres(Database),
}

/// A database that is gone when this is dropped.
pub struct Database {
    server: String,
    name: String,
    pub url: String,
}

impl Store {
    /// SQLite, and PostgreSQL where TEST_DATABASE_URL names a server.
    pub fn each() -> Vec<Self> {
        let mut stores = vec![Store::Sqlite];
        stores.extend(Database::create().map(Store::Postgres));
        stores
    }

    pub fn configure<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self {
            Store::Sqlite => command,
            Store::Postgres(database) => command
                .env("DATABASE_URL", &database.url)
                .env(
                    "JWT_SECRET",
                    "signs the tokens of tests and of nothing else",
                )
                .env(
                    "ENCRYPTION_KEY",
                    "encrypts the secrets of tests and of nothing else",
                ),
        }
    }

    /// Runs SQL past the program and returns what comes, its columns separated by `|`.
    pub fn sql(&self, fixture: &Fixture, sql: &str) -> Vec<String> {
        match self {
            Store::Sqlite => {
                let file = fixture.data_dir().join("system.db").display().to_string();
                run("sqlite3", &[&file, ".timeout 10000", sql])
            }
            Store::Postgres(database) => psql(&database.url, sql),
        }
    }

    /// Runs SQL that gives one number.
    pub fn count(&self, fixture: &Fixture, sql: &str) -> i64 {
        self.sql(fixture, sql)[0].parse().unwrap()
    }
}

impl Database {
    /// Makes an empty database on the server of TEST_DATABASE_URL.
    ///
    /// # Panics
    ///
    /// If REQUIRE_SERVICES is 1 and there is no server.
    pub fn create() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(server) = std::env::var("TEST_DATABASE_URL")
            .ok()
            .filter(|url| !url.is_empty())
        else {
            let is_required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!is_required, "TEST_DATABASE_URL is not set");
            eprintln!("skipped: TEST_DATABASE_URL is not set");
            return None;
        };
        Some(Self::create_on(
            server,
            NUMBER.fetch_add(1, Ordering::Relaxed),
        ))
    }

    /// Makes an empty database on a server of the test's own.
    pub fn create_on(server: String, number: u32) -> Self {
        let name = format!("assay_server_{}_{number}", std::process::id());
        psql(&server, &format!("CREATE DATABASE {name}"));
        let (address, _) = server.rsplit_once('/').unwrap();
        Self {
            url: format!("{address}/{name}"),
            server,
            name,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = Command::new("psql")
            .args(["--quiet", "--no-psqlrc", "--command", &sql, &self.server])
            .output();
    }
}

fn psql(url: &str, sql: &str) -> Vec<String> {
    let options = [
        "--quiet",
        "--no-psqlrc",
        "--no-align",
        "--tuples-only",
        "--set=ON_ERROR_STOP=1",
    ];
    run("psql", &[&options[..], &["--command", sql, url]].concat())
}

fn run(program: &str, args: &[&str]) -> Vec<String> {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}
