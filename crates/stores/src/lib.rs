//! Implementations of the engine's ports that talk to storage.

pub mod golden_copy;
pub mod sqlite;
pub mod target;
