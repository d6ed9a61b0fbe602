//! Comma-separated values: RFC 4180, and harmless when a spreadsheet opens them.
//!
//! Source: OWASP, "CSV Injection": a cell that begins with one of `= + - @`, a tabulator or a carriage return is run as a
//! formula by common spreadsheets. Where they are set to another separator than the comma, cells begin elsewhere, and
//! quotes that do not begin a cell hold nothing together.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use engine::ports::RowSink;
use engine::result::Value;

pub(super) struct Csv(BufWriter<File>);

impl Csv {
    pub(super) fn new(file: BufWriter<File>) -> Self {
        Self(file)
    }

    fn line<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> io::Result<()> {
        for (index, cell) in cells.enumerate() {
            if index > 0 {
                self.0.write_all(b",")?;
            }
            match cell {
                Cell::Text(text) => self.text(text)?,
                Cell::Plain(text) => self.0.write_all(text.as_bytes())?,
            }
        }
        self.0.write_all(b"\r\n")
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let text = harmless(text);
        let needs_quotes = text.contains([',', '"', '\r', '\n']);
        if !needs_quotes && matches!(text, Cow::Borrowed(_)) {
            return self.0.write_all(text.as_bytes());
        }
        write!(self.0, "\"{}\"", text.replace('"', "\"\""))
    }
}

/// Puts an apostrophe before what would be run as a formula, at the beginning of a text and wherever a spreadsheet that
/// is set to another separator would begin a cell.
fn harmless(text: &str) -> Cow<'_, str> {
    let is_formula = |c: char| ['=', '+', '-', '@', '\t', '\r'].contains(&c);
    let may_end_a_cell = |c: char| [';', '\t', '\r', '\n'].contains(&c);
    let mut before = ';';
    let mut begins = Vec::new();
    for (at, c) in text.char_indices() {
        if may_end_a_cell(before) && is_formula(c) {
            begins.push(at);
        }
        before = c;
    }
    let Some(&first) = begins.first() else {
        return text.into();
    };
    let mut safe = text[..first].to_owned();
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    for (&start, end) in begins.iter().zip(ends) {
        safe.push('\'');
        safe.push_str(&text[start..end]);
    }
    safe.into()
}

enum Cell<'a> {
    /// Somebody's words.
    Text(&'a str),
    /// A number, which may be negative, or nothing.
    Plain(String),
}

impl RowSink for Csv {
    fn begin(&mut self, columns: &[String]) -> io::Result<()> {
        self.line(columns.iter().map(|name| Cell::Text(name)))
    }

    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.line(values.iter().map(|value| match value {
            Value::Text(text) => Cell::Text(text),
            other => Cell::Plain(super::text(other)),
        }))
    }

    fn end(&mut self) -> io::Result<()> {
        super::flush(&mut self.0)
    }
}
