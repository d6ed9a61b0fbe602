//! Models of other people, over HTTP: anything that speaks OpenAI's chat completions and embeddings, and Anthropic. Keys
//! appear in no message, no log and no debug output.

mod anthropic;
mod client;
mod embedder;
mod generator;
mod openai;
mod streaming;

pub use client::ApiKey;
pub use embedder::{RemoteEmbedder, RemoteEmbedderSettings};
pub use generator::{Grammar, Provider, RemoteGenerator, RemoteSettings};
