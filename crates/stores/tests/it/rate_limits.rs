//! What the port promises about limits, on every implementation.

use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::ports::{Allowance, RateLimits};

use crate::shared_ports::{Scene, shared_suite};

shared_suite! {
    a_burst_is_allowed_and_then_one_try_each_third_of_a_minute
    a_refused_try_counts_for_nothing_and_an_empty_bucket_takes_a_burst_again
    what_is_forgotten_may_be_tried_at_once
    a_clock_that_goes_back_frees_nobody
    there_is_one_limit_over_all_replicas
    a_wait_is_told_to_the_microsecond
    an_allowance_without_bounds_is_allowed
}

const THREE_A_MINUTE: Allowance = Allowance {
    burst: 3,
    per: Duration::from_secs(60),
};

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000 + milliseconds).unwrap()
}

/// Tries `key` at each of these seconds and returns how many seconds to wait for the next try, 0 if it was allowed.
async fn waits(limits: &dyn RateLimits, key: &str, seconds: &[i64]) -> Vec<u64> {
    let mut waits = Vec::new();
    for seconds in seconds {
        let wait = limits.take(key, THREE_A_MINUTE, at(seconds * 1_000)).await;
        waits.push(wait.unwrap().map_or(0, |wait| wait.as_secs()));
    }
    waits
}

async fn a_burst_is_allowed_and_then_one_try_each_third_of_a_minute(scene: Scene) {
    let limits = &*scene.rate_limits;
    assert_eq!(
        waits(limits, "ada", &[0, 0, 0, 0, 5, 19, 20, 20, 40]).await,
        [0, 0, 0, 20, 15, 1, 0, 20, 0]
    );
    assert_eq!(waits(limits, "eve \u{1F600}", &[40]).await, [0]);
}

async fn a_refused_try_counts_for_nothing_and_an_empty_bucket_takes_a_burst_again(scene: Scene) {
    let limits = &*scene.rate_limits;
    waits(limits, "ada", &[0; 10]).await;
    assert_eq!(waits(limits, "ada", &[60; 4]).await, [0, 0, 0, 20]);
}

async fn what_is_forgotten_may_be_tried_at_once(scene: Scene) {
    let limits = &*scene.rate_limits;
    assert_eq!(waits(limits, "ada", &[0; 4]).await, [0, 0, 0, 20]);
    limits.forget("ada").await.unwrap();
    limits.forget("nobody").await.unwrap();
    assert_eq!(waits(limits, "ada", &[0]).await, [0]);
}

async fn a_clock_that_goes_back_frees_nobody(scene: Scene) {
    let limits = &*scene.rate_limits;
    waits(limits, "ada", &[0; 3]).await;
    assert_eq!(waits(limits, "ada", &[-10]).await, [30]);
}

async fn there_is_one_limit_over_all_replicas(scene: Scene) {
    const FIFTY: Allowance = Allowance {
        burst: 50,
        per: Duration::from_secs(3_600),
    };
    let replicas = [scene.another(), scene.another()];
    let tries = (0..200).map(|number| {
        let limits = replicas[number % 2].rate_limits.clone();
        tokio::spawn(async move { limits.take("ada", FIFTY, at(0)).await.unwrap() })
    });
    let mut allowed = 0;
    for done in tries.collect::<Vec<_>>() {
        allowed += usize::from(done.await.unwrap().is_none());
    }
    assert_eq!(allowed, 50);
}

async fn a_wait_is_told_to_the_microsecond(scene: Scene) {
    let limits = &*scene.rate_limits;
    let one = Allowance {
        burst: 1,
        per: Duration::from_micros(7_654_321),
    };
    assert_eq!(limits.take("ada", one, at(0)).await.unwrap(), None);
    assert_eq!(
        limits.take("ada", one, at(1_000)).await.unwrap(),
        Some(Duration::from_micros(6_654_321))
    );
    assert_eq!(limits.take("ada", one, at(7_655)).await.unwrap(), None);
}

async fn an_allowance_without_bounds_is_allowed(scene: Scene) {
    let limits = &*scene.rate_limits;
    let boundless = Allowance {
        burst: u32::MAX,
        per: Duration::from_secs(1),
    };
    for _ in 0..10 {
        assert_eq!(limits.take("ada", boundless, at(0)).await.unwrap(), None);
    }
}
