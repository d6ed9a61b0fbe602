//! What is known of a generation, kept beside it as JSON: where it came from, what was read, and its schema.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use engine::Error;
use engine::schema::Schema;
use serde::{Deserialize, Serialize};

use super::original::{MemberStat, hash_file};
use super::recovery::RowCounts;
use super::{READ_ONLY_MODE, io_error};

/// Raised whenever an older manifest no longer says enough; its generation is then made anew.
const FORMAT: u32 = 2;

/// The record of one generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// BLAKE3, in hex, over the original's files; also the name of the generation.
    pub fingerprint: String,
    /// Grows with each generation made.
    pub sequence: u64,
    /// The original as it was given, for people.
    pub original: String,
    /// The original's files as they were.
    pub members: Vec<MemberStat>,
    /// When the original was last written, RFC 3339 in UTC.
    pub data_as_of: String,
    /// When the copy was made, RFC 3339 in UTC.
    pub copied_at: String,
    pub copy: CopyRecord,
    /// SQLite's own check ran and found nothing.
    pub integrity_checked: bool,
    /// Rows of every table that has a count.
    pub row_counts: RowCounts,
    pub schema_fingerprint: String,
    pub schema: Schema,
}

/// The file of a generation as it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CopyRecord {
    pub size: u64,
    /// BLAKE3 in hex.
    pub hash: String,
    /// Nanoseconds since 1970.
    pub modified_ns: i64,
}

/// What a manifest says besides schema and file.
pub(super) struct Origin {
    pub fingerprint: String,
    pub sequence: u64,
    pub original: String,
    pub members: Vec<MemberStat>,
    pub data_as_of: String,
    pub copied_at: String,
    pub integrity_checked: bool,
}

impl Manifest {
    pub fn new(origin: Origin, copy: CopyRecord, schema: Schema) -> Self {
        Self {
            format: FORMAT,
            fingerprint: origin.fingerprint,
            sequence: origin.sequence,
            original: origin.original,
            members: origin.members,
            data_as_of: origin.data_as_of,
            copied_at: origin.copied_at,
            copy,
            integrity_checked: origin.integrity_checked,
            row_counts: row_counts(&schema),
            schema_fingerprint: schema.fingerprint(),
            schema,
        }
    }

    /// Reads a manifest; `None` if there is none, or none that can be trusted: it is then as if never made.
    pub fn read(path: &Path, fingerprint: &str) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let is_intact = manifest.format == FORMAT
            && manifest.fingerprint == fingerprint
            && manifest.schema.fingerprint() == manifest.schema_fingerprint
            && row_counts(&manifest.schema) == manifest.row_counts;
        is_intact.then_some(manifest)
    }

    /// Writes the manifest so that it is there wholly or not at all.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let temporary = path.with_extension("tmp");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&temporary)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().map_err(|error| io_error(&error, "writing", path))
    }

    /// Says whether the file of the generation looks as it was published, without reading it.
    pub fn looks_intact(&self, database: &Path) -> bool {
        fs::symlink_metadata(database).is_ok_and(|metadata| {
            metadata.is_file()
                && metadata.len() == self.copy.size
                && metadata.permissions().mode() & 0o777 == READ_ONLY_MODE
                && modified_ns(&metadata) == self.copy.modified_ns
        })
    }
}

impl CopyRecord {
    /// Records the file at `path`; its hash is read from it unless it is known.
    pub fn of(path: &Path, known: Option<&blake3::Hash>) -> std::io::Result<Self> {
        let hash = match known {
            Some(hash) => *hash,
            None => hash_file(path, &|_| {})?.1,
        };
        let metadata = File::open(path)?.metadata()?;
        Ok(Self {
            size: metadata.len(),
            hash: hash.to_hex().to_string(),
            modified_ns: modified_ns(&metadata),
        })
    }
}

pub(super) fn row_counts(schema: &Schema) -> RowCounts {
    schema
        .tables
        .iter()
        .filter_map(|table| Some((table.name.clone(), table.row_count?)))
        .collect()
}

fn modified_ns(metadata: &fs::Metadata) -> i64 {
    metadata
        .mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(metadata.mtime_nsec())
}
