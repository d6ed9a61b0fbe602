//! What the port promises about jobs, on every implementation.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use engine::jobs::Job;
use engine::ports::{Delivery, JobId, JobProgress, JobRecord, JobStatus, Jobs, Standing};
use tokio::sync::Mutex;

use crate::shared_ports::{Scene, shared_suite, until};

shared_suite! {
    a_job_is_taken_once_and_its_record_tells_what_came_of_it
    jobs_are_taken_in_the_order_in_which_they_were_added
    no_job_is_no_job
    who_waits_gets_a_job_as_soon_as_it_is_added
    who_stops_waiting_takes_nothing
    a_job_whose_worker_falls_silent_is_delivered_again
    what_a_lost_delivery_says_changes_nothing
    a_job_that_is_kept_is_not_delivered_again
    a_job_given_back_is_delivered_at_once
    a_cancelled_job_is_never_started
    a_running_job_is_told_that_it_was_cancelled
    an_equal_job_that_waits_is_not_added_again
    what_falls_due_is_added_once_by_twenty_replicas
    each_of_many_jobs_is_done_once_by_many_workers
    a_thousand_ended_jobs_are_remembered
    progress_is_seen_by_others
}

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);
const FORCED: Job = Job::Index { force: true };
const INDEX: Job = Job::Index { force: false };

/// Takes a job that is there, or will be soon.
async fn take(jobs: &dyn Jobs, worker: &str, lease: Duration) -> Delivery {
    let taken = jobs.take(worker, lease, SOON).await.unwrap();
    taken.expect("there is a job")
}

async fn nothing_to_take(jobs: &dyn Jobs) -> bool {
    let taken = jobs.take("nobody", HOUR, Duration::ZERO).await.unwrap();
    taken.is_none()
}

async fn record(jobs: &dyn Jobs, id: &JobId) -> JobRecord {
    jobs.job(id).await.unwrap().expect("the job is known")
}

async fn a_job_is_taken_once_and_its_record_tells_what_came_of_it(scene: Scene) {
    let jobs = &*scene.jobs;
    let id = jobs.enqueue(&Job::Backup).await.unwrap();
    let queued = record(jobs, &id).await;
    assert_eq!((queued.status, queued.attempts), (JobStatus::Queued, 0));
    assert_eq!((queued.started_at, queued.worker), (None, None));

    let delivery = take(jobs, "ada", HOUR).await;
    assert_eq!((&delivery.id, &delivery.job), (&id, &Job::Backup));
    assert_eq!((delivery.attempt, &*delivery.worker), (1, "ada"));
    let running = record(jobs, &id).await;
    assert_eq!((running.status, running.attempts), (JobStatus::Running, 1));
    assert_eq!(running.worker.as_deref(), Some("ada"));
    assert!(running.started_at.unwrap() >= running.enqueued_at);
    assert!(nothing_to_take(jobs).await);
    assert_eq!(jobs.keep(&delivery, None).await.unwrap(), Standing::Yours);

    jobs.finish(&delivery, Ok(Some("42 rows".into())))
        .await
        .unwrap();
    let done = record(jobs, &id).await;
    assert_eq!(done.status, JobStatus::Done);
    assert_eq!(done.message.as_deref(), Some("42 rows"));
    assert!(done.finished_at.unwrap() >= done.started_at.unwrap());
    assert!(nothing_to_take(jobs).await);
    assert_eq!(jobs.keep(&delivery, None).await.unwrap(), Standing::Lost);

    let failing = jobs.enqueue(&Job::Backup).await.unwrap();
    assert_ne!(failing, id);
    let delivery = take(jobs, "eve", HOUR).await;
    let outcome = Err("the disk is full".to_owned());
    jobs.finish(&delivery, outcome).await.unwrap();
    let failed = record(jobs, &failing).await;
    assert_eq!(failed.status, JobStatus::Failed);
    assert_eq!(failed.message.as_deref(), Some("the disk is full"));
    assert_eq!(jobs.jobs(10).await.unwrap(), [failed, done]);
    assert_eq!(jobs.job(&JobId("1-1".into())).await.ok().flatten(), None);
}

async fn jobs_are_taken_in_the_order_in_which_they_were_added(scene: Scene) {
    let jobs = &*scene.jobs;
    let added = [Job::Purge, FORCED, Job::Backup, INDEX, Job::Reverify];
    for job in &added {
        jobs.enqueue(job).await.unwrap();
    }
    for job in &added {
        assert_eq!(take(jobs, "ada", HOUR).await.job, *job);
    }
    let listed = jobs.jobs(3).await.unwrap();
    let listed = listed.into_iter().map(|record| record.job);
    assert_eq!(
        listed.collect::<Vec<_>>(),
        [Job::Reverify, INDEX, Job::Backup]
    );
}

async fn no_job_is_no_job(scene: Scene) {
    assert!(nothing_to_take(&*scene.jobs).await);
    let taken = scene.jobs.take("ada", HOUR, SHORT).await.unwrap();
    assert_eq!(taken, None);
    assert_eq!(scene.jobs.jobs(10).await.unwrap(), []);
}

async fn who_waits_gets_a_job_as_soon_as_it_is_added(scene: Scene) {
    let waiting: Vec<_> = (0..4)
        .map(|worker| {
            let jobs = scene.another().jobs;
            tokio::spawn(async move { take(&*jobs, &worker.to_string(), HOUR).await.job })
        })
        .collect();
    let added = [Job::Purge, Job::Backup, Job::Retention, Job::Reverify];
    for job in &added {
        scene.jobs.enqueue(job).await.unwrap();
    }
    let mut taken = Vec::new();
    for waiting in waiting {
        taken.push(waiting.await.unwrap());
    }
    for job in added {
        assert!(taken.contains(&job), "{job:?} of {taken:?}");
    }
}

async fn who_stops_waiting_takes_nothing(scene: Scene) {
    let jobs = &*scene.jobs;
    for _ in 0..20 {
        let waiting = {
            let jobs = scene.jobs.clone();
            tokio::spawn(async move { jobs.take("gone", HOUR, HOUR).await })
        };
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
    }
    jobs.enqueue(&Job::Purge).await.unwrap();
    assert_eq!(take(jobs, "ada", HOUR).await.attempt, 1);
}

async fn a_job_whose_worker_falls_silent_is_delivered_again(scene: Scene) {
    let jobs = &*scene.jobs;
    let id = jobs.enqueue(&Job::Purge).await.unwrap();
    take(jobs, "dies", SHORT).await;
    let again = take(&*scene.another().jobs, "ada", HOUR).await;
    assert_eq!((&again.id, again.attempt), (&id, 2));
    assert_eq!(record(jobs, &id).await.worker.as_deref(), Some("ada"));
    jobs.finish(&again, Ok(None)).await.unwrap();
    assert_eq!(record(jobs, &id).await.status, JobStatus::Done);
    assert!(nothing_to_take(jobs).await);
}

async fn what_a_lost_delivery_says_changes_nothing(scene: Scene) {
    let jobs = &*scene.jobs;
    jobs.enqueue(&Job::Purge).await.unwrap();
    let lost = take(jobs, "ada", SHORT).await;
    // The same worker may get it again: it is another delivery all the same.
    let again = take(jobs, "ada", HOUR).await;
    let before = record(jobs, &again.id).await;
    assert_eq!(jobs.keep(&lost, None).await.unwrap(), Standing::Lost);
    jobs.finish(&lost, Ok(None)).await.unwrap();
    jobs.give_back(&lost).await.unwrap();
    assert_eq!(record(jobs, &again.id).await, before);
    assert_eq!(jobs.keep(&again, None).await.unwrap(), Standing::Yours);
    assert!(nothing_to_take(jobs).await);
}

async fn a_job_that_is_kept_is_not_delivered_again(scene: Scene) {
    let jobs = &*scene.jobs;
    jobs.enqueue(&Job::Purge).await.unwrap();
    let lease = Duration::from_secs(3);
    let kept = take(jobs, "ada", lease).await;
    let until = tokio::time::Instant::now() + lease + lease / 2;
    while tokio::time::Instant::now() < until {
        assert_eq!(jobs.keep(&kept, None).await.unwrap(), Standing::Yours);
        assert_eq!(jobs.take("eve", lease, SHORT).await.unwrap(), None);
    }
}

async fn a_job_given_back_is_delivered_at_once(scene: Scene) {
    let jobs = &*scene.jobs;
    let id = jobs.enqueue(&Job::Purge).await.unwrap();
    let delivery = take(jobs, "ada", HOUR).await;
    jobs.enqueue(&Job::Backup).await.unwrap();
    let backup = take(jobs, "ada", HOUR).await;
    let waiting = {
        let jobs = scene.another().jobs;
        tokio::spawn(async move { take(&*jobs, "eve", HOUR).await })
    };
    jobs.give_back(&delivery).await.unwrap();
    let again = waiting.await.unwrap();
    assert_eq!((&again.id, again.attempt), (&id, 2));
    assert_eq!(jobs.keep(&delivery, None).await.unwrap(), Standing::Lost);

    jobs.give_back(&again).await.unwrap();
    assert_eq!(record(jobs, &id).await.status, JobStatus::Queued);
    assert_eq!(jobs.enqueue(&Job::Purge).await.unwrap(), id, "it waits");
    assert_eq!(jobs.keep(&backup, None).await.unwrap(), Standing::Yours);
    assert_eq!(take(jobs, "ada", HOUR).await.id, id);
}

async fn a_cancelled_job_is_never_started(scene: Scene) {
    let jobs = &*scene.jobs;
    let id = jobs.enqueue(&Job::Purge).await.unwrap();
    assert!(scene.another().jobs.cancel(&id).await.unwrap());
    assert!(!jobs.cancel(&id).await.unwrap(), "it is over");
    assert_eq!(record(jobs, &id).await.status, JobStatus::Cancelled);
    assert!(record(jobs, &id).await.finished_at.is_some());
    assert!(nothing_to_take(jobs).await);
    assert_ne!(jobs.enqueue(&Job::Purge).await.unwrap(), id);

    let again = take(jobs, "ada", HOUR).await;
    jobs.give_back(&again).await.unwrap();
    assert!(jobs.cancel(&again.id).await.unwrap());
    assert!(nothing_to_take(jobs).await, "nor one that was given back");
}

async fn a_running_job_is_told_that_it_was_cancelled(scene: Scene) {
    let jobs = &*scene.jobs;
    let id = jobs.enqueue(&Job::Purge).await.unwrap();
    let delivery = take(jobs, "ada", SHORT).await;
    assert!(jobs.cancel(&id).await.unwrap());
    for _ in 0..2 {
        let standing = jobs.keep(&delivery, None).await.unwrap();
        assert_eq!(standing, Standing::Cancelled);
    }
    jobs.finish(&delivery, Ok(None)).await.unwrap();
    jobs.give_back(&delivery).await.unwrap();
    assert_eq!(record(jobs, &id).await.status, JobStatus::Cancelled);
    let taken = jobs.take("eve", HOUR, SHORT * 3).await.unwrap();
    assert_eq!(taken, None, "also when its lease is over");
}

async fn an_equal_job_that_waits_is_not_added_again(scene: Scene) {
    let jobs = &*scene.jobs;
    let id = jobs.enqueue(&INDEX).await.unwrap();
    assert_eq!(scene.another().jobs.enqueue(&INDEX).await.unwrap(), id);
    assert_ne!(jobs.enqueue(&FORCED).await.unwrap(), id);
    let delivery = take(jobs, "ada", HOUR).await;
    let second = jobs.enqueue(&INDEX).await.unwrap();
    assert_ne!(second, id, "one that runs may have missed what came since");
    jobs.finish(&delivery, Ok(None)).await.unwrap();
    assert_eq!(jobs.enqueue(&INDEX).await.unwrap(), second);
    assert_eq!(jobs.jobs(10).await.unwrap().len(), 3);
}

async fn what_falls_due_is_added_once_by_twenty_replicas(scene: Scene) {
    let due = "2026-11-22T01:00:00Z".parse().unwrap();
    let replicas: Vec<_> = (0..20).map(|_| scene.another()).collect();
    let asked = replicas.into_iter().map(|replica| {
        tokio::spawn(async move {
            let added = replica.jobs.enqueue_scheduled(&Job::Purge, due);
            added.await.unwrap()
        })
    });
    let mut added = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        added.extend(asked.await.unwrap());
    }
    assert_eq!(added.len(), 1, "{added:?}");

    let jobs = &*scene.jobs;
    let delivery = take(jobs, "ada", HOUR).await;
    assert_eq!(delivery.id, added[0]);
    jobs.finish(&delivery, Ok(None)).await.unwrap();
    let late = jobs.enqueue_scheduled(&Job::Purge, due).await.unwrap();
    assert_eq!(late, None, "one that comes late finds it done");
    let other = jobs.enqueue_scheduled(&Job::Backup, due).await.unwrap();
    assert!(other.is_some());
    let next_day = due + chrono::TimeDelta::days(1);
    let next = jobs.enqueue_scheduled(&Job::Purge, next_day).await.unwrap();
    assert!(next.is_some());
}

async fn each_of_many_jobs_is_done_once_by_many_workers(scene: Scene) {
    const WORKERS: usize = 8;
    const EACH: usize = 60;
    let done: Arc<Mutex<HashMap<JobId, u32>>> = Arc::default();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (jobs, done) = (scene.another().jobs, done.clone());
            tokio::spawn(async move {
                let worker = format!("worker {worker}");
                loop {
                    let delivery = take(&*jobs, &worker, HOUR).await;
                    *done.lock().await.entry(delivery.id.clone()).or_default() += 1;
                    jobs.finish(&delivery, Ok(None)).await.unwrap();
                }
            })
        })
        .collect();
    let mut added = std::collections::HashSet::new();
    let kinds = [INDEX, FORCED, Job::Backup, Job::Purge, Job::Retention];
    while added.len() < EACH {
        for job in &kinds {
            added.insert(scene.jobs.enqueue(job).await.unwrap());
        }
    }
    until("all are done", async || {
        (done.lock().await.len() >= added.len()).then_some(())
    })
    .await;
    for worker in workers {
        worker.abort();
    }
    let done = done.lock().await;
    assert!(done.keys().all(|id| added.contains(id)));
    assert!(done.values().all(|times| *times == 1), "{done:?}");
}

async fn a_thousand_ended_jobs_are_remembered(scene: Scene) {
    let jobs = &*scene.jobs;
    let mut ids = Vec::new();
    for _ in 0..1_010 {
        ids.push(jobs.enqueue(&Job::Purge).await.unwrap());
        let delivery = take(jobs, "ada", HOUR).await;
        jobs.finish(&delivery, Ok(None)).await.unwrap();
    }
    let waiting = jobs.enqueue(&Job::Purge).await.unwrap();
    ids.drain(..10);
    ids.push(waiting);
    ids.reverse();
    let listed = jobs.jobs(2_000).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|record| record.id).collect();
    assert_eq!(listed, ids);
}

async fn progress_is_seen_by_others(scene: Scene) {
    let jobs = &*scene.jobs;
    let id = jobs.enqueue(&INDEX).await.unwrap();
    let delivery = take(jobs, "ada", HOUR).await;
    let progress = JobProgress {
        what: "embedding \u{1F600}".into(),
        done: 3,
        total: 1_000,
    };
    jobs.keep(&delivery, Some(&progress)).await.unwrap();
    jobs.keep(&delivery, None).await.unwrap();
    let seen = record(&*scene.another().jobs, &id).await;
    assert_eq!(seen.progress, Some(progress));
    jobs.give_back(&delivery).await.unwrap();
    take(jobs, "eve", HOUR).await;
    assert_eq!(record(jobs, &id).await.progress, None, "it begins again");
}
