//! Work in the background: over HTTP, and shared by servers and a worker on one Redis.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::run_with;
use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};

const ADMIN: &str = "admin@localhost";

struct Caller<'a> {
    server: &'a Server,
    token: String,
}

impl<'a> Caller<'a> {
    fn admin(server: &'a Server) -> Self {
        let token = server.token(ADMIN, PASSWORD);
        Self { server, token }
    }

    fn send(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let response = self.server.send(method, path, Some(&self.token), &body);
        (response.status(), response.json().unwrap_or_default())
    }

    fn add(&self, job: Value) -> String {
        let (status, added) = self.send("POST", "/api/v1/jobs", job);
        assert_eq!(status, StatusCode::ACCEPTED, "{added}");
        added["id"].as_str().unwrap().to_owned()
    }

    fn job(&self, id: &str) -> Value {
        let (status, job) = self.send("GET", &format!("/api/v1/jobs/{id}"), Value::Null);
        assert_eq!(status, StatusCode::OK, "{job}");
        job
    }

    fn until_done(&self, id: &str) -> Value {
        until(&format!("job {id} is done"), || {
            let job = self.job(id);
            assert_ne!(job["status"], "failed", "{job}");
            (job["status"] == "done").then_some(job)
        })
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the address of the throwaway Redis and a database of its own there.
fn redis(database: u8) -> Option<String> {
    match std::env::var("TEST_REDIS_URL") {
        Ok(url) if !url.is_empty() => Some(format!("{url}/{database}")),
        _ => {
            let is_required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(!is_required, "TEST_REDIS_URL is not set");
            eprintln!("skipped: TEST_REDIS_URL is not set");
            None
        }
    }
}

#[test]
fn administrators_add_watch_and_cancel_jobs() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let admin = Caller::admin(&server);
    let id = admin.add(json!({ "kind": "purge" }));
    let done = admin.until_done(&id);
    assert_eq!(done["job"], json!({ "kind": "purge" }));
    assert_eq!(done["attempts"], 1);
    let message = done["message"].as_str().unwrap();
    assert!(message.starts_with("deleted 0 sessions"), "{message}");
    let (_, listed) = admin.send("GET", "/api/v1/jobs?limit=1000", Value::Null);
    let items = listed["items"].as_array().unwrap();
    assert!(items.contains(&done), "{listed}");

    for (job, status, code) in [
        (json!({ "kind": "backup" }), 409, "backups_disabled"),
        (json!({ "kind": "index" }), 409, "job_unavailable"),
        (json!({ "kind": "dance" }), 400, "invalid_request"),
        (
            json!({ "kind": "purge", "force": true }),
            400,
            "invalid_request",
        ),
        (
            json!({ "kind": "purge", "all": true }),
            400,
            "invalid_request",
        ),
    ] {
        let (found, problem) = admin.send("POST", "/api/v1/jobs", job);
        assert_eq!((found.as_u16(), &problem["code"]), (status, &json!(code)));
    }
    let (status, problem) = admin.send("DELETE", &format!("/api/v1/jobs/{id}"), Value::Null);
    assert_eq!(status, StatusCode::NOT_FOUND, "it has ended: {problem}");
    let (status, _) = admin.send("GET", "/api/v1/jobs/none.1", Value::Null);
    assert_eq!(status, StatusCode::NOT_FOUND);

    let actions: Vec<String> = fixture
        .system_store()
        .prepare("SELECT action FROM audit_logs WHERE resource IN ('job', 'session') AND action != 'login'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(actions, ["job_added"], "what was refused added nothing");
}

struct Worker(Child);

impl Worker {
    fn start(fixture: &Fixture, redis: &str) -> Self {
        let mut command = fixture.assay();
        command
            .arg("worker")
            .env("REDIS_URL", redis)
            .env("TARGET_DB_SOURCE", fixture.original())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_worker_does_the_jobs_of_servers_that_leave_them_to_it() {
    let Some(redis) = redis(1) else { return };
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let vars = [("REDIS_URL", redis.as_str())];
    let servers = [(); 2].map(|()| Server::start_idle(&fixture, &model, &vars));
    let one = Caller::admin(&servers[0]);
    let other = Caller::admin(&servers[1]);
    let id = one.add(json!({ "kind": "purge" }));
    assert_eq!(other.job(&id)["status"], "queued");
    assert_eq!(other.add(json!({ "kind": "purge" })), id, "it waits");
    let (_, health) = one.send("GET", "/health/ready", Value::Null);
    assert_eq!(health["cache"], json!({ "state": "up", "detail": "Redis" }));

    let worker = Worker::start(&fixture, &redis);
    let done = one.until_done(&id);
    assert_eq!(done, other.job(&id));
    drop(worker);
    let waiting = one.add(json!({ "kind": "retention" }));
    let cancel = format!("/api/v1/jobs/{waiting}");
    let (status, _) = other.send("DELETE", &cancel, Value::Null);
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(one.job(&waiting)["status"], "cancelled");
}

#[test]
fn a_logout_on_one_server_holds_on_another() {
    let Some(redis) = redis(2) else { return };
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let vars = [("REDIS_URL", redis.as_str())];
    let servers = [(); 2].map(|()| Server::start_with(&fixture, &model, &vars));
    let one = Caller::admin(&servers[0]);
    let other = Caller {
        server: &servers[1],
        token: one.token.clone(),
    };
    for _ in 0..3 {
        assert_eq!(other.send("GET", "/api/v1/me", Value::Null).0, 200);
    }
    one.send("POST", "/api/v1/auth/logout", Value::Null);
    until("the session is over everywhere", || {
        let (status, _) = other.send("GET", "/api/v1/me", Value::Null);
        (status == StatusCode::UNAUTHORIZED).then_some(())
    });
}

#[test]
fn a_server_starts_and_does_its_jobs_while_redis_is_down() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    // Nobody listens on the port of TCPMUX.
    let vars = [("REDIS_URL", "redis://127.0.0.1:1")];
    let server = Server::start_with(&fixture, &model, &vars);
    let admin = Caller::admin(&server);
    let (status, health) = admin.send("GET", "/health/ready", Value::Null);
    assert_eq!(status, StatusCode::OK, "{health}");
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["cache"]["state"], "degraded", "{health}");
    let id = admin.add(json!({ "kind": "purge" }));
    admin.until_done(&id);
    admin.send("POST", "/api/v1/auth/logout", Value::Null);
    let (status, _) = admin.send("GET", "/api/v1/me", Value::Null);
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[test]
fn jobs_that_nobody_would_do_are_not_left_to_others() {
    let fixture = Fixture::new();
    for command in [&["worker"][..], &["serve", "--no-worker"]] {
        let refused = run_with(&fixture, None, &[], command).expect_code(1);
        assert!(
            refused.stderr().contains("REDIS_URL"),
            "{}",
            refused.stderr()
        );
    }
}
