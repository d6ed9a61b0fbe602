//! One file per resource.

pub mod api_keys;
pub mod audit_logs;
pub mod auth;
pub mod backups;
pub mod configurations;
pub mod conversations;
pub mod feedback;
pub mod health;
pub mod index;
pub mod jobs;
pub mod joining;
pub mod metrics;
pub mod ontology;
pub mod passwords;
pub mod policies;
pub mod queries;
pub mod questions;
pub mod schema;
pub mod sql;
pub mod suggestions;
pub mod target;
pub mod users;
pub mod verified_queries;
