//! Answers as files, and run again.

use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};

fn get(server: &Server, token: &str, path: &str) -> Response {
    server.send("GET", &format!("/api/v1{path}"), Some(token), &Value::Null)
}

fn ask(server: &Server, token: &str, question: &str) -> Value {
    let body = json!({ "question": question });
    server
        .send("POST", "/api/v1/questions", Some(token), &body)
        .json()
        .unwrap()
}

#[test]
fn all_rows_of_an_answer_come_as_a_file_and_are_recorded() {
    let fixture = Fixture::with(
        "CREATE TABLE numbers (n INTEGER, label TEXT);
         WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
         INSERT INTO numbers SELECT i, '=' || i FROM c;",
    );
    let model = ScriptedModel::always("SELECT n, label FROM numbers ORDER BY n");
    // An answer shows fewer rows than an export has.
    let limits = [("QUERY_MAX_ROWS", "100"), ("EXPORT_MAX_ROWS", "2500")];
    let server = Server::start_with(&fixture, &model, &limits);
    let token = server.token("admin@localhost", PASSWORD);
    let answer = ask(&server, &token, "Which numbers are there?");
    assert_eq!(answer["rows"].as_array().unwrap().len(), 100);
    let id = answer["query_id"].as_i64().unwrap();

    let csv = get(&server, &token, &format!("/queries/{id}/result?format=csv"));
    assert_eq!(csv.status(), 200);
    let header = |name: &str| csv.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-assay-rows"), "2500");
    assert_eq!(header("x-assay-truncated"), "true");
    assert_eq!(header("x-assay-data-as-of"), answer["data_as_of"]);
    let name = format!("attachment; filename=\"assay-{id}.csv\"");
    assert_eq!(header("content-disposition"), name);
    let text = csv.text().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2501);
    assert_eq!(lines[..2], ["n,label", "1,\"'=1\""]);
    assert_eq!(lines[2500], "2500,\"'=2500\"");

    let json: Value = get(
        &server,
        &token,
        &format!("/queries/{id}/result?format=json"),
    )
    .json()
    .unwrap();
    assert_eq!(json["columns"], json!(["n", "label"]));
    assert_eq!(json["rows"][2499], json!([2500, "=2500"]));
    for (format, magic) in [
        ("xlsx", &b"PK"[..]),
        ("parquet", b"PAR1"),
        ("arrow", b"ARROW1"),
    ] {
        let file = get(
            &server,
            &token,
            &format!("/queries/{id}/result?format={format}"),
        );
        assert_eq!(file.status(), 200, "{format}");
        let bytes = file.bytes().unwrap();
        assert!(bytes.starts_with(magic), "{format}");
    }
    assert_eq!(
        get(&server, &token, &format!("/queries/{id}/result?format=pdf")).status(),
        400
    );
    assert_eq!(
        get(&server, &token, "/queries/999/result?format=csv").status(),
        404
    );

    let entries: Value = get(&server, &token, "/audit-logs?action=query_exported")
        .json()
        .unwrap();
    let formats: Vec<&str> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["changes"]["format"].as_str())
        .collect();
    assert_eq!(formats, ["arrow", "parquet", "xlsx", "json", "csv"]);
    assert_eq!(entries["items"][0]["changes"]["rows"], 2500);
    fixture.assert_original_untouched();
}

#[test]
fn an_answer_run_again_or_exported_holds_what_may_be_seen_now() {
    let fixture = Fixture::new();
    let model = ScriptedModel::always("SELECT name, country FROM customers ORDER BY id");
    let server = Server::start(&fixture, &model);
    let admin = server.token("admin@localhost", PASSWORD);
    let user =
        json!({ "email": "v@localhost", "full_name": "v", "role": "viewer", "password": PASSWORD });
    assert_eq!(
        server
            .send("POST", "/api/v1/users", Some(&admin), &user)
            .status(),
        201
    );
    let viewer = server.token("v@localhost", PASSWORD);
    let id = ask(&server, &viewer, "Who lives where?")["query_id"]
        .as_i64()
        .unwrap();
    let run = format!("/api/v1/queries/{id}/run");

    // A viewer runs no SQL of their own, but their answers again.
    let again: Value = server
        .send("POST", &run, Some(&viewer), &Value::Null)
        .json()
        .unwrap();
    assert_eq!(again["rows"][0], json!(["Ada", "Germany"]), "{again}");
    assert_ne!(again["query_id"], id);
    assert_eq!(model.told().len(), 1, "the model is not asked again");
    // Not even an administrator runs another's.
    assert_eq!(
        server
            .send("POST", &run, Some(&admin), &Value::Null)
            .status(),
        404
    );

    let policy = json!({ "role": "viewer", "table_name": "customers", "column_name": "country" });
    assert_eq!(
        server
            .send("POST", "/api/v1/policies", Some(&admin), &policy)
            .status(),
        201
    );
    let refused = server.send("POST", &run, Some(&viewer), &Value::Null);
    assert_eq!(refused.status(), 422);
    let file = get(
        &server,
        &viewer,
        &format!("/queries/{id}/result?format=csv"),
    );
    assert_eq!(file.status(), 422);
    assert!(!file.text().unwrap().contains("Germany"));
    let entries: Value = get(&server, &admin, "/audit-logs?action=query_exported")
        .json()
        .unwrap();
    assert_eq!(
        entries["items"][0]["changes"]["error"], "unknown_column",
        "{entries}"
    );
}

#[test]
fn suggestions_are_approved_questions_and_what_the_schema_offers() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let token = server.token("admin@localhost", PASSWORD);
    let found: Value = get(&server, &token, "/suggestions").json().unwrap();
    let questions: Vec<&str> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["question"].as_str())
        .collect();
    assert!(
        questions.contains(&"How many customers are there?"),
        "{found}"
    );
}
