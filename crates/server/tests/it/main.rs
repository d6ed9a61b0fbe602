//! Tests of the binary as people and programs use it: the real program, a real database, and in place of a remote
//! model a server that replies from a script. One file asks the real local model.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;
mod remote;
mod store;

mod accounts;
mod cli;
mod cluster;
mod company;
mod conversations;
mod evaluation_set;
mod exports;
mod faults;
mod first_run;
mod governance;
mod index;
mod model;
mod operations;
mod pages;
mod routes;
mod story;
mod telemetry;
mod verified_queries;
mod watching;
