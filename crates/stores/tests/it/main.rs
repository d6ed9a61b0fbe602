//! Integration tests.
#![expect(clippy::unwrap_used, reason = "tests")]

mod golden_copy;
mod read_schema;
