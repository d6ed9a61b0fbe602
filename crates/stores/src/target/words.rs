//! Reads the words of an SQL text, no more: enough to say what a text that was stopped wanted to be. Nothing is ever
//! allowed because of what stands here.

/// Says whether the first word begins a statement that changes something.
pub(super) fn begins_a_write(text: &str) -> bool {
    const WRITING: [&str; 20] = [
        "ALTER", "ANALYZE", "ATTACH", "BEGIN", "COMMIT", "CREATE", "DELETE", "DETACH", "DROP", "END", "INSERT", "PRAGMA",
        "REINDEX", "RELEASE", "REPLACE", "ROLLBACK", "SAVEPOINT", "TRUNCATE", "UPDATE", "VACUUM",
    ];
    Words { rest: text }
        .next()
        .is_some_and(|word| WRITING.iter().any(|writing| writing.eq_ignore_ascii_case(word)))
}

/// Says whether `name` is one of the words or quoted names of the text, without regard to ASCII case.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    text.to_ascii_lowercase().contains(&name.to_ascii_lowercase())
}

/// The words of a text, comments left out.
struct Words<'t> {
    rest: &'t str,
}

impl<'t> Iterator for Words<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        loop {
            let text = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == ';');
            if let Some(comment) = text.strip_prefix("--") {
                self.rest = comment.split_once('\n')?.1;
            } else if let Some(comment) = text.strip_prefix("/*") {
                self.rest = comment.split_once("*/")?.1;
            } else {
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                let first_char = text.chars().next()?;
                let end = match text.find(|c: char| !is_word(c)) {
                    Some(0) => first_char.len_utf8(),
                    Some(end) => end,
                    None => text.len(),
                };
                let (word, rest) = text.split_at(end);
                self.rest = rest;
                return Some(word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_known_by_its_first_word() {
        for text in ["insert into t values (1)", " -- SELECT\n/* SELECT */ DROP TABLE t", ";;Vacuum INTO 'x'"] {
            assert!(begins_a_write(text), "{text}");
        }
        for text in ["SELECT 1", "WITH x AS (SELECT 1) SELECT * FROM x", "", "-- DROP", "updates"] {
            assert!(!begins_a_write(text), "{text}");
        }
    }
}
