//! The reading of a reply: whole, or as far as it is written.

use crate::error::{Code, Error};

const FENCE: &str = "```";

/// SQL as a model or a person wrote it: untrusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedSql(String);

impl GeneratedSql {
    /// Takes text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Finds the SQL in a model's reply: the first fenced block, else the text from the first line that begins like a
    /// statement.
    ///
    /// # Errors
    ///
    /// [`Code::GeneratorGaveNoSql`] if there is none.
    pub fn from_reply(reply: &str) -> Result<Self, Error> {
        let text = match reply.split_once(FENCE) {
            Some((_, after)) => {
                let body = after.split(FENCE).next().unwrap_or(after);
                let body = body.trim_start();
                strip_label(body).trim()
            }
            None => from_first_statement(reply).trim(),
        };
        if text.is_empty() {
            return Err(Error::new(
                Code::GeneratorGaveNoSql,
                "the reply holds no SQL statement",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Drops the language label of a fenced block.
fn strip_label(body: &str) -> &str {
    for label in ["sqlite", "sql"] {
        if let Some(head) = body.get(..label.len())
            && head.eq_ignore_ascii_case(label)
            && body[label.len()..].starts_with(char::is_whitespace)
        {
            return &body[label.len()..];
        }
    }
    body
}

fn from_first_statement(reply: &str) -> &str {
    const BEGINNINGS: [&str; 14] = [
        "select", "with", "values", "insert", "update", "delete", "replace", "create", "drop",
        "alter", "pragma", "attach", "vacuum", "explain",
    ];
    let mut start = 0;
    for line in reply.split_inclusive('\n') {
        let word = line
            .trim_start()
            .split(|c: char| !c.is_ascii_alphabetic())
            .next()
            .unwrap_or("");
        if BEGINNINGS
            .iter()
            .any(|begin| begin.eq_ignore_ascii_case(word))
        {
            return &reply[start..];
        }
        start += line.len();
    }
    ""
}

/// Returns the statement of a reply that is not finished, as far as it is written, and whether its code block is closed;
/// `None` if the reply is, so far, something else.
pub fn begun(reply: &str) -> Option<(&str, bool)> {
    let Some((_, block)) = reply.split_once(FENCE) else {
        let sql = reply.trim_start();
        let begins = |word: &str| {
            sql.get(..word.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
        };
        return (begins("select ") || begins("with ")).then_some((sql, false));
    };
    let (_, sql) = block.split_once('\n')?;
    // No line of a statement begins like the end of its block.
    let end = sql.find("\n`").or_else(|| sql.find(FENCE));
    Some((&sql[..end.unwrap_or(sql.len())], end.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_found_in_a_reply() {
        let found =
            |reply: &str| GeneratedSql::from_reply(reply).map(|sql| sql.as_str().to_owned());
        for (reply, sql) in [
            ("```sql\nSELECT 1;\n```", "SELECT 1;"),
            ("Sure:\n```\nSELECT 1\n```\nIt counts.", "SELECT 1"),
            ("```SQL\nSELECT 1", "SELECT 1"),
            ("SELECT 1\nFROM t", "SELECT 1\nFROM t"),
            (
                "Here it is:\n  WITH a AS (SELECT 1) SELECT * FROM a",
                "WITH a AS (SELECT 1) SELECT * FROM a",
            ),
            ("DROP TABLE t", "DROP TABLE t"),
            ("```sqlite\nSELECT 2\n```", "SELECT 2"),
        ] {
            assert_eq!(found(reply).as_deref(), Ok(sql), "{reply}");
        }
        for reply in ["", "I cannot answer that.", "```sql\n```"] {
            assert_eq!(
                found(reply).map_err(|error| error.code()),
                Err(Code::GeneratorGaveNoSql),
                "{reply}"
            );
        }
    }

    #[test]
    fn a_statement_is_found_as_far_as_it_is_written() {
        for (reply, expected) in [
            ("", None),
            ("``", None),
            ("```sq", None),
            ("I cannot", None),
            ("SELECT", None),
            ("```sql\n", Some(("", false))),
            (" select 1", Some(("select 1", false))),
            ("```sql\nSELECT `a", Some(("SELECT `a", false))),
            ("Here:\n```\nSELECT 1\n`", Some(("SELECT 1", true))),
            ("```sql\nSELECT 1;```\nIt counts", Some(("SELECT 1;", true))),
        ] {
            assert_eq!(begun(reply), expected, "{reply}");
        }
    }
}
