//! Rows as they come out of a target database.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, schema::SchemaType, schema::Type};
use utoipa::{PartialSchema, ToSchema};

/// One value of a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A double; SQLite turns NaN into NULL, infinities stay.
    Real(f64),
    /// Text. Bytes that are not UTF-8 have been replaced by U+FFFD.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// As JSON: null, number, string; a blob is an SQL blob literal (`x'00ff'`) and an infinity the string `Infinity`.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Real(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Real(_) | Value::Blob(_) => serializer.serialize_str(&self.to_text()),
        }
    }
}

impl PartialSchema for Value {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([
                Type::String,
                Type::Number,
                Type::Null,
            ]))
            .build()
            .into()
    }
}

impl ToSchema for Value {}

impl Value {
    /// Returns the value as a person reads it; NULL is the empty string.
    pub fn to_text(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) if number.is_infinite() => if *number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }
            .to_owned(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text.clone(),
            Value::Blob(bytes) => {
                use std::fmt::Write;
                let mut text = String::with_capacity(bytes.len() * 2 + 3);
                text.push_str("x'");
                for byte in bytes {
                    let _ = write!(text, "{byte:02x}");
                }
                text.push('\'');
                text
            }
        }
    }

    /// Returns the number of bytes this value counts for in a byte cap.
    pub fn size_bytes(&self) -> usize {
        match self {
            Value::Null | Value::Integer(_) | Value::Real(_) => 8,
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
        }
    }
}

/// One column of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultColumn {
    /// The name that the statement gives it.
    pub name: String,
    /// `integer`, `real`, `text`, `blob`, `null` or, where rows differ, `mixed`: taken from the values themselves.
    #[serde(rename = "type")]
    pub kind: String,
}

/// The rows of one statement, with what was cut off said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResultSet {
    /// The columns, in order.
    pub columns: Vec<ResultColumn>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
    /// There were more rows than the cap.
    pub truncated: bool,
}

impl ResultSet {
    /// Returns the BLAKE3 hash, in hex, over column names and every value with its type and length.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut put = |tag: u8, bytes: &[u8]| {
            hasher.update(&[tag]);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for column in &self.columns {
            put(b'c', column.name.as_bytes());
        }
        for row in &self.rows {
            put(b'r', &[]);
            for value in row {
                match value {
                    Value::Null => put(b'n', &[]),
                    Value::Integer(number) => put(b'i', &number.to_le_bytes()),
                    Value::Real(number) => put(b'f', &number.to_bits().to_le_bytes()),
                    Value::Text(text) => put(b't', text.as_bytes()),
                    Value::Blob(bytes) => put(b'b', bytes),
                }
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}
