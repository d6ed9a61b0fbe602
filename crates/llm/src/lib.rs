//! Everything that talks to models: local GGUF models in child processes, remote providers, and scripted ones for tests, all
//! behind [`engine::ports::Generator`] and [`engine::ports::Embedder`]. Never decides what may run.

#[cfg(feature = "gguf")]
pub mod gguf;
pub mod model_file;
pub mod pull;
pub mod remote;
pub mod scripted;
