//! Integration tests: one file per port, run on every implementation.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod audit_tampering;
mod backups;
mod corpus_gold;
mod golden_copy;
mod postgres;
mod read_schema;
mod services;
mod system_store;
mod target_database;
