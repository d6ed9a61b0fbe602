//! Execution accuracy: whether predicted rows are the gold rows, and what a share of right answers says. Pure functions
//! over results; running anything is somebody else's business.

mod rows;
pub mod statistics;

use std::fmt;

use bumpalo::Bump;
use serde::{Deserialize, Serialize};
use sqlite3_parser::FallibleIterator as _;
use sqlite3_parser::ast::{Cmd, Stmt};
use sqlite3_parser::lexer::sql::Parser;

use crate::error::{Code, Error};
use crate::result::ResultSet;
use rows::Tables;

/// Two numbers are the same when they differ by at most this much, or by this share of the larger one.
///
/// Whole numbers are never the same as other whole numbers, however large. Being near is made an equivalence by
/// grouping all numbers of both results, in order: a group holds what is near its smallest member. So of three reals
/// each near the next, the third may fall into another group than the first two.
pub const TOLERANCE: f64 = 1e-6;

/// What two rules say about one prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Right by the test-suite rule: the same bag of rows under some permutation of columns, and in the same order
    /// where the gold SQL orders.
    pub test_suite: bool,
    /// Right by BIRD's rule: the same set of rows, columns in order.
    pub bird: bool,
    /// The first thing that differs under the test-suite rule; `None` exactly when `test_suite` is true.
    pub difference: Option<Difference>,
}

/// Why a prediction is wrong by the test-suite rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// One of the results was cut off at a cap, so that nothing can be said; counted as wrong.
    Truncated,
    /// Another number of rows.
    RowCount,
    /// Another number of columns.
    ColumnCount,
    /// As many rows and columns, but no permutation of columns makes them the same bag.
    Values,
    /// The same bag of rows in an order that the gold SQL does not give.
    Order,
    /// So many columns look alike that no permutation was found within the bound on the search; counted as wrong.
    Undecided,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Difference::Truncated => "the result was cut off",
            Difference::RowCount => "another number of rows",
            Difference::ColumnCount => "another number of columns",
            Difference::Values => "other values",
            Difference::Order => "the same rows in another order",
            Difference::Undecided => "too many columns that look alike",
        })
    }
}

/// Compares predicted rows with gold rows by both rules. `gold_orders` is what [`orders_rows`] says of the gold SQL.
///
/// Two empty results are the same under both rules, whatever their columns. NULL is NULL only; text and bytes are
/// compared exactly; a number is never a text. Column names do not count.
///
/// Source: Spider's test-suite `exec_eval.py` (`result_eq`, DISTINCT kept) and BIRD's `evaluation_ex.py`. Both compare
/// numbers exactly; here [`TOLERANCE`] holds under both rules. `exec_eval.py` has row order count wherever the gold SQL
/// holds the words ORDER BY, even within a subquery; here only an outermost ORDER BY counts.
pub fn judge(gold: &ResultSet, predicted: &ResultSet, gold_orders: bool) -> Verdict {
    if gold.truncated || predicted.truncated {
        return Verdict {
            test_suite: false,
            bird: false,
            difference: Some(Difference::Truncated),
        };
    }
    let tables = Tables::new(gold, predicted);
    let difference = tables.difference(gold_orders);
    Verdict {
        test_suite: difference.is_none(),
        bird: tables.same_set_of_rows(),
        difference,
    }
}

/// Says whether a statement has an outermost ORDER BY, so that the order of its rows means something.
///
/// # Errors
///
/// [`Code::InvalidSql`] if the text is not one SELECT that SQLite's grammar accepts.
pub fn orders_rows(sql: &str) -> Result<bool, Error> {
    let arena = Bump::new();
    let mut parser = Parser::new(&arena, sql.as_bytes());
    let refused = |message: String| Error::new(Code::InvalidSql, message);
    let command = parser
        .next()
        .map_err(|error| refused(format!("the gold SQL cannot be parsed: {error}")))?;
    let Some(Cmd::Stmt(Stmt::Select(select))) = command else {
        return Err(refused("the gold SQL is not a SELECT".to_owned()));
    };
    Ok(select.order_by.is_some())
}

#[cfg(test)]
mod tests;
