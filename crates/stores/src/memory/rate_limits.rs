use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::Error;
use engine::ports::{Allowance, RateLimits};

/// Counts tries in memory.
///
/// Of each key it keeps one time, that at which its bucket will be empty. A key whose bucket is empty is forgotten, so
/// there are never more keys than those tried within the longest time it takes a bucket to empty, twice over.
#[derive(Default)]
pub struct MemoryRateLimits {
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    empty_at: HashMap<String, DateTime<Utc>>,
    /// At this many keys the empty ones are looked for; twice what was left the last time, so that looking costs each
    /// key little.
    sweep_at: usize,
}

/// Fewer keys are never looked through.
const MIN_SWEEP: usize = 1_024;

impl MemoryRateLimits {
    fn lock(&self) -> MutexGuard<'_, Buckets> {
        // Nothing panics half-way through a change, so what is behind a poisoned lock is whole.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RateLimits for MemoryRateLimits {
    async fn take(
        &self,
        key: &str,
        allowance: Allowance,
        now: DateTime<Utc>,
    ) -> Result<Option<Duration>, Error> {
        Ok(self.lock().take(key, allowance, now))
    }

    async fn forget(&self, key: &str) -> Result<(), Error> {
        self.lock().empty_at.remove(key);
        Ok(())
    }
}

impl Buckets {
    fn take(&mut self, key: &str, allowance: Allowance, now: DateTime<Utc>) -> Option<Duration> {
        let per = TimeDelta::from_std(allowance.per).unwrap_or(TimeDelta::MAX);
        let one_try = per / i32::try_from(allowance.burst.max(1)).unwrap_or(i32::MAX);
        let empty_at = self
            .empty_at
            .get(key)
            .map_or(now, |empty_at| now.max(*empty_at));
        // Full once this try is in it, if it takes longer than `per` to empty.
        let next = empty_at.checked_add_signed(one_try)?;
        let too_much = next - now - per;
        if too_much > TimeDelta::zero() {
            return too_much.to_std().ok();
        }
        self.sweep(now);
        self.empty_at.insert(key.to_owned(), next);
        None
    }

    fn sweep(&mut self, now: DateTime<Utc>) {
        if self.empty_at.len() < self.sweep_at.max(MIN_SWEEP) {
            return;
        }
        self.empty_at.retain(|_, empty_at| *empty_at > now);
        self.sweep_at = self.empty_at.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE_A_MINUTE: Allowance = Allowance {
        burst: 3,
        per: Duration::from_secs(60),
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    /// Tries `key` at each of these seconds and returns how many seconds to wait for the next try, 0 if it was allowed.
    async fn waits(limits: &MemoryRateLimits, key: &str, seconds: &[i64]) -> Vec<u64> {
        let mut waits = Vec::new();
        for &seconds in seconds {
            let wait = limits.take(key, THREE_A_MINUTE, at(seconds)).await.unwrap();
            waits.push(wait.map_or(0, |wait| wait.as_secs()));
        }
        waits
    }

    #[tokio::test]
    async fn a_burst_is_allowed_and_then_one_try_each_third_of_a_minute() {
        let limits = MemoryRateLimits::default();
        assert_eq!(
            waits(&limits, "ada", &[0, 0, 0, 0, 5, 19, 20, 20, 40]).await,
            [0, 0, 0, 20, 15, 1, 0, 20, 0]
        );
        assert_eq!(
            waits(&limits, "eve", &[40]).await,
            [0],
            "each key has its own count"
        );
    }

    #[tokio::test]
    async fn a_refused_try_counts_for_nothing_and_an_empty_bucket_takes_a_burst_again() {
        let limits = MemoryRateLimits::default();
        waits(&limits, "ada", &[0; 10]).await;
        assert_eq!(waits(&limits, "ada", &[60; 4]).await, [0, 0, 0, 20]);
    }

    #[tokio::test]
    async fn what_is_forgotten_may_be_tried_at_once() {
        let limits = MemoryRateLimits::default();
        assert_eq!(waits(&limits, "ada", &[0; 4]).await, [0, 0, 0, 20]);
        limits.forget("ada").await.unwrap();
        assert_eq!(waits(&limits, "ada", &[0]).await, [0]);
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_frees_nobody() {
        let limits = MemoryRateLimits::default();
        waits(&limits, "ada", &[0; 3]).await;
        assert_eq!(waits(&limits, "ada", &[-10]).await, [30]);
    }

    #[tokio::test]
    async fn keys_with_an_empty_bucket_are_forgotten() {
        let limits = MemoryRateLimits::default();
        for key in 0..100_000 {
            assert_eq!(waits(&limits, &key.to_string(), &[key]).await, [0]);
            // One try is out of its bucket after 20 s, so 20 keys at most are worth keeping.
            assert!(limits.lock().empty_at.len() <= MIN_SWEEP);
        }
    }
}
