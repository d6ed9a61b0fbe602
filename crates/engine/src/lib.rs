//! Rules, types and ports of Assay. No network, no disk, no runtime: a newcomer reads [`mod@ask`] top to bottom and
//! knows what the product does.

pub mod accounts;
pub mod admission;
pub mod ask;
pub mod audit;
pub mod backups;
pub mod catalog;
pub mod configuration;
pub mod error;
pub mod evaluation;
pub mod feedback;
pub mod guard;
pub mod history;
pub mod jobs;
pub mod linking;
pub mod mend;
pub mod ontology;
pub mod policy;
pub mod ports;
pub mod prompt;
pub mod question;
pub mod result;
pub mod schema;
pub mod secrets;
pub mod validation;
pub mod words;

pub use error::{Code, Error, Kind};
