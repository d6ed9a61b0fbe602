//! Implementations of the engine's ports that talk to storage.

pub mod sqlite;
