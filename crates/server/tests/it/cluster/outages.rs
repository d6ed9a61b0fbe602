use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{ADMIN, Cluster, Load, Services, lacks, until};
use crate::remote::RemoteModel;

/// Services of one test, which it may stop; gone when this is dropped.
struct OwnServices {
    folder: String,
    redis: String,
    chroma: String,
}

impl OwnServices {
    /// Starts them; `None` where there are none at all.
    fn start() -> Option<Self> {
        Services::of_all_tests(0)?;
        let printed = script(&["start", "redis", "chroma"]);
        let value = |variable: &str| {
            let line = format!("export {variable}=");
            let found = printed.lines().find_map(|found| found.strip_prefix(&line));
            found.unwrap().to_owned()
        };
        Some(Self {
            folder: value("TEST_SERVICES"),
            redis: value("TEST_REDIS_URL"),
            chroma: value("TEST_CHROMA_URL"),
        })
    }

    fn run(&self, command: &str, names: &[&str]) {
        script(&[&[command, &self.folder], names].concat());
    }
}

impl Drop for OwnServices {
    fn drop(&mut self) {
        script(&["stop", &self.folder]);
    }
}

fn script(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");
    let output = Command::new(script).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// When services were away, and which parts of an answer that concerns.
struct Outage {
    began: Instant,
    ended: Instant,
    parts: &'static [&'static str],
}

#[test]
fn answers_go_on_without_redis_and_chroma_say_so_and_recover() {
    let Some(own) = OwnServices::start() else {
        return;
    };
    let services = Services {
        redis: own.redis.clone(),
        chroma: own.chroma.clone(),
    };
    let model = RemoteModel::replying(Duration::from_millis(20), |_| {
        "SELECT count(*) FROM customers".into()
    });
    let Some(cluster) = Cluster::start(Some(services), model) else {
        return;
    };
    let admin = cluster.token(ADMIN);
    cluster.approve(
        &admin,
        "How many orders are there?",
        "SELECT count(*) FROM orders",
    );
    let sessions: Vec<String> = (0..6).map(|_| cluster.token(ADMIN)).collect();
    let is_ready = |url: &String| {
        let (status, ready) = cluster.ready(url);
        assert_eq!(status, 200, "{ready}");
        ready["status"] == "ready"
    };
    let mut number = 0;
    until("the verified query is indexed", || {
        number += 1;
        let question = format!("Which customers bought more than {number} pieces?");
        (cluster.ask(&question, &admin)["degraded"] == json!([])).then_some(())
    });
    assert!(cluster.urls().iter().all(is_ready));

    let mut outages = Vec::new();
    let load = Load::during(&cluster, &sessions, |load| {
        load.wait_for_more(20);
        for (names, parts) in [
            (&["redis"][..], &["cache"][..]),
            (&["chroma"], &["vector_store"]),
            (&["redis", "chroma"], &["cache", "vector_store"]),
        ] {
            own.run("down", names);
            let began = Instant::now();
            load.wait_for_more(40);
            for url in cluster.urls() {
                let (status, ready) = cluster.ready(&url);
                assert_eq!((status, &ready["status"]), (200, &json!("degraded")));
                for part in parts {
                    let state = ready[part]["state"].as_str();
                    assert!(matches!(state, Some("down" | "degraded")), "{ready}");
                }
            }
            let ended = Instant::now();
            outages.push(Outage {
                began,
                ended,
                parts,
            });
            own.run("up", names);
            let up = Instant::now();
            until("all servers are ready", || {
                cluster.urls().iter().all(is_ready).then_some(())
            });
            eprintln!("{names:?}: ready {:?} after they were", up.elapsed());
            let before = load.count();
            load.wait_for_more(30);
            let answers = load.answers.lock().unwrap();
            for heard in answers[before..].iter().filter(|heard| heard.begun > up) {
                let is_late = heard.ended > up + Duration::from_secs(10);
                assert!(
                    !is_late || heard.answer["degraded"] == json!([]),
                    "{}",
                    heard.answer
                );
            }
            assert_eq!(answers.last().unwrap().answer["degraded"], json!([]));
        }
    });
    load.assert_nothing_failed();
    let answers = load.answers.lock().unwrap();
    for outage in &outages {
        let mut generated = 0;
        let mut reused = 0;
        for heard in answers.iter() {
            assert_eq!(heard.answer["rows"], json!([[3]]));
            if heard.begun < outage.began || heard.ended > outage.ended {
                continue;
            }
            let is_generated = heard.answer["origin"]["kind"] == "generated";
            for part in ["cache", "vector_store"] {
                // What was reused was not looked up in the vector store.
                let is_used = part == "cache" || is_generated;
                let is_away = outage.parts.contains(&part);
                assert_eq!(heard.lacks(part), is_used && is_away, "{}", heard.answer);
            }
            generated += usize::from(is_generated);
            reused += usize::from(!is_generated);
        }
        eprintln!("{:?}: {generated} generated, {reused} reused", outage.parts);
        assert!(generated > 0 && reused > 0, "{generated} {reused}");
    }
    let last = cluster.ask("Which customers bought nothing?", &admin);
    assert!(!lacks(&last, "vector_store"));
}
