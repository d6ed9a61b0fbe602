use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{ADMIN, Cluster, Load, SERVERS, Services, until};
use crate::remote::RemoteModel;

/// The least texts of an index of the schema; a question is one.
const MANY_TEXTS: usize = 2;
/// Jobs of every day with the minute of the day at which they fall due.
const DAILY: [(&str, i64); 3] = [("purge", 137), ("retention", 157), ("reverify", 177)];

fn jobs(cluster: &Cluster, admin: &str) -> Vec<Value> {
    let listed = cluster.get("/api/v1/jobs?limit=1000", admin);
    listed["items"].as_array().unwrap().clone()
}

fn job(cluster: &Cluster, admin: &str, id: &str) -> Value {
    cluster.get(&format!("/api/v1/jobs/{id}"), admin)
}

/// Adds an index from the beginning and returns its identifier.
fn add_index(cluster: &Cluster, admin: &str) -> String {
    let index = json!({ "kind": "index", "force": true });
    let added = cluster.send("POST", "/api/v1/jobs", admin, index);
    added["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_server_and_a_worker_killed_under_load_lose_no_session_no_question_and_no_job() {
    let services = Services::of_all_tests(7);
    let model = RemoteModel::replying(Duration::from_millis(20), |_| {
        "SELECT count(*) FROM customers".into()
    });
    let Some(cluster) = Cluster::start(services, model) else {
        return;
    };
    let worker = cluster.start_worker("worker");
    // Sessions of every server.
    let sessions: Vec<String> = (0..2 * SERVERS).map(|_| cluster.token(ADMIN)).collect();
    let admin = &sessions[1];
    until("what the start asked for is done", || {
        let jobs = jobs(&cluster, admin);
        let is_over = jobs.iter().all(|job| job["status"] == "done");
        (is_over && !jobs.is_empty()).then_some(())
    });

    let load = Load::during(&cluster, &sessions, |load| {
        load.wait_for_more(30);
        // Each of those who do jobs gets one that it cannot end.
        cluster.model.hold_embeddings(MANY_TEXTS);
        let ids: Vec<String> = (0..SERVERS + 1)
            .map(|_| {
                let id = add_index(&cluster, admin);
                until("the job is begun", || {
                    (job(&cluster, admin, &id)["status"] == "running").then_some(id.clone())
                })
            })
            .collect();
        let begun: Vec<Value> = ids.iter().map(|id| job(&cluster, admin, id)).collect();
        let names: BTreeSet<&str> = begun
            .iter()
            .map(|job| job["worker"].as_str().unwrap())
            .collect();
        assert_eq!(names.len(), SERVERS + 1, "{begun:?}");
        assert!(names.contains(&*worker.name), "{begun:?}");

        // Whoever was asking there asks another server the same, and waits until the claim of the killed one has expired.
        drop(worker);
        cluster.kill_a_server();
        load.wait_for_more(30);
        cluster.model.let_go();
        let done: Vec<Value> = ids
            .iter()
            .map(|id| {
                until("the job is done", || {
                    let job = job(&cluster, admin, id);
                    assert_ne!(job["status"], "failed", "{job}");
                    (job["status"] == "done").then_some(job)
                })
            })
            .collect();
        for (begun, done) in begun.iter().zip(&done) {
            let is_anothers = begun["worker"] != done["worker"];
            let attempts = if is_anothers { 2 } else { 1 };
            assert_eq!(done["attempts"], attempts, "{begun} {done}");
        }
        let moved = done.iter().filter(|job| job["attempts"] == 2);
        assert_eq!(moved.count(), 2, "{done:?}");
        // One that starts later looks at the schedule too.
        cluster.start_server("server-of-later");
        load.wait_for_more(30);
    });
    load.assert_nothing_failed();
    for heard in load.answers.lock().unwrap().iter() {
        assert_eq!(heard.answer["rows"], json!([[3]]));
        assert_eq!(heard.answer["degraded"], json!([]));
    }
    for token in &sessions {
        cluster.get("/api/v1/me", token);
    }

    // However many looked at the schedule, and however often.
    let mut seen = BTreeSet::new();
    for job in jobs(&cluster, admin) {
        let kind = job["job"]["kind"].as_str().unwrap();
        let Some((kind, minute)) = DAILY.into_iter().find(|(daily, _)| *daily == kind) else {
            continue;
        };
        assert_eq!(
            (&job["status"], &job["attempts"]),
            (&json!("done"), &json!(1))
        );
        let added: DateTime<Utc> = job["enqueued_at"].as_str().unwrap().parse().unwrap();
        let day = (added - TimeDelta::minutes(minute)).date_naive();
        assert!(seen.insert((kind, day)), "twice in a day: {job}");
    }
    let kinds: BTreeSet<&str> = seen.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, BTreeSet::from(DAILY.map(|(kind, _)| kind)));
}
