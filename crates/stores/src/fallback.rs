//! What is shared while it can be reached, and this process's own while it cannot.
//!
//! The first call that fails with `cache_down` is answered by this process, and so is every other one from then on, at
//! once and without asking the server. One task asks it about once a second; when it answers again, what was removed
//! meanwhile is removed there too, and it is used again.
//!
//! While the server is down every replica has a cache, limits and jobs of its own: a limit holds for each replica by
//! itself, and what falls due may be done by each. Jobs that were added meanwhile are done here, also afterwards.
//!
//! What cannot be promised: a process that ends before the server is back takes with it what it removed meanwhile, so
//! that can come back for what was left of its time to live.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::jobs::Job;
use engine::ports::{
    Allowance, Cache, Clock, Delivery, JobId, JobProgress, JobRecord, Jobs, RateLimits, Standing,
};
use engine::{Code, Error};
use tokio::time::Instant;

use crate::caching;
use crate::memory::{MemoryCache, MemoryJobs, MemoryRateLimits};

/// A cache that others use too.
#[async_trait]
pub trait SharedCache: Cache {
    /// Forgets everything.
    async fn clear(&self) -> Result<(), Error>;

    /// Puts off the end of a value to `ttl` from now if it is this one, and returns whether it is.
    async fn renew_if(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error>;
}

/// The ports of one server.
pub struct SharedPorts {
    /// Its cache.
    pub cache: Arc<dyn SharedCache>,
    /// Its limits.
    pub rate_limits: Arc<dyn RateLimits>,
    /// Its jobs.
    pub jobs: Arc<dyn Jobs>,
}

/// The three ports on one server, or in this process while that is down.
pub struct Fallback {
    /// Itself, for the task that waits until the server is back.
    this: Weak<Self>,
    shared: SharedPorts,
    cache: MemoryCache,
    rate_limits: MemoryRateLimits,
    jobs: MemoryJobs,
    state: Mutex<State>,
}

enum State {
    Up,
    Down {
        /// What is to be removed from the shared cache when it is back, in this order.
        removals: Vec<Removal>,
        /// More was removed than is remembered: all of it is to go.
        too_many: bool,
    },
}

#[derive(Clone)]
enum Removal {
    Key(String),
    KeyIf(String, Vec<u8>),
    Member(String, String),
}

/// How long to wait before the server is asked again.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Removals that are remembered.
const MAX_REMOVALS: usize = 10_000;
/// How long to wait for a job in this process before it is looked at whether the server is back.
const MAX_LOCAL_WAIT: Duration = Duration::from_millis(500);
/// What is written to see whether the server takes anything.
const PROBE_KEY: &str = "is-it-back";

impl Fallback {
    /// Puts this process's own cache, limits and jobs behind those of a server. `instance` names the process.
    pub fn new(shared: SharedPorts, instance: &str, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            shared,
            cache: MemoryCache::new(clock.clone()),
            rate_limits: MemoryRateLimits::default(),
            jobs: MemoryJobs::new(instance, clock),
            state: Mutex::new(State::Up),
        })
    }

    /// Says whether the server is taken to be down.
    pub fn is_down(&self) -> bool {
        matches!(*self.lock(), State::Down { .. })
    }

    /// Asks the server now, so that a process that starts knows where it stands.
    pub async fn look(&self) {
        if !self.is_down()
            && let Err(fault) = self.probe().await
        {
            self.went_down(&fault);
        }
    }

    /// Returns what came of asking the server; `None` if it is down, so that this process is to be asked.
    async fn ask<T>(
        &self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        if self.is_down() {
            return None;
        }
        match asked.await {
            Err(fault) if fault.code() == Code::CacheDown => {
                self.went_down(&fault);
                None
            }
            answer => Some(answer),
        }
    }

    /// Asks the server alone: what is there is not here.
    async fn ask_only<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.ask(asked).await.unwrap_or_else(|| Err(self.down()))
    }

    fn down(&self) -> Error {
        Error::new(Code::CacheDown, "the cache cannot be reached")
    }

    fn went_down(&self, fault: &Error) {
        {
            let mut state = self.lock();
            if let State::Down { .. } = *state {
                return;
            }
            *state = State::Down {
                removals: Vec::new(),
                too_many: false,
            };
        }
        tracing::warn!(
            code = fault.code().as_str(),
            cause = fault.cause().unwrap_or_default(),
            "the shared cache is down; cache, limits and jobs are this process's own until it is back"
        );
        let this = self.this.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PROBE_EVERY).await;
                let Some(this) = this.upgrade() else { return };
                if this.probe().await.is_ok() && this.come_back().await.is_ok() {
                    tracing::info!("the shared cache is back");
                    return;
                }
            }
        });
    }

    /// Writes too: a server that is full answers, and takes nothing.
    async fn probe(&self) -> Result<(), Error> {
        self.shared
            .cache
            .put(PROBE_KEY, b"", Duration::from_secs(1))
            .await?;
        self.shared.jobs.ping().await
    }

    /// Catches up with what was removed meanwhile, and uses the server again when nothing is left.
    async fn come_back(&self) -> Result<(), Error> {
        loop {
            let (next, all) = {
                let mut state = self.lock();
                let State::Down { removals, too_many } = &*state else {
                    return Ok(());
                };
                if removals.is_empty() && !too_many {
                    // Invariant: no removal is noted between the last look at the list and the server's use.
                    *state = State::Up;
                    // What is remembered here would be old by the next time.
                    self.cache.clear();
                    return Ok(());
                }
                (removals.clone(), *too_many)
            };
            if all {
                self.shared.cache.clear().await?;
            } else {
                for removal in &next {
                    self.remove_there(removal).await?;
                }
            }
            if let State::Down { removals, too_many } = &mut *self.lock() {
                removals.drain(..next.len());
                *too_many &= !all;
            }
        }
    }

    async fn remove_there(&self, removal: &Removal) -> Result<(), Error> {
        let cache = &self.shared.cache;
        match removal {
            Removal::Key(key) => cache.remove(key).await,
            Removal::KeyIf(key, value) => cache.remove_if(key, value).await.map(drop),
            Removal::Member(group, member) => cache.remove_member(group, member).await,
        }
    }

    /// Notes what is to be removed when the server is back; `false` if it is back already.
    fn note(&self, removal: &Removal) -> bool {
        match &mut *self.lock() {
            State::Up => false,
            State::Down { too_many: true, .. } => true,
            State::Down { removals, too_many } => {
                if removals.len() < MAX_REMOVALS {
                    removals.push(removal.clone());
                } else {
                    *too_many = true;
                }
                true
            }
        }
    }

    /// Removes there now, or as soon as the server is back.
    async fn remove(&self, removal: Removal) -> Result<(), Error> {
        loop {
            if let Some(removed) = self.ask(self.remove_there(&removal)).await {
                return removed;
            }
            if self.note(&removal) {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change, so what is behind a poisoned lock is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Cache for Fallback {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.ask(self.shared.cache.get(key)).await {
            Some(answer) => answer,
            None => self.cache.get(key).await,
        }
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        match self.ask(self.shared.cache.put(key, value, ttl)).await {
            Some(answer) => answer,
            None => self.cache.put(key, value, ttl).await,
        }
    }

    async fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        let shared = self.shared.cache.put_if_absent(key, value, ttl);
        match self.ask(shared).await {
            Some(answer) => answer,
            None => self.cache.put_if_absent(key, value, ttl).await,
        }
    }

    async fn remove(&self, key: &str) -> Result<(), Error> {
        self.cache.remove(key).await?;
        self.remove(Removal::Key(key.to_owned())).await
    }

    async fn remove_if(&self, key: &str, value: &[u8]) -> Result<bool, Error> {
        if let Some(answer) = self.ask(self.shared.cache.remove_if(key, value)).await {
            return answer;
        }
        let was_here = self.cache.remove_if(key, value).await?;
        self.remove(Removal::KeyIf(key.to_owned(), value.to_owned()))
            .await?;
        Ok(was_here)
    }

    async fn hold(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        let renew_if = || async {
            match self.ask(self.shared.cache.renew_if(key, value, ttl)).await {
                Some(answer) => answer,
                None => Ok(self.cache.renew_if(key, value, ttl)),
            }
        };
        caching::hold(ttl, renew_if).await
    }

    async fn wait_until_absent(&self, key: &str, at_most: Duration) -> Result<(), Error> {
        caching::wait_until_absent(self, key, at_most).await
    }

    async fn put_member(
        &self,
        group: &str,
        member: &str,
        value: &[u8],
        ttl: Duration,
        max_members: usize,
    ) -> Result<(), Error> {
        let shared = &self.shared.cache;
        let shared = shared.put_member(group, member, value, ttl, max_members);
        match self.ask(shared).await {
            Some(answer) => answer,
            None => {
                let cache = &self.cache;
                cache
                    .put_member(group, member, value, ttl, max_members)
                    .await
            }
        }
    }

    async fn members(&self, group: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        match self.ask(self.shared.cache.members(group)).await {
            Some(answer) => answer,
            None => self.cache.members(group).await,
        }
    }

    async fn remove_member(&self, group: &str, member: &str) -> Result<(), Error> {
        self.cache.remove_member(group, member).await?;
        self.remove(Removal::Member(group.to_owned(), member.to_owned()))
            .await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.ask_only(self.shared.cache.ping()).await
    }

    fn is_shared(&self) -> bool {
        !self.is_down()
    }

    fn is_degraded(&self) -> bool {
        self.is_down()
    }
}

#[async_trait]
impl RateLimits for Fallback {
    async fn take(
        &self,
        key: &str,
        allowance: Allowance,
        now: DateTime<Utc>,
    ) -> Result<Option<Duration>, Error> {
        let shared = self.shared.rate_limits.take(key, allowance, now);
        match self.ask(shared).await {
            Some(answer) => answer,
            None => self.rate_limits.take(key, allowance, now).await,
        }
    }

    async fn forget(&self, key: &str) -> Result<(), Error> {
        self.rate_limits.forget(key).await?;
        // While the server is down its count empties by itself.
        self.ask(self.shared.rate_limits.forget(key))
            .await
            .unwrap_or(Ok(()))
    }
}

#[async_trait]
impl Jobs for Fallback {
    async fn enqueue(&self, job: &Job) -> Result<JobId, Error> {
        match self.ask(self.shared.jobs.enqueue(job)).await {
            Some(answer) => answer,
            None => self.jobs.enqueue(job).await,
        }
    }

    async fn enqueue_scheduled(
        &self,
        job: &Job,
        due: DateTime<Utc>,
    ) -> Result<Option<JobId>, Error> {
        match self.ask(self.shared.jobs.enqueue_scheduled(job, due)).await {
            Some(answer) => answer,
            None => self.jobs.enqueue_scheduled(job, due).await,
        }
    }

    async fn take(
        &self,
        worker: &str,
        lease: Duration,
        wait: Duration,
    ) -> Result<Option<Delivery>, Error> {
        let until = Instant::now() + wait;
        loop {
            let left = || until.saturating_duration_since(Instant::now());
            // What was added while the server was down is only here, also when it is back.
            let here = if self.is_down() {
                left().min(MAX_LOCAL_WAIT)
            } else {
                Duration::ZERO
            };
            if let Some(delivery) = self.jobs.take(worker, lease, here).await? {
                return Ok(Some(delivery));
            }
            if let Some(answer) = self.ask(self.shared.jobs.take(worker, lease, left())).await {
                return answer;
            }
            if left().is_zero() {
                return Ok(None);
            }
        }
    }

    async fn keep(
        &self,
        delivery: &Delivery,
        progress: Option<&JobProgress>,
    ) -> Result<Standing, Error> {
        if self.jobs.is_mine(&delivery.id) {
            return self.jobs.keep(delivery, progress).await;
        }
        self.ask_only(self.shared.jobs.keep(delivery, progress))
            .await
    }

    async fn finish(
        &self,
        delivery: &Delivery,
        outcome: Result<Option<String>, String>,
    ) -> Result<(), Error> {
        if self.jobs.is_mine(&delivery.id) {
            return self.jobs.finish(delivery, outcome).await;
        }
        self.ask_only(self.shared.jobs.finish(delivery, outcome))
            .await
    }

    async fn give_back(&self, delivery: &Delivery) -> Result<(), Error> {
        if self.jobs.is_mine(&delivery.id) {
            return self.jobs.give_back(delivery).await;
        }
        self.ask_only(self.shared.jobs.give_back(delivery)).await
    }

    async fn cancel(&self, id: &JobId) -> Result<bool, Error> {
        if self.jobs.is_mine(id) {
            return self.jobs.cancel(id).await;
        }
        self.ask_only(self.shared.jobs.cancel(id)).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, Error> {
        if self.jobs.is_mine(id) {
            return self.jobs.job(id).await;
        }
        self.ask_only(self.shared.jobs.job(id)).await
    }

    /// Lists jobs of both; those of this process alone while the server is down.
    async fn jobs(&self, limit: usize) -> Result<Vec<JobRecord>, Error> {
        let mut records = self.jobs.jobs(limit).await?;
        if let Some(shared) = self.ask(self.shared.jobs.jobs(limit)).await {
            records.extend(shared?);
            // The sort is stable, and both lists have the newest first.
            records.sort_by_key(|record| std::cmp::Reverse(record.enqueued_at));
            records.truncate(limit);
        }
        Ok(records)
    }

    async fn ping(&self) -> Result<(), Error> {
        self.ask_only(self.shared.jobs.ping()).await
    }
}
