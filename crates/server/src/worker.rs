//! Does jobs, one at a time, in a server or in a process of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::jobs::{self, Job, JobPorts, OnJobProgress};
use engine::ports::{Delivery, JobProgress, Jobs, Standing};
use engine::{Code, Error};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::http::metrics;

/// After this time without a word the job of a worker that was killed is another's.
const LEASE: Duration = Duration::from_secs(20);
/// How often a worker says that it is at it, and hears whether to stop.
const KEEP_EVERY: Duration = Duration::from_secs(2);
/// How long to wait for a job in one call.
const WAIT: Duration = Duration::from_secs(30);
/// How long to wait after the queue failed.
const AFTER_FAULT: Duration = Duration::from_secs(1);
/// How often it is tried to say that a job is done, before it is left to be done again.
const FINISH_TRIES: u32 = 10;
/// A job that was delivered more often brings its workers down.
const MAX_ATTEMPTS: u32 = 5;

/// Takes jobs and does them.
pub struct Worker {
    jobs: Arc<dyn Jobs>,
    work: JobPorts,
    name: String,
}

impl Worker {
    /// Makes a worker; `name` is unique to it.
    pub fn new(jobs: Arc<dyn Jobs>, work: JobPorts, name: String) -> Self {
        Self { jobs, work, name }
    }

    /// Works until it is told to stop; then gives back what it is at.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut is_down = false;
        loop {
            let taken = tokio::select! {
                biased;
                () = told(&mut stop) => return,
                taken = self.jobs.take(&self.name, LEASE, WAIT) => taken,
            };
            match taken {
                Ok(Some(delivery)) => self.work_on(&delivery, &mut stop).await,
                Ok(None) => {}
                Err(error) => {
                    if !is_down {
                        log("no job can be taken", &error);
                    }
                    tokio::time::sleep(AFTER_FAULT).await;
                    is_down = true;
                    continue;
                }
            }
            is_down = false;
        }
    }

    async fn work_on(&self, delivery: &Delivery, stop: &mut watch::Receiver<bool>) {
        let (job, id) = (delivery.job.kind(), &*delivery.id.0);
        if delivery.attempt > MAX_ATTEMPTS {
            let message = format!("given up after {MAX_ATTEMPTS} deliveries");
            tracing::error!(job, job.id = id, "a job was {message}");
            return self.finish(delivery, Err(message)).await;
        }
        tracing::info!(job, job.id = id, attempt = delivery.attempt, "began a job");
        let progress = Arc::new(Latest::default());
        let mut doing = Doing::start(self.work.clone(), delivery.job.clone(), progress.clone());
        let mut keep = tokio::time::interval(KEEP_EVERY);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let standing = tokio::select! {
                biased;
                done = &mut doing.0 => {
                    let done = done.unwrap_or_else(|fault| {
                        Err(Error::new(Code::Internal, "the job was lost").with_cause(fault))
                    });
                    return self.ended(delivery, done).await;
                }
                () = told(stop) => {
                    drop(doing);
                    tracing::info!(job, job.id = id, "gave a job back");
                    if let Err(error) = self.jobs.give_back(delivery).await {
                        log("a job could not be given back", &error);
                    }
                    return;
                }
                _ = keep.tick() => self.jobs.keep(delivery, progress.take().as_ref()).await,
            };
            match standing {
                Ok(Standing::Yours) => {}
                Ok(Standing::Cancelled) => {
                    metrics::job(job, "cancelled");
                    tracing::info!(job, job.id = id, "a job was cancelled");
                    return;
                }
                Ok(Standing::Lost) => {
                    metrics::job(job, "lost");
                    tracing::warn!(job, job.id = id, "a job was given to another worker");
                    return;
                }
                // Nobody may be left to be told of it, so the work goes on: it may be done twice.
                Err(error) => log("the queue does not hear of a job", &error),
            }
        }
    }

    async fn ended(&self, delivery: &Delivery, done: Result<Option<String>, Error>) {
        let (job, id) = (delivery.job.kind(), &*delivery.id.0);
        metrics::job(job, if done.is_ok() { "done" } else { "failed" });
        if delivery.job == Job::Backup {
            metrics::backup(done.is_ok());
        }
        let outcome = match done {
            Ok(message) => {
                let said = message.as_deref().unwrap_or_default();
                tracing::info!(job, job.id = id, "did a job: {said}");
                Ok(message)
            }
            Err(error) => {
                tracing::error!(
                    job,
                    job.id = id,
                    code = error.code().as_str(),
                    cause = error.cause().unwrap_or_default(),
                    "a job failed: {error}"
                );
                Err(format!("{} [{}]", error.message(), error.code()))
            }
        };
        self.finish(delivery, outcome).await;
    }

    async fn finish(&self, delivery: &Delivery, outcome: Result<Option<String>, String>) {
        for _ in 0..FINISH_TRIES {
            match self.jobs.finish(delivery, outcome.clone()).await {
                Ok(()) => return,
                Err(error) => log("the queue does not hear that a job ended", &error),
            }
            tokio::time::sleep(AFTER_FAULT).await;
        }
    }
}

/// A job being done on a task of its own, so that a panic ends the job only; dropped, it stops.
struct Doing(JoinHandle<Result<Option<String>, Error>>);

impl Doing {
    fn start(work: JobPorts, job: Job, progress: Arc<Latest>) -> Self {
        Self(tokio::spawn(async move {
            jobs::run(&work, &job, &*progress).await
        }))
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The latest progress that was not yet told.
#[derive(Default)]
struct Latest(Mutex<Option<JobProgress>>);

impl Latest {
    fn take(&self) -> Option<JobProgress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl OnJobProgress for Latest {
    fn report(&self, progress: JobProgress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }
}

/// Waits until a worker is to stop; that is also when nobody is left to tell it.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn log(what: &str, error: &Error) {
    tracing::warn!(
        code = error.code().as_str(),
        cause = error.cause().unwrap_or_default(),
        "{what}: {error}"
    );
}

#[cfg(test)]
mod tests;
