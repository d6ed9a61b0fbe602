//! Integration tests: one file per port, run on every implementation.

mod corpus_gold;
mod golden_copy;
mod read_schema;
mod system_store;
