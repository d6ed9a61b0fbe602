use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ADMIN, Cluster, Services};
use crate::remote::RemoteModel;

const ASKERS: usize = 50;
const COUNT: &str = "SELECT count(*) FROM customers";

/// Tells apart by country where the prompt knows of countries.
fn reply(prompt: &str) -> String {
    let sql = if prompt.contains("country TEXT") {
        "SELECT country, count(*) FROM customers GROUP BY country ORDER BY country"
    } else {
        COUNT
    };
    sql.to_owned()
}

fn cluster(redis_database: u8) -> Option<Cluster> {
    cluster_with_model_taking(Duration::from_millis(300), redis_database)
}

fn cluster_with_model_taking(time: Duration, redis_database: u8) -> Option<Cluster> {
    let services = Services::of_all_tests(redis_database);
    Cluster::start(services, RemoteModel::replying(time, reply))
}

#[test]
fn a_session_of_one_server_is_one_of_all_and_ends_on_all() {
    let Some(cluster) = cluster(3) else { return };
    let _worker = cluster.start_worker("worker");
    let urls = cluster.urls();
    let me = |url: &str, token: &str| {
        let asked = cluster.send_to(url, "GET", "/api/v1/me", Some(token), &Value::Null);
        asked.unwrap().status()
    };
    for turn in 0..urls.len() {
        // The first to log in, the second to ask, the third to log out; each has each part once.
        let token = cluster.token(ADMIN);
        let answer = cluster.ask("How many customers are there?", &token);
        assert_eq!(answer["rows"].as_array().unwrap().len(), 2, "{answer}");
        for url in &urls {
            assert_eq!(me(url, &token), StatusCode::OK);
        }
        let last = cluster.next_url();
        assert_eq!(last, urls[(turn + 2) % urls.len()]);
        let left = cluster.send_to(
            &last,
            "POST",
            "/api/v1/auth/logout",
            Some(&token),
            &Value::Null,
        );
        assert!(left.unwrap().status().is_success());
        let logged_out = Instant::now();
        for url in &urls {
            loop {
                let asked = logged_out.elapsed();
                if me(url, &token) == StatusCode::UNAUTHORIZED {
                    break;
                }
                assert!(
                    asked < Duration::from_secs(1),
                    "{url} honours it after {asked:?}"
                );
            }
        }
        // One more, so that the next round begins at the next server.
        cluster.next_url();
    }
    cluster.fixture.assert_original_untouched();
}

#[test]
fn what_fifty_ask_at_once_is_generated_once() {
    // Longer than a claim lives that nobody holds.
    let Some(cluster) = cluster_with_model_taking(Duration::from_secs(10), 4) else {
        return;
    };
    let _worker = cluster.start_worker("worker");
    let admin = cluster.token(ADMIN);
    let before = cluster.model.calls();
    let all_ready = Barrier::new(ASKERS);
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS)
            .map(|_| {
                scope.spawn(|| {
                    all_ready.wait();
                    cluster.ask("How many customers are there?", &admin)
                })
            })
            .collect();
        askers
            .into_iter()
            .map(|asker| asker.join().unwrap())
            .collect()
    });
    assert_eq!(cluster.model.calls() - before, 1);
    let mut origins: BTreeMap<String, usize> = BTreeMap::new();
    for answer in &answers {
        assert_eq!(answer["rows"], json!([["France", 1], ["Germany", 2]]));
        assert_eq!(answer["degraded"], json!([]));
        let kind = answer["origin"]["kind"].as_str().unwrap();
        *origins.entry(kind.to_owned()).or_default() += 1;
    }
    assert_eq!(
        origins,
        BTreeMap::from([
            ("generated".to_owned(), 1),
            ("semantic_cache".to_owned(), ASKERS - 1)
        ])
    );

    // Later, in other words, on every server.
    for question in [
        "how many CUSTOMERS are there",
        "What is the number of customers?",
        "How many customers are there?",
    ] {
        let answer = cluster.ask(question, &admin);
        assert_eq!(answer["origin"]["kind"], "semantic_cache", "{answer}");
    }
    assert_eq!(cluster.model.calls() - before, 1);
}

#[test]
fn a_bad_rating_on_one_server_has_the_others_ask_the_model_again() {
    let Some(cluster) = cluster(5) else { return };
    let admin = cluster.token(ADMIN);
    let question = "How many customers are there?";
    let origin = |answer: &Value| answer["origin"]["kind"].as_str().unwrap().to_owned();
    assert_eq!(origin(&cluster.ask(question, &admin)), "generated");
    let reused = cluster.ask(question, &admin);
    assert_eq!(origin(&reused), "semantic_cache");
    assert_eq!(cluster.model.calls(), 1);

    let path = format!("/api/v1/queries/{}/feedback", reused["query_id"]);
    cluster.send("PUT", &path, &admin, json!({ "rating": 1 }));
    assert_eq!(origin(&cluster.ask(question, &admin)), "generated");
    assert_eq!(cluster.model.calls(), 2);
}

#[test]
fn who_may_see_less_does_not_get_sql_that_another_was_answered_with() {
    let Some(cluster) = cluster(6) else { return };
    let admin = cluster.token(ADMIN);
    let viewer = cluster.new_user(&admin, "viewer", "viewer");
    let policy = json!({ "role": "viewer", "table_name": "customers", "column_name": "country" });
    cluster.send("POST", "/api/v1/policies", &admin, policy);
    let question = "How many customers are there?";
    for kind in ["generated", "semantic_cache", "semantic_cache"] {
        let answer = cluster.ask(question, &admin);
        assert_eq!(answer["origin"]["kind"], kind);
        assert!(answer["sql"].as_str().unwrap().contains("country"));
    }
    for kind in ["generated", "semantic_cache", "semantic_cache"] {
        let answer = cluster.ask(question, &viewer);
        assert_eq!(answer["origin"]["kind"], kind);
        assert_eq!(answer["rows"], json!([[3]]));
        assert!(!answer.to_string().contains("country"), "{answer}");
    }
    // And the other way round.
    let answer = cluster.ask(question, &admin);
    assert_eq!(answer["rows"].as_array().unwrap().len(), 2);
    let prompts = cluster.model.prompts();
    assert_eq!(prompts.len(), 2);
    assert!(!prompts[1].contains("country"), "{}", prompts[1]);
}
