//! Rows as files for other programs. A file is written whole, into a temporary file without a name, before any of it is
//! sent: what broke on the way is a clear error and not half a file. Memory holds one row, or one batch of a columnar
//! format.

mod columnar;
mod delimited;
mod json;
mod workbook;

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use engine::ports::RowSink;
use engine::result::{ResultColumn, Value};
use engine::{Code, Error};
use serde::Deserialize;
use utoipa::ToSchema;

/// The most rows of one worksheet, its head among them, in Excel and whatever reads its files.
const WORKSHEET_ROWS: usize = 1_048_576;

/// A form of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values (RFC 4180), in UTF-8. A text that a spreadsheet would take for a formula begins with an
    /// apostrophe, and so does a part of one where a spreadsheet might divide it.
    Csv,
    /// An Excel workbook of one sheet.
    Xlsx,
    /// `{"columns": [...], "rows": [[...], ...]}`
    Json,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow, its file format.
    Arrow,
}

impl Format {
    /// Returns the word for files and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Xlsx => "xlsx",
            Format::Json => "json",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        }
    }

    /// Returns the media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Format::Json => "application/json",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Arrow => "application/vnd.apache.arrow.file",
        }
    }

    /// Says whether a file has the types of its columns before their values.
    pub fn needs_types(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    /// Returns the most rows that a file can hold.
    pub fn max_rows(self) -> usize {
        match self {
            Format::Xlsx => WORKSHEET_ROWS - 1,
            _ => usize::MAX,
        }
    }

    /// Returns what writes rows into a file. `columns` are needed where [`Format::needs_types`]; `scratch` holds the
    /// parts of a file that is an archive.
    pub fn sink(
        self,
        file: File,
        columns: Option<&[ResultColumn]>,
        scratch: &Path,
    ) -> Box<dyn RowSink> {
        let file = BufWriter::with_capacity(1 << 16, file);
        let columns = columns.unwrap_or_default();
        match self {
            Format::Csv => Box::new(delimited::Csv::new(file)),
            Format::Xlsx => Box::new(workbook::Xlsx::new(file, scratch)),
            Format::Json => Box::new(json::Json::new(file)),
            Format::Parquet => Box::new(columnar::Parquet::new(file, columns)),
            Format::Arrow => Box::new(columnar::Arrow::new(file, columns)),
        }
    }
}

/// Makes the file in `scratch` that an export is written into: gone when it is closed, whatever happens.
///
/// # Errors
///
/// [`Code::Internal`] if there is no room.
pub fn file(scratch: &Path) -> Result<File, Error> {
    tempfile::tempfile_in(scratch).map_err(unwritable)
}

/// Goes to the beginning of a written file and returns its size in bytes.
///
/// # Errors
///
/// [`Code::Internal`].
pub fn rewind(file: &mut File) -> Result<u64, Error> {
    let size = file.metadata().map_err(unwritable)?.len();
    file.seek(SeekFrom::Start(0)).map_err(unwritable)?;
    Ok(size)
}

fn unwritable(cause: io::Error) -> Error {
    Error::new(Code::Internal, "the export cannot be written").with_cause(cause)
}

/// A number that is none, as text; no format for spreadsheets and none in JSON has it.
fn text(value: &Value) -> String {
    value.to_text()
}

/// Ends a buffered file.
fn flush(file: &mut impl Write) -> io::Result<()> {
    file.flush()
}

#[cfg(test)]
mod tests;
