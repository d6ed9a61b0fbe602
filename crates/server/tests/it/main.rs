//! Tests of the binary as people and programs use it: the real program, a real database, and in place of a remote
//! model a server that replies from a script. One file asks the real local model.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

mod cli;
mod model;
mod routes;
mod story;
