//! One file per resource.

pub mod auth;
pub mod health;
pub mod questions;
pub mod sql;
pub mod target;
