//! Everything that talks to language models: a local GGUF model in a child process, remote providers, and a scripted
//! generator for tests, all behind [`engine::ports::Generator`]. Never decides what may run.

#[cfg(feature = "gguf")]
pub mod gguf;
pub mod model_file;
pub mod pull;
pub mod remote;
pub mod scripted;
