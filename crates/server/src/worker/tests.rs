use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use engine::jobs::JobWork;
use engine::ports::{JobId, JobRecord, JobStatus};
use stores::memory::MemoryJobs;

use super::*;
use crate::wire::{self, SystemClock};

/// Work that goes on until it is let go, and tells how it fares.
#[derive(Default)]
struct Held {
    begun: AtomicU32,
    was_dropped: AtomicBool,
    ends: tokio::sync::Notify,
    panics: bool,
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl JobWork for Held {
    async fn run(&self, _: &Job, progress: &dyn OnJobProgress) -> Result<Option<String>, Error> {
        let _dropped = OnDrop(&self.was_dropped);
        self.begun.fetch_add(1, Ordering::SeqCst);
        progress.report(JobProgress {
            what: "holding".into(),
            done: 1,
            total: 2,
        });
        assert!(!self.panics, "this is what the test is about");
        self.ends.notified().await;
        Ok(Some("let go".into()))
    }
}

struct Scene {
    jobs: Arc<MemoryJobs>,
    held: Arc<Held>,
    stop: watch::Sender<bool>,
    working: JoinHandle<()>,
}

impl Scene {
    fn start(held: Held) -> Self {
        let jobs = Arc::new(MemoryJobs::new("here", Arc::new(SystemClock)));
        let held = Arc::new(held);
        let work = JobPorts {
            keeps_index: false,
            store: wire::store_in_memory().unwrap(),
            clock: Arc::new(SystemClock),
            backups: None,
            old_copies: None,
            index: None,
            reverify: Some(held.clone()),
        };
        let (stop, stopped) = watch::channel(false);
        let worker = Worker::new(jobs.clone(), work, "ada".into());
        Self {
            jobs,
            held,
            stop,
            working: tokio::spawn(worker.run(stopped)),
        }
    }

    async fn until(&self, id: &JobId, is_so: impl Fn(&JobRecord) -> bool) -> JobRecord {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let record = self.jobs.job(id).await.unwrap().unwrap();
            if is_so(&record) {
                return record;
            }
            assert!(tokio::time::Instant::now() < deadline, "{record:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_job_is_done_and_its_progress_and_outcome_are_seen() {
    let scene = Scene::start(Held::default());
    let id = scene.jobs.enqueue(&Job::Reverify).await.unwrap();
    let running = scene.until(&id, |record| record.progress.is_some()).await;
    assert_eq!(running.status, JobStatus::Running);
    scene.held.ends.notify_one();
    let done = scene
        .until(&id, |record| record.finished_at.is_some())
        .await;
    assert_eq!(done.status, JobStatus::Done);
    assert_eq!(done.message.as_deref(), Some("let go"));
}

#[tokio::test]
async fn a_cancelled_job_stops() {
    let scene = Scene::start(Held::default());
    let id = scene.jobs.enqueue(&Job::Reverify).await.unwrap();
    scene.until(&id, |record| record.progress.is_some()).await;
    assert!(scene.jobs.cancel(&id).await.unwrap());
    let next = scene.jobs.enqueue(&Job::Purge).await.unwrap();
    let done = scene.until(&next, |record| record.finished_at.is_some());
    assert_eq!(done.await.status, JobStatus::Done);
    assert!(scene.held.was_dropped.load(Ordering::SeqCst));
    let cancelled = scene.jobs.job(&id).await.unwrap().unwrap();
    assert_eq!(cancelled.status, JobStatus::Cancelled);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_gives_its_job_back() {
    let scene = Scene::start(Held::default());
    let id = scene.jobs.enqueue(&Job::Reverify).await.unwrap();
    scene.until(&id, |record| record.progress.is_some()).await;
    scene.stop.send_replace(true);
    scene.working.await.unwrap();
    let record = scene.jobs.job(&id).await.unwrap().unwrap();
    assert_eq!(record.status, JobStatus::Queued);
    let taken = scene.jobs.take("eve", LEASE, Duration::ZERO).await.unwrap();
    assert_eq!(taken.unwrap().attempt, 2);
}

#[tokio::test]
async fn a_job_that_panics_fails_and_the_worker_goes_on() {
    let scene = Scene::start(Held {
        panics: true,
        ..Held::default()
    });
    let id = scene.jobs.enqueue(&Job::Reverify).await.unwrap();
    let failed = scene.until(&id, |record| record.finished_at.is_some());
    assert_eq!(failed.await.status, JobStatus::Failed);
    let next = scene.jobs.enqueue(&Job::Purge).await.unwrap();
    let done = scene.until(&next, |record| record.finished_at.is_some());
    assert_eq!(done.await.status, JobStatus::Done);
}

#[tokio::test]
async fn a_job_that_nobody_can_do_fails_with_a_reason() {
    let scene = Scene::start(Held::default());
    let id = scene
        .jobs
        .enqueue(&Job::Index { force: false })
        .await
        .unwrap();
    let failed = scene
        .until(&id, |record| record.finished_at.is_some())
        .await;
    assert_eq!(failed.status, JobStatus::Failed);
    let message = failed.message.unwrap();
    assert!(message.ends_with("[job_unavailable]"), "{message}");
}

#[tokio::test]
async fn a_job_that_brought_five_workers_down_is_given_up() {
    let scene = Scene::start(Held::default());
    scene.stop.send_replace(true);
    scene.working.await.unwrap();
    let id = scene.jobs.enqueue(&Job::Reverify).await.unwrap();
    for _ in 0..MAX_ATTEMPTS {
        let taken = scene.jobs.take("dies", Duration::ZERO, WAIT).await.unwrap();
        assert_eq!(taken.unwrap().id, id);
    }
    let work = JobPorts {
        keeps_index: false,
        store: wire::store_in_memory().unwrap(),
        clock: Arc::new(SystemClock),
        backups: None,
        old_copies: None,
        index: None,
        reverify: Some(scene.held.clone()),
    };
    let (_stop, stopped) = watch::channel(false);
    let worker = Worker::new(scene.jobs.clone(), work, "ada".into());
    let working = tokio::spawn(worker.run(stopped));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while scene.jobs.job(&id).await.unwrap().unwrap().status != JobStatus::Failed {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(scene.held.begun.load(Ordering::SeqCst), 0);
    working.abort();
}
