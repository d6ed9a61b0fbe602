//! What administrators and analysts keep and read, over HTTP and on the command line.

mod sql;
mod trail;

use std::time::{Duration, Instant};

use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, Ran, ScriptedModel, Server};

const VIEWERS_PASSWORD: &str = "nine lives of a paper lantern";

/// Someone who is logged in.
struct Person<'s> {
    client: Client,
    server: &'s Server,
    token: String,
}

impl<'s> Person<'s> {
    fn log_in(server: &'s Server, email: &str, password: &str) -> Self {
        // A connection whose body was refused unread is closed, so none may be used again.
        let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let session: Value = client
            .post(format!("{}/api/v1/auth/login", server.url))
            .json(&json!({ "email": email, "password": password }))
            .send()
            .unwrap()
            .json()
            .unwrap();
        let token = session["access_token"].as_str().unwrap().to_owned();
        Self {
            client,
            server,
            token,
        }
    }

    fn admin(server: &'s Server) -> Self {
        Self::log_in(server, "admin@localhost", PASSWORD)
    }

    /// Creates someone of this role and logs them in.
    fn creating(&self, role: &str) -> (Self, i64) {
        let email = format!("{role}@example.org");
        let made = self.expect(
            self.request(Method::POST, "/users").json(&json!({
                "email": email,
                "full_name": role,
                "password": VIEWERS_PASSWORD,
                "role": role,
            })),
            StatusCode::CREATED,
        );
        let person = Self::log_in(self.server, &email, VIEWERS_PASSWORD);
        (person, made["id"].as_i64().unwrap())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}/api/v1{path}", self.server.url))
            .bearer_auth(&self.token)
    }

    fn get(&self, path: &str) -> Value {
        self.expect(self.request(Method::GET, path), StatusCode::OK)
    }

    fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path).json(&body).send().unwrap()
    }

    fn ask(&self, question: &str) -> Response {
        self.post("/questions", json!({ "question": question }))
    }

    #[track_caller]
    fn expect(&self, request: RequestBuilder, status: StatusCode) -> Value {
        let response = request.send().unwrap();
        assert_eq!(response.status(), status, "{:?}", response.text());
        response.json().unwrap()
    }
}

#[track_caller]
fn problem(response: Response, status: StatusCode, code: &str) -> Value {
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let found = response.status();
    let body: Value = response.json().unwrap();
    assert_eq!((found, &body["code"]), (status, &json!(code)), "{body}");
    body
}

fn items(listing: &Value) -> &[Value] {
    listing["items"].as_array().unwrap()
}

/// Tries until there is a result.
#[track_caller]
fn in_time<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "it takes too long");
        std::thread::yield_now();
    }
}

#[test]
fn a_hidden_column_is_in_nothing_that_a_viewer_or_the_model_for_them_gets() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[
        "SELECT * FROM customers WHERE id = 1",
        "SELECT contry FROM customers",
        "SELECT contry FROM customers",
        "SELECT contry FROM customers",
        "SELECT country FROM customers WHERE id = 1",
    ]);
    let server = Server::start(&fixture, &model);
    let admin = Person::admin(&server);
    let (viewer, _) = admin.creating("viewer");

    let policy = |column: &str| {
        let body = json!({ "role": "viewer", "table_name": "CUSTOMERS", "column_name": column });
        admin.post("/policies", body)
    };
    let unknown = problem(
        policy("contry"),
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown_column",
    );
    let hint = unknown["hint"].as_str().unwrap();
    assert!(hint.starts_with("did you mean `country`?"), "{hint}");
    let made = policy("Country");
    assert_eq!(made.status(), StatusCode::CREATED);
    let made: Value = made.json().unwrap();
    assert_eq!(
        (&made["table_name"], &made["column_name"]),
        (&json!("customers"), &json!("country"))
    );
    problem(policy("country"), StatusCode::CONFLICT, "conflict");
    let forced = json!({ "role": "analyst", "table_name": "invoices", "force": true });
    assert_eq!(
        admin.post("/policies", forced).status(),
        StatusCode::CREATED
    );
    let listed = admin.get("/policies");
    let present: Vec<&Value> = items(&listed)
        .iter()
        .map(|policy| &policy["is_present"])
        .collect();
    assert_eq!(present, [&json!(false), &json!(true)], "{listed}");

    for (name, description) in [
        ("home market", "customers by country"),
        ("buyer", "a customer with an order"),
    ] {
        let term = json!({ "term_name": name, "description": description });
        assert_eq!(admin.post("/ontology", term).status(), StatusCode::CREATED);
    }
    let terms = viewer.get("/ontology");
    assert_eq!(items(&terms).len(), 1, "{terms}");
    let all = admin.get("/ontology");
    let hidden = items(&all)
        .iter()
        .find(|term| term["term_name"] == "home market")
        .unwrap();
    let one = format!("/ontology/{}", hidden["id"]);
    problem(
        viewer.request(Method::GET, &one).send().unwrap(),
        StatusCode::NOT_FOUND,
        "not_found",
    );

    let schema = viewer.get("/schema");
    assert!(!schema.to_string().contains("ountry"), "{schema}");
    assert!(!schema.to_string().contains("Germany"), "{schema}");
    assert_eq!(schema["tables"][0]["row_count"], 3);
    let schema = admin.get("/schema");
    assert!(schema.to_string().contains("Germany"), "{schema}");

    let answer: Value = viewer
        .ask("Who is the first buyer of our home market?")
        .json()
        .unwrap();
    assert_eq!(answer["rows"], json!([[1, "Ada"]]), "{answer}");
    assert_eq!(answer["terms"], json!(["buyer"]));
    let refused = problem(
        viewer.ask("Where is Ada?"),
        StatusCode::UNPROCESSABLE_ENTITY,
        "cannot_be_answered",
    );
    assert!(!refused.to_string().contains("country"), "{refused}");
    for told in model.told() {
        assert!(!told.contains("country"), "{told}");
        assert!(!told.contains("Germany"), "{told}");
    }

    let answer: Value = admin.ask("What is our home market?").json().unwrap();
    assert_eq!(answer["rows"], json!([["Germany"]]), "{answer}");
    assert_eq!(answer["terms"], json!(["home market"]));
    let told = model.told();
    assert!(
        told[4].contains("\"home market\" means \"customers by country\""),
        "{}",
        told[4]
    );
    fixture.assert_original_untouched();
}

#[test]
fn terms_are_imported_changed_and_exported() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let admin = Person::admin(&server);
    let (analyst, _) = admin.creating("analyst");
    let (viewer, _) = admin.creating("viewer");
    let import = |person: &Person, kind: &str, yaml: String| {
        person
            .request(Method::POST, "/ontology/import")
            .header("content-type", kind)
            .body(yaml)
            .send()
            .unwrap()
    };
    let yaml = "application/yaml";

    let bad = "terms:\n  - name: Sales\n  - name: 2024\n    description: a year\n";
    let refused = problem(
        import(&analyst, yaml, bad.into()),
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    let detail = refused["detail"].as_str().unwrap();
    let lines: Vec<&str> = detail.lines().collect();
    assert_eq!(
        lines,
        [
            "line 2: the term has no `description`",
            "line 3: `name` must be text, it is a number or a truth value; put it in quotes"
        ]
    );
    problem(
        import(&analyst, "application/json", "{}".into()),
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
    );
    problem(
        import(&analyst, yaml, "x".repeat((1 << 20) + 1)),
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
    );
    problem(
        import(&viewer, yaml, "terms: []".into()),
        StatusCode::FORBIDDEN,
        "role_too_low",
    );

    // More than other bodies may have, because a file may.
    let many: String = (0..400)
        .map(|number| {
            format!(
                "  - name: term {number}\n    description: {}\n",
                "d".repeat(300)
            )
        })
        .collect();
    let done: Value = import(&analyst, yaml, format!("terms:\n{many}"))
        .json()
        .unwrap();
    assert_eq!(
        done,
        json!({ "created": 400, "changed": 0, "unchanged": 0 })
    );
    let found = viewer.get("/ontology?search=term%20399&limit=5");
    assert_eq!(items(&found).len(), 1, "{found}");
    let id = &items(&found)[0]["id"];

    let change = |body: Value| {
        analyst
            .request(Method::PATCH, &format!("/ontology/{id}"))
            .json(&body)
            .send()
            .unwrap()
    };
    let changed: Value = change(json!({ "owner": "Ada", "synonyms": ["last"] }))
        .json()
        .unwrap();
    assert_eq!(
        (&changed["owner"], &changed["synonyms"][0]),
        (&json!("Ada"), &json!("last"))
    );
    let changed: Value = change(json!({ "owner": null })).json().unwrap();
    assert_eq!(
        (&changed["owner"], &changed["synonyms"][0]),
        (&json!(null), &json!("last"))
    );
    problem(
        change(json!({ "term_name": "TERM 1" })),
        StatusCode::CONFLICT,
        "name_taken",
    );

    let exported = viewer
        .request(Method::GET, "/ontology/export")
        .send()
        .unwrap();
    assert_eq!(exported.headers()["content-type"], yaml);
    let exported = exported.text().unwrap();
    let again: Value = import(&analyst, yaml, exported).json().unwrap();
    assert_eq!(
        again,
        json!({ "created": 0, "changed": 0, "unchanged": 400 })
    );

    let delete = || {
        analyst
            .request(Method::DELETE, &format!("/ontology/{id}"))
            .send()
            .unwrap()
    };
    assert_eq!(delete().status(), StatusCode::NO_CONTENT);
    problem(delete(), StatusCode::NOT_FOUND, "not_found");

    let file = fixture.data_dir().join("terms.yaml");
    std::fs::write(&file, bad).unwrap();
    let file = file.display().to_string();
    let ran = fixture.run(&["ontology", "import", &file]).expect_code(1);
    assert!(ran.stderr().contains("line 2: "), "{}", ran.stderr());
    let yaml = fixture.run(&["ontology", "export"]).expect_code(0).stdout();
    std::fs::write(&file, yaml).unwrap();
    let done = fixture
        .run(&["ontology", "import", &file, "--json"])
        .expect_code(0);
    assert_eq!(done.json()["unchanged"], 399);
}

#[test]
fn history_and_ratings_are_ones_own_and_the_administrators() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[
        "SELECT count(*) FROM orders",
        "DROP TABLE orders",
        "SELECT count(*) FROM customers",
    ]);
    let server = Server::start(&fixture, &model);
    let admin = Person::admin(&server);
    let (viewer, viewers_id) = admin.creating("viewer");
    let (analyst, _) = admin.creating("analyst");
    let answer: Value = viewer.ask("How many orders?").json().unwrap();
    let query = answer["query_id"].as_i64().unwrap();
    viewer.ask("Drop the orders");
    analyst.ask("How many customers?");

    assert_eq!(items(&viewer.get("/queries")).len(), 2);
    assert_eq!(items(&viewer.get("/queries?status=error")).len(), 1);
    let found = viewer.get("/queries?search=HOW%20many");
    assert_eq!(items(&found)[0]["id"], query, "{found}");
    assert_eq!(items(&admin.get("/queries")).len(), 0);
    let of_viewer = admin.get(&format!("/queries?user_id={viewers_id}"));
    assert_eq!(items(&of_viewer).len(), 2);
    let first = admin.get("/queries?everyone=true&limit=2");
    let rest = admin.get(&format!(
        "/queries?everyone=true&limit=2&cursor={}",
        first["next_cursor"]
    ));
    assert_eq!((items(&first).len(), items(&rest).len()), (2, 1));
    assert_eq!(rest["next_cursor"], json!(null));
    for path in ["/queries?everyone=true", "/queries?user_id=1"] {
        let denied = viewer.request(Method::GET, path).send().unwrap();
        problem(denied, StatusCode::FORBIDDEN, "role_too_low");
    }
    let path = format!("/queries/{query}");
    assert_eq!(viewer.get(&path)["question"], "How many orders?");
    assert_eq!(admin.get(&path)["user_id"], viewers_id);
    let foreign = analyst.request(Method::GET, &path).send().unwrap();
    problem(foreign, StatusCode::NOT_FOUND, "query_not_found");

    let rate = |person: &Person, query: i64, body: Value| {
        person
            .request(Method::PUT, &format!("/queries/{query}/feedback"))
            .json(&body)
            .send()
            .unwrap()
    };
    for (rating, comment) in [(2, "hm"), (5, "right after all")] {
        let body = json!({ "rating": rating, "comment": comment });
        assert_eq!(rate(&viewer, query, body).status(), StatusCode::OK);
    }
    assert_eq!(viewer.get(&path)["rating"], 5);
    let said = viewer.get(&format!("{path}/feedback"));
    assert_eq!(items(&said).len(), 1, "{said}");
    problem(
        rate(&viewer, query, json!({ "rating": 6 })),
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    for (person, id) in [(&analyst, query), (&viewer, 999)] {
        problem(
            rate(person, id, json!({ "rating": 1 })),
            StatusCode::NOT_FOUND,
            "query_not_found",
        );
    }
    assert_eq!(
        rate(&admin, query, json!({ "rating": 4 })).status(),
        StatusCode::OK
    );
    assert_eq!(items(&admin.get("/feedback")).len(), 2);

    let rated = admin.get(&format!("/audit-logs?action=feedback&user_id={viewers_id}"));
    let ratings: Vec<&Value> = items(&rated)
        .iter()
        .map(|entry| &entry["changes"]["rating"])
        .collect();
    assert_eq!(ratings, [5, 2], "{rated}");
    let denied = admin.get(&format!(
        "/audit-logs?action=denied&resource=query&resource_id={query}"
    ));
    assert_eq!(items(&denied).len(), 2, "{denied}");
}

#[test]
fn a_secret_is_never_returned_and_survives_a_change_of_keys() {
    const SECRET: &str = "hunter2-of-the-mail-server";
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[]);
    let server = Server::start(&fixture, &model);
    let admin = Person::admin(&server);
    let put = |key: &str, body: Value| {
        admin
            .request(Method::PUT, &format!("/configurations/{key}"))
            .json(&body)
            .send()
            .unwrap()
    };
    let set = put(
        "smtp.password",
        json!({ "value": SECRET, "is_secret": true }),
    );
    assert_eq!(set.status(), StatusCode::OK);
    let text = set.text().unwrap();
    assert!(
        text.contains("\"is_set\":true") && !text.contains(SECRET),
        "{text}"
    );
    // A new value of a secret is secret without saying so again.
    let again: Value = put("smtp.password", json!({ "value": SECRET }))
        .json()
        .unwrap();
    assert_eq!(
        (&again["is_secret"], &again["value"]),
        (&json!(true), &json!(null))
    );
    let plain: Value = put(
        "mail.footer",
        json!({ "value": "Bye", "description": "ends letters" }),
    )
    .json()
    .unwrap();
    assert_eq!(plain["value"], "Bye");
    problem(
        put("Mail", json!({ "value": "x" })),
        StatusCode::BAD_REQUEST,
        "invalid_request",
    );
    let listed = admin.get("/configurations");
    assert_eq!(items(&listed).len(), 2);
    let trail = admin.get("/audit-logs?resource=configuration");
    assert_eq!(items(&trail).len(), 3, "{trail}");
    for text in [listed.to_string(), trail.to_string()] {
        assert!(!text.contains(SECRET), "{text}");
        assert!(text.contains("Bye"), "{text}");
    }
    let stored = || -> String {
        let store = fixture.system_store();
        let sql = "SELECT value FROM configurations WHERE key = 'smtp.password'";
        store.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let before = stored();
    assert!(before.starts_with("v1."), "{before}");
    drop(server);

    let old = std::fs::read_to_string(fixture.data_dir().join("encryption-key")).unwrap();
    let rotate = |previous: &str| {
        let output = fixture
            .assay()
            .args(["config", "rotate-keys"])
            .env("ENCRYPTION_KEY", "another key of at least 32 letters")
            .env("ENCRYPTION_KEY_PREVIOUS", previous)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, _) = rotate("");
    assert_eq!((code, stored() == before), (Some(1), true));
    assert_eq!(rotate(&old), (Some(0), "1 secrets encrypted anew\n".into()));
    assert_ne!(stored(), before);
    // The key before is not needed any more.
    assert_eq!(rotate(""), (Some(0), "0 secrets encrypted anew\n".into()));
    let deleted = fixture.run(&["config", "unset", "smtp.password"]);
    deleted.expect_code(0);
}
