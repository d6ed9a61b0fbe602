//! A company starts with Assay: the story of SPEC's people over HTTP, on each kind of system store.

use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::accounts::token_of_letter;
use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};
use crate::store::Store;

const ANOTHER: &str = "quite another password of mine";

#[track_caller]
fn ok(response: Response) -> Value {
    let status = response.status();
    let text = response.text().unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

#[track_caller]
fn refused(response: Response, status: u16, code: &str) {
    assert_eq!(response.status().as_u16(), status);
    let problem: Value = response.json().unwrap();
    assert_eq!(problem["code"], code, "{problem}");
}

#[test]
fn a_company_begins_to_ask() {
    for store in Store::each() {
        let fixture = Fixture::new();
        let model = ScriptedModel::always(
            "SELECT country, count(*) AS customers FROM customers GROUP BY 1",
        );
        tell(&fixture, &model, &store);
        fixture.assert_original_untouched();
    }
}

fn tell(fixture: &Fixture, model: &ScriptedModel, store: &Store) {
    let mut init = fixture.assay();
    let target = format!("sqlite:///{}", fixture.original_path());
    store
        .configure(model.configure(&mut init))
        .env("TARGET_DATABASE_URL", target);
    for _ in 0..2 {
        let output = init.args(["init", "--json"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        // The second time everything is there already.
        init = fixture.assay();
        store.configure(model.configure(&mut init)).env(
            "TARGET_DATABASE_URL",
            format!("sqlite:///{}", fixture.original_path()),
        );
    }

    let server = Server::start_on(fixture, model, store);
    let none = Value::Null;
    let admin = server.token("admin@localhost", PASSWORD);
    let create = |email: &str, role: &str| {
        let user = json!({ "email": email, "full_name": role, "role": role, "password": PASSWORD });
        let created = ok(server.send("POST", "/api/v1/users", Some(&admin), &user));
        created["id"].as_i64().unwrap()
    };
    create("Ana@example.org", "analyst");
    let viewer_id = create("vi@example.org", "viewer");
    let twice = json!({ "email": "ana@EXAMPLE.org", "full_name": "x", "role": "viewer", "password": PASSWORD });
    refused(
        server.send("POST", "/api/v1/users", Some(&admin), &twice),
        409,
        "email_taken",
    );

    // A viewer asks, and says what they think of it.
    let viewer = server.token("vi@example.org", PASSWORD);
    let question = json!({ "question": "How many customers has each country?" });
    let answer = ok(server.send("POST", "/api/v1/questions", Some(&viewer), &question));
    assert_eq!(
        answer["rows"],
        json!([["France", 1], ["Germany", 2]]),
        "{answer}"
    );
    let query_id = answer["query_id"].as_i64().unwrap();
    let rating = json!({ "rating": 4, "comment": "Right, and quick. ✓" });
    ok(server.send(
        "PUT",
        &format!("/api/v1/queries/{query_id}/feedback"),
        Some(&viewer),
        &rating,
    ));

    let history = ok(server.send(
        "GET",
        "/api/v1/queries?search=EACH%20country",
        Some(&viewer),
        &none,
    ));
    assert_eq!(history["items"][0]["id"], query_id, "{history}");
    assert_eq!(history["items"][0]["rating"], 4);
    assert_eq!(history["items"][0]["status"], "success");

    // What they may not do is refused, and recorded.
    refused(
        server.send("GET", "/api/v1/audit-logs", Some(&viewer), &none),
        403,
        "role_too_low",
    );
    let analyst = server.token("ana@example.org", PASSWORD);
    refused(
        server.send("GET", "/api/v1/audit-logs", Some(&analyst), &none),
        403,
        "role_too_low",
    );
    let sql = json!({ "sql": "SELECT name FROM customers ORDER BY id" });
    let own = ok(server.send("POST", "/api/v1/sql/execute", Some(&analyst), &sql));
    assert_eq!(own["rows"][0], json!(["Ada"]));
    refused(
        server.send("POST", "/api/v1/sql/execute", Some(&viewer), &sql),
        403,
        "role_too_low",
    );

    let actions = |filter: &str| -> Vec<String> {
        let path = format!("/api/v1/audit-logs?limit=100&{filter}");
        let listing = ok(server.send("GET", &path, Some(&admin), &none));
        let items = listing["items"].as_array().unwrap();
        items
            .iter()
            .rev()
            .map(|entry| entry["action"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        actions(&format!("user_id={viewer_id}")),
        [
            "login",
            "query",
            "query_answered",
            "feedback",
            "denied",
            "denied"
        ]
    );

    // A forgotten password: every session from before is over.
    let forgotten = json!({ "email": "VI@example.org" });
    ok(server.send("POST", "/api/v1/auth/forgot", None, &forgotten));
    let token = token_of_letter(fixture, "vi@example.org");
    let reset = json!({ "token": token, "new_password": ANOTHER });
    ok(server.send("POST", "/api/v1/auth/reset", None, &reset));
    refused(
        server.send("POST", "/api/v1/auth/reset", None, &reset),
        400,
        "invalid_token",
    );
    refused(
        server.send("GET", "/api/v1/me", Some(&viewer), &none),
        401,
        "session_expired",
    );
    assert_eq!(server.log_in("vi@example.org", PASSWORD).status(), 401);

    // Out everywhere, from one place.
    let (here, there) = (
        server.token("vi@example.org", ANOTHER),
        server.token("vi@example.org", ANOTHER),
    );
    ok(server.send("POST", "/api/v1/auth/logout-all", Some(&here), &none));
    for token in [&here, &there] {
        refused(
            server.send("GET", "/api/v1/me", Some(token), &none),
            401,
            "session_expired",
        );
    }

    // A deactivated user is out at the next request, and what they did stays.
    let last = server.token("vi@example.org", ANOTHER);
    let path = format!("/api/v1/users/{viewer_id}");
    ok(server.send("PATCH", &path, Some(&admin), &json!({ "is_active": false })));
    refused(
        server.send("POST", "/api/v1/questions", Some(&last), &question),
        401,
        "session_expired",
    );
    assert_eq!(server.log_in("vi@example.org", ANOTHER).status(), 401);
    let query = ok(server.send(
        "GET",
        &format!("/api/v1/queries/{query_id}"),
        Some(&admin),
        &none,
    ));
    assert_eq!(query["user_id"], viewer_id);
    let demotion = json!({ "role": "viewer" });
    refused(
        server.send("PATCH", "/api/v1/users/1", Some(&admin), &demotion),
        409,
        "last_admin",
    );
    assert!(server.stop());

    let mut verify = fixture.assay();
    let output = store
        .configure(&mut verify)
        .args(["audit", "verify", "--json"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
