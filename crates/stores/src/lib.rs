//! Implementations of the engine's ports that talk to storage.

mod backups;
mod caching;
pub mod chroma;
pub mod fallback;
pub mod golden_copy;
pub mod legacy;
pub mod memory;
mod migrations;
pub mod postgres;
pub mod redis;
pub mod sqlite;
pub mod target;
mod vectors;

mod verified_queries;
