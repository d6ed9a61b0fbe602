//! What may be lost: a cache, and work that may be repeated.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Error;
use crate::jobs::Job;

/// Remembers bytes for a while; anything in it may be gone at any time. Shared by all replicas where the implementation
/// is. Keys are at most 512 bytes, values at most 1 MiB.
///
/// Every method fails with [`crate::Code::CacheDown`] when the cache cannot be reached, and with
/// [`crate::Code::Internal`] when key or value are longer than that.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Returns what was put under this key, unless it expired.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Puts a value for this long.
    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error>;

    /// Puts a value if there is none, and returns whether it did; an expired one is none. Of several at once, one does.
    async fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error>;

    /// Forgets a value.
    async fn remove(&self, key: &str) -> Result<(), Error>;

    /// Forgets a value if it is this one, and returns whether it was: what gives back a claim without taking another's.
    async fn remove_if(&self, key: &str, value: &[u8]) -> Result<bool, Error>;

    /// Keeps a value from expiring for as long as this is awaited: its end is put off to `ttl` from then, again and again.
    /// Returns when there is another value, or none.
    async fn hold(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error>;

    /// Waits until there is no value under this key, or until `at_most` has passed.
    async fn wait_until_absent(&self, key: &str, at_most: Duration) -> Result<(), Error>;

    /// Puts a member into a group of values that are read together. The group lives for `ttl` from the last put; beyond
    /// `max_members` those put longest ago go.
    async fn put_member(
        &self,
        group: &str,
        member: &str,
        value: &[u8],
        ttl: Duration,
        max_members: usize,
    ) -> Result<(), Error>;

    /// Returns the members of a group with their values, those put last first.
    async fn members(&self, group: &str) -> Result<Vec<(String, Vec<u8>)>, Error>;

    /// Forgets a member of a group.
    async fn remove_member(&self, group: &str, member: &str) -> Result<(), Error>;

    /// Says whether the cache can be reached.
    async fn ping(&self) -> Result<(), Error>;

    /// Says whether all replicas have what is in here, just now.
    fn is_shared(&self) -> bool {
        false
    }

    /// Says whether this is a substitute just now: the cache that replicas share is down, and cache, limits and jobs are
    /// those of this process.
    fn is_degraded(&self) -> bool {
        false
    }
}

/// A queue of work that may be repeated or lost. A job is delivered at least once: one whose worker falls silent is
/// delivered again. Shared by all replicas where the implementation is.
///
/// Every method fails with [`crate::Code::CacheDown`] when the queue cannot be reached.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Adds a job and returns its identifier. If an equal job ([`Job`]'s equality) still waits to be started, returns
    /// that one's instead: doing it twice in a row would do nothing more.
    async fn enqueue(&self, job: &Job) -> Result<JobId, Error>;

    /// Adds a job that falls due at `due`, once for all replicas however many say so; `None` if it was added before.
    async fn enqueue_scheduled(
        &self,
        job: &Job,
        due: DateTime<Utc>,
    ) -> Result<Option<JobId>, Error>;

    /// Takes the next job, waiting this long for one. Who takes it must call [`Jobs::keep`] more often than `lease`, or
    /// it is delivered to another. `worker` is unique to this worker of this process.
    async fn take(
        &self,
        worker: &str,
        lease: Duration,
        wait: Duration,
    ) -> Result<Option<Delivery>, Error>;

    /// Says that a worker is still at it and how far it is.
    async fn keep(
        &self,
        delivery: &Delivery,
        progress: Option<&JobProgress>,
    ) -> Result<Standing, Error>;

    /// Ends a job. `Err` is what a person should read. A delivery that was given to another meanwhile changes nothing.
    async fn finish(
        &self,
        delivery: &Delivery,
        outcome: Result<Option<String>, String>,
    ) -> Result<(), Error>;

    /// Gives a job back, to be delivered again at once; what a worker does that is told to stop.
    async fn give_back(&self, delivery: &Delivery) -> Result<(), Error>;

    /// Cancels a job: one that waits is never started, one that runs is told at its next [`Jobs::keep`]. Returns whether
    /// there was one to cancel.
    async fn cancel(&self, id: &JobId) -> Result<bool, Error>;

    /// Returns a job as it stands; ended ones for a day at least, as long as there are not more than a thousand.
    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, Error>;

    /// Lists jobs, the newest first.
    async fn jobs(&self, limit: usize) -> Result<Vec<JobRecord>, Error>;

    /// Says whether the queue can be reached.
    async fn ping(&self) -> Result<(), Error>;
}

/// Names a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct JobId(pub String);

/// A job in the hands of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which job.
    pub id: JobId,
    /// What is to be done.
    pub job: Job,
    /// The how-manieth delivery this is, from 1.
    pub attempt: u32,
    /// Whose it is.
    pub worker: String,
    /// Names this delivery to the queue.
    pub receipt: String,
}

/// What a worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Go on.
    Yours,
    /// Stop: somebody cancelled it.
    Cancelled,
    /// Stop: it was given to another.
    Lost,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobProgress {
    /// What is being done.
    pub what: String,
    /// So much is done ...
    pub done: u64,
    /// ... of so much; 0 if it is not known.
    pub total: u64,
}

/// What a job has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Waiting for a worker.
    Queued,
    /// With a worker.
    Running,
    /// Done.
    Done,
    /// Ended with an error.
    Failed,
    /// Cancelled.
    Cancelled,
}

/// A job as the queue knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobRecord {
    /// The identifier.
    pub id: JobId,
    /// What is to be done.
    pub job: Job,
    /// What it has come to.
    pub status: JobStatus,
    /// How often it was delivered.
    pub attempts: u32,
    /// Who has it, or had it last.
    pub worker: Option<String>,
    /// How far it is.
    pub progress: Option<JobProgress>,
    /// What came of it, or what went wrong.
    pub message: Option<String>,
    /// When it was added.
    pub enqueued_at: DateTime<Utc>,
    /// When it was last delivered.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}
