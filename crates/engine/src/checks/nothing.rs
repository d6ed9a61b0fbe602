//! What to say where no row matches: which condition is the likely reason.

use super::literals::{Comparison, Operation, comparisons, is_category, written};
use super::{Finding, FindingKind, Subject};
use crate::result::{ResultSet, Value};

/// The shortest text that is looked for inside longer ones, in characters.
const MIN_PART: usize = 3;

/// Says whether there is no answer in the rows: none, or one of an aggregate over none.
pub(crate) fn is_nothing(rows: &ResultSet) -> bool {
    match &rows.rows[..] {
        [] => true,
        [row] => row
            .iter()
            .all(|value| matches!(value, Value::Null | Value::Integer(0))),
        _ => false,
    }
}

/// Names the conditions that no known value fulfils.
///
/// The rewrite looks for the literal inside longer texts. It can only add rows to none, so nothing that was found is
/// lost; it is made only where the column may hold longer texts, and for every doubtful literal at once, since each
/// alone may leave the result empty.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let all = comparisons(&subject.statement);
    let doubtful: Vec<&Comparison<'_>> = all
        .iter()
        .filter(|comparison| matches!(comparison.operation, Operation::Equal | Operation::In))
        .filter(|comparison| !is_stored(subject, comparison))
        .collect();
    if doubtful.is_empty() {
        return;
    }
    let named: Vec<String> = doubtful
        .iter()
        .take(3)
        .map(|comparison| {
            format!(
                "{}.{} = {}",
                comparison.table.name,
                comparison.column.name,
                written(&comparison.text)
            )
        })
        .collect();
    let printed = &subject.statement.printed;
    let mut edits = Vec::new();
    for comparison in &doubtful {
        if may_be_part(comparison)
            && let (Some(whole), Some(compared)) = (
                printed.span(comparison.condition),
                printed.span(comparison.compared),
            )
        {
            let pattern = written(&format!("%{}%", comparison.text));
            edits.push((
                whole,
                format!("{} LIKE {pattern}", printed.text_of(compared)),
            ));
        }
    }
    findings.push(Finding::new(
        FindingKind::NoRows,
        format!(
            "no row matches, likely because of {}; compare with a value that the column has",
            named.join(" and ")
        ),
        (!edits.is_empty()).then(|| printed.with(&edits)),
    ));
}

/// Says whether a literal is known to be a value of its column.
fn is_stored(subject: &Subject<'_>, comparison: &Comparison<'_>) -> bool {
    let is_it = |value: &str| value == comparison.text;
    comparison.column.samples.iter().any(|value| is_it(value))
        || subject.evidence.stored.iter().any(|value| {
            value.table.eq_ignore_ascii_case(&comparison.table.name)
                && value.column.eq_ignore_ascii_case(&comparison.column.name)
                && is_it(&value.value)
        })
}

/// Says whether a literal may be a part of what its column holds.
fn may_be_part(comparison: &Comparison<'_>) -> bool {
    let length = comparison.text.chars().count();
    let holds_longer = comparison
        .column
        .samples
        .iter()
        .any(|sample| sample.chars().count() > length);
    comparison.operation == Operation::Equal
        && matches!(
            comparison.condition,
            sqlite3_parser::ast::Expr::Binary(_, sqlite3_parser::ast::Operator::Equals, _)
        )
        && length >= MIN_PART
        && comparison.text.contains(char::is_alphabetic)
        && !comparison.text.contains(['%', '_'])
        && !is_category(comparison.column)
        && (holds_longer || comparison.column.samples.is_empty())
}
