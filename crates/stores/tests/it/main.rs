//! Integration tests: one file per port, run on every implementation.

mod system_store;
