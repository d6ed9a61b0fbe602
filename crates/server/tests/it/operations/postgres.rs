//! Databases on the server of TEST_DATABASE_URL, made and asked through PostgreSQL's own client.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// An empty database, gone when this is dropped.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes one; `None`, with a word about it, if there is no server and none is required.
    pub fn new() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("TEST_DATABASE_URL") else {
            let is_required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!is_required, "TEST_DATABASE_URL is not set");
            eprintln!("skipped: TEST_DATABASE_URL is not set");
            return None;
        };
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("assay_it_{}_{number}", std::process::id());
        psql(
            &server,
            &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"),
        );
        Some(Self { server, name })
    }

    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').unwrap();
        format!("{server}/{}", self.name)
    }

    /// Runs SQL as a superuser and returns what it prints.
    pub fn run(&self, sql: &str) -> String {
        psql(&self.url(), sql)
    }

    /// Makes it the system store of the program, with the secrets that PostgreSQL needs.
    pub fn configure(&self, command: &mut Command) {
        command
            .env("DATABASE_URL", self.url())
            .env("JWT_SECRET", "0123456789abcdef0123456789abcdef")
            .env("ENCRYPTION_KEY", "fedcba9876543210fedcba9876543210")
            // pg_dump is found there.
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        psql(
            &self.server,
            &format!("DROP DATABASE {} WITH (FORCE)", self.name),
        );
    }
}

fn psql(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
        ])
        .args(["--command", sql, url])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{sql}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
