//! What people wrote about columns in the statement that made their table: the comment on the line of its declaration.
//!
//! SQLite keeps the statement as it was written, comments and all (`sqlite_schema.sql`), and has no other place for a
//! description.

use engine::schema::Table;

/// Characters kept of a description.
const MAX_CHARS: usize = 200;

/// Gives each column of a table the first comment that stands on a line of its declaration, behind its name.
pub(super) fn describe(table: &mut Table) {
    let mut scan = Scan::default();
    let mut rest = table.ddl.as_str();
    while let Some(piece) = piece_of(rest) {
        let length = piece.len();
        if let Some((name, said)) = scan.next(piece) {
            let mut columns = table.columns.iter_mut();
            let column = columns.find(|column| column.name.eq_ignore_ascii_case(&name));
            if let Some(column) = column.filter(|column| column.description.is_none()) {
                column.description = Some(said).filter(|said| !said.is_empty());
            }
        }
        rest = &rest[length..];
    }
}

/// Where in a statement one is.
#[derive(Default)]
struct Scan {
    /// Open parentheses.
    depth: usize,
    /// The next name begins a declaration.
    begins: bool,
    /// Of what is declared on this line, the last.
    declared: Option<String>,
}

impl Scan {
    /// Goes on by a piece; returns what it says about whom, if it is a comment that says something.
    fn next(&mut self, piece: &str) -> Option<(String, String)> {
        let comment = piece.strip_prefix("--").or_else(|| {
            let inner = piece.strip_prefix("/*")?;
            Some(inner.strip_suffix("*/").unwrap_or(inner))
        });
        if let Some(text) = comment {
            let about = self.declared.clone();
            self.end_lines(piece);
            return about.map(|name| (name, one_line(text)));
        }
        match piece {
            "(" => {
                self.depth += 1;
                self.begins = self.depth == 1;
            }
            ")" => self.depth = self.depth.saturating_sub(1),
            "," => self.begins |= self.depth == 1,
            _ if piece.trim().is_empty() => {}
            _ if self.begins => {
                self.declared = Some(unquoted(piece));
                self.begins = false;
            }
            _ => {}
        }
        self.end_lines(piece);
        None
    }

    fn end_lines(&mut self, piece: &str) {
        if piece.contains('\n') {
            self.declared = None;
        }
    }
}

/// Returns the first piece of a statement: a comment, something quoted, a word, a run of space, or one other character.
/// What is opened and not closed goes on to the end.
fn piece_of(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let until = |end: &str, from: usize| {
        let found = text[from..].find(end);
        found.map_or(text.len(), |at| from + at + end.len())
    };
    let run = |is_in: fn(char) -> bool| text.find(|c| !is_in(c)).unwrap_or(text.len());
    let length = match first {
        // The end of the line is no part of the comment: it ends what is declared there.
        '-' if text.starts_with("--") => text.find('\n').unwrap_or(text.len()),
        '/' if text.starts_with("/*") => until("*/", 2),
        '\'' => until("'", 1),
        '"' => until("\"", 1),
        '`' => until("`", 1),
        '[' => until("]", 1),
        _ if first.is_whitespace() => run(char::is_whitespace),
        _ if is_of_a_word(first) => run(is_of_a_word),
        _ => first.len_utf8(),
    };
    Some(&text[..length])
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// Takes a name out of its quotes. A quote inside a name ends the piece, so that such a name is not found: it has no
/// description then.
fn unquoted(name: &str) -> String {
    let quotes = ['"', '\'', '`', '[', ']'];
    name.trim_matches(quotes).to_owned()
}

fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let line = line.trim_start_matches(['-', '*', ' ']);
    line.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use engine::schema::{Column, TableKind};

    use super::*;

    fn described(names: &[&str], ddl: &str) -> Vec<Option<String>> {
        let columns = names.iter().map(|name| Column {
            name: (*name).into(),
            ..Column::default()
        });
        let mut table = Table {
            name: "t".into(),
            kind: TableKind::Table,
            columns: columns.collect(),
            primary_key: vec![],
            foreign_keys: vec![],
            row_count: None,
            ddl: ddl.into(),
            reads: vec![],
        };
        describe(&mut table);
        let columns = table.columns.into_iter();
        columns.map(|column| column.description).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_comment_on_the_line_of_a_column_describes_it() {
        let ddl = "CREATE TABLE t ( -- all of them\n\
                   id INTEGER PRIMARY KEY, -- the number\n\
                   \"full name\" TEXT DEFAULT 'a -- b, (c', /* as on\n the  passport */\n\
                   [amount] DECIMAL(10, 2) CHECK (amount > 0) -- without tax\n\
                   , `kind` TEXT --- open or shut\n\
                   -- what is paid\n\
                   , paid INT, due INT -- in days\n\
                   )";
        let names = ["id", "full name", "AMOUNT", "kind", "paid", "due"];
        assert_eq!(
            described(&names, ddl),
            [
                some("the number"),
                some("as on the passport"),
                some("without tax"),
                some("open or shut"),
                None,
                some("in days")
            ]
        );
    }

    #[test]
    fn what_is_about_no_column_describes_none() {
        let ddl = "CREATE TABLE t (\n-- of the whole\na INT,\nb INT,\nFOREIGN KEY (a) -- by a\nREFERENCES u (a), --UNIQUE (b)\n\
                   PRIMARY KEY (a)) -- the end";
        assert_eq!(described(&["a", "b"], ddl), [None, None]);
    }

    #[test]
    fn half_a_statement_is_read_to_its_end() {
        for ddl in [
            "",
            "CREATE TABLE t (a '",
            "t (a /*",
            "t (a --",
            "))),,(a /* ä",
            "t (ä\u{a0}-- é",
        ] {
            described(&["a"], ddl);
        }
        let long = format!("t (a -- {}", "ä".repeat(500));
        assert_eq!(described(&["a"], &long), [Some("ä".repeat(MAX_CHARS))]);
    }
}
