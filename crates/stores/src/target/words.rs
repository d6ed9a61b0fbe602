//! Reads the words of an SQL text, no more: enough to say what a text that was stopped wanted to be. Nothing is ever
//! allowed because of what stands here.

/// Says whether the first word begins a statement that changes something.
pub(super) fn begins_a_write(text: &str) -> bool {
    is_writing(first_word(text))
}

/// Says whether `word` begins a statement that changes something.
pub(super) fn is_writing(word: &str) -> bool {
    const WRITING: [&str; 20] = [
        "ALTER",
        "ANALYZE",
        "ATTACH",
        "BEGIN",
        "COMMIT",
        "CREATE",
        "DELETE",
        "DETACH",
        "DROP",
        "END",
        "INSERT",
        "PRAGMA",
        "REINDEX",
        "RELEASE",
        "REPLACE",
        "ROLLBACK",
        "SAVEPOINT",
        "TRUNCATE",
        "UPDATE",
        "VACUUM",
    ];
    WRITING
        .iter()
        .any(|writing| writing.eq_ignore_ascii_case(word))
}

/// Returns the first word of a text, comments and empty statements aside.
fn first_word(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == ';');
        let after_comment = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n')
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/")
        } else {
            break;
        };
        rest = after_comment.map_or("", |(_, after)| after);
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    &rest[..end.unwrap_or(rest.len())]
}

/// Returns how deep the parentheses of a text are nested, those in quotes and comments aside.
pub(super) fn nesting(text: &str) -> usize {
    let mut bytes = text.bytes().peekable();
    let (mut depth, mut deepest) = (0_usize, 0);
    while let Some(byte) = bytes.next() {
        // A doubled quote ends one string and begins the next, which comes to the same.
        match (byte, bytes.peek()) {
            (b'(', _) => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (b')', _) => depth = depth.saturating_sub(1),
            (b'\'' | b'"' | b'`', _) => {
                bytes.find(|&next| next == byte);
            }
            (b'[', _) => {
                bytes.find(|&next| next == b']');
            }
            (b'-', Some(b'-')) => {
                bytes.find(|&next| next == b'\n');
            }
            (b'/', Some(b'*')) => {
                bytes.next();
                let mut last = b' ';
                bytes.find(|&next| std::mem::replace(&mut last, next) == b'*' && next == b'/');
            }
            _ => {}
        }
    }
    deepest
}

/// Says whether `name` occurs in a text, without regard to ASCII case.
pub(super) fn mentions(text: &str, name: &str) -> bool {
    text.to_ascii_lowercase()
        .contains(&name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parentheses_that_count_are_counted() {
        for (text, depth) in [
            ("SELECT 1", 0),
            ("SELECT ((1)), (2)", 2),
            ("SELECT (')))' || \"))\" || `)` || [)] || (1))", 2),
            ("SELECT (1 -- )))\n, (2))", 2),
            ("SELECT (/* ))*) **/ (1 / 2))", 2),
            ("SELECT 'it''s)' , (('('))", 2),
            ("((( '", 3),
        ] {
            assert_eq!(nesting(text), depth, "{text}");
        }
    }

    #[test]
    fn a_write_is_known_by_its_first_word() {
        for text in [
            "insert into t values (1)",
            " -- SELECT\n/* SELECT */ DROP TABLE t",
            ";;Vacuum INTO 'x'",
        ] {
            assert!(begins_a_write(text), "{text}");
        }
        for text in [
            "SELECT 1",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "",
            "-- DROP",
            "updates",
        ] {
            assert!(!begins_a_write(text), "{text}");
        }
    }
}
