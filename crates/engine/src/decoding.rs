//! Constrained decoding: while a model writes SQL, each token after which no statement is possible any more that names
//! only what is there is passed over for the next likeliest.
//!
//! A grammar could list the names, but not say which table an alias stands for, and that is what a small model gets
//! wrong: it puts a real column on the wrong table. So names are resolved as the statement grows. Syntax is left alone,
//! and so is each token that may still come right: a model that is pushed off its own way of cutting words into tokens
//! writes worse SQL, not better. Source of checking while decoding: Scholak, Schucher and Bahdanau, "PICARD", arXiv 2109.05093.

mod gbnf;
mod names;
mod query;
mod scopes;
#[cfg(test)]
mod tests;
mod words;

pub use names::Names;

use crate::pieces::Pieces;
use crate::prompt::begun;
use scopes::Reader;

/// After this many tokens passed over, the likeliest is taken as it is: the statement is beyond help, and is refused as
/// any other.
pub const MAX_PASSED_OVER: usize = 32;

impl Names {
    /// Says whether a reply that begins with this text may still become one whose statement names only what is there.
    pub fn admit(&self, reply: &str) -> bool {
        match begun(reply) {
            Some((sql, is_whole)) => Reader::new(self, &Pieces::of(sql), is_whole).admits(),
            None => true,
        }
    }

    /// Says the same of a reply that ends with this text.
    pub fn admit_whole(&self, reply: &str) -> bool {
        match begun(reply) {
            Some((sql, _)) => Reader::new(self, &Pieces::of(sql), true).admits(),
            None => true,
        }
    }
}
