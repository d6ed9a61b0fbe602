//! Comma-separated values: RFC 4180, and harmless when a spreadsheet opens them.
//!
//! Source: OWASP, "CSV Injection": a cell that begins with one of `= + - @`, a tabulator or a carriage return is run as a
//! formula by common spreadsheets.

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
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let needs_quotes = text.contains([',', '"', '\r', '\n']);
        if !is_formula && !needs_quotes {
            return self.0.write_all(text.as_bytes());
        }
        self.0.write_all(b"\"")?;
        if is_formula {
            self.0.write_all(b"'")?;
        }
        self.0.write_all(text.replace('"', "\"\"").as_bytes())?;
        self.0.write_all(b"\"")
    }
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
