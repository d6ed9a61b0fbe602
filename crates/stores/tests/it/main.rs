//! Integration tests.

mod corpus_gold;
#[expect(clippy::unwrap_used, reason = "tests")]
mod golden_copy;
#[expect(clippy::unwrap_used, reason = "tests")]
mod read_schema;
