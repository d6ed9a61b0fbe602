use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::Error;
use engine::jobs::Job;
use engine::ports::{Clock, Delivery, JobId, JobProgress, JobRecord, JobStatus, Jobs, Standing};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A queue in memory, for the workers of this process.
pub struct MemoryJobs {
    clock: Arc<dyn Clock>,
    instance: String,
    queue: Mutex<Queue>,
    /// Rings when there may be something to take.
    bell: Notify,
}

#[derive(Default)]
struct Queue {
    added: u64,
    /// By the order in which they were added.
    jobs: BTreeMap<u64, Held>,
    /// What was added because it fell due, and when that was.
    due: HashMap<(Job, DateTime<Utc>), DateTime<Utc>>,
}

struct Held {
    record: JobRecord,
    lease: Duration,
    lease_until: Option<DateTime<Utc>>,
}

/// Ended jobs that are remembered, and for how long.
const MAX_ENDED: usize = 1_000;
const MEMORY: TimeDelta = TimeDelta::days(1);
/// How long one waits without looking at the clock, which need not be that of the runtime.
const MAX_SLEEP: Duration = Duration::from_millis(500);

impl MemoryJobs {
    /// Makes a queue. `instance` is the beginning of its jobs' identifiers, so it is another one in each process.
    pub fn new(instance: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            instance: instance.into(),
            queue: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// Says whether a job is one of this queue's.
    pub fn is_mine(&self, id: &JobId) -> bool {
        self.number(id).is_some()
    }

    fn number(&self, id: &JobId) -> Option<u64> {
        let number = id.0.strip_prefix(&self.instance)?.strip_prefix('.')?;
        number.parse().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics half-way through a change, so what is behind a poisoned lock is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, queue: &mut Queue, job: &Job) -> JobId {
        let waiting =
            |held: &&Held| held.record.status == JobStatus::Queued && held.record.job == *job;
        if let Some(waiting) = queue.jobs.values().find(waiting) {
            return waiting.record.id.clone();
        }
        queue.added += 1;
        let id = JobId(format!("{}.{}", self.instance, queue.added));
        let record = JobRecord {
            id: id.clone(),
            job: job.clone(),
            status: JobStatus::Queued,
            attempts: 0,
            worker: None,
            progress: None,
            message: None,
            enqueued_at: self.clock.now(),
            started_at: None,
            finished_at: None,
        };
        let held = Held {
            record,
            lease: Duration::ZERO,
            lease_until: None,
        };
        queue.jobs.insert(queue.added, held);
        self.bell.notify_one();
        id
    }

    /// Gives a worker the next job, or says how long to wait until one's lease ends.
    fn next(&self, worker: &str, lease: Duration) -> Result<Delivery, Duration> {
        let now = self.clock.now();
        let mut queue = self.lock();
        let is_due = |held: &Held| match held.record.status {
            JobStatus::Queued => true,
            JobStatus::Running => held.lease_until.is_some_and(|until| until <= now),
            _ => false,
        };
        let Some((number, held)) = queue.jobs.iter_mut().find(|(_, held)| is_due(held)) else {
            let ends = queue.jobs.values().filter_map(|held| held.lease_until);
            let next = ends.min().and_then(|until| (until - now).to_std().ok());
            return Err(next.unwrap_or(Duration::MAX));
        };
        held.lease = lease;
        held.lease_until = Some(end_of(lease, now));
        let record = &mut held.record;
        record.status = JobStatus::Running;
        record.attempts += 1;
        record.worker = Some(worker.to_owned());
        record.progress = None;
        record.started_at = Some(now);
        let delivery = Delivery {
            id: record.id.clone(),
            job: record.job.clone(),
            attempt: record.attempts,
            worker: worker.to_owned(),
            receipt: number.to_string(),
        };
        let has_more = queue.jobs.values().any(is_due);
        if has_more {
            // One permit is all that the bell keeps, so who takes one job rings for the next.
            self.bell.notify_one();
        }
        Ok(delivery)
    }

    fn end(&self, queue: &mut Queue, number: u64, status: JobStatus, message: Option<String>) {
        let now = self.clock.now();
        if let Some(held) = queue.jobs.get_mut(&number) {
            held.lease_until = None;
            held.record.status = status;
            held.record.finished_at = Some(now);
            if message.is_some() {
                held.record.message = message;
            }
        }
        let mut ended: Vec<(DateTime<Utc>, u64)> = queue
            .jobs
            .iter()
            .filter_map(|(number, held)| Some((held.record.finished_at?, *number)))
            .collect();
        ended.sort_unstable();
        let too_many = ended.len().saturating_sub(MAX_ENDED);
        for (position, (finished_at, number)) in ended.into_iter().enumerate() {
            if position < too_many || finished_at < now - MEMORY {
                queue.jobs.remove(&number);
            }
        }
    }
}

impl Queue {
    /// Returns a job if it is still in the hands of this delivery, cancelled or not.
    fn of(&mut self, delivery: &Delivery) -> Option<(u64, &mut Held)> {
        let number = delivery.receipt.parse().ok()?;
        let held = self.jobs.get_mut(&number)?;
        let record = &held.record;
        let is_it = record.id == delivery.id
            && record.attempts == delivery.attempt
            && record.worker.as_ref() == Some(&delivery.worker);
        is_it.then_some((number, held))
    }

    fn running(&mut self, delivery: &Delivery) -> Option<(u64, &mut Held)> {
        self.of(delivery)
            .filter(|(_, held)| held.record.status == JobStatus::Running)
    }
}

fn end_of(lease: Duration, now: DateTime<Utc>) -> DateTime<Utc> {
    let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(lease)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[async_trait]
impl Jobs for MemoryJobs {
    async fn enqueue(&self, job: &Job) -> Result<JobId, Error> {
        Ok(self.add(&mut self.lock(), job))
    }

    async fn enqueue_scheduled(
        &self,
        job: &Job,
        due: DateTime<Utc>,
    ) -> Result<Option<JobId>, Error> {
        let now = self.clock.now();
        let mut queue = self.lock();
        queue.due.retain(|_, added| *added > now - MEMORY * 2);
        if queue.due.insert((job.clone(), due), now).is_some() {
            return Ok(None);
        }
        Ok(Some(self.add(&mut queue, job)))
    }

    async fn take(
        &self,
        worker: &str,
        lease: Duration,
        wait: Duration,
    ) -> Result<Option<Delivery>, Error> {
        let until = Instant::now() + wait;
        loop {
            let mut rings = std::pin::pin!(self.bell.notified());
            // From here on no ring is missed, so what is added after the look below wakes this.
            rings.as_mut().enable();
            let next_end = match self.next(worker, lease) {
                Ok(delivery) => return Ok(Some(delivery)),
                Err(next_end) => next_end,
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // Whether it rang or not: what matters is what is there now.
            let _ = tokio::time::timeout(left.min(next_end).min(MAX_SLEEP), rings).await;
        }
    }

    async fn keep(
        &self,
        delivery: &Delivery,
        progress: Option<&JobProgress>,
    ) -> Result<Standing, Error> {
        let now = self.clock.now();
        let mut queue = self.lock();
        let Some((_, held)) = queue.of(delivery) else {
            return Ok(Standing::Lost);
        };
        Ok(match held.record.status {
            JobStatus::Running => {
                held.lease_until = Some(end_of(held.lease, now));
                if let Some(progress) = progress {
                    held.record.progress = Some(progress.clone());
                }
                Standing::Yours
            }
            JobStatus::Cancelled => Standing::Cancelled,
            _ => Standing::Lost,
        })
    }

    async fn finish(
        &self,
        delivery: &Delivery,
        outcome: Result<Option<String>, String>,
    ) -> Result<(), Error> {
        let mut queue = self.lock();
        if let Some((number, _)) = queue.running(delivery) {
            let (status, message) = match outcome {
                Ok(message) => (JobStatus::Done, message),
                Err(message) => (JobStatus::Failed, Some(message)),
            };
            self.end(&mut queue, number, status, message);
        }
        Ok(())
    }

    async fn give_back(&self, delivery: &Delivery) -> Result<(), Error> {
        if let Some((_, held)) = self.lock().running(delivery) {
            held.record.status = JobStatus::Queued;
            held.lease_until = None;
            self.bell.notify_one();
        }
        Ok(())
    }

    async fn cancel(&self, id: &JobId) -> Result<bool, Error> {
        let Some(number) = self.number(id) else {
            return Ok(false);
        };
        let mut queue = self.lock();
        let is_live = queue.jobs.get(&number).is_some_and(|held| {
            matches!(held.record.status, JobStatus::Queued | JobStatus::Running)
        });
        if is_live {
            self.end(&mut queue, number, JobStatus::Cancelled, None);
        }
        Ok(is_live)
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, Error> {
        let Some(number) = self.number(id) else {
            return Ok(None);
        };
        let record = self
            .lock()
            .jobs
            .get(&number)
            .map(|held| held.record.clone());
        Ok(record)
    }

    async fn jobs(&self, limit: usize) -> Result<Vec<JobRecord>, Error> {
        let queue = self.lock();
        let newest = queue.jobs.values().rev().take(limit);
        Ok(newest.map(|held| held.record.clone()).collect())
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}
