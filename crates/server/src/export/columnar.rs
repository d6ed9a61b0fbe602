//! Apache Parquet and Arrow: rows gathered into batches of columns. A column with values of several types is text, as a
//! person reads them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use engine::ports::RowSink;
use engine::result::{ResultColumn, Value};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;

/// Rows that Parquet keeps together, and in memory until then.
const GROUP_ROWS: usize = 64 * 1_024;

/// Bytes of a batch or a group after which it is written, however few its rows.
const BATCH_BYTES: usize = 8 << 20;

/// Columns that grow row by row.
struct Batch {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

enum Column {
    Integer(Int64Builder),
    Real(Float64Builder),
    Text(StringBuilder),
    Blob(BinaryBuilder),
}

impl Batch {
    fn of(columns: &[ResultColumn]) -> Self {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(&column.name, data_type(&column.kind), true))
            .collect();
        Self {
            columns: fields
                .iter()
                .map(|field| Column::of(field.data_type()))
                .collect(),
            schema: Arc::new(Schema::new(fields)),
            rows: 0,
            bytes: 0,
        }
    }

    fn add(&mut self, values: &[Value]) {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.add(value);
            self.bytes += value.size_bytes();
        }
        self.rows += 1;
    }

    fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        self.bytes = 0;
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

fn data_type(kind: &str) -> DataType {
    match kind {
        "integer" => DataType::Int64,
        "real" => DataType::Float64,
        "blob" => DataType::Binary,
        _ => DataType::Utf8,
    }
}

impl Column {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 => Column::Integer(Int64Builder::new()),
            DataType::Float64 => Column::Real(Float64Builder::new()),
            DataType::Binary => Column::Blob(BinaryBuilder::new()),
            _ => Column::Text(StringBuilder::new()),
        }
    }

    /// The types were taken from the same values, so only NULL is not of its column's.
    fn add(&mut self, value: &Value) {
        match (self, value) {
            (Column::Integer(column), Value::Integer(number)) => column.append_value(*number),
            (Column::Integer(column), _) => column.append_null(),
            (Column::Real(column), Value::Real(number)) => column.append_value(*number),
            (Column::Real(column), _) => column.append_null(),
            (Column::Blob(column), Value::Blob(bytes)) => column.append_value(bytes),
            (Column::Blob(column), _) => column.append_null(),
            (Column::Text(column), Value::Null) => column.append_null(),
            (Column::Text(column), value) => column.append_value(super::text(value)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Integer(column) => Arc::new(column.finish()),
            Column::Real(column) => Arc::new(column.finish()),
            Column::Text(column) => Arc::new(column.finish()),
            Column::Blob(column) => Arc::new(column.finish()),
        }
    }
}

/// What takes batches.
pub(super) trait Writer: Send + Sized {
    fn open(file: BufWriter<File>, schema: SchemaRef) -> io::Result<Self>;
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()>;
    fn close(self) -> io::Result<()>;
}

/// Rows on their way into a writer.
pub(super) struct Columnar<W> {
    file: Option<BufWriter<File>>,
    batch: Batch,
    writer: Option<W>,
}

pub(super) type Parquet = Columnar<ArrowWriter<BufWriter<File>>>;
pub(super) type Arrow = Columnar<FileWriter<BufWriter<File>>>;

impl<W: Writer> Columnar<W> {
    pub(super) fn new(file: BufWriter<File>, columns: &[ResultColumn]) -> Self {
        Self {
            file: Some(file),
            batch: Batch::of(columns),
            writer: None,
        }
    }

    fn write_batch(&mut self) -> io::Result<()> {
        let batch = self.batch.take().map_err(io::Error::other)?;
        match &mut self.writer {
            Some(writer) => writer.write(&batch),
            None => Err(io::Error::other("rows came before columns")),
        }
    }
}

impl<W: Writer> RowSink for Columnar<W> {
    fn begin(&mut self, _: &[String]) -> io::Result<()> {
        let file = self.file.take().ok_or(io::ErrorKind::BrokenPipe)?;
        self.writer = Some(W::open(file, self.batch.schema.clone())?);
        Ok(())
    }

    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.batch.add(values);
        if self.batch.is_full() {
            self.write_batch()?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.batch.rows > 0 {
            self.write_batch()?;
        }
        self.writer.take().map_or(Ok(()), W::close)
    }
}

impl Writer for ArrowWriter<BufWriter<File>> {
    fn open(file: BufWriter<File>, schema: SchemaRef) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        Self::try_new(file, schema, Some(properties)).map_err(io::Error::other)
    }

    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        Self::write(self, batch).map_err(io::Error::other)?;
        if self.memory_size() >= BATCH_BYTES {
            self.flush().map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn close(self) -> io::Result<()> {
        self.into_inner().map_err(io::Error::other)?.flush()
    }
}

impl Writer for FileWriter<BufWriter<File>> {
    fn open(file: BufWriter<File>, schema: SchemaRef) -> io::Result<Self> {
        Self::try_new(file, &schema).map_err(io::Error::other)
    }

    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        Self::write(self, batch).map_err(io::Error::other)
    }

    fn close(mut self) -> io::Result<()> {
        self.finish().map_err(io::Error::other)?;
        self.into_inner().map_err(io::Error::other)?.flush()
    }
}
