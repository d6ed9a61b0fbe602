//! The story of one server over HTTP, as a user would tell it.

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::fixture::{Fixture, HANG, PASSWORD, ScriptedModel, Server};

fn login(client: &Client, server: &Server, password: &str) -> Response {
    client
        .post(format!("{}/api/v1/auth/login", server.url))
        .json(&json!({ "email": "ADMIN@localhost", "password": password }))
        .send()
        .unwrap()
}

fn ask(client: &Client, server: &Server, token: &str, question: &str) -> Response {
    client
        .post(format!("{}/api/v1/questions", server.url))
        .bearer_auth(token)
        .json(&json!({ "question": question }))
        .send()
        .unwrap()
}

#[track_caller]
pub fn problem(response: Response, status: StatusCode, code: &str) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = response.json().unwrap();
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["request_id"], id.as_str());
    assert_eq!(body["status"], status.as_u16());
    body
}

#[test]
fn an_administrator_logs_in_asks_is_refused_and_logs_out() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[
        "SELECT count(*) AS orders FROM orders",
        "DELETE FROM orders",
    ]);
    let server = Server::start(&fixture, &model);
    let client = Client::new();
    let get = |path: &str| client.get(format!("{}{path}", server.url));

    assert_eq!(get("/health/live").send().unwrap().status(), StatusCode::OK);
    let ready: Value = get("/health/ready").send().unwrap().json().unwrap();
    assert_eq!(
        (&ready["status"], &ready["target"]["state"]),
        (&json!("ready"), &json!("up"))
    );

    problem(
        login(&client, &server, "wrong"),
        StatusCode::UNAUTHORIZED,
        "invalid_credentials",
    );
    let session: Value = login(&client, &server, PASSWORD).json().unwrap();
    assert_eq!(session["role"], "admin");
    let token = session["access_token"].as_str().unwrap();

    let answer: Value = ask(&client, &server, token, "How many orders are there?")
        .json()
        .unwrap();
    assert_eq!(answer["rows"], json!([[3]]), "{answer}");
    assert_eq!(answer["sentence"], "Orders is 3.");

    let refused = problem(
        ask(&client, &server, token, "Delete all orders"),
        StatusCode::UNPROCESSABLE_ENTITY,
        "sql_not_read_only",
    );
    assert_eq!(refused["detail"], "attempt to write a readonly database");
    assert!(refused["query_id"].is_i64());

    let sql = |sql: &str| {
        client
            .post(format!("{}/api/v1/sql/execute", server.url))
            .bearer_auth(token)
            .json(&json!({ "sql": sql }))
            .send()
            .unwrap()
    };
    let rows: Value = sql("SELECT name FROM customers WHERE id = 2")
        .json()
        .unwrap();
    assert_eq!(rows["rows"], json!([["Grace"]]));

    let target: Value = get("/api/v1/target")
        .bearer_auth(token)
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(target["in_service"]["rows"], 6, "{target}");
    for (step, field, value) in [
        ("refresh", "is_new", json!(false)),
        ("verify", "problems", json!([])),
        ("restore", "is_new", json!(true)),
    ] {
        let url = format!("{}/api/v1/target/{step}", server.url);
        let done: Value = client
            .post(url)
            .bearer_auth(token)
            .send()
            .unwrap()
            .json()
            .unwrap();
        assert_eq!(done[field], value, "{step}: {done}");
    }

    let logout = client
        .post(format!("{}/api/v1/auth/logout", server.url))
        .bearer_auth(token)
        .send()
        .unwrap();
    assert_eq!(logout.status(), StatusCode::NO_CONTENT);
    problem(
        ask(&client, &server, token, "And now?"),
        StatusCode::UNAUTHORIZED,
        "session_expired",
    );

    let store = fixture.system_store();
    let actions: Vec<String> = store
        .prepare("SELECT action FROM audit_logs ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let expected = [
        "user_created",
        "login_failed",
        "login",
        "query",
        "query_answered",
        "query",
        "query_refused",
        "query",
        "query_answered",
        "target_refreshed",
        "target_verified",
        "target_restored",
        "logout",
    ];
    assert_eq!(actions, expected);
    let statuses: Vec<(String, Option<String>)> = store
        .prepare("SELECT status, error_code FROM queries ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let refusal = Some("sql_not_read_only".to_owned());
    assert_eq!(
        statuses,
        [
            ("success".into(), None),
            ("error".into(), refusal),
            ("success".into(), None)
        ]
    );
    fixture.assert_original_untouched();
}

#[test]
fn bad_input_is_answered_with_a_problem_and_changes_nothing() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    // A connection whose body was refused unread is closed, so none may be used again.
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let session: Value = login(&client, &server, PASSWORD).json().unwrap();
    let token = session["access_token"].as_str().unwrap();
    let post = |body: &str, kind: &str| {
        client
            .post(format!("{}/api/v1/questions", server.url))
            .bearer_auth(token)
            .header("content-type", kind)
            .body(body.to_owned())
            .send()
            .unwrap()
    };
    let json = "application/json";
    problem(post("{", json), StatusCode::BAD_REQUEST, "invalid_request");
    problem(
        post(r#"{"question": "a", "extra": 1}"#, json),
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    problem(
        post(r#"{"question": " "}"#, json),
        StatusCode::BAD_REQUEST,
        "invalid_question",
    );
    problem(
        post(r#"{"question": "a\u0000b"}"#, json),
        StatusCode::BAD_REQUEST,
        "invalid_question",
    );
    problem(
        post("question=a", "text/plain"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
    );
    let large = format!(r#"{{"question": "{}"}}"#, "a".repeat(1 << 20));
    problem(
        post(&large, json),
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
    );
    let nowhere = client
        .get(format!("{}/api/v1/nowhere", server.url))
        .send()
        .unwrap();
    problem(nowhere, StatusCode::NOT_FOUND, "not_found");
    let wrong_method = client
        .get(format!("{}/api/v1/questions", server.url))
        .send()
        .unwrap();
    problem(
        wrong_method,
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
    );
    let long_password = login(&client, &server, &format!("{PASSWORD}{}", "x".repeat(80)));
    problem(
        long_password,
        StatusCode::UNAUTHORIZED,
        "invalid_credentials",
    );
    let questions: i64 = fixture
        .system_store()
        .query_row("SELECT count(*) FROM queries", [], |row| row.get(0))
        .unwrap();
    assert_eq!(questions, 0);
}

#[test]
fn a_caller_who_goes_away_stops_the_question_and_it_is_recorded() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[HANG]);
    let server = Server::start(&fixture, &model);
    let client = Client::new();
    let session: Value = login(&client, &server, PASSWORD).json().unwrap();
    let gone = client
        .post(format!("{}/api/v1/questions", server.url))
        .bearer_auth(session["access_token"].as_str().unwrap())
        .json(&json!({ "question": "How many?" }))
        .timeout(std::time::Duration::from_millis(300))
        .send();
    assert!(gone.is_err());
    let store = fixture.system_store();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let code: Option<String> = store
            .query_row("SELECT error_code FROM queries", [], |row| row.get(0))
            .unwrap();
        match code.as_deref() {
            Some("cancelled") => break,
            Some(other) => panic!("{other}"),
            None => assert!(std::time::Instant::now() < deadline, "it is still pending"),
        }
        std::thread::yield_now();
    }
}

#[cfg(unix)]
#[test]
fn the_server_ends_in_order_when_told_to() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let told = std::process::Command::new("kill")
        .arg(server.id().to_string())
        .status()
        .unwrap();
    assert!(told.success());
    assert_eq!(server.wait(), Some(0));
}
