//! Rules, types and ports of Assay. No network, no disk, no runtime: a newcomer reads [`mod@ask`] top to bottom and
//! knows what the product does.

pub mod accounts;
pub mod admission;
pub mod ask;
pub mod audit;
pub mod backups;
pub mod catalog;
pub mod chart;
pub mod checks;
pub mod confidence;
pub mod configuration;
pub mod conversation;
pub mod decoding;
#[cfg(test)]
mod doubles;
pub mod error;
pub mod evaluation;
pub mod exporting;
pub mod feedback;
pub mod guard;
pub mod history;
pub mod indexing;
pub mod jobs;
pub mod known;
pub mod linking;
pub mod mend;
pub mod ontology;
mod pieces;
pub mod policy;
pub mod ports;
pub mod prompt;
pub mod question;
pub mod reading;
pub mod result;
pub mod retrieval;
pub mod schema;
pub mod secrets;
pub mod semantic_cache;
pub mod stopping;
pub mod suggestions;
pub mod triage;
pub mod validation;
pub mod values;
pub mod verified_queries;
pub mod words;

pub use error::{Code, Error, Kind};
