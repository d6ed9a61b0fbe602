//! The embedder: an embedding model in a worker of its own, so that a vector never waits for a generation.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use engine::ports::{Embedder, EmbedderIdentity, Embedding};
use engine::{Code, Error};
use tokio::time::timeout;

use super::keeper::Desk;
use super::protocol::{EmbedderSettings, Kind, Outcome, Role, Task, WorkerSettings};
use super::{WorkerCommand, cpu};
use crate::model_file::{self, ModelFile};

/// Texts handed over in one turn. Between two turns of a caller others take theirs, so that a question does not wait for a
/// whole index.
const TEXTS_A_TURN: usize = 64;
/// One turn takes a second or two on a slow and busy machine.
const TURN_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of a text that are looked at: far more than the tokens a model takes, and a bound on the work for hostile texts.
const TEXT_BYTES_AT_MOST: usize = 16 << 10;

/// How to run a local embedding model.
#[derive(Debug, Clone)]
pub struct GgufEmbedderSettings {
    /// The model file.
    pub model_path: PathBuf,
    /// The hash the file must have; `None` for a file that the operator named.
    pub pinned_sha256: Option<String>,
    /// Threads; `None` is one for each physical core.
    pub threads: Option<u32>,
    /// Tokens of a text, at most the model's own limit; what is longer is cut.
    pub text_tokens: u32,
    /// Tokens of all texts that are evaluated together; also how often a cancel is looked for.
    pub batch_tokens: u32,
    /// Callers that may wait while one is served.
    pub queue_limit: usize,
    /// The worker to start; `None` is this program with the argument `model-worker`.
    pub worker: Option<WorkerCommand>,
}

impl GgufEmbedderSettings {
    /// The defaults for a model file: physical cores, texts of 256 tokens, 512 tokens together, a queue of 256.
    ///
    /// Source: the publisher of all-MiniLM-L6-v2 sets 256 tokens in `sentence_bert_config.json`; it was trained on 128.
    pub fn new(model_path: impl Into<PathBuf>) -> Self {
        Self {
            model_path: model_path.into(),
            pinned_sha256: None,
            threads: None,
            text_tokens: 256,
            batch_tokens: 512,
            queue_limit: 256,
            worker: None,
        }
    }
}

/// A local embedding model behind the port. The worker starts at the first text or by [`Self::warm`], and again after a
/// crash.
///
/// The same text gives the same vector every time it is asked for in the same company. In other company, sums may be made
/// in another order, and vectors differ in their last digits: their cosine is above 0.9999.
pub struct GgufEmbedder {
    model: ModelFile,
    desk: Desk,
}

impl GgufEmbedder {
    /// Opens a model file. Reads it wholly when its hash is not noted beside it; starts nothing.
    ///
    /// # Errors
    ///
    /// [`Code::ModelMissing`], or [`Code::InvalidModel`] if it is not GGUF or not the pinned file.
    pub fn open(settings: GgufEmbedderSettings) -> Result<Self, Error> {
        let model = model_file::open(&settings.model_path, settings.pinned_sha256.as_deref());
        let model = model.map_err(|error| match error.code() {
            Code::ModelMissing => {
                error.with_hint("run `assay model pull`, or set EMBEDDING_MODEL to a GGUF file")
            }
            _ => error,
        })?;
        let command = match settings.worker {
            Some(command) => command,
            None => WorkerCommand::this_program()?,
        };
        let worker = WorkerSettings {
            model_path: model.path.clone(),
            model_sha256: model.sha256.clone(),
            threads: settings.threads.unwrap_or_else(cpu::physical_cores).max(1),
            role: Role::Embedder(EmbedderSettings {
                text_tokens: settings.text_tokens,
                batch_tokens: settings.batch_tokens,
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
    /// [`Code::EmbedderFailed`] or [`Code::InvalidModel`] if the model cannot be loaded.
    pub async fn warm(&self) -> Result<(), Error> {
        self.desk.warm().await
    }

    async fn embed_turn(&self, texts: &[String]) -> Result<Vec<Embedding>, Error> {
        let cut = |text: &String| {
            let end = text.floor_char_boundary(TEXT_BYTES_AT_MOST);
            text[..end].to_owned()
        };
        let task = Task::Embed {
            texts: texts.iter().map(cut).collect(),
        };
        let outcome = timeout(TURN_TIMEOUT, self.desk.hand_over(Some(task), None))
            .await
            .unwrap_or_else(|_| Err(Kind::Embedder.failed("takes too long")))?;
        match outcome {
            Some(Outcome::Vectors(vectors)) if vectors.len() == texts.len() => {
                vectors.into_iter().map(Embedding::normalised).collect()
            }
            _ => Err(Kind::Embedder.failed("gave another number of vectors than of texts")),
        }
    }
}

#[async_trait]
impl Embedder for GgufEmbedder {
    fn identity(&self) -> EmbedderIdentity {
        EmbedderIdentity {
            name: self.model.name.clone(),
            hash: self.model.sha256.clone(),
            is_remote: false,
        }
    }

    /// Dropping the future gives up the place in the queue, or cancels the work.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let _place = self.desk.queue()?;
        let mut embeddings = Vec::with_capacity(texts.len());
        for turn in texts.chunks(TEXTS_A_TURN) {
            embeddings.extend(self.embed_turn(turn).await?);
        }
        Ok(embeddings)
    }
}
