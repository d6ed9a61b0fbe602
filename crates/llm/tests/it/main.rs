//! Integration tests.

mod conformance;
#[cfg(feature = "gguf")]
mod gguf;
mod pull;
mod remote;
