//! An Excel workbook of one sheet. Texts are written as texts, so none of them is a formula.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use engine::ports::RowSink;
use engine::result::Value;
use rust_xlsxwriter::{Format, Workbook, XlsxError};

/// Excel computes with doubles: a larger whole number would change, so it is written as text.
const LARGEST_EXACT: u64 = 1 << 53;

/// The most characters of a cell.
const CELL_CHARS: usize = 32_767;

pub(super) struct Xlsx {
    file: BufWriter<File>,
    workbook: Workbook,
    /// Where the sheet is until the archive is made.
    scratch: PathBuf,
    next_row: u32,
}

impl Xlsx {
    pub(super) fn new(file: BufWriter<File>, scratch: &Path) -> Self {
        Self {
            scratch: scratch.to_owned(),
            file,
            workbook: Workbook::new(),
            next_row: 0,
        }
    }

    fn write<'a>(
        &mut self,
        values: impl Iterator<Item = Cell<'a>>,
        format: Option<&Format>,
    ) -> io::Result<()> {
        let row = self.next_row;
        self.next_row += 1;
        let sheet = self.workbook.worksheet_from_index(0).map_err(failed)?;
        for (column, value) in values.enumerate() {
            let column = u16::try_from(column).map_err(io::Error::other)?;
            let written = match (value, format) {
                (Cell::Empty, _) => continue,
                (Cell::Number(number), _) => sheet.write_number(row, column, number),
                (Cell::Text(text), None) => sheet.write_string(row, column, text),
                (Cell::Text(text), Some(format)) => {
                    sheet.write_string_with_format(row, column, text, format)
                }
            };
            written.map_err(failed)?;
        }
        Ok(())
    }
}

enum Cell<'a> {
    Empty,
    Number(f64),
    Text(std::borrow::Cow<'a, str>),
}

impl<'a> Cell<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Cell::Empty,
            Value::Integer(number) if number.unsigned_abs() <= LARGEST_EXACT => {
                Cell::Number(*number as f64)
            }
            Value::Real(number) if number.is_finite() => Cell::Number(*number),
            Value::Text(text) => Cell::of_text(text),
            other => Cell::Text(super::text(other).into()),
        }
    }

    fn of_text(text: &'a str) -> Self {
        match text.char_indices().nth(CELL_CHARS) {
            // The end is missing: the cell says so itself.
            Some(_) => Cell::Text(text.chars().take(CELL_CHARS - 1).chain(['…']).collect()),
            None => Cell::Text(text.into()),
        }
    }
}

impl RowSink for Xlsx {
    fn begin(&mut self, columns: &[String]) -> io::Result<()> {
        self.workbook.set_tempdir(&self.scratch).map_err(failed)?;
        self.workbook
            .add_worksheet_with_constant_memory()
            .map_err(failed)?;
        let bold = Format::new().set_bold();
        self.write(columns.iter().map(|name| Cell::of_text(name)), Some(&bold))
    }

    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.write(values.iter().map(Cell::of), None)
    }

    fn end(&mut self) -> io::Result<()> {
        self.workbook
            .save_to_writer(&mut self.file)
            .map_err(failed)?;
        super::flush(&mut self.file)
    }
}

fn failed(error: XlsxError) -> io::Error {
    io::Error::other(error)
}
