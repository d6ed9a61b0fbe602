//! Local GGUF models through llama.cpp, each in a child process of this binary: whatever the C++ does, it costs one answer
//! and not the server. This side never calls llama.cpp.

mod chat;
mod choosing;
mod cpu;
mod draft;
mod drawing;
mod embedder;
mod embedding;
mod generator;
mod keeper;
mod prefix_states;
mod process;
mod protocol;
mod session;
pub mod worker;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use engine::{Code, Error};

pub use embedder::{GgufEmbedder, GgufEmbedderSettings};
pub use generator::{GgufGenerator, GgufSettings, MeasuredCandidates, MeasuredGeneration};
pub use protocol::Timings;

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
