//! Integration tests.
mod corpus_gold;
