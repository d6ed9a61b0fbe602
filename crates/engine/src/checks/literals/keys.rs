//! Keys compared with the name of what they stand for.

use super::{Comparison, Edit, Operation, folded, is_category, written};
use crate::checks::Subject;
use crate::checks::asked::label_of;
use crate::guard::quoted;

/// Reports a foreign key compared with a text that it cannot be, while the table that it refers to has a label.
///
/// The replacement asks for the keys of the rows whose label is that text. The condition was never true, so no row that
/// was found is lost; it is made only if the text was found among the labels, or if the key holds numbers only.
pub(super) fn compared_with_a_name(
    subject: &Subject<'_>,
    comparison: &Comparison<'_>,
) -> Option<(String, Option<Edit>)> {
    let column = comparison.column;
    let text = comparison.text.as_str();
    let is_plain = matches!(
        comparison.condition,
        sqlite3_parser::ast::Expr::Binary(_, sqlite3_parser::ast::Operator::Equals, _)
    );
    if comparison.operation != Operation::Equal || !is_plain || !text.contains(char::is_alphabetic)
    {
        return None;
    }
    let mut keys =
        comparison.table.foreign_keys.iter().filter(
            |key| matches!(&key.columns[..], [own] if own.eq_ignore_ascii_case(&column.name)),
        );
    let key = keys.next()?;
    let [referred] = &key.referenced[..] else {
        return None;
    };
    let parent = subject.evidence.visible.table(&key.table)?;
    let label = label_of(parent)?;
    if label.name.eq_ignore_ascii_case(referred) || column.samples.iter().any(|value| value == text)
    {
        return None;
    }
    let holds_numbers = column.declared_type.to_ascii_uppercase().contains("INT")
        && column
            .samples
            .iter()
            .all(|value| value.parse::<i64>().is_ok());
    let told = subject.evidence.stored.iter().find(|value| {
        value.table.eq_ignore_ascii_case(&parent.name)
            && value.column.eq_ignore_ascii_case(&label.name)
            && (folded(&value.value) == folded(text) || folded(&value.words) == folded(text))
    });
    let listed = label
        .samples
        .iter()
        .find(|value| folded(value) == folded(text));
    let is_code = is_category(column) || holds_numbers;
    let name = match (told, listed) {
        (Some(value), _) if is_code => value.value.as_str(),
        (None, Some(value)) if is_code => value.as_str(),
        (None, None) if holds_numbers => text,
        _ => return None,
    };
    let printed = &subject.statement.printed;
    let compared = printed.span(comparison.compared)?;
    let whole = printed.span(comparison.condition)?;
    let message = format!(
        "{}.{} is a key and never is {}; compare {}.{} with it",
        comparison.table.name,
        column.name,
        written(text),
        parent.name,
        label.name
    );
    let new = format!(
        "{} IN (SELECT {} FROM {} WHERE {} = {})",
        printed.text_of(compared),
        quoted(referred),
        quoted(&parent.name),
        quoted(&label.name),
        written(name)
    );
    Some((message, Some((whole, new))))
}
