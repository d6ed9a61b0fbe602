//! Rows as one JSON object, written row by row; values as in an answer.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use engine::ports::RowSink;
use engine::result::Value;

pub(super) struct Json {
    file: BufWriter<File>,
    is_first: bool,
}

impl Json {
    pub(super) fn new(file: BufWriter<File>) -> Self {
        Self {
            file,
            is_first: true,
        }
    }
}

impl RowSink for Json {
    fn begin(&mut self, columns: &[String]) -> io::Result<()> {
        self.file.write_all(b"{\"columns\":")?;
        serde_json::to_writer(&mut self.file, columns)?;
        self.file.write_all(b",\"rows\":[")
    }

    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        let between: &[u8] = if self.is_first { b"\n" } else { b",\n" };
        self.is_first = false;
        self.file.write_all(between)?;
        Ok(serde_json::to_writer(&mut self.file, values)?)
    }

    fn end(&mut self) -> io::Result<()> {
        self.file.write_all(b"\n]}\n")?;
        super::flush(&mut self.file)
    }
}
