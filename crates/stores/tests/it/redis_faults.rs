//! What a Redis server that stalls, goes away, forgets or is full does to us. Each test has a server of its own.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::jobs::Job;
use engine::ports::{Allowance, Cache, JobStatus, Jobs, RateLimits, Standing};
use engine::{Code, Error};
use redis::aio::MultiplexedConnection;
use stores::fallback::Fallback;
use stores::redis::{RedisServer, RedisSettings};

use crate::services::{OwnRedis, own_redis};
use crate::shared_ports::{Scene, fallback, until};

const HOUR: Duration = Duration::from_secs(3_600);
/// Within this time every call has an answer, whatever became of the server. It is far from what it takes, so that a
/// slow machine fails nothing, and far from what it took if a connection waited for the system to give it up.
const BOUND: Duration = Duration::from_secs(20);
const ONE: Allowance = Allowance {
    burst: 1,
    per: HOUR,
};

fn noon() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// Asks each port and returns what came of it.
async fn ask_all(scene: &Scene) -> Vec<Result<(), Error>> {
    let answers = async {
        vec![
            scene.cache.put("a", b"1", HOUR).await,
            scene.cache.members("g").await.map(drop),
            scene.cache.ping().await,
            scene.rate_limits.take("a", ONE, noon()).await.map(drop),
            scene.jobs.enqueue(&Job::Purge).await.map(drop),
            scene.jobs.take("ada", HOUR, HOUR).await.map(drop),
            scene.jobs.jobs(10).await.map(drop),
        ]
    };
    tokio::time::timeout(BOUND, answers).await.unwrap()
}

fn assert_all_down(answers: Vec<Result<(), Error>>) {
    for answer in answers {
        assert_eq!(answer.unwrap_err().code(), Code::CacheDown);
    }
}

/// Waits until the server is used again, as it must be without anybody doing anything about it.
async fn until_it_works(scene: &Scene) {
    until("it works again", async || {
        let answers = ask_all(scene).await;
        answers.iter().all(Result::is_ok).then_some(())
    })
    .await;
}

async fn connect(server: &OwnRedis) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    let connecting = client.get_multiplexed_async_connection();
    connecting.await.unwrap()
}

async fn command(server: &OwnRedis, words: &[&str]) -> redis::Value {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    let mut connection = connect(server).await;
    command.query_async(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_server_is_down_in_bounded_time_and_used_again_when_it_goes_on() {
    let Some(server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    let waiting = {
        let jobs = scene.jobs.clone();
        tokio::spawn(async move { jobs.take("waits", HOUR, HOUR).await })
    };
    scene.cache.ping().await.unwrap();
    server.pause();
    // Both on connections that were there before and on new ones.
    assert_all_down(ask_all(&scene).await);
    assert_all_down(ask_all(&scene.another()).await);
    let waited = tokio::time::timeout(BOUND, waiting).await.unwrap();
    assert_eq!(waited.unwrap().unwrap_err().code(), Code::CacheDown);
    server.resume();
    until_it_works(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_calls_at_once_do_not_wait_for_a_stalled_server_one_after_another() {
    let Some(server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    server.pause();
    let calls = (0..50).map(|number| {
        let cache = scene.cache.clone();
        tokio::spawn(async move { cache.get(&number.to_string()).await })
    });
    let calls = futures::future::join_all(calls.collect::<Vec<_>>());
    for call in tokio::time::timeout(BOUND, calls).await.unwrap() {
        assert_eq!(call.unwrap().unwrap_err().code(), Code::CacheDown);
    }
    server.resume();
    until_it_works(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_dropped_is_replaced_unnoticed() {
    let Some(server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    for round in 0..5 {
        let waiting = {
            let jobs = scene.jobs.clone();
            tokio::spawn(async move { jobs.take("waits", HOUR, HOUR).await })
        };
        let key = round.to_string();
        scene.cache.put(&key, b"1", HOUR).await.unwrap();
        command(&server, &["CLIENT", "KILL", "TYPE", "normal"]).await;
        scene.cache.get(&key).await.unwrap().unwrap();
        waiting.abort();
        let _ = waiting.await;
        assert_eq!(scene.jobs.take("a", HOUR, Duration::ZERO).await, Ok(None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_again_with_nothing_in_it_is_used_again() {
    let Some(mut server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    scene.jobs.enqueue(&Job::Backup).await.unwrap();
    let running = scene.jobs.take("ada", HOUR, HOUR).await.unwrap().unwrap();
    server.stop();
    assert_all_down(ask_all(&scene).await);
    server.start().await;
    until_it_works(&scene).await;
    // The group of workers is gone too, and so are the scripts.
    let keep = scene.jobs.keep(&running, None).await.unwrap();
    assert_eq!(keep, Standing::Lost);
    scene.jobs.finish(&running, Ok(None)).await.unwrap();
    scene.jobs.give_back(&running).await.unwrap();
    assert!(!scene.jobs.cancel(&running.id).await.unwrap());
    assert_eq!(scene.jobs.job(&running.id).await.unwrap(), None);
    let again = scene.jobs.enqueue(&Job::Backup).await.unwrap();
    let taken = scene.jobs.take("ada", HOUR, HOUR).await.unwrap().unwrap();
    assert_eq!(taken.id, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_job_gets_one_after_everything_was_flushed() {
    let Some(server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    let waiting = {
        let jobs = scene.jobs.clone();
        tokio::spawn(async move { jobs.take("waits", HOUR, HOUR).await })
    };
    for _ in 0..3 {
        command(&server, &["FLUSHALL"]).await;
    }
    let id = scene.jobs.enqueue(&Job::Purge).await.unwrap();
    let taken = tokio::time::timeout(BOUND, waiting).await.unwrap();
    assert_eq!(taken.unwrap().unwrap().unwrap().id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_goes_on_whichever_of_its_keys_is_evicted() {
    let Some(server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    let jobs = &*scene.jobs;
    let mut connection = connect(&server).await;
    let mut evicted = std::collections::BTreeSet::new();
    for victim in 0.. {
        command(&server, &["FLUSHALL"]).await;
        for job in [Job::Backup, Job::Purge, Job::Retention] {
            jobs.enqueue(&job).await.unwrap();
        }
        let done = jobs.take("ada", HOUR, HOUR).await.unwrap().unwrap();
        jobs.finish(&done, Ok(None)).await.unwrap();
        let running = jobs.take("ada", HOUR, HOUR).await.unwrap().unwrap();
        let mut keys: Vec<String> = redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut connection)
            .await
            .unwrap();
        keys.sort();
        let Some(key) = keys.get(victim) else {
            break;
        };
        command(&server, &["DEL", key]).await;
        let name = key.split(':').nth(2).unwrap();
        evicted.insert(name.to_owned());

        // Whatever is lost of what was there, what comes next is done.
        for record in jobs.jobs(10).await.unwrap() {
            assert_eq!(jobs.job(&record.id).await.unwrap(), Some(record));
        }
        jobs.keep(&running, None).await.unwrap();
        jobs.finish(&running, Ok(None)).await.unwrap();
        let waiting = jobs.enqueue(&Job::Retention).await.unwrap();
        let last = jobs.enqueue(&Job::Reverify).await.unwrap();
        let mut done = Vec::new();
        while let Some(next) = jobs.take("ada", HOUR, Duration::ZERO).await.unwrap() {
            jobs.finish(&next, Ok(None)).await.unwrap();
            done.push(next.id);
        }
        assert!(done.contains(&waiting), "{name}: {done:?}");
        assert!(done.contains(&last), "{name}: {done:?}");
        for record in jobs.jobs(10).await.unwrap() {
            let is_over = !matches!(record.status, JobStatus::Queued);
            assert!(is_over, "{name}: {record:?}");
        }
    }
    let names: Vec<_> = evicted.iter().map(String::as_str).collect();
    assert_eq!(names, ["ended", "index", "record", "stream", "waiting"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_which_half_was_evicted_begins_anew() {
    let Some(server) = own_redis().await else {
        return;
    };
    let cache = Scene::on(server.settings()).cache;
    for half in ["group", "order"] {
        for member in ["a", "b"] {
            cache.put_member("g", member, b"1", HOUR, 2).await.unwrap();
        }
        let key = format!("assay:cache:{half}:g");
        command(&server, &["DEL", &key]).await;
        assert_eq!(cache.members("g").await.unwrap(), []);
        cache.remove_member("g", "a").await.unwrap();
        for member in ["c", "d", "e"] {
            cache.put_member("g", member, b"1", HOUR, 2).await.unwrap();
        }
        let members = cache.members("g").await.unwrap();
        let members: Vec<_> = members.iter().map(|(member, _)| &**member).collect();
        assert_eq!(members, ["e", "d"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_not_a_live_job_ends_by_itself() {
    let Some(server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    scene.cache.put("a", b"1", HOUR).await.unwrap();
    scene.cache.put_if_absent("b", b"1", HOUR).await.unwrap();
    let member = scene.cache.put_member("g", "m", b"1", HOUR, 9);
    member.await.unwrap();
    scene.rate_limits.take("a", ONE, noon()).await.unwrap();
    let added = scene.jobs.enqueue_scheduled(&Job::Purge, noon());
    added.await.unwrap().unwrap();
    let taken = scene.jobs.take("ada", HOUR, HOUR).await.unwrap().unwrap();
    scene.jobs.finish(&taken, Ok(None)).await.unwrap();
    let keys = command(&server, &["KEYS", "*"]).await;
    let keys: Vec<String> = redis::from_redis_value(keys).unwrap();
    let mut endless = Vec::new();
    for key in keys {
        if command(&server, &["PTTL", &key]).await == redis::Value::Int(-1) {
            endless.push(key);
        }
    }
    endless.sort();
    // These are bounded by the jobs that are remembered.
    let bounded = ["ended", "index", "stream"].map(|name| format!("assay:jobs:{name}"));
    assert_eq!(endless, bounded);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_eviction_pressure_nothing_fails() {
    let Some(server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    command(
        &server,
        &["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"],
    )
    .await;
    command(&server, &["CONFIG", "SET", "maxmemory", "8mb"]).await;
    let diagnosis = RedisServer::new(&server.settings()).unwrap();
    let diagnosis = diagnosis.diagnose().await.unwrap();
    assert!(diagnosis.may_lose_jobs(), "{diagnosis:?}");
    let value = vec![7; 200 << 10];
    for round in 0..200 {
        let key = round.to_string();
        scene.cache.put(&key, &value, HOUR).await.unwrap();
        let group = scene.cache.put_member("g", &key, &value[..99], HOUR, 20);
        group.await.unwrap();
        scene.rate_limits.take(&key, ONE, noon()).await.unwrap();
        scene.jobs.enqueue(&Job::Purge).await.unwrap();
        if let Some(taken) = scene.jobs.take("ada", HOUR, Duration::ZERO).await.unwrap() {
            scene.jobs.finish(&taken, Ok(None)).await.unwrap();
        }
    }
    let info = command(&server, &["INFO", "stats"]).await;
    let info: String = redis::from_redis_value(info).unwrap();
    assert!(!info.contains("evicted_keys:0\r"), "nothing was evicted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_and_a_wrong_password_are_a_cache_that_is_down() {
    let Some(server) = own_redis().await else {
        return;
    };
    let scene = Scene::on(server.settings());
    scene.cache.ping().await.unwrap();
    command(&server, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let fault = scene.cache.put("a", b"1", HOUR).await.unwrap_err();
    assert_eq!(fault.code(), Code::CacheDown);
    let fault = scene.jobs.enqueue(&Job::Purge).await.unwrap_err();
    assert_eq!(fault.code(), Code::CacheDown);
    command(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    scene.cache.put("a", b"1", HOUR).await.unwrap();

    command(&server, &["CONFIG", "SET", "requirepass", "right"]).await;
    let wrong = RedisSettings {
        password: Some("mistyped".into()),
        ..server.settings()
    };
    let fault = Scene::on(wrong).cache.ping().await.unwrap_err();
    assert_eq!(fault.code(), Code::CacheDown);
    assert!(!format!("{fault:?}").contains("mistyped"), "{fault:?}");
    let right = RedisSettings {
        password: Some("right".into()),
        ..server.settings()
    };
    Scene::on(right).cache.ping().await.unwrap();
}

#[test]
fn an_address_that_is_none_is_refused_without_repeating_it() {
    for url in ["", "localhost:6379", "http://:hidden@localhost"] {
        let fault = RedisServer::new(&RedisSettings::new(url)).err().unwrap();
        assert_eq!(fault.code(), Code::InvalidSetting);
        assert!(!format!("{fault:?}").contains("hidden"), "{fault:?}");
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// With a fallback

async fn until_back(fallback: &Fallback) {
    until("the server is used again", async || {
        (!fallback.is_down()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_down_this_process_answers_and_then_the_server_again() {
    let Some(mut server) = own_redis().await else {
        return;
    };
    let fallback = fallback(&server.settings());
    let cache: &dyn Cache = &*fallback;
    fallback.look().await;
    assert!(!cache.is_degraded());
    cache.put("before", b"1", HOUR).await.unwrap();
    server.stop();
    assert_eq!(cache.get("before").await.unwrap(), None);
    assert!(cache.is_degraded());
    cache.put("meanwhile", b"2", HOUR).await.unwrap();
    assert_eq!(cache.get("meanwhile").await.unwrap().unwrap(), b"2");
    let limits: &dyn RateLimits = &*fallback;
    assert_eq!(limits.take("ada", ONE, noon()).await.unwrap(), None);
    assert!(limits.take("ada", ONE, noon()).await.unwrap().is_some());

    server.start().await;
    until_back(&fallback).await;
    assert!(!cache.is_degraded());
    assert_eq!(cache.get("meanwhile").await.unwrap(), None);
    assert_eq!(limits.take("ada", ONE, noon()).await.unwrap(), None);
    server.stop();
    cache.ping().await.unwrap_err();
    assert_eq!(
        cache.get("meanwhile").await.unwrap(),
        None,
        "what was there in one outage is old in the next"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_server_is_waited_for_once_and_not_by_each_call() {
    let Some(server) = own_redis().await else {
        return;
    };
    let fallback = fallback(&server.settings());
    let cache: &dyn Cache = &*fallback;
    server.pause();
    cache.put("a", b"1", HOUR).await.unwrap();
    assert!(cache.is_degraded());
    // A thousand calls that each waited for the server would take a quarter of an hour.
    let calls = async {
        for _ in 0..1_000 {
            assert_eq!(cache.get("a").await.unwrap().unwrap(), b"1");
        }
    };
    tokio::time::timeout(BOUND, calls).await.unwrap();
    server.resume();
    until_back(&fallback).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_while_the_server_is_down_does_not_come_back_with_it() {
    let Some(server) = own_redis().await else {
        return;
    };
    let fallback = fallback(&server.settings());
    let cache: &dyn Cache = &*fallback;
    for key in ["removed", "claim", "another's claim", "kept"] {
        cache.put(key, b"mine", HOUR).await.unwrap();
    }
    for member in ["removed", "kept"] {
        cache.put_member("g", member, b"1", HOUR, 9).await.unwrap();
    }
    server.pause();
    cache.remove("removed").await.unwrap();
    cache.remove_if("claim", b"mine").await.unwrap();
    cache.remove_if("another's claim", b"other").await.unwrap();
    cache.remove_member("g", "removed").await.unwrap();
    assert!(cache.is_degraded());
    server.resume();
    until_back(&fallback).await;
    assert_eq!(cache.get("removed").await.unwrap(), None);
    assert_eq!(cache.get("claim").await.unwrap(), None);
    assert!(cache.get("another's claim").await.unwrap().is_some());
    assert!(cache.get("kept").await.unwrap().is_some());
    let members = cache.members("g").await.unwrap();
    assert_eq!(members, [("kept".to_owned(), b"1".to_vec())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_more_is_removed_than_can_be_remembered_all_of_it_goes() {
    let Some(server) = own_redis().await else {
        return;
    };
    let fallback = fallback(&server.settings());
    let cache: &dyn Cache = &*fallback;
    cache.put("a", b"1", HOUR).await.unwrap();
    cache.put_member("g", "a", b"1", HOUR, 9).await.unwrap();
    let limits: &dyn RateLimits = &*fallback;
    limits.take("ada", ONE, noon()).await.unwrap();
    command(&server, &["SET", "others:key", "1"]).await;
    server.pause();
    for key in 0..10_001 {
        cache.remove(&format!("never there {key}")).await.unwrap();
    }
    server.resume();
    until_back(&fallback).await;
    assert_eq!(cache.get("a").await.unwrap(), None);
    assert_eq!(cache.members("g").await.unwrap(), []);
    let wait = limits.take("ada", ONE, noon()).await.unwrap();
    assert!(wait.is_some(), "limits are no cache");
    let others = command(&server, &["EXISTS", "others:key"]).await;
    assert_eq!(others, redis::Value::Int(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_added_while_the_server_is_down_are_done_also_when_it_is_back() {
    let Some(mut server) = own_redis().await else {
        return;
    };
    let fallback: Arc<Fallback> = fallback(&server.settings());
    let jobs: &dyn Jobs = &*fallback;
    jobs.enqueue(&Job::Retention).await.unwrap();
    let theirs = jobs.take("ada", HOUR, HOUR).await.unwrap().unwrap();
    server.stop();

    let waiting = {
        let jobs = fallback.clone();
        tokio::spawn(async move { Jobs::take(&*jobs, "ada", HOUR, HOUR).await })
    };
    let first = jobs.enqueue(&Job::Purge).await.unwrap();
    let taken = tokio::time::timeout(BOUND, waiting).await.unwrap();
    let taken = taken.unwrap().unwrap().unwrap();
    assert_eq!(taken.id, first);
    let second = jobs.enqueue(&Job::Backup).await.unwrap();
    let fault = jobs.keep(&theirs, None).await.unwrap_err();
    assert_eq!(fault.code(), Code::CacheDown, "nobody knows whose it is");
    assert_eq!(jobs.jobs(10).await.unwrap().len(), 2);

    server.start().await;
    until_back(&fallback).await;
    let third = jobs.enqueue(&Job::Reverify).await.unwrap();
    assert_eq!(jobs.keep(&taken, None).await.unwrap(), Standing::Yours);
    jobs.finish(&taken, Ok(None)).await.unwrap();
    for expected in [&second, &third] {
        let next = jobs.take("ada", HOUR, HOUR).await.unwrap().unwrap();
        assert_eq!(&next.id, expected);
        jobs.finish(&next, Ok(None)).await.unwrap();
    }
    let listed = jobs.jobs(10).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|record| record.id).collect();
    assert_eq!(listed, [third, second, first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waits_at_the_server_takes_from_this_process_when_it_goes_down() {
    let Some(mut server) = own_redis().await else {
        return;
    };
    let fallback = fallback(&server.settings());
    let waiting = {
        let jobs = fallback.clone();
        tokio::spawn(async move { Jobs::take(&*jobs, "ada", HOUR, HOUR).await })
    };
    server.stop();
    let id = Jobs::enqueue(&*fallback, &Job::Purge).await.unwrap();
    let taken = tokio::time::timeout(BOUND, waiting).await.unwrap();
    assert_eq!(taken.unwrap().unwrap().unwrap().id, id);
}
