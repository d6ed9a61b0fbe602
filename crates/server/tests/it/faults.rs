//! Servers killed under load, and a PostgreSQL that goes away: whatever was answered stands in the store, and nothing
//! stands half-written.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};
use crate::store::{Database, Store};

const ASKERS: usize = 16;

/// How often a server is killed on each kind of store.
const KILLS: usize = 50;

fn client() -> Client {
    Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

fn log_in(server: &Server) -> String {
    let session: Value = client()
        .post(format!("{}/api/v1/auth/login", server.url))
        .json(&json!({ "email": "admin@localhost", "password": PASSWORD }))
        .send()
        .unwrap()
        .error_for_status()
        .unwrap()
        .json()
        .unwrap();
    session["access_token"].as_str().unwrap().to_owned()
}

/// What a crowd of askers was told: the identifiers of answered questions, and everything that was no answer.
#[derive(Default)]
struct Heard {
    answered: Mutex<BTreeSet<i64>>,
    refused: Mutex<Vec<(u16, Value)>>,
    is_over: AtomicBool,
}

impl Heard {
    fn answers(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    /// Asks again and again until told to stop or the server is gone.
    fn ask(&self, url: &str, token: &str) {
        let client = client();
        while !self.is_over.load(Ordering::Relaxed) {
            let sent = client
                .post(format!("{url}/api/v1/questions"))
                .bearer_auth(token)
                .json(&json!({ "question": "How many customers are there?" }))
                .send();
            let Ok(response) = sent else { return };
            let status = response.status().as_u16();
            // A body that breaks off was not received.
            let Ok(body) = response.json::<Value>() else {
                return;
            };
            if status == 200 {
                assert_eq!(body["rows"], json!([[3]]), "{body}");
                let id = body["query_id"].as_i64().unwrap();
                assert!(self.answered.lock().unwrap().insert(id), "{id} twice");
            } else {
                self.refused.lock().unwrap().push((status, body));
            }
        }
    }

    /// Waits until so many answers more were heard.
    #[track_caller]
    fn wait_for_more(&self, more: usize) {
        let (begun, enough) = (Instant::now(), self.answers() + more);
        while self.answers() < enough {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{} of {enough} answers, {:?}",
                self.answers(),
                self.refused.lock().unwrap().last()
            );
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

/// Asks with many at once while `meanwhile` goes on, then until the server is gone or all are told to stop.
fn with_askers(heard: &Heard, url: &str, token: &str, meanwhile: impl FnOnce()) {
    heard.is_over.store(false, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 0..ASKERS {
            scope.spawn(|| heard.ask(url, token));
        }
        meanwhile();
        heard.is_over.store(true, Ordering::Relaxed);
    });
}

/// Every answer has its row and its entry, no question stays pending, and the seals fit.
#[track_caller]
fn assert_all_is_recorded(fixture: &Fixture, store: &Store, model: &ScriptedModel, heard: &Heard) {
    // Time passes: what was pending when its server was killed runs out of its lease, and the next start sweeps.
    let past = "2000-01-01T00:00:00.000000Z";
    store.sql(
        fixture,
        &format!("UPDATE queries SET lease_until = '{past}' WHERE status = 'pending'"),
    );
    let server = Server::start_on(fixture, model, store);
    let pending = "SELECT count(*) FROM queries WHERE status = 'pending'";
    assert_eq!(store.count(fixture, pending), 0);
    assert!(server.stop(), "it ends by itself");

    let recorded: BTreeSet<i64> = store
        .sql(
            fixture,
            "SELECT queries.id FROM queries JOIN audit_logs ON resource = 'query' AND resource_id = queries.id
             WHERE status = 'success' AND action = 'query_answered'",
        )
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    let answered = heard.answered.lock().unwrap();
    let lost: Vec<_> = answered.difference(&recorded).collect();
    assert!(lost.is_empty(), "answered, but not recorded: {lost:?}");
    assert_eq!(
        store.count(
            fixture,
            "SELECT count(*) FROM queries WHERE status = 'success' AND id NOT IN
             (SELECT resource_id FROM audit_logs WHERE action = 'query_answered' AND resource_id IS NOT NULL)"
        ),
        0,
        "an outcome without its entry"
    );
    let mut command = fixture.assay();
    let output = store
        .configure(&mut command)
        .args(["audit", "verify", "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn what_was_answered_before_a_kill_is_recorded() {
    for store in Store::each() {
        let fixture = Fixture::new();
        let model = ScriptedModel::always("SELECT count(*) FROM customers");
        let heard = Heard::default();
        let mut token = None;
        for _ in 0..KILLS {
            let server = Server::start_on(&fixture, &model, &store);
            // One login is enough: a session outlives the server.
            let token = token.get_or_insert_with(|| log_in(&server));
            let url = server.url.clone();
            with_askers(&heard, &url, token, || {
                heard.wait_for_more(40);
                server.kill();
            });
        }
        assert_eq!(*heard.refused.lock().unwrap(), []);
        assert_all_is_recorded(&fixture, &store, &model, &heard);
        fixture.assert_original_untouched();
    }
}

#[test]
fn a_killed_replica_fails_nobody_elses_question() {
    let Some(database) = Database::create() else {
        return;
    };
    let store = Store::Postgres(database);
    let fixture = Fixture::new();
    let model = ScriptedModel::always("SELECT count(*) FROM customers");
    let (heard, elsewhere) = (Heard::default(), Heard::default());
    let server = Server::start_on(&fixture, &model, &store);
    let token = log_in(&server);
    with_askers(&heard, &server.url, &token, || {
        for _ in 0..3 {
            let other = Server::start_on(&fixture, &model, &store);
            let url = other.url.clone();
            with_askers(&elsewhere, &url, &token, || {
                elsewhere.wait_for_more(20);
                other.kill();
            });
            heard.wait_for_more(20);
        }
    });
    assert_eq!(*heard.refused.lock().unwrap(), []);
    assert!(server.stop());
    heard
        .answered
        .lock()
        .unwrap()
        .append(&mut elsewhere.answered.lock().unwrap());
    assert_all_is_recorded(&fixture, &store, &model, &heard);
}

/// A PostgreSQL of this test's own, which may be stopped.
struct OwnPostgres {
    folder: String,
    url: String,
}

impl OwnPostgres {
    fn start() -> Self {
        let printed = services(&["start", "postgres"]);
        let value = |name: &str| {
            let line = printed.lines().find_map(|line| {
                line.strip_prefix("export ")
                    .and_then(|line| line.strip_prefix(name))
                    .and_then(|line| line.strip_prefix('='))
            });
            line.unwrap().trim_matches('\'').to_owned()
        };
        Self {
            folder: value("TEST_SERVICES"),
            url: value("TEST_DATABASE_URL"),
        }
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        services(&["stop", &self.folder]);
    }
}

fn services(args: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");
    let output = Command::new(script).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn service_resumes_by_itself_when_postgresql_does() {
    // Where there is no PostgreSQL to test with, there is none to start either.
    if Database::create().is_none() {
        return;
    }
    let postgres = OwnPostgres::start();
    let store = Store::Postgres(Database::create_on(postgres.url.clone(), 0));
    let fixture = Fixture::new();
    let model = ScriptedModel::always("SELECT count(*) FROM customers");
    let heard = Heard::default();
    let server = Server::start_on(&fixture, &model, &store);
    let token = log_in(&server);
    with_askers(&heard, &server.url, &token, || {
        for _ in 0..2 {
            heard.wait_for_more(20);
            services(&["down", &postgres.folder]);
            let before = heard.refused.lock().unwrap().len();
            let begun = Instant::now();
            while heard.refused.lock().unwrap().len() < before + ASKERS {
                assert!(begun.elapsed() < Duration::from_secs(60), "nobody was told");
                std::thread::park_timeout(Duration::from_millis(10));
            }
            services(&["up", &postgres.folder]);
        }
        heard.wait_for_more(20);
    });
    for (status, body) in heard.refused.lock().unwrap().iter() {
        assert_eq!(
            (*status, &body["code"]),
            (503, &json!("system_store_down")),
            "{body}"
        );
    }
    assert!(server.stop());
    assert_all_is_recorded(&fixture, &store, &model, &heard);
}

/// Holds a lock of the store's in a session of its own, until it is dropped.
struct Held(std::process::Child);

impl Held {
    fn taking(url: &str, lock: i64) -> Self {
        let mut psql = Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let take = format!("BEGIN; SELECT pg_advisory_xact_lock_shared({lock}); SELECT 'held';\n");
        psql.stdin
            .as_mut()
            .unwrap()
            .write_all(take.as_bytes())
            .unwrap();
        let said = BufReader::new(psql.stdout.as_mut().unwrap()).lines();
        let is_held = said.map_while(Result::ok).any(|line| line == "held");
        assert!(is_held);
        Self(psql)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// What a writer holds while it writes, and the sealer waits for.
const WRITING: i64 = 4_707_186_421_085_270_901;

/// A seal used to be cut off by the end of the server, and PostgreSQL kept its lock, so that the last one sealed nothing.
#[test]
fn what_is_being_sealed_when_the_server_is_told_to_end_is_sealed() {
    let fixture = Fixture::new();
    let Some(store) = Store::each()
        .into_iter()
        .find(|store| matches!(store, Store::Postgres(_)))
    else {
        return;
    };
    let Store::Postgres(database) = &store else {
        unreachable!("it was looked for");
    };
    let model = ScriptedModel::replying(&[]);
    let mut server = Server::start_on(&fixture, &model, &store);
    let unsealed = || {
        let sql = "SELECT count(*) FROM audit_logs WHERE id > (SELECT coalesce(max(last_row), 0) FROM audit_seals)";
        store.count(&fixture, sql)
    };
    until(|| unsealed() == 0);
    let held = Held::taking(&database.url, WRITING);
    log_in(&server);
    assert!(unsealed() > 0);
    let waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                   WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
    until(|| store.count(&fixture, waiting) > 0);

    let id = server.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    // One that does not wait for the seal has ended by then.
    let told = Instant::now();
    while told.elapsed() < Duration::from_secs(1) && !server.has_ended() {
        std::thread::yield_now();
    }
    drop(held);
    assert_eq!(server.wait(), Some(0));
    assert_eq!(unsealed(), 0);
}

/// Waits until it is so, for twenty seconds at most.
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it never became so"
        );
        std::thread::yield_now();
    }
}
