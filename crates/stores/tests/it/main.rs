//! Integration tests.

mod corpus_gold;
mod target_database;
