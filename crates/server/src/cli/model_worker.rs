//! `assay model-worker`: the child process that runs a local model for its parent.

use std::process::ExitCode;

/// Serves the parent until its end of the pipe is closed.
#[cfg(feature = "gguf")]
pub fn run() -> ExitCode {
    match llm::gguf::worker::run(std::io::stdin(), std::io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            super::output::say(&format!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

#[cfg(not(feature = "gguf"))]
pub fn run() -> ExitCode {
    super::output::say("error: this program was built without the local model");
    ExitCode::from(2)
}
