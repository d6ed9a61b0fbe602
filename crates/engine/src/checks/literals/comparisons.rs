//! Finds the conditions that compare a column with a text.

use sqlite3_parser::ast::{Expr, LikeOperator, Operator};

use crate::checks::statement::{Clause, Core, Statement, inside, literal_text, plain};
use crate::guard::decode;
use crate::schema::{Column, Table};

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checks) enum Operation {
    Equal,
    NotEqual,
    In,
    Like,
}

/// A column compared with a text literal.
pub(in crate::checks) struct Comparison<'a> {
    /// The number of its core.
    pub(in crate::checks) core: usize,
    pub(in crate::checks) table: &'a Table,
    pub(in crate::checks) column: &'a Column,
    /// The column as compared, with the functions around it.
    pub(in crate::checks) compared: &'a Expr<'a>,
    pub(in crate::checks) operation: Operation,
    /// `lower(column)`, or a collation, stands around it.
    pub(in crate::checks) ignores_case: bool,
    pub(in crate::checks) literal: &'a Expr<'a>,
    /// The text of the literal.
    pub(in crate::checks) text: String,
    /// The whole comparison.
    pub(in crate::checks) condition: &'a Expr<'a>,
}

/// Returns every comparison of a visible column with a text, in the order in which they stand.
pub(in crate::checks) fn comparisons<'a>(statement: &Statement<'a>) -> Vec<Comparison<'a>> {
    let mut found = Vec::new();
    for (number, core) in statement.cores.iter().enumerate() {
        for (clause, root) in &core.roots {
            if !matches!(clause, Clause::On(_) | Clause::Where | Clause::Having) {
                continue;
            }
            for expr in inside(root) {
                in_condition(core, number, expr, &mut found);
            }
        }
    }
    found
}

fn in_condition<'a>(
    core: &Core<'a>,
    number: usize,
    condition: &'a Expr<'a>,
    found: &mut Vec<Comparison<'a>>,
) {
    let mut add = |compared: &'a Expr<'a>, operation, literal: &'a Expr<'a>| {
        let Some(text) = literal_text(literal) else {
            return;
        };
        let (bare, ignores_case) = bare(compared);
        let Some((source, column)) = core.column_of(bare) else {
            return;
        };
        let Some(table) = core.sources[source].table else {
            return;
        };
        found.push(Comparison {
            core: number,
            table,
            column,
            compared,
            operation,
            ignores_case,
            literal,
            text,
            condition,
        });
    };
    match condition {
        Expr::Binary(left, operator, right) => {
            let operation = match operator {
                Operator::Equals | Operator::Is => Operation::Equal,
                Operator::NotEquals | Operator::IsNot => Operation::NotEqual,
                _ => return,
            };
            add(left, operation, right);
            add(right, operation, left);
        }
        Expr::InList { lhs, rhs, not } => {
            let operation = if *not {
                Operation::NotEqual
            } else {
                Operation::In
            };
            for literal in rhs.unwrap_or_default() {
                add(lhs, operation, literal);
            }
        }
        Expr::Like {
            lhs,
            op: LikeOperator::Like,
            rhs,
            ..
        } => add(lhs, Operation::Like, rhs),
        _ => {}
    }
}

/// Takes off what only evens out case and spaces, and says whether it does.
fn bare<'a>(expr: &'a Expr<'a>) -> (&'a Expr<'a>, bool) {
    match plain(expr) {
        Expr::FunctionCall {
            name,
            args: Some([inner]),
            ..
        } if ["lower", "upper", "trim"].contains(&decode(name.0).to_ascii_lowercase().as_str()) => {
            (bare(inner).0, true)
        }
        Expr::Collate(inner, _) => (bare(inner).0, true),
        other => (other, false),
    }
}

/// Says whether a column holds one of a few texts, all of which are known.
pub(in crate::checks) fn is_category(column: &Column) -> bool {
    let has_text = column
        .samples
        .iter()
        .any(|sample| sample.contains(char::is_alphabetic));
    has_text && super::knows_all(column)
}

/// Writes a text as a literal.
pub(in crate::checks) fn written(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
