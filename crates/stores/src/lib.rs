//! Implementations of the engine's ports that talk to storage.

mod backups;
pub mod golden_copy;
pub mod legacy;
pub mod memory;
pub mod postgres;
pub mod sqlite;
pub mod target;
