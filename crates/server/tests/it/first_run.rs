//! The first start of a program that nobody configured, as its page goes through it.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::fixture::{Fixture, ScriptedModel};

const CHOSEN: &str = "my own four words";

struct FirstRun {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
    url: String,
    code: String,
}

impl Drop for FirstRun {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(fixture: &Fixture, model: &ScriptedModel) -> Command {
    let mut command = fixture.assay();
    model
        .configure(&mut command)
        .env_remove("INIT_ADMIN_PASSWORD")
        .env("EMBEDDING_PROVIDER", "none")
        .env("LISTEN", "127.0.0.1:0")
        .env("RUST_LOG", "warn")
        .args(["serve", "--setup"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

impl FirstRun {
    fn start(fixture: &Fixture, model: &ScriptedModel) -> Self {
        let mut process = program(fixture, model).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = said(&mut lines, "set Assay up in a browser: ");
        let (url, code) = address.split_once("/setup#").unwrap();
        Self {
            process,
            url: url.to_owned(),
            code: code.to_owned(),
            lines,
        }
    }

    fn send(&self, method: &str, path: &str, code: &str, body: &Value) -> Response {
        let request = Client::new()
            .request(method.parse().unwrap(), format!("{}{path}", self.url))
            .header("x-setup-code", code);
        let request = match body {
            Value::Null => request,
            body => request.json(body),
        };
        request.send().unwrap()
    }

    fn post(&self, step: &str, body: &Value) -> Response {
        self.send("POST", &format!("/api/v1/setup/{step}"), &self.code, body)
    }

    /// Waits until nothing is being done.
    fn status(&self) -> Value {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let status: Value = self
                .send("GET", "/api/v1/setup", &self.code, &Value::Null)
                .json()
                .unwrap();
            if status["copying"].is_null() && status["fetching"].is_null() {
                return status;
            }
            assert!(Instant::now() < until, "{status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn said(lines: &mut Lines<BufReader<ChildStderr>>, what: &str) -> String {
    let mut all = Vec::new();
    for line in lines.map_while(Result::ok) {
        if let Some(rest) = line.strip_prefix(what) {
            return rest.to_owned();
        }
        all.push(line);
    }
    panic!("`{what}` is not said: {all:?}")
}

fn code_of(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let problem: Value = response.json().unwrap();
    (status, problem["code"].as_str().unwrap().to_owned())
}

#[test]
fn a_program_that_nobody_configured_is_set_up_in_a_browser() {
    let fixture = Fixture::with(
        "CREATE TABLE guests (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO guests VALUES (1, 'a'), (2, 'b');",
    );
    let model = ScriptedModel::always("SELECT count(*) FROM guests");
    let mut first = FirstRun::start(&fixture, &model);
    let person = json!({ "email": "me@example.org", "full_name": "Me", "password": CHOSEN });

    // Nobody gets anywhere without the code.
    for (method, path, body) in [
        ("GET", "/api/v1/setup", Value::Null),
        ("POST", "/api/v1/setup/administrator", person.clone()),
        ("POST", "/api/v1/setup/target", json!("demo")),
        ("POST", "/api/v1/setup/finish", Value::Null),
    ] {
        for code in ["", "guess"] {
            let refused = code_of(first.send(method, path, code, &body));
            assert_eq!(refused, (401, "invalid_credentials".into()), "{path}");
        }
    }
    // What the server will do it does not do yet.
    let early = first.send("POST", "/api/v1/questions", &first.code, &json!({}));
    assert_eq!(code_of(early), (409, "setup_due".into()));
    let home = first.send("GET", "/history", "", &Value::Null);
    assert!(home.url().path().starts_with("/setup"), "{}", home.url());
    assert_eq!(code_of(first.post("finish", &Value::Null)).0, 409);

    let weak = json!({ "email": "me@example.org", "full_name": "Me", "password": "password1234" });
    assert_eq!(
        code_of(first.post("administrator", &weak)).1,
        "invalid_password"
    );
    assert_eq!(first.post("administrator", &person).status(), 204);
    assert_eq!(code_of(first.post("administrator", &person)).1, "conflict");

    // A file that is none is said to be none, and another may be tried.
    assert_eq!(
        first.post("target", &json!({ "path": "shop.db" })).status(),
        400
    );
    let nowhere = json!({ "path": "/nowhere/shop.db" });
    assert_eq!(first.post("target", &nowhere).status(), 202);
    assert_eq!(first.status()["problem"]["code"], "target_not_found");
    let upload = |bytes: Vec<u8>| {
        Client::new()
            .post(format!("{}/api/v1/setup/upload", first.url))
            .header("x-setup-code", &first.code)
            .body(bytes)
            .send()
            .unwrap()
    };
    assert_eq!(upload(b"no database".to_vec()).status(), 202);
    let status = first.status();
    assert_eq!(status["problem"]["code"], "invalid_target", "{status}");
    assert!(status["target"].is_null());
    assert_eq!(
        upload(std::fs::read(fixture.original()).unwrap()).status(),
        202
    );
    let status = first.status();
    assert!(status["target"]["rows"].as_u64() > Some(2), "{status}");
    assert!(status["problem"].is_null());
    assert_eq!(status["has_model"], true);
    assert_eq!(first.post("finish", &Value::Null).status(), 204);

    // From now on it is the server that it would have been.
    assert_eq!(said(&mut first.lines, "listening on "), first.url);
    answers(&first.url);
    drop(first);

    // It is set up once: the next start has a file and an administrator.
    let mut process = program(&fixture, &model).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let url = said(&mut lines, "listening on ");
    answers(&url);
    process.kill().unwrap();
    process.wait().unwrap();
    fixture.assert_original_untouched();
}

/// Whoever was created logs in and is answered.
fn answers(url: &str) {
    let post = |path: &str, token: &str, body: Value| -> Value {
        let request = Client::new().post(format!("{url}/api/v1{path}"));
        let response = request.bearer_auth(token).json(&body).send().unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.json().unwrap()
    };
    let login = json!({ "email": "me@example.org", "password": CHOSEN });
    let session = post("/auth/login", "", login);
    let token = session["access_token"].as_str().unwrap();
    let answer = post(
        "/questions",
        token,
        json!({ "question": "How many guests?" }),
    );
    assert_eq!(answer["rows"], json!([[2]]));
}

#[test]
fn who_configured_an_administrator_is_not_asked_for_one() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let mut command = program(&fixture, &model);
    let mut process = command.env("INIT_ADMIN_PASSWORD", CHOSEN).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    said(&mut lines, "listening on ");
    process.kill().unwrap();
    process.wait().unwrap();
}
