//! Integration tests: one file per port, run on every implementation.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corpus_gold;
mod golden_copy;
mod read_schema;
mod system_store;
mod target_database;
