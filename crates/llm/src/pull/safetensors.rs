//! Reads tensors out of a safetensors file: a length, a header in JSON, and the numbers.
//!
//! Source: <https://github.com/huggingface/safetensors>, section Format.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use serde::Deserialize;

/// A header longer than this is a fault.
const HEADER_BYTES_AT_MOST: u64 = 16 << 20;

/// An open file.
pub(super) struct Safetensors {
    file: File,
    entries: BTreeMap<String, Entry>,
    /// Where the numbers begin.
    start: u64,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    /// From the start of the numbers, the end excluded.
    data_offsets: (u64, u64),
}

impl Safetensors {
    /// Reads the header.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > HEADER_BYTES_AT_MOST {
            return Err(io::Error::other(format!("a header of {length} bytes")));
        }
        let mut header = Vec::new();
        file.by_ref().take(length).read_to_end(&mut header)?;
        let mut entries: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)?;
        entries.remove("__metadata__");
        let entries = entries
            .into_iter()
            .map(|(name, entry)| Ok((name, serde_json::from_value(entry)?)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            file,
            entries,
            start: 8 + length,
        })
    }

    /// Says whether there is such a tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Returns the shape of a tensor, the number of rows first.
    pub(super) fn shape(&self, name: &str) -> io::Result<&[u64]> {
        self.entry(name).map(|entry| entry.shape.as_slice())
    }

    /// Reads a tensor of 32-bit numbers.
    pub(super) fn read(&mut self, name: &str) -> io::Result<Vec<f32>> {
        let entry = self.entry(name)?;
        let (from, to) = entry.data_offsets;
        let numbers = entry
            .shape
            .iter()
            .try_fold(1_u64, |sum, x| sum.checked_mul(*x));
        let bytes = numbers.and_then(|numbers| numbers.checked_mul(4));
        if entry.dtype != "F32" || bytes.is_none() || to.checked_sub(from) != bytes {
            return Err(io::Error::other(format!(
                "the tensor {name} is not of 32-bit numbers"
            )));
        }
        self.file.seek(SeekFrom::Start(self.start + from))?;
        let mut data = Vec::new();
        self.file.by_ref().take(to - from).read_to_end(&mut data)?;
        if data.len() as u64 != to - from {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (numbers, _) = data.as_chunks();
        Ok(numbers.iter().map(|x| f32::from_le_bytes(*x)).collect())
    }

    fn entry(&self, name: &str) -> io::Result<&Entry> {
        let missing = || io::Error::other(format!("there is no tensor {name}"));
        self.entries.get(name).ok_or_else(missing)
    }
}
