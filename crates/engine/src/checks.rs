//! Says what is suspicious about SQL that the guard has accepted: it runs, and may yet answer another question than the
//! one that was asked. Never executes anything and never refuses; the caller decides what to do about a finding.
//!
//! A finding carries the statement without the fault only where that is certain enough to try. What a rewrite does is
//! said where it is made, with the reason why it does not change what is asked. A rewrite is generated SQL like any
//! other and goes through the guard again.

mod asked;
mod division;
mod entities;
mod joins;
mod labels;
mod literals;
mod nothing;
pub(crate) mod printing;
mod sense;
mod shape;
mod statement;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use sqlite3_parser::Bump;
use sqlite3_parser::ast::{Cmd, Stmt};
use utoipa::ToSchema;

use crate::guard::{GuardedSql, guard, parse};
use crate::policy::VisibleSchema;
use crate::ports::StoredValue;
use crate::prompt::GeneratedSql;
use crate::result::ResultSet;
use asked::Asked;
pub(crate) use nothing::is_nothing;
use statement::Statement;

/// The longest statement that is looked at, in bytes. The answer to a person's question is a tenth of it.
const MAX_BYTES: usize = 8 * 1024;

/// What is suspicious about one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub kind: FindingKind,
    /// For the model and the person: what is suspicious and what to do; lower case, no full stop.
    pub message: String,
    /// The statement without it, where that is certain enough to try; the guard accepts it.
    pub rewrite: Option<GeneratedSql>,
}

/// The kinds of what can be suspicious.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A table is joined of which nothing is used.
    UnusedJoin,
    /// A key stands in the result where what it stands for is asked for.
    KeyInsteadOfName,
    /// A condition compares with a text that neither the question nor the data has.
    InventedLiteral,
    /// A condition compares a column with a text that is not among its values.
    LiteralNotStored,
    /// A quoted text or a number of the question is nowhere in the SQL.
    LiteralMissing,
    /// An aggregate counts rows several times, because of a join.
    FanOut,
    /// A ratio of whole numbers, cut off to a whole number.
    WholeNumberDivision,
    /// A subquery behind IN gives a column of the query around it.
    OuterColumn,
    /// A table in FROM is tied to no other.
    UnjoinedTable,
    /// The question names a table that the SQL does not read.
    TableNotRead,
    /// Rows are sorted the other way round than is asked for.
    WrongOrder,
    /// The result has another shape than what is asked for.
    Shape,
    /// No row matches.
    NoRows,
}

impl FindingKind {
    /// Returns the kind as it stands in answers and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::UnusedJoin => "unused_join",
            FindingKind::KeyInsteadOfName => "key_instead_of_name",
            FindingKind::InventedLiteral => "invented_literal",
            FindingKind::LiteralNotStored => "literal_not_stored",
            FindingKind::LiteralMissing => "literal_missing",
            FindingKind::FanOut => "fan_out",
            FindingKind::WholeNumberDivision => "whole_number_division",
            FindingKind::OuterColumn => "outer_column",
            FindingKind::UnjoinedTable => "unjoined_table",
            FindingKind::TableNotRead => "table_not_read",
            FindingKind::WrongOrder => "wrong_order",
            FindingKind::Shape => "shape",
            FindingKind::NoRows => "no_rows",
        }
    }
}

/// What a statement is held against.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The question as it was asked.
    pub question: &'a str,
    /// What else was told with it: definitions of business terms; empty if nothing. Its words support a literal, but
    /// nobody asks for what it says.
    pub note: &'a str,
    /// What the actor may name.
    pub visible: &'a VisibleSchema,
    /// The values of the question that were found in the data.
    pub stored: &'a [StoredValue],
}

/// All that a check looks at.
struct Subject<'a> {
    statement: Statement<'a>,
    evidence: &'a Evidence<'a>,
    asked: Asked,
}

/// Returns what is suspicious about a statement before it runs, the surest findings first. A rewrite takes away its own
/// finding only: after trying one, guard and check again.
pub fn check(sql: &GuardedSql, evidence: &Evidence<'_>) -> Vec<Finding> {
    looked_at(sql, evidence, |subject, findings| {
        sense::check(subject, findings);
        joins::check_unused(subject, findings);
        labels::check(subject, findings);
        division::check(subject, findings);
        joins::check_fan_out(subject, findings);
        literals::check(subject, findings);
        entities::check(subject, findings);
        shape::check(subject, findings);
    })
}

/// Returns what is suspicious about the rows of a statement: their shape, or that there are none.
pub fn check_result(sql: &GuardedSql, evidence: &Evidence<'_>, rows: &ResultSet) -> Vec<Finding> {
    looked_at(sql, evidence, |subject, findings| {
        if is_nothing(rows) {
            nothing::check(subject, findings);
        } else {
            shape::check_rows(subject, rows, findings);
        }
    })
}

fn looked_at(
    sql: &GuardedSql,
    evidence: &Evidence<'_>,
    look: impl FnOnce(&Subject<'_>, &mut Vec<Finding>),
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if sql.text().len() > MAX_BYTES {
        return findings;
    }
    let arena = Bump::new();
    // What PRAGMA and the schema tables answer was not asked of the data.
    let Ok(Cmd::Stmt(Stmt::Select(select))) = parse(sql.text(), &arena) else {
        return findings;
    };
    if sql.tables().is_empty() {
        return findings;
    }
    let subject = Subject {
        statement: Statement::of(select, evidence.visible),
        evidence,
        asked: Asked::of(evidence.question),
    };
    look(&subject, &mut findings);
    for finding in &mut findings {
        let is_kept = |rewrite: &GeneratedSql| {
            subject.statement.is_printable
                && rewrite.as_str() != sql.text()
                && guard(rewrite, sql.visible()).is_ok()
        };
        finding.rewrite = finding.rewrite.take().filter(is_kept);
    }
    findings
}

impl Finding {
    fn new(kind: FindingKind, message: impl Into<String>, rewrite: Option<GeneratedSql>) -> Self {
        Self {
            kind,
            message: message.into(),
            rewrite,
        }
    }
}
