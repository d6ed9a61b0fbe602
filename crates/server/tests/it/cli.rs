//! The command line.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::fixture::{Fixture, Ran, ScriptedModel};

#[test]
fn a_question_is_answered_with_rows_and_evidence() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[
        "```sql\nSELECT count(*) AS n FROM customers WHERE country = 'Germany'\n```",
    ]);
    let original = fixture.original_path();
    let answer = fixture
        .run_with(
            &model,
            &[
                "ask",
                "--db",
                &original,
                "--json",
                "How many customers are German?",
            ],
        )
        .expect_code(0)
        .json();
    assert_eq!(answer["status"], "answered");
    assert_eq!(answer["rows"], serde_json::json!([[2]]));
    assert_eq!(answer["columns"][0]["name"], "n");
    assert_eq!(answer["sentence"], "N is 2.");
    assert_eq!(answer["tables"], serde_json::json!(["customers"]));
    assert_eq!(
        answer["receipt"]["question"],
        "How many customers are German?"
    );
    assert_eq!(answer["tokens"]["generated"], 10);
    for field in ["sql", "data_as_of", "copied_at", "timings_ms", "tokens"] {
        assert!(!answer[field].is_null(), "{field}");
    }
    fixture.assert_original_untouched();

    let store = fixture.system_store();
    let (status, receipt): (String, String) = store
        .query_row("SELECT status, receipt FROM queries", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(status, "success");
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt, answer["receipt"]);
}

#[test]
fn an_answer_is_drawn_for_people() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&["SELECT name, country FROM customers ORDER BY id"]);
    let original = fixture.original_path();
    let ran = fixture
        .run_with(
            &model,
            &["ask", "--db", &original, "Who", "are", "the", "customers?"],
        )
        .expect_code(0);
    insta::assert_snapshot!(ran.stdout());
}

#[test]
fn an_answer_without_rows_says_why() {
    let check = |sql: &str, reason: &str, text: &str| {
        let fixture = Fixture::new();
        let (model, original) = (ScriptedModel::always(sql), fixture.original_path());
        let args = [
            "ask",
            "--db",
            &original,
            "--json",
            "Which customers are meant?",
        ];
        let answer = fixture.run_with(&model, &args).expect_code(0).json();
        assert_eq!(answer["no_rows"]["reason"], reason, "{answer}");
        assert_eq!(answer["no_rows"]["text"], text);
    };
    check(
        "SELECT name FROM customers WHERE country = 'Norway' AND id > 1",
        "never_true",
        "no row has country is 'Norway'",
    );
    check(
        "SELECT count(*) FROM customers WHERE country = 'Germany' AND name = 'Grace'",
        "never_together",
        "some rows have each, none has all of country is 'Germany' and name is 'Grace'",
    );
    check(
        "SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id + 10",
        "no_partners",
        "no rows of customers and orders belong together",
    );
}

#[test]
fn who_is_not_sure_enough_asks_back() {
    let fixture = Fixture::new();
    let model = ScriptedModel::always("SELECT name FROM customers WHERE id = 1");
    let original = fixture.original_path();
    let ask = |percent: &str| {
        let mut command = fixture.assay();
        model.configure(&mut command);
        command.args(["ask", "--db", &original, "--json", "Who is customer 1?"]);
        command.env("MIN_CONFIDENCE_ADMIN", percent);
        Ran::of(command.output().unwrap())
    };
    let refused = ask("100").expect_code(1).json();
    assert_eq!(refused["status"], "refused");
    assert_eq!(refused["error"]["code"], "too_uncertain", "{refused}");
    assert_eq!(ask("1").expect_code(0).json()["rows"][0][0], "Ada");
    assert!(
        ask("101")
            .expect_code(1)
            .stderr()
            .contains("MIN_CONFIDENCE_ADMIN")
    );
}

#[test]
fn a_fault_is_told_to_the_model_and_mended() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[
        "SELECT nom FROM customers WHERE id = 1",
        "SELECT name FROM customers WHERE id = 1",
    ]);
    let original = fixture.original_path();
    let answer = fixture
        .run_with(
            &model,
            &["ask", "--db", &original, "--json", "Who is customer 1?"],
        )
        .expect_code(0)
        .json();
    assert_eq!(answer["rows"], serde_json::json!([["Ada"]]));
    assert_eq!(answer["repairs"], 1);
    let told = model.told();
    assert!(told[1].contains("SELECT nom FROM customers"), "{}", told[1]);
    assert!(told[1].contains("no such column: nom"), "{}", told[1]);
    fixture.assert_original_untouched();
}

#[test]
fn repairs_are_bounded_and_end_in_a_refusal() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&["SELECT a FROM customers"; 4]);
    let original = fixture.original_path();
    let refused = fixture
        .run_with(&model, &["ask", "--db", &original, "--json", "What is a?"])
        .expect_code(1)
        .json();
    assert_eq!(refused["status"], "refused");
    assert_eq!(refused["error"]["code"], "cannot_be_answered");
    assert_eq!(model.told().len(), 3, "one attempt and two repairs");
}

#[test]
fn a_conversation_is_read_line_by_line_and_can_be_gone_on_with() {
    let fixture = Fixture::new();
    let count = "SELECT count(*) AS n FROM customers";
    let german = "SELECT count(*) AS n FROM customers WHERE country = 'Germany'";
    let model = ScriptedModel::replying(&[count, german, "DELETE FROM customers", german, count]);
    let original = fixture.original_path();
    let mut assay = fixture.assay();
    let mut running = model
        .configure(&mut assay)
        .args(["ask", "--db", &original, "-i", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = b"How many customers?\n\nonly Germany\n\xff\nDelete all customers\nby name";
    running.stdin.take().unwrap().write_all(lines).unwrap();
    let ran = Ran::of(running.wait_with_output().unwrap()).expect_code(1);
    let said: Vec<Value> = ran
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<&Value> = said.iter().map(|line| &line["status"]).collect();
    assert_eq!(
        told,
        ["answered", "answered", "failed", "refused", "answered"]
    );
    assert_eq!(said[1]["rows"], serde_json::json!([[2]]));
    let understood = "How many customers? \u{2192} only Germany";
    assert_eq!(said[1]["understood_as"], understood);
    assert_eq!(said[2]["error"]["code"], "invalid_question");
    assert_eq!(
        said[4]["understood_as"],
        format!("{understood} \u{2192} by name")
    );

    let id = said[0]["conversation_id"].to_string();
    let go_on = |id: &str| {
        let args = [
            "ask",
            "--db",
            &original,
            "--json",
            "--conversation",
            id,
            "only Germany",
        ];
        fixture.run_with(&model, &args)
    };
    let missing = go_on("999").expect_code(1);
    assert!(missing.stderr().contains("conversation_not_found"));
    assert_eq!(model.told().len(), 4);
    go_on(&id).expect_code(0);
    assert!(model.told()[4].contains("by name"), "{}", model.told()[4]);
    fixture.assert_original_untouched();
}

#[test]
fn sql_that_writes_exits_1_with_sqlites_words_and_changes_nothing() {
    let fixture = Fixture::new();
    let original = fixture.original_path();
    for sql in [
        "INSERT INTO customers(name) VALUES('X')",
        "WITH x AS (SELECT 1) DELETE FROM customers",
        "SELECT 1; DROP TABLE customers",
        "PRAGMA journal_mode = WAL",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'other.db'",
    ] {
        let ran = fixture.run(&["sql", "--db", &original, sql]).expect_code(1);
        assert!(
            ran.stderr()
                .contains("attempt to write a readonly database"),
            "{sql}: {}",
            ran.stderr()
        );
        assert!(ran.stderr().contains("sql_not_read_only"), "{sql}");
        fixture.assert_original_untouched();
    }
    let rows = fixture
        .run(&[
            "sql",
            "--db",
            &original,
            "--json",
            "SELECT count(*) FROM customers",
        ])
        .expect_code(0)
        .json();
    assert_eq!(rows["rows"], serde_json::json!([[3]]));
}

#[test]
fn the_schema_can_be_inspected_as_the_design_does_it() {
    let fixture = Fixture::new();
    let original = fixture.original_path();
    let tables = fixture
        .run(&[
            "sql",
            "--db",
            &original,
            "--json",
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        ])
        .expect_code(0)
        .json();
    assert_eq!(
        tables["rows"],
        serde_json::json!([["customers"], ["orders"]])
    );
    let columns = fixture
        .run(&[
            "sql",
            "--db",
            &original,
            "--json",
            "PRAGMA table_info(customers)",
        ])
        .expect_code(0)
        .json();
    assert_eq!(columns["rows"][1][1], "name");
}

#[test]
fn the_golden_copy_can_be_looked_after() {
    let fixture = Fixture::new();
    let original = fixture.original_path();
    let target = |command: &str| {
        let mut assay = fixture.assay();
        assay
            .env("TARGET_DB_SOURCE", &original)
            .args(["target", command, "--json"]);
        let output = assay.output().unwrap();
        assert!(
            output.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert!(target("status")["in_service"].is_null());
    assert_eq!(target("refresh")["is_new"], true);
    assert_eq!(target("refresh")["is_new"], false);
    assert_eq!(target("verify")["problems"], serde_json::json!([]));
    assert_eq!(target("restore")["is_new"], true);
    assert_eq!(target("status")["in_service"]["rows"], 6);
    fixture.assert_original_untouched();
}

#[test]
fn files_that_are_no_database_are_named_as_such() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("empty.db", &b""[..]),
        (
            "text.db",
            &b"not a database, but long enough to be one perhaps"[..],
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let ran = fixture
            .run(&["sql", "--db", &path.display().to_string(), "SELECT 1"])
            .expect_code(1);
        assert!(
            ran.stderr().contains("invalid_target"),
            "{name}: {}",
            ran.stderr()
        );
        assert!(ran.stderr().contains("hint:"), "{name}: {}", ran.stderr());
    }
    let ran = fixture
        .run(&["sql", "--db", "nowhere.db", "SELECT 1"])
        .expect_code(1);
    assert!(
        ran.stderr().contains("target_not_found"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn all_faults_of_the_settings_are_reported_at_once() {
    let fixture = Fixture::new();
    let output = fixture
        .assay()
        .env("LISTEN", "nowhere")
        .env("LLM_PROVIDER", "crystal ball")
        .env("QUERY_MAX_ROWS", "many")
        .arg("serve")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for variable in ["LISTEN", "LLM_PROVIDER", "QUERY_MAX_ROWS"] {
        assert!(said.contains(variable), "{variable}: {said}");
    }
}

#[test]
fn a_missing_model_says_how_to_get_it() {
    let fixture = Fixture::new();
    let original = fixture.original_path();
    let ran = fixture
        .run(&["ask", "--db", &original, "How many?"])
        .expect_code(1);
    assert!(ran.stderr().contains("model_missing"), "{}", ran.stderr());
    assert!(
        ran.stderr().contains("assay model pull"),
        "{}",
        ran.stderr()
    );
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let fixture = Fixture::new();
    let found = fixture.run(&["doctor", "--json"]).expect_code(1).json();
    let model = found["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["part"] == "model")
        .unwrap();
    assert_eq!(model["ok"], false);
    assert!(
        model["hint"].as_str().unwrap().contains("assay model pull"),
        "{model}"
    );

    let scripted = ScriptedModel::replying(&[]);
    let found = fixture
        .run_with(&scripted, &["doctor", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(found["ok"], true);
}
