//! Integration tests.

mod target_database;
