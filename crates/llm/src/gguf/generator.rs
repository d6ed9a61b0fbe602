//! The generator: a language model in a worker of its own.

use std::path::PathBuf;

use async_trait::async_trait;
use engine::ports::{
    Candidate, Generation, GenerationLimits, Generator, Heard, ModelIdentity, Sampling,
};
use engine::prompt::Prompt;
use engine::{Code, Error};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::keeper::Desk;
use super::protocol::{GeneratorSettings, Outcome, Replies, Role, Task, Timings, WorkerSettings};
use super::{WorkerCommand, cpu};
use crate::model_file::{self, ModelFile};

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

/// A local model behind the port. The worker starts at the first question or by [`Self::warm`], and again after a crash.
pub struct GgufGenerator {
    model: ModelFile,
    desk: Desk,
}

/// A reply and where its time went.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredGeneration {
    /// The reply.
    pub generation: Generation,
    /// Where its time went.
    pub timings: Timings,
}

/// Replies that were drawn, and where their time went.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredCandidates {
    /// The replies.
    pub candidates: Vec<Candidate>,
    /// Where the time of all of them went.
    pub timings: Timings,
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
        let worker = WorkerSettings {
            model_path: model.path.clone(),
            model_sha256: model.sha256.clone(),
            threads: settings.threads.unwrap_or_else(cpu::physical_cores).max(1),
            role: Role::Generator(GeneratorSettings {
                state_dir,
                context_tokens: settings.context_tokens.max(1),
                batch_tokens: settings.batch_tokens.clamp(1, 64),
                state_memory_bytes: settings.state_memory_bytes,
                state_disk_bytes: settings.state_disk_bytes,
            }),
        };
        Ok(Self {
            model,
            desk: Desk::new(command, worker, settings.queue_limit),
        })
    }

    /// Returns the model file in use.
    pub fn model(&self) -> &ModelFile {
        &self.model
    }

    /// Returns the threads in use.
    pub fn threads(&self) -> u32 {
        self.desk.threads()
    }

    /// Returns the process identifier of the worker, if it was started and has not ended as far as is known.
    pub fn worker_id(&self) -> Option<u32> {
        self.desk.worker_id()
    }

    /// Starts the worker and loads the model, if that is not done.
    ///
    /// # Errors
    ///
    /// [`Code::GeneratorFailed`] or [`Code::InvalidModel`] if the model cannot be loaded.
    pub async fn warm(&self) -> Result<(), Error> {
        self.desk.warm().await
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
        self.measured(prompt, limits, None).await
    }

    async fn measured(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        heard: Option<&Heard<'_>>,
    ) -> Result<MeasuredGeneration, Error> {
        let Replies { replies, timings } = self.ask(prompt, limits, None, heard).await?;
        let first = replies.into_iter().next();
        let reply = first.ok_or_else(|| Error::new(Code::Internal, "a question had no reply"))?;
        Ok(MeasuredGeneration {
            generation: reply.into(),
            timings,
        })
    }

    /// Draws replies, as [`Generator::sample`] does, and says where the time went.
    ///
    /// # Errors
    ///
    /// As [`Generator::sample`].
    pub async fn sample_measured(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        sampling: &Sampling,
    ) -> Result<MeasuredCandidates, Error> {
        let Replies { replies, timings } = self.ask(prompt, limits, Some(*sampling), None).await?;
        Ok(MeasuredCandidates {
            candidates: Candidate::gather(replies.into_iter().map(Generation::from)),
            timings,
        })
    }

    async fn ask(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        sampling: Option<Sampling>,
        heard: Option<&Heard<'_>>,
    ) -> Result<Replies, Error> {
        let deadline = Instant::now() + limits.timeout;
        let task = Task::Generate {
            prompt: prompt.clone(),
            max_tokens: limits.max_tokens,
            sampling,
            names: limits.names.clone(),
            ahead: limits.ahead,
            is_heard: heard.is_some(),
        };
        let _place = self.desk.queue()?;
        let (teller, mut told) = mpsc::unbounded_channel();
        let work = self.desk.hand_over(Some(task), Some(teller));
        let listen = async {
            while let Some(more) = told.recv().await {
                heard.inspect(|heard| heard(&more));
            }
        };
        // The worker's end of the channel is gone when the task is.
        let both = async { tokio::join!(work, listen).0 };
        let outcome = timeout_at(deadline, both)
            .await
            .unwrap_or_else(|_| Err(timed_out(limits)))?;
        match outcome {
            Some(Outcome::Replies(replies)) => Ok(replies),
            _ => Err(Error::new(Code::Internal, "a question had no reply")),
        }
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

    async fn generate_heard(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        heard: &Heard<'_>,
    ) -> Result<Generation, Error> {
        let measured = self.measured(prompt, limits, Some(heard)).await?;
        Ok(measured.generation)
    }

    async fn sample(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        sampling: &Sampling,
    ) -> Result<Vec<Candidate>, Error> {
        let measured = self.sample_measured(prompt, limits, sampling).await?;
        Ok(measured.candidates)
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
