use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};

const ADMIN: &str = "admin@localhost";

#[test]
fn requests_and_questions_are_counted() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&["SELECT count(*) AS n FROM customers"]);
    let server = Server::start(&fixture, &model);
    let token = server.token(ADMIN, PASSWORD);
    let question = json!({ "question": "How many customers are there?" });
    let answered = server.send("POST", "/api/v1/questions", Some(&token), &question);
    assert_eq!(answered.status(), StatusCode::OK);
    let sql = json!({ "sql": "DELETE FROM customers" });
    server.send("POST", "/api/v1/sql/execute", Some(&token), &sql);

    let hidden = server.send("GET", "/metrics", None, &Value::Null);
    assert_eq!(hidden.status(), StatusCode::UNAUTHORIZED);
    let text = server
        .send("GET", "/metrics", Some(&token), &Value::Null)
        .text()
        .unwrap();
    for line in [
        "assay_questions_total{outcome=\"answered\",code=\"none\"} 1",
        "assay_questions_total{outcome=\"refused\",code=\"sql_not_read_only\"} 1",
        "assay_http_requests_total{method=\"POST\",route=\"/api/v1/questions\",status=\"200\"} 1",
        "assay_question_duration_seconds_count{outcome=\"answered\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn questions_beyond_what_one_person_may_ask_wait() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let vars = [("QUESTIONS_PER_MINUTE", "2")];
    let server = Server::start_with(&fixture, &model, &vars);
    let token = server.token(ADMIN, PASSWORD);
    let sql = json!({ "sql": "SELECT 1" });
    let run = || server.send("POST", "/api/v1/sql/execute", Some(&token), &sql);
    assert_eq!(run().status(), StatusCode::OK);
    assert_eq!(run().status(), StatusCode::OK);
    let refused = run();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait = refused.headers()["retry-after"].to_str().unwrap();
    assert!((1..=30).contains(&wait.parse::<u64>().unwrap()), "{wait}");
}

#[test]
fn the_documentation_needs_nothing_from_elsewhere() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let get = |path: &str| server.send("GET", path, None, &Value::Null);
    let page = get("/docs/");
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let page = page.text().unwrap();
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    for file in [
        "swagger-ui-bundle.js",
        "swagger-ui.css",
        "swagger-initializer.js",
    ] {
        assert_eq!(
            get(&format!("/docs/{file}")).status(),
            StatusCode::OK,
            "{file}"
        );
    }
    let setup = get("/docs/swagger-initializer.js").text().unwrap();
    assert!(setup.contains("/api/v1/openapi.json"), "{setup}");
    let missing = get("/docs/nothing.js");
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert_eq!(missing.json::<Value>().unwrap()["code"], "not_found");
}

#[test]
fn readiness_tells_the_state_of_each_part() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let ready = || {
        let response = server.send("GET", "/health/ready", None, &Value::Null);
        (response.status(), response.json::<Value>().unwrap())
    };
    let (status, body) = ready();
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("ready")));
    for (part, state) in [
        ("system_store", "up"),
        ("target", "up"),
        ("generator", "up"),
        ("vector_store", "off"),
        ("cache", "up"),
    ] {
        assert_eq!(body[part]["state"], state, "{part}");
    }
    rusqlite::Connection::open(fixture.original())
        .unwrap()
        .execute("INSERT INTO customers VALUES (4, 'Barbara', 'Sweden')", [])
        .unwrap();
    // The original is looked at every so often.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let (status, body) = ready();
        assert_eq!(status, StatusCode::OK);
        if body["status"] == "degraded" {
            assert_eq!(body["target"]["detail"], "original_changed");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{body}");
    }
}

#[test]
fn administrators_make_and_verify_backups() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let folder = fixture.data_dir().join("backups").display().to_string();
    let vars = [("BACKUP_DIR", folder.as_str()), ("BACKUP_SCHEDULE", "off")];
    let server = Server::start_with(&fixture, &model, &vars);
    let token = server.token(ADMIN, PASSWORD);
    let send = |method: &str, path: &str| {
        let response = server.send(method, path, Some(&token), &Value::Null);
        (response.status(), response.json::<Value>().unwrap())
    };
    assert_eq!(send("GET", "/api/v1/backups").1, json!({ "items": [] }));
    let (status, made) = send("POST", "/api/v1/backups");
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let path = format!("/api/v1/backups/{}/verify", made["name"].as_str().unwrap());
    let (status, verified) = send("POST", &path);
    assert_eq!((status, &verified["backup"]), (StatusCode::OK, &made));
    let (status, problem) = send("POST", "/api/v1/backups/..%2Fsystem/verify");
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
    let store = fixture.system_store();
    let actions: Vec<String> = store
        .prepare("SELECT action FROM audit_logs WHERE resource = 'backup' ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        actions,
        ["backup_created", "backup_verified", "backup_verified"]
    );
}

#[test]
fn a_server_makes_the_backup_that_is_due() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let folder = fixture.data_dir().join("backups");
    let path = folder.display().to_string();
    let _server = Server::start_with(&fixture, &model, &[("BACKUP_DIR", path.as_str())]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let is_made = || {
        std::fs::read_dir(&folder).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|end| end == "json")
            })
        })
    };
    while !is_made() {
        assert!(std::time::Instant::now() < deadline, "no backup was made");
    }
}

#[test]
fn a_server_told_to_end_finishes_what_it_was_asked() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let token = server.token(ADMIN, PASSWORD);
    let slow = json!({ "sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000) SELECT max(i) FROM n" });
    let answer = std::thread::scope(|scope| {
        let answer =
            scope.spawn(|| server.send("POST", "/api/v1/sql/execute", Some(&token), &slow));
        let store = fixture.system_store();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let is_running = || -> bool {
            let sql = "SELECT EXISTS (SELECT 1 FROM queries WHERE status = 'pending')";
            store.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        while !is_running() {
            assert!(
                std::time::Instant::now() < deadline,
                "the question is not running"
            );
        }
        let told = std::process::Command::new("kill")
            .arg(server.id().to_string())
            .status();
        assert!(told.unwrap().success());
        answer.join().unwrap()
    });
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        answer.json::<Value>().unwrap()["rows"],
        json!([[5_000_000]])
    );
    assert_eq!(server.wait(), Some(0));
}
