//! A local GGUF model through llama.cpp, in a child process of this binary: whatever the C++ does, it costs one answer
//! and not the server. This side never calls llama.cpp.

mod chat;
mod cpu;
mod prefix_states;
mod process;
mod protocol;
mod session;
pub mod worker;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use engine::ports::{Generation, GenerationLimits, Generator, ModelIdentity};
use engine::prompt::Prompt;
use engine::{Code, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::model_file::{self, ModelFile};
use process::WorkerProcess;
use protocol::{Reply, WorkerSettings};

pub use protocol::Timings;

/// How to run a local model.
#[derive(Debug, Clone)]
pub struct GgufSettings {
    /// The model file.
    pub model_path: PathBuf,
    /// The hash the file must have; `None` for a file that the operator named.
    pub pinned_sha256: Option<String>,
    /// Where states of prefixes are kept between processes; `None` keeps them in memory only.
    pub state_dir: Option<PathBuf>,
    /// Threads; `None` is one for each physical core.
    pub threads: Option<u32>,
    /// Tokens of prompt and reply together, at most the model's own limit. Costs memory: 28 KiB each for the default model.
    pub context_tokens: u32,
    /// Tokens of a prompt evaluated between two looks for a cancel, 1 to 64.
    pub batch_tokens: u32,
    /// Questions that may wait while one is answered.
    pub queue_limit: usize,
    /// Bytes of prefix states in memory.
    pub state_memory_bytes: u64,
    /// Bytes of prefix states on disk.
    pub state_disk_bytes: u64,
    /// The worker to start; `None` is this program with the argument `model-worker`.
    pub worker: Option<WorkerCommand>,
}

impl GgufSettings {
    /// The defaults for a model file: physical cores, 8,192 tokens, a queue of 16, states of 512 MiB in memory and, once
    /// there is a folder, 2 GiB on disk.
    pub fn new(model_path: impl Into<PathBuf>) -> Self {
        Self {
            model_path: model_path.into(),
            pinned_sha256: None,
            state_dir: None,
            threads: None,
            context_tokens: 8192,
            batch_tokens: 64,
            queue_limit: 16,
            state_memory_bytes: 512 << 20,
            state_disk_bytes: 2 << 30,
            worker: None,
        }
    }
}

/// A program that calls [`worker::run`] on its standard input and output. Of this process's environment it sees only what
/// logging and the dynamic linker need.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables of its own.
    pub envs: Vec<(OsString, OsString)>,
}

impl WorkerCommand {
    fn this_program() -> Result<Self, Error> {
        let program = std::env::current_exe().map_err(|error| {
            Error::new(Code::Internal, "this program cannot find itself").with_cause(error)
        })?;
        Ok(Self {
            program,
            args: vec!["model-worker".into()],
            envs: Vec::new(),
        })
    }
}

/// A local model behind the port. The worker starts at the first question or by [`Self::warm`], and again after a crash.
pub struct GgufGenerator {
    model: ModelFile,
    command: WorkerCommand,
    settings: WorkerSettings,
    /// One permit for each question waiting or answered.
    queue: Arc<Semaphore>,
    /// The one permit of the question being answered.
    turn: Arc<Semaphore>,
    jobs: OnceLock<mpsc::Sender<Job>>,
    worker_id: Arc<AtomicU32>,
}

/// A reply and where its time went.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredGeneration {
    /// The reply.
    pub generation: Generation,
    /// Where its time went.
    pub timings: Timings,
}

struct Job {
    work: Work,
    reply: oneshot::Sender<Result<Option<Reply>, Error>>,
    /// Given back when the worker is free again, which is after a cancel was obeyed.
    _turn: OwnedSemaphorePermit,
}

enum Work {
    Warm,
    Generate { prompt: Prompt, max_tokens: u32 },
}

impl GgufGenerator {
    /// Opens a model file. Reads it wholly when its hash is not noted beside it; starts nothing.
    ///
    /// # Errors
    ///
    /// [`Code::ModelMissing`], or [`Code::InvalidModel`] if it is not GGUF or not the pinned file.
    pub fn open(settings: GgufSettings) -> Result<Self, Error> {
        let model = model_file::open(&settings.model_path, settings.pinned_sha256.as_deref())?;
        let state_dir = settings.state_dir.map(std::path::absolute).transpose();
        let state_dir = state_dir.map_err(|error| {
            Error::new(
                Code::InvalidSetting,
                "the folder of prefix states has no path",
            )
            .with_cause(error)
        })?;
        let command = match settings.worker {
            Some(command) => command,
            None => WorkerCommand::this_program()?,
        };
        Ok(Self {
            settings: WorkerSettings {
                model_path: model.path.clone(),
                model_sha256: model.sha256.clone(),
                state_dir,
                threads: settings.threads.unwrap_or_else(cpu::physical_cores).max(1),
                context_tokens: settings.context_tokens.max(1),
                batch_tokens: settings.batch_tokens.clamp(1, 64),
                state_memory_bytes: settings.state_memory_bytes,
                state_disk_bytes: settings.state_disk_bytes,
            },
            model,
            command,
            queue: Arc::new(Semaphore::new(
                settings
                    .queue_limit
                    .saturating_add(1)
                    .min(Semaphore::MAX_PERMITS),
            )),
            turn: Arc::new(Semaphore::new(1)),
            jobs: OnceLock::new(),
            worker_id: Arc::new(AtomicU32::new(0)),
        })
    }

    /// Returns the model file in use.
    pub fn model(&self) -> &ModelFile {
        &self.model
    }

    /// Returns the threads in use.
    pub fn threads(&self) -> u32 {
        self.settings.threads
    }

    /// Returns the process identifier of the worker, if it was started and has not ended as far as is known.
    pub fn worker_id(&self) -> Option<u32> {
        match self.worker_id.load(Ordering::Relaxed) {
            0 => None,
            id => Some(id),
        }
    }

    /// Starts the worker and loads the model, if that is not done.
    ///
    /// # Errors
    ///
    /// [`Code::GeneratorFailed`] or [`Code::InvalidModel`] if the model cannot be loaded.
    pub async fn warm(&self) -> Result<(), Error> {
        self.submit(Work::Warm, None).await.map(drop)
    }

    /// Generates a reply, as [`Generator::generate`] does, and says where the time went.
    ///
    /// # Errors
    ///
    /// As [`Generator::generate`].
    pub async fn generate_measured(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<MeasuredGeneration, Error> {
        let deadline = Instant::now() + limits.timeout;
        let work = Work::Generate {
            prompt: prompt.clone(),
            max_tokens: limits.max_tokens,
        };
        let reply = timeout_at(deadline, self.submit(work, Some(limits)))
            .await
            .unwrap_or_else(|_| Err(timed_out(limits)))?;
        let reply = reply.ok_or_else(|| Error::new(Code::Internal, "a question had no reply"))?;
        Ok(MeasuredGeneration {
            generation: Generation {
                text: reply.text,
                tokens: reply.tokens.into(),
                is_complete: reply.is_complete,
            },
            timings: reply.timings,
        })
    }

    /// Waits for the turn, hands the work over and waits for its outcome. Dropping the future gives up the place in the
    /// queue, or cancels the work.
    async fn submit(
        &self,
        work: Work,
        limits: Option<&GenerationLimits>,
    ) -> Result<Option<Reply>, Error> {
        let busy = || {
            Error::new(
                Code::GeneratorBusy,
                "too many questions are waiting for the model",
            )
            .with_hint("ask again in a moment")
        };
        // Loading the model has no place in the queue: nobody waits for it.
        let _place = match limits {
            Some(_) => Some(
                Arc::clone(&self.queue)
                    .try_acquire_owned()
                    .map_err(|_| busy())?,
            ),
            None => None,
        };
        let gone = || Error::new(Code::GeneratorFailed, "the local model is shut down");
        let turn = Arc::clone(&self.turn)
            .acquire_owned()
            .await
            .map_err(|_| gone())?;
        let (reply, outcome) = oneshot::channel();
        let job = Job {
            work,
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

#[async_trait]
impl Generator for GgufGenerator {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: self.model.name.clone(),
            hash: self.model.sha256.clone(),
            is_remote: false,
        }
    }

    async fn generate(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<Generation, Error> {
        let measured = self.generate_measured(prompt, limits).await?;
        Ok(measured.generation)
    }
}

fn timed_out(limits: &GenerationLimits) -> Error {
    Error::new(
        Code::GeneratorTimeout,
        format!(
            "the model did not answer within {} s",
            limits.timeout.as_secs_f64()
        ),
    )
    .with_hint("ask again, allow more time, or show the model fewer tables")
}

/// Owns the worker process, on a task of its own. Ends, with the worker, when the generator is dropped.
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
        let Work::Generate { prompt, max_tokens } = job.work else {
            self.worker = Some(worker);
            let _ = job.reply.send(Ok(None));
            return;
        };
        self.last_id += 1;
        let id = self.last_id;
        let outcome = match worker.ask(id, prompt, max_tokens).await {
            Ok(()) => tokio::select! {
                outcome = worker.outcome(id) => outcome.map(Some),
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
                let error = Error::from(broken);
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
