//! Slips of a model that have one certain correction, corrected without asking it again: a column on the alias of the
//! wrong table, text in double quotes, `SELECT TOP n`. What comes out goes through the guard like any other text.

use crate::error::{Code, Error};
use crate::prompt::GeneratedSql;

/// How many slips of one text are corrected; each takes one more run of the guard, some microseconds.
pub const MAX_MENDS: usize = 8;

/// Returns `sql` without the slip that `fault` is about, or `None` if the slip has no certain correction.
pub fn mend(sql: &GeneratedSql, fault: &Error) -> Option<GeneratedSql> {
    let text = sql.as_str();
    let mended = match fault.correction() {
        Some((wrong, right)) => replace_outside_literals(text, wrong, right),
        None if fault.code() == Code::InvalidSql => top_to_limit(text),
        None => None,
    };
    mended.map(GeneratedSql::new)
}

/// Replaces `wrong` wherever it stands as whole words outside text literals, without regard to ASCII case.
fn replace_outside_literals(text: &str, wrong: &str, right: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut found = false;
    let mut rest = text;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while let Some(first) = rest.chars().next() {
        let before_is_word = out
            .chars()
            .next_back()
            .is_some_and(|c| is_word(c) || c == '.');
        let starts_word = !wrong.starts_with(is_word) || !before_is_word;
        if starts_word
            && let Some(head) = rest.get(..wrong.len())
            && head.eq_ignore_ascii_case(wrong)
            && !(wrong.ends_with(is_word) && rest[wrong.len()..].starts_with(is_word))
        {
            out.push_str(right);
            rest = &rest[wrong.len()..];
            found = true;
            continue;
        }
        // A doubled quote inside a literal ends it and begins the next, which comes to the same.
        let length = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            _ => first.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    found.then_some(out)
}

/// Moves `TOP n` of the outermost SELECT, which other databases have, to a `LIMIT n` at its end.
fn top_to_limit(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let mut words = text.split_whitespace();
    let select = words
        .next()
        .filter(|word| word.eq_ignore_ascii_case("select"))?;
    let mut word = words.next()?;
    let distinct = word.eq_ignore_ascii_case("distinct");
    if distinct {
        word = words.next()?;
    }
    if !word.eq_ignore_ascii_case("top") {
        return None;
    }
    let count = words.next()?;
    let digits = count.trim_start_matches('(').trim_end_matches(')');
    digits.parse::<u32>().ok()?;
    let has_limit = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case("limit"));
    if has_limit {
        return None;
    }
    // Both words were split off `text`, so they stand in it in this order.
    let after_top = &text[text.find(word)? + word.len()..];
    let rest = &after_top[after_top.find(count)? + count.len()..];
    let distinct = if distinct { " DISTINCT" } else { "" };
    Some(format!("{select}{distinct}{rest} LIMIT {digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, fault: Error, expected: Option<&str>) {
        let mended = mend(&GeneratedSql::new(sql), &fault);
        assert_eq!(mended.as_ref().map(GeneratedSql::as_str), expected, "{sql}");
    }

    #[test]
    fn a_column_moves_to_the_alias_that_has_it() {
        let fault = || {
            Error::new(Code::UnknownColumn, "no such column: T2.name")
                .with_correction("T2.name", "T1.name")
        };
        check(
            "SELECT t2.name, T2.names, AT2.name FROM a AS T1 JOIN b AS T2 WHERE x = 'T2.name'",
            fault(),
            Some(
                "SELECT T1.name, T2.names, AT2.name FROM a AS T1 JOIN b AS T2 WHERE x = 'T2.name'",
            ),
        );
        check("SELECT 1", fault(), None);
    }

    #[test]
    fn text_in_double_quotes_becomes_text() {
        let fault = Error::new(Code::DoubleQuotedString, "no such column")
            .with_correction("\"it's\"", "'it''s'");
        check(
            "SELECT 1 FROM t WHERE a = \"it's\"",
            fault,
            Some("SELECT 1 FROM t WHERE a = 'it''s'"),
        );
    }

    #[test]
    fn top_becomes_limit() {
        let fault = || Error::new(Code::InvalidSql, "near \"5\": syntax error");
        check(
            "SELECT TOP 5 a, TOP FROM t ORDER BY a DESC;",
            fault(),
            Some("SELECT a, TOP FROM t ORDER BY a DESC LIMIT 5"),
        );
        check(
            "select distinct top (3) a FROM t",
            fault(),
            Some("select DISTINCT a FROM t LIMIT 3"),
        );
        check("SELECT TOP 5 a FROM t LIMIT 3", fault(), None);
        check("SELECT a FROM t WHERE", fault(), None);
        check("SELECT TOP many FROM t", fault(), None);
    }
}
