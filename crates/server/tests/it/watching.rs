//! A question watched while it is answered: what is told, in which order, after a lost connection, and how it is stopped.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::fixture::{Fixture, HANG, PASSWORD, ScriptedModel, Server};

/// A statement that runs until it is stopped.
const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n, customers";

struct Event {
    id: u64,
    name: String,
    data: Value,
}

/// The events of an answer as they come.
struct Events(std::io::Lines<BufReader<Response>>);

impl Events {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(BufReader::new(response).lines())
    }

    /// Reads events up to the first of this name, and returns all of them.
    fn until(&mut self, name: &str) -> Vec<Event> {
        let mut events = Vec::new();
        for event in self {
            let is_it = event.name == name;
            events.push(event);
            if is_it {
                return events;
            }
        }
        let names: Vec<_> = events.iter().map(|event| &event.name).collect();
        panic!("{name} is not among {names:?}");
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (mut id, mut name, mut data) = (None, None, None);
        loop {
            let line = self.0.next()?.unwrap();
            match line.split_once(": ") {
                Some(("id", value)) => id = value.parse().ok(),
                Some(("event", value)) => name = Some(value.to_owned()),
                Some(("data", value)) => data = serde_json::from_str(value).ok(),
                _ if line.is_empty() && name.is_some() => {
                    return Some(Event {
                        id: id?,
                        name: name?,
                        data: data?,
                    });
                }
                _ => {}
            }
        }
    }
}

fn watch(server: &Server, token: &str, body: &Value) -> Response {
    Client::builder()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
        .post(format!("{}/api/v1/questions", server.url))
        .bearer_auth(token)
        .header("accept", "text/event-stream")
        .json(body)
        .send()
        .unwrap()
}

fn come_back(server: &Server, token: &str, id: i64, after: u64) -> Response {
    Client::new()
        .get(format!("{}/api/v1/questions/{id}/events", server.url))
        .bearer_auth(token)
        .header("last-event-id", after)
        .send()
        .unwrap()
}

fn status_of(server: &Server, token: &str, id: i64) -> (String, String) {
    let path = format!("/api/v1/queries/{id}");
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let query: Value = server
            .send("GET", &path, Some(token), &Value::Null)
            .json()
            .unwrap();
        let text = |name: &str| query[name].as_str().unwrap_or_default().to_owned();
        if text("status") != "pending" {
            return (text("status"), text("error_code"));
        }
        assert!(Instant::now() < until, "{query}");
        std::thread::yield_now();
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

#[test]
fn an_answer_is_told_step_by_step_and_its_rows_page_by_page() {
    let fixture = Fixture::with(
        "CREATE TABLE numbers (n INTEGER);
         WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1200) INSERT INTO numbers SELECT i FROM c;",
    );
    let model = ScriptedModel::always("SELECT n FROM numbers ORDER BY n");
    let server = Server::start(&fixture, &model);
    let token = server.token("admin@localhost", PASSWORD);
    let question = json!({ "question": "Which numbers are there?" });
    let events: Vec<Event> = Events::of(watch(&server, &token, &question)).collect();
    let ids: Vec<u64> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids, (1..=events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events[0].name, "begun");
    let id = events[0].data["query_id"].as_i64().unwrap();
    let states: Vec<&str> = events
        .iter()
        .filter(|event| event.name == "state")
        .filter_map(|event| event.data["state"].as_str())
        .collect();
    assert_eq!(
        states,
        [
            "understanding",
            "searching",
            "generating",
            "checking",
            "running"
        ]
    );
    // What the model writes is told before it is run.
    let place = |name: &str| events.iter().position(|event| event.name == name).unwrap();
    assert!(place("writing") < place("sql"));
    let written: String = events
        .iter()
        .filter_map(|event| event.data["more"].as_str())
        .collect();
    assert_eq!(written, "SELECT n FROM numbers ORDER BY n");
    let end: Vec<&str> = names(&events).split_off(events.len() - 5);
    assert_eq!(end, ["answer", "rows", "rows", "rows", "finished"]);
    let answer = &events[events.len() - 5].data;
    assert_eq!(answer["rows"], json!([]));
    assert_eq!(answer["row_count"], 1200);
    assert_eq!(answer["query_id"], id);
    let rows: Vec<i64> = events
        .iter()
        .filter(|event| event.name == "rows")
        .flat_map(|event| event.data["rows"].as_array().unwrap())
        .map(|row| row[0].as_i64().unwrap())
        .collect();
    assert_eq!(rows, (1..=1200).collect::<Vec<_>>());
    assert_eq!(events[events.len() - 2].data["offset"], 1000);

    // Who comes back is told what they missed, and nothing twice.
    let again: Vec<Event> = Events::of(come_back(&server, &token, id, 3)).collect();
    assert_eq!(names(&again), names(&events)[3..]);
    assert_eq!(again[0].id, 4);

    // Another's question is not there.
    let user =
        json!({ "email": "v@localhost", "full_name": "v", "role": "viewer", "password": PASSWORD });
    assert_eq!(
        server
            .send("POST", "/api/v1/users", Some(&token), &user)
            .status(),
        201
    );
    let other = server.token("v@localhost", PASSWORD);
    assert_eq!(come_back(&server, &other, id, 0).status(), 404);
    let path = format!("/api/v1/questions/{id}");
    assert_eq!(
        server
            .send("DELETE", &path, Some(&other), &Value::Null)
            .status(),
        404
    );
    // One that has ended is left as it is.
    assert_eq!(
        server
            .send("DELETE", &path, Some(&token), &Value::Null)
            .status(),
        204
    );
    assert_eq!(status_of(&server, &token, id).0, "success");
}

#[test]
fn what_cannot_be_answered_ends_with_the_problem() {
    let fixture = Fixture::new();
    let model = ScriptedModel::always("SELECT nothing FROM nowhere");
    let server = Server::start(&fixture, &model);
    let token = server.token("admin@localhost", PASSWORD);
    let question = json!({ "question": "What is nowhere?" });
    let mut events = Events::of(watch(&server, &token, &question));
    let told = events.until("refused");
    let problem = &told.last().unwrap().data;
    assert_eq!(problem["code"], "cannot_be_answered", "{problem}");
    assert_eq!(problem["query_id"], told[0].data["query_id"]);
    assert!(!problem["request_id"].as_str().unwrap().is_empty());
    assert!(events.next().is_none());

    // Before anything has begun, a problem is a response like any other.
    let nowhere = json!({ "question": "And now?", "conversation_id": 99 });
    let response = watch(&server, &token, &nowhere);
    assert_eq!(response.status(), 404);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
}

#[test]
fn a_question_is_stopped_while_the_model_writes_and_while_the_database_runs() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[HANG, ENDLESS]);
    let server = Server::start(&fixture, &model);
    let token = server.token("admin@localhost", PASSWORD);
    for state in ["generating", "running"] {
        let question = json!({ "question": format!("What takes long while {state}?") });
        let mut events = Events::of(watch(&server, &token, &question));
        let id = loop {
            let told = events.until("state");
            if told.last().unwrap().data["state"] == state {
                let pending = server.send(
                    "GET",
                    "/api/v1/queries?status=pending",
                    Some(&token),
                    &Value::Null,
                );
                let pending: Value = pending.json().unwrap();
                break pending["items"][0]["id"].as_i64().unwrap();
            }
        };
        let path = format!("/api/v1/questions/{id}");
        assert_eq!(
            server
                .send("DELETE", &path, Some(&token), &Value::Null)
                .status(),
            204
        );
        let told = events.until("stopped");
        assert_eq!(told.last().unwrap().data["code"], "cancelled");
        assert_eq!(
            status_of(&server, &token, id),
            ("error".to_owned(), "cancelled".to_owned())
        );
    }
}

#[test]
fn a_question_that_nobody_waits_for_any_more_is_stopped() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&[HANG, HANG]);
    let server = Server::start(&fixture, &model);
    let token = server.token("admin@localhost", PASSWORD);
    let mut events = Events::of(watch(
        &server,
        &token,
        &json!({ "question": "Who is there?" }),
    ));
    let told = events.until("state");
    let id = told[0].data["query_id"].as_i64().unwrap();
    drop(events);
    // Somebody who comes back in time keeps it going.
    let mut again = Events::of(come_back(&server, &token, id, 0));
    assert_eq!(again.next().unwrap().name, "begun");
    drop(again);
    assert_eq!(
        status_of(&server, &token, id),
        ("error".to_owned(), "cancelled".to_owned())
    );
}
