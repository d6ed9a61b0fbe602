//! Answers SQLite's question "may this be done?" for every table, column and function that a text resolves to. Asks
//! [`VisibleSchema`] alone; never looks at the name of the view or common table expression through which something is
//! reached, because a text can choose that name.
//!
//! SQLite does not ask about everything: the columns of `JOIN ... USING` and of NATURAL joins are read without a
//! question, and a table of which no column is wanted is asked about by the name that stands in the text, which may be
//! that of a common table expression. What the finished program opens is therefore checked as well, in
//! [`super::program`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::policy::VisibleSchema;
use engine::schema::TableKind;
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// The first thing that was denied in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denial {
    /// Something other than reading.
    Write(String),
    /// A table or column that is hidden, internal or both. An empty column stands for the table as such.
    Hidden { table: String, column: String },
    /// A function outside the allow-list.
    Function(String),
}

/// On whose behalf SQLite prepares a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Ours: the schema, the pragmas, connecting a virtual table.
    Own,
    /// The text in question.
    Asked,
    /// Nobody's: while the text runs, virtual tables prepare statements over their shadow tables.
    Running,
}

struct Ruling {
    phase: Phase,
    visible: Option<Arc<VisibleSchema>>,
    /// Table-valued functions that no table of the file has taken the name of.
    table_functions: Vec<&'static str>,
    denial: Option<Denial>,
}

/// The authorizer of one connection, installed once: to exchange it would expire the statement being run.
pub(super) struct Authorizer {
    ruling: Arc<Mutex<Ruling>>,
}

impl Authorizer {
    /// Puts an authorizer on `connection` that allows everything until [`Authorizer::ask`].
    pub(super) fn install(connection: &Connection) -> rusqlite::Result<Self> {
        let ruling = Arc::new(Mutex::new(Ruling {
            phase: Phase::Own,
            visible: None,
            table_functions: Vec::new(),
            denial: None,
        }));
        let shared = ruling.clone();
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            lock(&shared).rule(&context)
        }))?;
        Ok(Self { ruling })
    }

    /// From here on, statements are judged by what is visible.
    pub(super) fn ask(&self, visible: &Arc<VisibleSchema>, table_functions: &[&'static str]) {
        let mut ruling = lock(&self.ruling);
        ruling.phase = Phase::Asked;
        ruling.visible = Some(visible.clone());
        ruling.table_functions = table_functions.to_vec();
        ruling.denial = None;
    }

    /// The statement has been prepared; only virtual tables prepare from here on.
    ///
    /// Should SQLite prepare the text again, it meets the same rules and more: whatever this phase adds was refused
    /// in the phase before, and neither text nor schema can change in between.
    pub(super) fn run(&self) {
        lock(&self.ruling).phase = Phase::Running;
    }

    /// What is prepared from here on is ours.
    pub(super) fn own(&self) {
        lock(&self.ruling).phase = Phase::Own;
    }

    /// Returns what was denied since [`Authorizer::ask`].
    pub(super) fn denial(&self) -> Option<Denial> {
        lock(&self.ruling).denial.clone()
    }
}

fn lock(ruling: &Mutex<Ruling>) -> MutexGuard<'_, Ruling> {
    ruling.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ruling {
    fn rule(&mut self, context: &AuthContext<'_>) -> Authorization {
        if self.phase == Phase::Own {
            return Authorization::Allow;
        }
        let denial = match context.action {
            AuthAction::Select | AuthAction::Recursive => return Authorization::Allow,
            AuthAction::Read {
                table_name,
                column_name,
            } => {
                if self.may_read(table_name, column_name, context.database_name) {
                    return Authorization::Allow;
                }
                Denial::Hidden {
                    table: table_name.to_owned(),
                    column: column_name.to_owned(),
                }
            }
            AuthAction::Function { function_name } => {
                if is_allowed_function(function_name) {
                    return Authorization::Allow;
                }
                Denial::Function(function_name.to_owned())
            }
            // Full-text tables ask whether the file has changed under them.
            AuthAction::Pragma {
                pragma_name: "data_version",
                pragma_value: None,
            } if self.phase == Phase::Running => return Authorization::Allow,
            ref action => Denial::Write(format!("{action:?}")),
        };
        self.denial.get_or_insert(denial);
        Authorization::Deny
    }

    fn may_read(&self, table: &str, column: &str, database: Option<&str>) -> bool {
        let Some(visible) = &self.visible else {
            return false;
        };
        // "temp" holds nothing but SQLite's own schema table: nobody can create anything in it.
        if database.is_some_and(|database| database != "main") {
            return false;
        }
        // Asked about a whole table by the name in the text, which may belong to a common table expression and then
        // means no table at all. What it means stands in the program.
        if column.is_empty() && database.is_none() {
            return true;
        }
        if let Some(known) = visible.table(table) {
            // The columns that a virtual table hides are its arguments and its rank, not data of its own.
            return visible.may_read(table, column)
                || (known.kind == TableKind::Virtual && !visible.has_hidden_columns(table));
        }
        let is_table_function = self
            .table_functions
            .iter()
            .any(|function| function.eq_ignore_ascii_case(table));
        is_table_function || (self.phase == Phase::Running && is_shadow(visible, table))
    }
}

/// Says whether `table` has the name of a shadow table of a virtual table that is visible wholly.
fn is_shadow(visible: &VisibleSchema, table: &str) -> bool {
    table
        .char_indices()
        .filter(|&(_, character)| character == '_')
        .filter_map(|(index, _)| visible.table(&table[..index]))
        .any(|owner| owner.kind == TableKind::Virtual && !visible.has_hidden_columns(&owner.name))
}

/// Says whether a text may call this function: the guard's list, and the operators and words that are functions to
/// SQLite and not to the guard's grammar.
fn is_allowed_function(name: &str) -> bool {
    const OPERATORS: [&str; 6] = [
        "->",
        "->>",
        "match",
        "current_date",
        "current_time",
        "current_timestamp",
    ];
    engine::guard::is_allowed_function(name)
        || OPERATORS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_may_be_used_and_other_functions_may_not() {
        for name in ["COUNT", "->>", "like", "CURRENT_DATE"] {
            assert!(is_allowed_function(name), "{name}");
        }
        for name in ["load_extension", "zeroblob", "", "sqlite_version"] {
            assert!(!is_allowed_function(name), "{name}");
        }
    }
}
