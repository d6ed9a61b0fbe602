//! What Assay and its model worker say to each other over a pipe: frames of a length and JSON. Private to one binary, so
//! without versions; a worker of another build is never spoken to.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use engine::decoding::Names;
use engine::ports::{Ahead, Generation, Likelihood, Sampling, TokenCounts};
use engine::prompt::Prompt;
use engine::{Code, Error};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Written by the worker before its first frame. Whatever a library printed to standard output before it is skipped.
pub(super) const PREAMBLE: &[u8] = b"\nassay model worker\n";

/// A frame longer than this is a fault, not a message.
const FRAME_BYTES_AT_MOST: usize = 64 << 20;

/// To the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Load the model. The first frame, and sent once.
    Start(WorkerSettings),
    /// Do this. Never sent before the one before it was answered.
    Work { id: u64, task: Task },
    /// Stop working on this task; it is still answered, with [`Code::Cancelled`] if it was not finished.
    Cancel { id: u64 },
}

/// What a worker can be told to do, by its role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Task {
    /// Generate a reply greedily, or draw several.
    Generate {
        prompt: Prompt,
        max_tokens: u32,
        sampling: Option<Sampling>,
        /// What the SQL may name.
        names: Option<Arc<Names>>,
        /// What will be drawn next.
        ahead: Option<Ahead>,
        /// The text is told as it is written.
        is_heard: bool,
    },
    /// Give each text a vector.
    Embed { texts: Vec<String> },
}

impl Task {
    /// Returns the task without anything begun beside it.
    pub(super) fn without_ahead(mut self) -> Self {
        if let Task::Generate { ahead, .. } = &mut self {
            *ahead = None;
        }
        self
    }
}

/// What a worker needs to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WorkerSettings {
    pub model_path: PathBuf,
    pub model_sha256: String,
    pub threads: u32,
    pub role: Role,
}

/// What the model is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Role {
    Generator(GeneratorSettings),
    Embedder(EmbedderSettings),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct GeneratorSettings {
    pub state_dir: Option<PathBuf>,
    pub context_tokens: u32,
    pub batch_tokens: u32,
    pub state_memory_bytes: u64,
    pub state_disk_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct EmbedderSettings {
    /// Tokens of a text; what is longer is cut.
    pub text_tokens: u32,
    /// Tokens of all texts that are evaluated together.
    pub batch_tokens: u32,
}

impl WorkerSettings {
    pub(super) fn kind(&self) -> Kind {
        match self.role {
            Role::Generator(_) => Kind::Generator,
            Role::Embedder(_) => Kind::Embedder,
        }
    }
}

/// How failures of a model are worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Generator,
    Embedder,
}

impl Kind {
    /// An error that says what became of the model.
    pub(super) fn failed(self, what: &str) -> Error {
        match self {
            Kind::Generator => Error::new(Code::GeneratorFailed, format!("the local model {what}")),
            Kind::Embedder => Error::new(
                Code::EmbedderFailed,
                format!("the local embedding model {what}"),
            ),
        }
    }

    /// The process died or has to be ended.
    pub(super) fn crashed(self, cause: impl std::fmt::Display) -> Error {
        self.failed("crashed")
            .with_hint("ask again: the model is loaded anew")
            .with_cause(cause)
    }

    /// The queue is full.
    pub(super) fn busy(self) -> Error {
        let error = match self {
            Kind::Generator => Error::new(
                Code::GeneratorBusy,
                "too many questions are waiting for the model",
            ),
            Kind::Embedder => Error::new(
                Code::EmbedderFailed,
                "too many texts are waiting for the embedding model",
            ),
        };
        error.with_hint("ask again in a moment")
    }
}

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The model is loaded.
    Ready { load_ms: u64 },
    /// The model cannot be loaded; the worker ends.
    Unfit(WireError),
    /// The text of a task goes on like this.
    Wrote { id: u64, more: String },
    /// The outcome of a task.
    Done { id: u64, outcome: Outcome },
    /// Why a task has no outcome. The worker goes on.
    Failed { id: u64, error: WireError },
}

/// What came of a [`Task`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Outcome {
    Replies(Replies),
    /// One for each text, in order.
    Vectors(Vec<Vec<f32>>),
}

/// What was generated from one prompt, and where the time of all of it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Replies {
    /// One, or all that were drawn, in order and equal ones too.
    pub replies: Vec<Reply>,
    pub timings: Timings,
}

/// A reply with what it cost. The prompt counts for the first only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reply {
    pub text: String,
    pub is_complete: bool,
    pub tokens: WireTokens,
    pub likelihood: Option<Likelihood>,
}

impl From<Reply> for Generation {
    fn from(reply: Reply) -> Self {
        Self {
            text: reply.text,
            tokens: reply.tokens.into(),
            is_complete: reply.is_complete,
            likelihood: reply.likelihood,
        }
    }
}

/// [`TokenCounts`] on the pipe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct WireTokens {
    pub prompt: u64,
    pub prompt_reused: u64,
    pub prompt_prefix: u64,
    pub generated: u64,
}

impl From<WireTokens> for TokenCounts {
    fn from(tokens: WireTokens) -> Self {
        Self {
            prompt: tokens.prompt,
            prompt_reused: tokens.prompt_reused,
            prompt_prefix: tokens.prompt_prefix,
            generated: tokens.generated,
        }
    }
}

/// Where the time of one generation, or of one drawing of several, went, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Finding and restoring a kept prefix state; 0 when nothing had to be restored.
    pub restore_ms: f64,
    /// Evaluating the tokens of the prompt that were not reused.
    pub prompt_ms: f64,
    /// Keeping the state of a new prefix, in memory and on disk.
    pub save_ms: f64,
    /// Generating, all of several together.
    pub generate_ms: f64,
}

/// An [`Error`] on the pipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WireError {
    code: String,
    message: String,
    hint: Option<String>,
    cause: Option<String>,
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        Self {
            code: error.code().as_str().to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            cause: error.cause().map(str::to_owned),
        }
    }
}

impl From<WireError> for Error {
    fn from(wire: WireError) -> Self {
        let code = Code::ALL.iter().find(|code| code.as_str() == wire.code);
        let mut error = Error::new(code.copied().unwrap_or(Code::GeneratorFailed), wire.message);
        if let Some(hint) = wire.hint {
            error = error.with_hint(hint);
        }
        if let Some(cause) = wire.cause {
            error = error.with_cause(cause);
        }
        error
    }
}

/// Writes one frame.
pub(super) fn write_frame(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(message)?)?;
    to.flush()
}

/// Reads one frame; `None` at the end of the stream.
pub(super) fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut frame = vec![0; frame_length(length)?];
    from.read_exact(&mut frame)?;
    Ok(Some(serde_json::from_slice(&frame)?))
}

/// Writes one frame.
pub(super) async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    to.write_all(&encode(message)?).await?;
    to.flush().await
}

/// Reads one frame; the end of the stream is an error. Not safe to cancel: half a frame would be lost.
pub(super) async fn receive<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let mut frame = vec![0; frame_length(length)?];
    from.read_exact(&mut frame).await?;
    Ok(serde_json::from_slice(&frame)?)
}

/// Reads up to and including the preamble.
pub(super) async fn skip_to_preamble(from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    const NOISE_BYTES_AT_MOST: usize = 64 << 10;
    let mut seen = Vec::new();
    while !seen.ends_with(PREAMBLE) {
        if seen.len() > NOISE_BYTES_AT_MOST {
            return Err(io::Error::other("the process is not a model worker"));
        }
        seen.push(from.read_u8().await?);
    }
    Ok(())
}

fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > FRAME_BYTES_AT_MOST {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

fn frame_length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(bytes) as usize;
    if length > FRAME_BYTES_AT_MOST {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_as_sent_and_the_end_is_none() {
        let mut pipe = Vec::new();
        write_frame(&mut pipe, &Order::Cancel { id: 7 }).unwrap();
        let mut reader = pipe.as_slice();
        assert!(matches!(
            read_frame(&mut reader).unwrap(),
            Some(Order::Cancel { id: 7 })
        ));
        assert!(read_frame::<Order>(&mut reader).unwrap().is_none());
    }

    #[test]
    fn a_giant_length_is_refused_before_memory_is_taken() {
        let pipe = u32::MAX.to_le_bytes();
        assert!(read_frame::<Order>(&mut pipe.as_slice()).is_err());
    }

    #[tokio::test]
    async fn noise_before_the_preamble_is_skipped() {
        let mut pipe = b"running 1 test\n".to_vec();
        pipe.extend(PREAMBLE);
        write_frame(&mut pipe, &Report::Ready { load_ms: 3 }).unwrap();
        let mut reader = pipe.as_slice();
        skip_to_preamble(&mut reader).await.unwrap();
        assert!(matches!(
            receive(&mut reader).await.unwrap(),
            Report::Ready { load_ms: 3 }
        ));
        assert!(
            skip_to_preamble(&mut vec![b'x'; 1 << 20].as_slice())
                .await
                .is_err()
        );
    }

    #[test]
    fn errors_keep_code_message_and_hint_across_the_pipe() {
        let error = Error::new(Code::InvalidModel, "m")
            .with_hint("h")
            .with_cause("c");
        assert_eq!(Error::from(WireError::from(error.clone())), error);
    }
}
