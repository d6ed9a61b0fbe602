//! The index on the command line, and kept by a server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, Ran, Server};
use crate::remote::RemoteModel;

struct Indexed {
    fixture: Fixture,
    model: RemoteModel,
}

impl Indexed {
    fn new() -> Self {
        Self {
            fixture: Fixture::new(),
            model: RemoteModel::replying(Duration::ZERO, |_| String::new()),
        }
    }

    fn assay(&self) -> std::process::Command {
        let mut command = self.fixture.assay();
        self.model
            .configure(&mut command)
            .env("TARGET_DB_SOURCE", self.fixture.original());
        command
    }

    fn index(&self, args: &[&str]) -> Ran {
        Ran::of(self.assay().arg("index").args(args).output().unwrap())
    }

    /// Returns the exit code of `--status` and the state of each collection.
    fn status(&self) -> (Option<i32>, Vec<(String, String)>) {
        let ran = self.index(&["--status", "--json"]);
        let collections = ran.json();
        let states = collections["collections"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let states = states.map(|one| (text(&one["collection"]), text(&one["state"])));
        (ran.code(), states.collect())
    }

    fn serve(&self) -> Server {
        let mut command = self.assay();
        command.arg("serve");
        Server::of(command)
    }
}

fn states(code: i32, states: [&str; 3]) -> (Option<i32>, Vec<(String, String)>) {
    let names = ["table_schemas", "sample_queries", "business_terms"];
    let states = names.into_iter().zip(states);
    let states = states.map(|(name, state)| (name.to_owned(), state.to_owned()));
    (Some(code), states.collect())
}

#[test]
fn an_index_is_missing_then_made_then_fresh_and_made_anew_only_by_force() {
    let indexed = Indexed::new();
    assert_eq!(indexed.status(), states(1, ["missing"; 3]));
    let said = indexed.index(&["--status"]).expect_code(1).stdout();
    assert!(said.contains("table_schemas: missing"), "{said}");

    let embedded = |ran: Ran| -> Vec<(u64, u64, bool)> {
        let made = ran.expect_code(0).json();
        let made = made["collections"].as_array().unwrap().iter();
        let made = made.map(|one| {
            let number = |name: &str| one[name].as_u64().unwrap();
            let was_fresh = one["was_fresh"].as_bool().unwrap();
            (number("documents"), number("embedded"), was_fresh)
        });
        made.collect()
    };
    let made = embedded(indexed.index(&["--json"]));
    let (documents, vectors, was_fresh) = made[0];
    // Two tables, six columns and a relationship.
    assert_eq!((documents, vectors, was_fresh), (9, 9, false));
    assert_eq!(indexed.status(), states(0, ["fresh"; 3]));
    assert_eq!(embedded(indexed.index(&["--json"]))[0], (9, 0, true));
    let said = indexed.index(&[]).expect_code(0).stdout();
    assert!(
        said.contains("table_schemas: 9 documents, nothing had changed"),
        "{said}"
    );
    let forced = embedded(indexed.index(&["--force", "--json"]));
    assert_eq!(forced[0], (9, 9, false));
    let refused = indexed.index(&["--force", "--status"]);
    assert_ne!(refused.code(), Some(0));
}

#[test]
fn a_server_brings_the_index_up_to_date_after_a_term_was_added() {
    let indexed = Indexed::new();
    let server = indexed.serve();
    let until_fresh = || {
        let deadline = Instant::now() + Duration::from_secs(30);
        while indexed.status() != states(0, ["fresh"; 3]) {
            assert!(Instant::now() < deadline, "{:?}", indexed.status());
        }
    };
    // At its start already.
    until_fresh();

    indexed.model.hold_embeddings(1);
    let admin = server.token("admin@localhost", PASSWORD);
    let term = json!({ "term_name": "buyer", "description": "a customer with an order" });
    let added = server.send("POST", "/api/v1/ontology", Some(&admin), &term);
    assert!(added.status().is_success());
    assert_eq!(indexed.status(), states(1, ["fresh", "fresh", "stale"]));
    let index = server.send("GET", "/api/v1/index", Some(&admin), &Value::Null);
    let index: Value = index.json().unwrap();
    assert_eq!(index["embedder"]["name"], "words");
    let as_told: Vec<_> = index["collections"].as_array().unwrap().iter().collect();
    assert_eq!(as_told[0]["collection"], "table_schemas");
    assert_eq!(as_told[0]["state"], "fresh");
    assert_eq!(as_told[2]["state"], "stale");
    indexed.model.let_go();
    until_fresh();

    // What the command line makes, the server has.
    assert!(server.stop());
    assert_eq!(indexed.status(), states(0, ["fresh"; 3]));
}
