//! Rules, types and ports of Assay. No network, no disk, no runtime: a newcomer reads [`mod@ask`] top to bottom and
//! knows what the product does.

pub mod ask;
pub mod question;
pub mod policy;
pub mod linking;
pub mod prompt;
pub mod guard;
pub mod schema;
pub mod result;
pub mod words;
pub mod accounts;
pub mod audit;
pub mod evaluation;
pub mod error;
pub mod ports;

pub use error::{Code, Error, Kind};
