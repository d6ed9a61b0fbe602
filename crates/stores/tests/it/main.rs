//! Integration tests: one file per port, run on every implementation.

mod corpus_gold;
mod system_store;
