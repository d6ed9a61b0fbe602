//! The story of a conversation over HTTP, on both kinds of store.

use reqwest::StatusCode;
use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, ScriptedModel, Server};
use crate::store::Store;

const PATH: &str = "/api/v1/conversations";
const COUNT: &str = "SELECT count(*) AS customers FROM customers";
const GERMANS: &str = "SELECT count(*) AS customers FROM customers WHERE country = 'Germany'";
const CITIES: &str = "SELECT country, count(*) FROM customers WHERE country = 'Germany' GROUP BY 1";
const ORDERS: &str = "SELECT count(*) AS orders FROM orders";

struct Person<'s> {
    server: &'s Server,
    token: String,
}

impl<'s> Person<'s> {
    fn admin(server: &'s Server) -> Self {
        Self {
            server,
            token: server.token("admin@localhost", PASSWORD),
        }
    }

    /// Creates an account and logs in.
    fn viewer(admin: &Person<'s>, name: &str) -> Self {
        let email = format!("{name}@localhost");
        let user =
            json!({ "email": email, "full_name": name, "role": "viewer", "password": PASSWORD });
        expect(
            admin.send("POST", "/api/v1/users", &user),
            StatusCode::CREATED,
        );
        Self {
            server: admin.server,
            token: admin.server.token(&email, PASSWORD),
        }
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        self.server.send(method, path, Some(&self.token), body)
    }

    fn begin(&self) -> i64 {
        let begun = self.send("POST", PATH, &json!({}));
        expect(begun, StatusCode::CREATED)["id"].as_i64().unwrap()
    }

    fn ask(&self, conversation: i64, question: &str) -> Response {
        let body = json!({ "question": question, "conversation_id": conversation });
        self.send("POST", "/api/v1/questions", &body)
    }

    #[track_caller]
    fn answer(&self, conversation: i64, question: &str) -> Value {
        expect(self.ask(conversation, question), StatusCode::OK)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        expect(self.send("GET", path, &Value::Null), StatusCode::OK)
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

#[test]
fn a_follow_up_leans_on_the_question_before_and_a_new_topic_does_not() {
    for store in Store::each() {
        let fixture = Fixture::new();
        let model =
            ScriptedModel::replying(&[COUNT, "DELETE FROM customers", GERMANS, CITIES, ORDERS]);
        let server = Server::start_on(&fixture, &model, &store);
        let admin = Person::admin(&server);
        let vera = Person::viewer(&admin, "vera");
        let talk = vera.begin();

        let first = vera.answer(talk, "How many customers are there?");
        assert_eq!(first["conversation_id"], talk);
        assert_eq!(first["understood_as"], Value::Null);
        // A refusal is a turn, but nothing leans on it.
        problem(
            vera.ask(talk, "Delete all customers"),
            StatusCode::UNPROCESSABLE_ENTITY,
            "sql_not_read_only",
        );
        let only = vera.answer(talk, "only Germany");
        assert_eq!(only["rows"], json!([[2]]));
        assert_eq!(only["question"], "only Germany");
        assert_eq!(
            only["understood_as"],
            "How many customers are there? \u{2192} only Germany"
        );
        let told = model.told();
        assert!(told[2].contains(COUNT), "{}", told[2]);
        assert!(!told[2].contains("Delete"), "{}", told[2]);
        let by = vera.answer(talk, "and by country?");
        assert_eq!(
            by["understood_as"],
            "How many customers are there? \u{2192} only Germany \u{2192} and by country?"
        );
        assert!(model.told()[3].contains(GERMANS));
        let topic = vera.answer(talk, "How many orders are there?");
        assert_eq!(topic["understood_as"], Value::Null);
        assert!(!model.told()[4].contains("customers are there"));

        // The same again is no work for the model, whoever asks, and only after the same question.
        let vince = Person::viewer(&admin, "vince");
        let other = vince.begin();
        for (question, rows) in [
            ("how many customers are there", json!([[3]])),
            ("Only Germany!", json!([[2]])),
        ] {
            let answer = vince.answer(other, question);
            assert_eq!(answer["origin"]["kind"], "semantic_cache", "{question}");
            assert_eq!(answer["rows"], rows, "{question}");
        }
        assert_eq!(model.told().len(), 5);

        let page = vera.get(&format!("{PATH}/{talk}?limit=2"));
        assert_eq!(page["title"], "How many customers are there?");
        let turns = page["turns"]["items"].as_array().unwrap();
        assert_eq!(turns[0]["question"], "How many orders are there?");
        assert_eq!(turns[1]["understood_as"], by["understood_as"]);
        let next = &page["turns"]["next_cursor"];
        let rest = vera.get(&format!("{PATH}/{talk}?cursor={next}"));
        let rest = rest["turns"]["items"].as_array().unwrap();
        assert_eq!(rest.len(), 3);
        assert_eq!(rest[1]["error_code"], "sql_not_read_only");
        fixture.assert_original_untouched();
    }
}

#[test]
fn a_conversation_is_its_owners_alone() {
    for store in Store::each() {
        let fixture = Fixture::new();
        let model = ScriptedModel::replying(&[COUNT]);
        let server = Server::start_on(&fixture, &model, &store);
        let admin = Person::admin(&server);
        let vera = Person::viewer(&admin, "vera");
        let vince = Person::viewer(&admin, "vince");
        let talk = vera.begin();
        let query = vera.answer(talk, "How many customers are there?")["query_id"].clone();
        let one = format!("{PATH}/{talk}");

        for person in [&vince, &admin] {
            let none = &Value::Null;
            for refused in [
                person.ask(talk, "only Germany"),
                person.send("GET", &one, none),
                person.send("PATCH", &one, &json!({ "title": "Mine" })),
                person.send("DELETE", &one, none),
            ] {
                problem(refused, StatusCode::NOT_FOUND, "conversation_not_found");
            }
            assert_eq!(person.get(PATH)["items"], json!([]));
        }
        problem(
            vera.ask(talk + 1, "only Germany"),
            StatusCode::NOT_FOUND,
            "conversation_not_found",
        );
        assert_eq!(model.told().len(), 1);
        let denied = admin.get("/api/v1/audit-logs?action=denied&resource=conversation");
        assert_eq!(denied["items"].as_array().unwrap().len(), 8, "{denied}");
        assert_eq!(denied["items"][0]["resource_id"], talk);

        let title = json!({ "title": " Our\ncustomers " });
        let renamed = expect(vera.send("PATCH", &one, &title), StatusCode::OK);
        assert_eq!(renamed["title"], "Our customers");
        problem(
            vera.send("PATCH", &one, &json!({ "title": " " })),
            StatusCode::BAD_REQUEST,
            "invalid_request",
        );
        assert_eq!(vera.get(PATH)["items"], json!([renamed]));
        let deleted = vera.send("DELETE", &one, &Value::Null);
        expect(deleted, StatusCode::NO_CONTENT);
        assert_eq!(vera.get(PATH)["items"], json!([]));
        problem(
            vera.ask(talk, "only Germany"),
            StatusCode::NOT_FOUND,
            "conversation_not_found",
        );
        let kept = vera.get(&format!("/api/v1/queries/{query}"));
        assert_eq!(kept["conversation_id"], talk);
        let trail = admin.get("/api/v1/audit-logs?resource=conversation&limit=100");
        let mut done: Vec<&str> = trail["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["action"].as_str().unwrap())
            .filter(|action| *action != "denied")
            .collect();
        done.reverse();
        let expected = ["created", "renamed", "deleted"].map(|act| format!("conversation_{act}"));
        assert_eq!(done, expected);
        assert!(server.stop());
        let mut verify = fixture.assay();
        let verified = store
            .configure(&mut verify)
            .args(["audit", "verify", "--json"])
            .output()
            .unwrap();
        assert!(verified.status.success());
    }
}

/// What a viewer was shown before a column was hidden is theirs to have read, but no model and no answer sees it again.
#[test]
fn what_is_hidden_by_now_is_leaned_on_no_more() {
    for store in Store::each() {
        let fixture = Fixture::new();
        let hidden = "SELECT country FROM customers";
        let model = ScriptedModel::replying(&[GERMANS, COUNT, hidden, hidden, hidden]);
        let server = Server::start_on(&fixture, &model, &store);
        let admin = Person::admin(&server);
        let vera = Person::viewer(&admin, "vera");
        let talk = vera.begin();
        vera.answer(talk, "How many customers are German?");
        let policy =
            json!({ "role": "viewer", "table_name": "customers", "column_name": "country" });
        let hidden = admin.send("POST", "/api/v1/policies", &policy);
        expect(hidden, StatusCode::CREATED);
        let answer = vera.answer(talk, "and all of them?");
        assert_eq!(
            answer["understood_as"],
            "How many customers are German? \u{2192} and all of them?"
        );
        let told = &model.told()[1];
        assert!(!told.contains("country"), "{told}");
        assert!(!answer.to_string().contains("country"), "{answer}");
        problem(
            vera.ask(talk, "by country"),
            StatusCode::UNPROCESSABLE_ENTITY,
            "cannot_be_answered",
        );
    }
}

/// What is proposed from a follow-up is the question that it was taken to be.
#[test]
fn a_verified_query_is_matched_by_what_stands_alone() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[COUNT, GERMANS]);
    let server = Server::start(&fixture, &model);
    let admin = Person::admin(&server);
    let talk = admin.begin();
    admin.answer(talk, "How many customers are there?");
    let only = admin.answer(talk, "only Germany");
    let rating = format!("/api/v1/queries/{}/feedback", only["query_id"]);
    expect(
        admin.send("PUT", &rating, &json!({ "rating": 5 })),
        StatusCode::OK,
    );
    let proposal = json!({ "query_id": only["query_id"] });
    let proposed = admin.send("POST", "/api/v1/verified-queries", &proposal);
    let proposed = expect(proposed, StatusCode::CREATED);
    assert_eq!(proposed["question"], only["understood_as"]);
}
