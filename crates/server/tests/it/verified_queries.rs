//! The story of a verified query over HTTP, on both kinds of store.

use reqwest::StatusCode;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};
use crate::store::Store;

const PATH: &str = "/api/v1/verified-queries";

/// Someone who is logged in.
struct Person<'s> {
    server: &'s Server,
    token: String,
}

impl<'s> Person<'s> {
    /// Logs in, after `admin` has created the account.
    fn new(server: &'s Server, admin: Option<&Person<'_>>, name: &str, role: &str) -> Self {
        let email = format!("{name}@localhost");
        if let Some(admin) = admin {
            let user =
                json!({ "email": email, "full_name": name, "role": role, "password": PASSWORD });
            let made = admin.send("POST", "/api/v1/users", &user);
            assert_eq!(made.status(), StatusCode::CREATED);
        }
        Self {
            server,
            token: server.token(&email, PASSWORD),
        }
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        self.server.send(method, path, Some(&self.token), body)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        expect(self.send("GET", path, &Value::Null), StatusCode::OK)
    }

    fn propose(&self, question: &str, sql: &str) -> Response {
        self.send("POST", PATH, &json!({ "question": question, "sql": sql }))
    }

    fn review(&self, id: i64, verdict: &str, body: Value) -> Response {
        self.send("POST", &format!("{PATH}/{id}/{verdict}"), &body)
    }
}

#[track_caller]
fn expect(response: Response, status: StatusCode) -> Value {
    let found = response.status();
    let text = response.text().unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_default()
}

#[track_caller]
fn problem(response: Response, status: StatusCode, code: &str) {
    let problem = expect(response, status);
    assert_eq!(problem["code"], code, "{problem}");
}

fn id(made: &Value) -> i64 {
    made["id"].as_i64().unwrap()
}

fn items(listing: &Value) -> &[Value] {
    listing["items"].as_array().unwrap()
}

#[test]
fn analysts_propose_and_another_administrator_approves() {
    for store in Store::each() {
        let fixture = Fixture::new();
        let model = ScriptedModel::replying(&[]);
        let server = Server::start_on(&fixture, &model, &store);
        let admin = Person::new(&server, None, "admin", "admin");
        let boss = Person::new(&server, Some(&admin), "boss", "admin");
        let analyst = Person::new(&server, Some(&admin), "analyst", "analyst");
        let viewer = Person::new(&server, Some(&admin), "viewer", "viewer");

        let count = "SELECT count(*) FROM customers";
        let made = expect(
            analyst.propose(" How many customers? ", count),
            StatusCode::CREATED,
        );
        let customers = id(&made);
        assert_eq!(
            (&made["question"], &made["status"]),
            (&json!("How many customers?"), &json!("proposed"))
        );
        for (sql, status, code) in [
            (
                "DELETE FROM customers",
                StatusCode::UNPROCESSABLE_ENTITY,
                "sql_not_read_only",
            ),
            (
                "SELECT nme FROM customers",
                StatusCode::UNPROCESSABLE_ENTITY,
                "unknown_column",
            ),
            (
                "SELECT abs(-9223372036854775807 - 1)",
                StatusCode::BAD_REQUEST,
                "invalid_sql",
            ),
            (" ", StatusCode::BAD_REQUEST, "invalid_request"),
        ] {
            problem(analyst.propose("How many?", sql), status, code);
        }
        problem(
            analyst.propose(" ", count),
            StatusCode::BAD_REQUEST,
            "invalid_question",
        );

        problem(
            viewer.propose("How many?", count),
            StatusCode::FORBIDDEN,
            "role_too_low",
        );
        problem(
            viewer.send("GET", PATH, &Value::Null),
            StatusCode::FORBIDDEN,
            "role_too_low",
        );
        for verdict in ["approve", "reject"] {
            problem(
                analyst.review(customers, verdict, json!({})),
                StatusCode::FORBIDDEN,
                "role_too_low",
            );
        }

        // What was looked at is what is approved.
        let path = format!("{PATH}/{customers}");
        let seen = admin.get(&path)["updated_at"].clone();
        let change = json!({ "question": "How many customers do we have?" });
        let changed = expect(analyst.send("PATCH", &path, &change), StatusCode::OK);
        assert_eq!(
            (&changed["question"], &changed["sql"]),
            (&change["question"], &json!(count))
        );
        problem(
            admin.review(customers, "approve", json!({ "updated_at": seen })),
            StatusCode::CONFLICT,
            "conflict",
        );
        problem(
            boss.send("PATCH", &path, &change),
            StatusCode::NOT_FOUND,
            "not_found",
        );
        let seen = &changed["updated_at"];
        let yes = json!({ "updated_at": seen, "comment": "as finance counts" });
        let approved = expect(admin.review(customers, "approve", yes), StatusCode::OK);
        assert_eq!(approved["status"], "approved");
        assert_eq!(approved["review_comment"], "as finance counts");
        assert_eq!(approved["approved_by"], admin.get("/api/v1/me")["id"]);
        assert!(approved["last_checked_at"].is_string(), "{approved}");
        problem(
            boss.review(customers, "reject", json!({})),
            StatusCode::CONFLICT,
            "conflict",
        );
        problem(
            analyst.send("PATCH", &path, &change),
            StatusCode::CONFLICT,
            "conflict",
        );

        let orders = "SELECT count(*) FROM orders";
        let own = id(&expect(
            admin.propose("How many orders?", orders),
            StatusCode::CREATED,
        ));
        for verdict in ["approve", "reject"] {
            problem(
                admin.review(own, verdict, json!({})),
                StatusCode::FORBIDDEN,
                "own_proposal",
            );
        }
        let no = json!({ "comment": "returns count too" });
        let rejected = expect(boss.review(own, "reject", no), StatusCode::OK);
        assert_eq!(
            (&rejected["status"], &rejected["approved_by"]),
            (&json!("rejected"), &Value::Null)
        );

        let third = id(&expect(
            analyst.propose("Who?", "SELECT name FROM customers"),
            StatusCode::CREATED,
        ));
        let remove = |person: &Person<'_>, id: i64| {
            person.send("DELETE", &format!("{PATH}/{id}"), &Value::Null)
        };
        problem(remove(&admin, third), StatusCode::CONFLICT, "conflict");
        expect(remove(&analyst, third), StatusCode::NO_CONTENT);
        problem(remove(&analyst, third), StatusCode::CONFLICT, "conflict");
        problem(
            remove(&analyst, customers),
            StatusCode::FORBIDDEN,
            "role_too_low",
        );
        assert_eq!(
            items(&analyst.get(&format!("{PATH}?status=approved"))).len(),
            1
        );
        expect(remove(&boss, customers), StatusCode::NO_CONTENT);
        assert_eq!(
            items(&analyst.get(&format!("{PATH}?status=approved"))).len(),
            0
        );
        assert_eq!(
            items(&analyst.get(&format!("{PATH}?search=MANY&limit=1"))).len(),
            1
        );
        problem(remove(&boss, 999), StatusCode::NOT_FOUND, "not_found");

        let trail = admin.get("/api/v1/audit-logs?resource=verified_query&limit=100");
        let mut actions: Vec<&str> = items(&trail)
            .iter()
            .map(|entry| entry["action"].as_str().unwrap())
            .collect();
        actions.reverse();
        assert_eq!(
            actions,
            [
                "verified_query_proposed",
                "verified_query_changed",
                "denied",
                "verified_query_approved",
                "verified_query_proposed",
                "denied",
                "denied",
                "verified_query_rejected",
                "verified_query_proposed",
                "verified_query_withdrawn",
                "denied",
                "verified_query_retired",
            ]
        );
        let codes: Vec<&Value> = items(&trail)
            .iter()
            .filter(|entry| entry["action"] == "denied")
            .map(|entry| &entry["changes"]["code"])
            .collect();
        assert_eq!(
            codes,
            ["role_too_low", "own_proposal", "own_proposal", "not_found"]
        );
        let refused = admin.get("/api/v1/audit-logs?action=denied&resource=route");
        assert_eq!(items(&refused).len(), 4, "{refused}");
        fixture.assert_original_untouched();
    }
}

#[test]
fn a_rated_answer_is_proposed_and_what_is_hidden_is_listed_for_nobody_who_may_not_see_it() {
    for store in Store::each() {
        let fixture = Fixture::new();
        let model = ScriptedModel::replying(&["SELECT count(*) FROM orders", "SELECT 1"]);
        let server = Server::start_on(&fixture, &model, &store);
        let admin = Person::new(&server, None, "admin", "admin");
        let analyst = Person::new(&server, Some(&admin), "analyst", "analyst");
        let ask = |person: &Person<'_>, question: &str| {
            let asked = person.send(
                "POST",
                "/api/v1/questions",
                &json!({ "question": question }),
            );
            expect(asked, StatusCode::OK)["query_id"].clone()
        };
        let query = ask(&analyst, "How many orders?");
        let foreign = ask(&admin, "One?");
        let from = |body: Value| analyst.send("POST", PATH, &body);
        problem(
            from(json!({ "query_id": query })),
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
        problem(
            from(json!({ "query_id": foreign })),
            StatusCode::NOT_FOUND,
            "query_not_found",
        );
        problem(
            from(json!({ "question": "How many?" })),
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
        let rate = |stars: u8| {
            let path = format!("/api/v1/queries/{query}/feedback");
            expect(
                analyst.send("PUT", &path, &json!({ "rating": stars })),
                StatusCode::OK,
            );
        };
        rate(3);
        problem(
            from(json!({ "query_id": query })),
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
        let corrected =
            json!({ "query_id": query, "sql": "SELECT count(*) FROM orders WHERE total > 0" });
        expect(from(corrected), StatusCode::CREATED);
        rate(4);
        let made = expect(from(json!({ "query_id": query })), StatusCode::CREATED);
        assert_eq!(
            (&made["question"], &made["sql"], &made["query_id"]),
            (
                &json!("How many orders?"),
                &json!("SELECT count(*) FROM orders"),
                &query
            )
        );

        let countries = "SELECT country, count(*) FROM customers GROUP BY 1";
        let secret = id(&expect(
            admin.propose("Customers of each?", countries),
            StatusCode::CREATED,
        ));
        let before = items(&analyst.get(PATH)).len();
        let policy =
            json!({ "role": "analyst", "table_name": "customers", "column_name": "country" });
        expect(
            admin.send("POST", "/api/v1/policies", &policy),
            StatusCode::CREATED,
        );
        let listed = analyst.get(PATH);
        assert_eq!(items(&listed).len(), before - 1);
        assert!(!listed.to_string().contains("country"), "{listed}");
        let one = format!("{PATH}/{secret}");
        problem(
            analyst.send("GET", &one, &Value::Null),
            StatusCode::NOT_FOUND,
            "not_found",
        );
        problem(
            analyst.propose("Where?", "SELECT country FROM customers"),
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown_column",
        );
        assert_eq!(admin.get(&one)["sql"], countries);
    }
}
