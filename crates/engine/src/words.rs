//! Results in words. Every number in a sentence is a cell of the result or the count of its rows.

use crate::result::{ResultSet, Value};

/// Returns the result in one sentence.
pub fn sentence(result: &ResultSet) -> String {
    let rows = result.rows.len();
    match (result.rows.as_slice(), result.columns.as_slice()) {
        ([], _) => "No rows match.".to_owned(),
        ([row], columns) if columns.len() <= 6 => {
            let parts: Vec<String> = columns
                .iter()
                .zip(row)
                .map(
                    |(column, value)| match (is_a_name(&column.name), shown(value)) {
                        (true, value) => format!("{} is {value}", column.name.replace('_', " ")),
                        (false, value) => format!("the answer is {value}"),
                    },
                )
                .collect();
            let mut text = format!("{}.", parts.join(", "));
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            text
        }
        _ if result.truncated => format!("More than {rows} rows; the first {rows} are shown."),
        ([_], _) => "1 row.".to_owned(),
        _ => format!("{rows} rows."),
    }
}

/// A column named by its expression (`count(*)`) has no name that reads well.
fn is_a_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == ' ')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not known".to_owned(),
        other => {
            let text = other.to_text();
            match text.char_indices().nth(200) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::ResultColumn;

    fn check(columns: &[&str], rows: Vec<Vec<Value>>, truncated: bool, expected: &str) {
        let columns = columns
            .iter()
            .map(|name| ResultColumn {
                name: (*name).into(),
                kind: "integer".into(),
            })
            .collect();
        let result = ResultSet {
            columns,
            rows,
            truncated,
        };
        assert_eq!(sentence(&result), expected);
    }

    #[test]
    fn results_read_as_sentences() {
        let one = |number| vec![Value::Integer(number)];
        check(&["count(*)"], vec![one(122)], false, "The answer is 122.");
        check(
            &["order_count"],
            vec![one(122)],
            false,
            "Order count is 122.",
        );
        check(
            &["total"],
            vec![vec![Value::Null]],
            false,
            "Total is not known.",
        );
        check(&["n"], vec![], false, "No rows match.");
        check(&["n"], vec![one(1), one(2)], false, "2 rows.");
        check(
            &["n"],
            vec![one(1), one(2)],
            true,
            "More than 2 rows; the first 2 are shown.",
        );
        check(
            &["name", "total"],
            vec![vec![Value::Text("Ada".into()), Value::Real(1.5)]],
            false,
            "Name is Ada, total is 1.5.",
        );
    }
}
