//! What the port promises about the cache, on every implementation.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::Code;
use engine::ports::{Cache, Clock};
use stores::memory::MemoryCache;

use crate::shared_ports::{Scene, shared_suite, until};

shared_suite! {
    what_was_put_is_there_until_it_expires
    a_value_replaces_the_one_before_and_its_time_to_live
    an_expired_key_can_be_set_if_absent
    of_fifty_that_set_if_absent_at_once_one_does
    what_is_removed_is_gone
    a_claim_is_given_back_only_by_who_has_it
    who_waits_for_a_claim_sees_it_given_back_or_run_out
    a_claim_that_is_held_does_not_run_out_until_it_is_let_go
    a_claim_that_is_lost_is_held_no_longer
    a_group_has_its_members_newest_first
    a_group_keeps_as_many_members_as_it_may
    a_group_lives_from_its_last_member_on
    a_removed_member_leaves_the_others
    values_are_any_bytes_up_to_a_mebibyte
    keys_are_any_text_and_never_meet_those_of_groups
    what_is_too_long_is_refused
    an_answering_cache_says_so
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

async fn until_gone(cache: &dyn Cache, key: &str) {
    until("it expires", async || {
        cache.get(key).await.unwrap().is_none().then_some(())
    })
    .await;
}

async fn what_was_put_is_there_until_it_expires(scene: Scene) {
    let cache = scene.cache;
    assert_eq!(cache.get("a").await.unwrap(), None);
    cache.put("a", b"1", LONG).await.unwrap();
    assert_eq!(cache.get("a").await.unwrap().unwrap(), b"1");
    cache.put("b", b"2", SHORT).await.unwrap();
    until_gone(&*cache, "b").await;
    assert_eq!(cache.get("a").await.unwrap().unwrap(), b"1");
    cache.put("b", b"3", Duration::ZERO).await.unwrap();
    until_gone(&*cache, "b").await;
    cache.put("c", b"4", Duration::MAX).await.unwrap();
    assert_eq!(cache.get("c").await.unwrap().unwrap(), b"4");
}

async fn a_value_replaces_the_one_before_and_its_time_to_live(scene: Scene) {
    let cache = scene.cache;
    cache.put("a", b"long", LONG).await.unwrap();
    cache.put("a", b"short", SHORT).await.unwrap();
    until_gone(&*cache, "a").await;
    cache.put("b", b"short", SHORT).await.unwrap();
    cache.put("b", b"long", LONG).await.unwrap();
    cache.put("marker", b"", SHORT).await.unwrap();
    until_gone(&*cache, "marker").await;
    assert_eq!(cache.get("b").await.unwrap().unwrap(), b"long");
}

async fn an_expired_key_can_be_set_if_absent(scene: Scene) {
    let cache = scene.cache;
    assert!(cache.put_if_absent("a", b"1", SHORT).await.unwrap());
    until("it can be set again", async || {
        let was_set = cache.put_if_absent("a", b"2", LONG).await.unwrap();
        was_set.then_some(())
    })
    .await;
    assert!(!cache.put_if_absent("a", b"3", LONG).await.unwrap());
    assert_eq!(cache.get("a").await.unwrap().unwrap(), b"2");
}

async fn of_fifty_that_set_if_absent_at_once_one_does(scene: Scene) {
    let replicas = [scene.another(), scene.another()];
    let tries = (0..50).map(|number: u8| {
        let cache = replicas[usize::from(number) % 2].cache.clone();
        tokio::spawn(async move {
            let did = cache.put_if_absent("claim", &[number], LONG).await.unwrap();
            did.then_some(number)
        })
    });
    let mut winners = Vec::new();
    for done in tries.collect::<Vec<_>>() {
        winners.extend(done.await.unwrap());
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(replicas[0].cache.get("claim").await.unwrap(), Some(winners));
}

async fn what_is_removed_is_gone(scene: Scene) {
    let cache = scene.cache;
    cache.put("a", b"1", LONG).await.unwrap();
    cache.remove("a").await.unwrap();
    assert_eq!(cache.get("a").await.unwrap(), None);
    assert!(cache.put_if_absent("a", b"2", LONG).await.unwrap());
    cache.remove("never there").await.unwrap();
}

async fn a_claim_is_given_back_only_by_who_has_it(scene: Scene) {
    let cache = scene.cache;
    cache.put("claim", b"mine", LONG).await.unwrap();
    assert!(!cache.remove_if("claim", b"theirs").await.unwrap());
    assert_eq!(cache.get("claim").await.unwrap().unwrap(), b"mine");
    assert!(cache.remove_if("claim", b"mine").await.unwrap());
    assert!(!cache.remove_if("claim", b"mine").await.unwrap());
    assert_eq!(cache.get("claim").await.unwrap(), None);
}

async fn who_waits_for_a_claim_sees_it_given_back_or_run_out(scene: Scene) {
    let cache = scene.cache.clone();
    cache.wait_until_absent("claim", LONG).await.unwrap();
    cache.put("claim", b"mine", SHORT).await.unwrap();
    cache.wait_until_absent("claim", LONG).await.unwrap();
    assert_eq!(cache.get("claim").await.unwrap(), None, "it ran out");

    cache.put("claim", b"mine", LONG).await.unwrap();
    cache.wait_until_absent("claim", SHORT).await.unwrap();
    assert!(cache.get("claim").await.unwrap().is_some(), "still held");
    let waiting = {
        let cache = scene.another().cache;
        tokio::spawn(async move { cache.wait_until_absent("claim", LONG).await })
    };
    cache.remove_if("claim", b"mine").await.unwrap();
    waiting.await.unwrap().unwrap();
}

async fn a_claim_that_is_held_does_not_run_out_until_it_is_let_go(scene: Scene) {
    let cache = scene.cache.clone();
    let ttl = Duration::from_millis(800);
    assert!(cache.put_if_absent("claim", b"mine", ttl).await.unwrap());
    let holding = tokio::spawn(async move { cache.hold("claim", b"mine", ttl).await });
    // Another that lives as long shows when the first would have expired.
    for round in 0..3 {
        let marker = format!("marker {round}");
        scene.cache.put(&marker, b"", ttl).await.unwrap();
        until_gone(&*scene.cache, &marker).await;
        let there = scene.another().cache.get("claim").await.unwrap();
        assert_eq!(there.as_deref(), Some(&b"mine"[..]), "round {round}");
    }
    holding.abort();
    until_gone(&*scene.cache, "claim").await;
}

async fn a_claim_that_is_lost_is_held_no_longer(scene: Scene) {
    let cache = scene.cache;
    cache.hold("claim", b"mine", SHORT).await.unwrap();
    assert_eq!(cache.get("claim").await.unwrap(), None, "never there");
    cache.put("claim", b"theirs", LONG).await.unwrap();
    cache.hold("claim", b"mine", SHORT).await.unwrap();
    let theirs = cache.get("claim").await.unwrap();
    assert_eq!(theirs.as_deref(), Some(&b"theirs"[..]));
}

async fn names(cache: &dyn Cache, group: &str) -> Vec<String> {
    let members = cache.members(group).await.unwrap();
    members.into_iter().map(|(member, _)| member).collect()
}

async fn a_group_has_its_members_newest_first(scene: Scene) {
    let cache = scene.cache;
    assert_eq!(cache.members("g").await.unwrap(), []);
    for (member, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("a", "4")] {
        let value = value.as_bytes();
        cache
            .put_member("g", member, value, LONG, 10)
            .await
            .unwrap();
    }
    let expected = [("a", "4"), ("c", "3"), ("b", "2")];
    assert_eq!(
        cache.members("g").await.unwrap(),
        expected.map(|(member, value)| (member.to_owned(), value.as_bytes().to_vec()))
    );
    assert_eq!(cache.members("another").await.unwrap(), []);
}

async fn a_group_keeps_as_many_members_as_it_may(scene: Scene) {
    let cache = scene.cache;
    for member in ["a", "b", "c", "a", "d"] {
        cache.put_member("g", member, b"", LONG, 3).await.unwrap();
    }
    assert_eq!(names(&*cache, "g").await, ["d", "a", "c"]);
    cache.put_member("g", "e", b"", LONG, 1).await.unwrap();
    assert_eq!(names(&*cache, "g").await, ["e"]);
}

async fn a_group_lives_from_its_last_member_on(scene: Scene) {
    let cache = scene.cache;
    cache.put_member("g", "a", b"", SHORT, 9).await.unwrap();
    cache.put_member("g", "b", b"", LONG, 9).await.unwrap();
    cache.put("marker", b"", SHORT).await.unwrap();
    until_gone(&*cache, "marker").await;
    // The first may have expired before the second came, on a slow machine; the second has not.
    assert_eq!(names(&*cache, "g").await[0], "b");
    cache.put_member("g", "c", b"", SHORT, 9).await.unwrap();
    until("the group expires", async || {
        names(&*cache, "g").await.is_empty().then_some(())
    })
    .await;
    cache.put_member("g", "d", b"", LONG, 9).await.unwrap();
    assert_eq!(names(&*cache, "g").await, ["d"]);
}

async fn a_removed_member_leaves_the_others(scene: Scene) {
    let cache = scene.cache;
    for member in ["a", "b", "c"] {
        cache.put_member("g", member, b"", LONG, 9).await.unwrap();
    }
    cache.remove_member("g", "b").await.unwrap();
    cache.remove_member("g", "never there").await.unwrap();
    cache.remove_member("no group", "a").await.unwrap();
    assert_eq!(names(&*cache, "g").await, ["c", "a"]);
    cache.remove_member("g", "a").await.unwrap();
    cache.remove_member("g", "c").await.unwrap();
    assert_eq!(names(&*cache, "g").await, [""; 0]);
}

async fn values_are_any_bytes_up_to_a_mebibyte(scene: Scene) {
    let cache = scene.cache;
    let large: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
    for value in [&[][..], b"\0\r\n\xff\xfe$5\r\n", &large] {
        cache.put("v", value, LONG).await.unwrap();
        assert!(cache.get("v").await.unwrap().as_deref() == Some(value));
        assert!(cache.remove_if("v", value).await.unwrap());
        cache.put_member("g", "v", value, LONG, 9).await.unwrap();
        assert!(cache.members("g").await.unwrap()[0].1 == value);
    }
}

async fn keys_are_any_text_and_never_meet_those_of_groups(scene: Scene) {
    let cache = scene.cache;
    let longest = "\u{1F600}".repeat(128);
    let keys = [
        "",
        " ",
        "a\0b",
        "Zoë\u{301}",
        "*?[a-z]\\",
        "a:b",
        "\r\n",
        &longest,
    ];
    for (number, key) in keys.iter().enumerate() {
        let value = [number as u8];
        cache.put(key, &value, LONG).await.unwrap();
        cache.put_member(key, key, &value, LONG, 9).await.unwrap();
    }
    for (number, key) in keys.iter().enumerate() {
        let value = vec![number as u8];
        assert_eq!(cache.get(key).await.unwrap(), Some(value.clone()));
        let members = cache.members(key).await.unwrap();
        assert_eq!(members, [((*key).to_owned(), value)]);
    }
}

async fn what_is_too_long_is_refused(scene: Scene) {
    let cache = scene.cache;
    let (long, large) = ("k".repeat(513), vec![0; (1 << 20) + 1]);
    for fault in [
        cache.put(&long, b"", LONG).await,
        cache.put("a", &large, LONG).await,
        cache.put_if_absent("a", &large, LONG).await.map(drop),
        cache.put_member(&long, "a", b"", LONG, 9).await,
        cache.put_member("g", &long, b"", LONG, 9).await,
        cache.put_member("g", "a", &large, LONG, 9).await,
    ] {
        assert_eq!(fault.unwrap_err().code(), Code::Internal);
    }
}

async fn an_answering_cache_says_so(scene: Scene) {
    scene.cache.put("a", b"", LONG).await.unwrap();
    assert_eq!(
        scene.cache.ping().await.is_ok(),
        !scene.cache.is_degraded(),
        "only a substitute has a cache that does not answer"
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// In memory alone

#[derive(Default)]
struct HandMoved(Mutex<TimeDelta>);

impl HandMoved {
    fn pass(&self, time: TimeDelta) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for HandMoved {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + *self.0.lock().unwrap()
    }
}

#[tokio::test]
async fn a_value_in_memory_expires_to_the_moment() {
    let clock = Arc::new(HandMoved::default());
    let cache = MemoryCache::new(clock.clone());
    cache.put("a", b"1", LONG).await.unwrap();
    clock.pass(TimeDelta::milliseconds(59_999));
    assert!(cache.get("a").await.unwrap().is_some());
    clock.pass(TimeDelta::milliseconds(1));
    assert!(cache.get("a").await.unwrap().is_none());
}

#[tokio::test]
async fn memory_is_bounded_in_entries_and_bytes_and_the_oldest_go() {
    let cache = MemoryCache::bounded(Arc::new(HandMoved::default()), 3, 1 << 20);
    cache.put("a", b"", LONG).await.unwrap();
    cache.put_member("g", "m", b"", LONG, 9).await.unwrap();
    cache.put("b", b"", LONG).await.unwrap();
    cache.put("a", b"again", LONG).await.unwrap();
    cache.put("c", b"", LONG).await.unwrap();
    assert_eq!(names(&cache, "g").await, [""; 0], "put longest ago");
    for key in ["a", "b", "c"] {
        assert!(cache.get(key).await.unwrap().is_some(), "{key}");
    }

    let half = vec![0; 600 << 10];
    cache.put("d", &half, LONG).await.unwrap();
    assert!(cache.get("b").await.unwrap().is_none());
    cache.put("e", &half, LONG).await.unwrap();
    assert!(cache.get("d").await.unwrap().is_none(), "both are too much");
    assert!(cache.get("e").await.unwrap().is_some());
    for member in 0..10_000 {
        let member = member.to_string();
        cache
            .put_member("g", &member, b"", LONG, 10_000)
            .await
            .unwrap();
    }
    assert_eq!(names(&cache, "g").await, ["9999", "9998", "9997"]);
}
