//! Decides whether generated SQL may run. Never executes anything.

use std::sync::Arc;

use crate::error::{Code, Error};
use crate::policy::VisibleSchema;
use crate::prompt::GeneratedSql;

/// SQL that the guard accepted, with the visible schema it was accepted under. Only [`guard`] makes one.
#[derive(Debug, Clone)]
pub struct GuardedSql {
    text: String,
    tables: Vec<String>,
    visible: Arc<VisibleSchema>,
}

impl GuardedSql {
    /// Returns the text to run.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the tables and views that it reads, in order of first mention, each once.
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// Returns the visible schema it was accepted under.
    pub fn visible(&self) -> &Arc<VisibleSchema> {
        &self.visible
    }
}

/// Accepts one SELECT over visible names and known functions, or says why not.
///
/// # Errors
///
/// [`Code::InvalidSql`] and the codes of kind `Refused` that begin with it in [`Code`].
pub fn guard(sql: &GeneratedSql, visible: &Arc<VisibleSchema>) -> Result<GuardedSql, Error> {
    let _ = (sql, visible);
    Err(Error::new(Code::InvalidSql, "the guard is being written"))
}
