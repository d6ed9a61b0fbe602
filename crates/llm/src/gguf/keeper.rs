//! A model at work in a child process, and the queue before it. Knows nothing of what the model does.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use engine::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::WorkerCommand;
use super::process::WorkerProcess;
use super::protocol::{Outcome, Task, WorkerSettings};

/// A worker that is started at its first task and again after a crash, and works on one task at a time.
pub(super) struct Desk {
    command: WorkerCommand,
    settings: WorkerSettings,
    /// One permit for each caller waiting or served.
    queue: Arc<Semaphore>,
    /// The one permit of the task at work.
    turn: Arc<Semaphore>,
    /// How many wait for it.
    waiting: AtomicUsize,
    jobs: OnceLock<mpsc::Sender<Job>>,
    worker_id: Arc<AtomicU32>,
}

/// A place in the queue, given back when dropped.
pub(super) struct Place {
    _held: OwnedSemaphorePermit,
}

/// Counts among those who wait until it is dropped.
struct Waits<'d>(&'d AtomicUsize);

impl<'d> Waits<'d> {
    fn among(waiting: &'d AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Job {
    /// `None` only loads the model.
    task: Option<Task>,
    /// Gets the text as it is written.
    heard: Option<mpsc::UnboundedSender<String>>,
    reply: oneshot::Sender<Result<Option<Outcome>, Error>>,
    /// Given back when the worker is free again, which is after a cancel was obeyed.
    _turn: OwnedSemaphorePermit,
}

impl Desk {
    /// Starts nothing. Besides the one served, `queue_limit` callers may wait.
    pub(super) fn new(
        command: WorkerCommand,
        settings: WorkerSettings,
        queue_limit: usize,
    ) -> Self {
        let places = queue_limit.saturating_add(1).min(Semaphore::MAX_PERMITS);
        Self {
            command,
            settings,
            queue: Arc::new(Semaphore::new(places)),
            turn: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            jobs: OnceLock::new(),
            worker_id: Arc::new(AtomicU32::new(0)),
        }
    }

    /// Returns the threads in use.
    pub(super) fn threads(&self) -> u32 {
        self.settings.threads
    }

    /// Returns the process identifier of the worker, if it was started and has not ended as far as is known.
    pub(super) fn worker_id(&self) -> Option<u32> {
        match self.worker_id.load(Ordering::Relaxed) {
            0 => None,
            id => Some(id),
        }
    }

    /// Takes a place in the queue, or says that it is full.
    pub(super) fn queue(&self) -> Result<Place, Error> {
        let place = Arc::clone(&self.queue).try_acquire_owned();
        place
            .map(|held| Place { _held: held })
            .map_err(|_| self.settings.kind().busy())
    }

    /// Starts the worker and loads the model, if that is not done. Has no place in the queue: nobody waits for it.
    pub(super) async fn warm(&self) -> Result<(), Error> {
        self.hand_over(None, None).await.map(drop)
    }

    /// Waits for the turn, hands the task over and waits for its outcome; `None` only loads the model. Turns are taken in
    /// the order of asking; `heard` gets the text of a task that tells it. Dropping the future gives up the turn, or cancels the task.
    pub(super) async fn hand_over(
        &self,
        task: Option<Task>,
        heard: Option<mpsc::UnboundedSender<String>>,
    ) -> Result<Option<Outcome>, Error> {
        let gone = || self.settings.kind().failed("is shut down");
        let turn = {
            let _waits = Waits::among(&self.waiting);
            Arc::clone(&self.turn).acquire_owned().await
        }
        .map_err(|_| gone())?;
        // The next turn is another's, and what was begun for this one would be lost by then.
        let task = match self.waiting.load(Ordering::Relaxed) {
            0 => task,
            _ => task.map(Task::without_ahead),
        };
        let (reply, outcome) = oneshot::channel();
        let job = Job {
            task,
            heard,
            reply,
            _turn: turn,
        };
        self.jobs().send(job).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    fn jobs(&self) -> &mpsc::Sender<Job> {
        self.jobs.get_or_init(|| {
            let (sender, receiver) = mpsc::channel(1);
            let keeper = Keeper {
                command: self.command.clone(),
                settings: self.settings.clone(),
                worker: None,
                worker_id: Arc::clone(&self.worker_id),
                last_id: 0,
            };
            tokio::spawn(keeper.work(receiver));
            sender
        })
    }
}

/// Owns the worker process, on a task of its own. Ends, with the worker, when the desk is dropped.
struct Keeper {
    command: WorkerCommand,
    settings: WorkerSettings,
    worker: Option<WorkerProcess>,
    worker_id: Arc<AtomicU32>,
    last_id: u64,
}

impl Keeper {
    async fn work(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.recv().await {
            self.answer(job).await;
        }
        self.end_worker().await;
    }

    async fn answer(&mut self, mut job: Job) {
        if job.reply.is_closed() {
            return;
        }
        let mut worker = match self.live_worker().await {
            Ok(worker) => worker,
            Err(error) => {
                // The caller may have gone while the model was loaded.
                let _ = job.reply.send(Err(error));
                return;
            }
        };
        let Some(task) = job.task else {
            self.worker = Some(worker);
            let _ = job.reply.send(Ok(None));
            return;
        };
        self.last_id += 1;
        let id = self.last_id;
        let outcome = match worker.ask(id, task).await {
            Ok(()) => tokio::select! {
                outcome = worker.outcome(id, job.heard.as_ref()) => outcome.map(Some),
                () = job.reply.closed() => worker.cancel(id).await.map(|()| None),
            },
            Err(broken) => Err(broken),
        };
        self.worker = Some(worker);
        match outcome {
            Ok(Some(result)) => {
                let _ = job.reply.send(result.map(Some));
            }
            Ok(None) => {}
            Err(broken) => {
                let error = self.settings.kind().crashed(broken);
                tracing::warn!(
                    cause = error.cause(),
                    "the model worker is ended and will be started anew"
                );
                self.end_worker().await;
                let _ = job.reply.send(Err(error));
            }
        }
    }

    /// Takes the worker, started if need be. One that died while idle cost nobody an answer.
    async fn live_worker(&mut self) -> Result<WorkerProcess, Error> {
        if let Some(mut worker) = self.worker.take() {
            if worker.is_alive() {
                return Ok(worker);
            }
            tracing::warn!("the model worker died while idle and is started anew");
        }
        self.worker_id.store(0, Ordering::Relaxed);
        let worker = WorkerProcess::start(&self.command, &self.settings).await?;
        self.worker_id
            .store(worker.id().unwrap_or(0), Ordering::Relaxed);
        Ok(worker)
    }

    async fn end_worker(&mut self) {
        self.worker_id.store(0, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            worker.kill().await;
        }
    }
}
