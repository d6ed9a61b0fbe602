//! Integration tests.

mod conformance;
mod embedders;
#[cfg(feature = "gguf")]
mod gguf;
#[cfg(feature = "gguf")]
mod gguf_embedder;
mod pull;
mod remote;
