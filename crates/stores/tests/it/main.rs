//! Integration tests: one file per port, run on every implementation.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod audit_tampering;
mod backups;
mod cache;
mod corpus_gold;
mod golden_copy;
mod jobs;
mod postgres;
mod rate_limits;
mod read_schema;
mod redis_faults;
mod services;
mod shared_ports;
mod stored_values;
mod system_store;
mod target_database;
mod vector_store;
mod verifying;
