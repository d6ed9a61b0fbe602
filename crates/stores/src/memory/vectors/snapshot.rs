//! A collection as one file: a mark, the version of the format, a BLAKE3 hash of all that follows, the length of a JSON
//! head, the head, and the vectors, all numbers little-endian. It is replaced as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use engine::ports::{Collection, Document, IndexManifest};
use serde::{Deserialize, Serialize};

use super::Index;

const MARK: &[u8; 8] = b"ASSAYVEC";
/// Raised whenever an older file no longer says enough; its collection is then made anew.
const VERSION: u32 = 1;
/// Mark, version and hash.
const PREFIX_BYTES: usize = 8 + 4 + 32;

/// Tells one file from the next under the same name, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Returns the stamp of a file; `None` if there is none.
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(Self::from)
    }
}

impl From<fs::Metadata> for Stamp {
    fn from(metadata: fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    collection: Collection,
    manifest: std::borrow::Cow<'a, IndexManifest>,
    dimension: usize,
    documents: std::borrow::Cow<'a, [Document]>,
}

/// Reads a snapshot; `None` if there is no file.
///
/// # Errors
///
/// If the file is not a whole snapshot of this collection.
pub fn read(path: &Path, collection: Collection) -> io::Result<Option<(Index, Stamp)>> {
    let mut file = match File::open(path) {
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let stamp = Stamp::from(file.metadata()?);
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or_default());
    file.read_to_end(&mut bytes)?;
    decode(&bytes, collection)
        .map(|index| Some((index, stamp)))
        .map_err(|fault| io::Error::new(ErrorKind::InvalidData, fault))
}

/// Writes a snapshot and returns its stamp; `None`, and the file as it was, if it is not wanted any more by then.
///
/// # Errors
///
/// If the disk does not take it; the file is then as it was.
pub fn write(
    path: &Path,
    collection: Collection,
    index: &Index,
    is_wanted: &dyn Fn() -> bool,
) -> io::Result<Option<Stamp>> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = create_private(&temporary)?;
        file.write_all(&encode(collection, index)?)?;
        file.sync_all()?;
        let stamp = Stamp::from(file.metadata()?);
        if !is_wanted() {
            return Ok(None);
        }
        fs::rename(&temporary, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Some(stamp))
    };
    let written = write();
    if !matches!(written, Ok(Some(_))) {
        // Best effort: the next one begins by emptying it.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Creates a file for the owner alone, or empties the one that is there.
pub fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn encode(collection: Collection, index: &Index) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(&Head {
        collection,
        manifest: std::borrow::Cow::Borrowed(&index.manifest),
        dimension: index.dimension,
        documents: std::borrow::Cow::Borrowed(&index.documents),
    })?;
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + 8 + head.len() + index.vectors.len() * 4);
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 32]);
    bytes.extend_from_slice(&(head.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&head);
    for number in &index.vectors {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let hash = blake3::hash(&bytes[PREFIX_BYTES..]);
    bytes[PREFIX_BYTES - 32..PREFIX_BYTES].copy_from_slice(hash.as_bytes());
    Ok(bytes)
}

/// Reads a snapshot from whatever bytes there are.
fn decode(bytes: &[u8], collection: Collection) -> Result<Index, &'static str> {
    let rest = bytes.strip_prefix(MARK).ok_or("it is no snapshot")?;
    let (version, rest) = rest.split_first_chunk().ok_or("it is cut short")?;
    if u32::from_le_bytes(*version) != VERSION {
        return Err("it is of another version");
    }
    let (hash, rest) = rest.split_first_chunk::<32>().ok_or("it is cut short")?;
    if blake3::hash(rest) != *hash {
        return Err("it is damaged");
    }
    let (length, rest) = rest.split_first_chunk().ok_or("it is cut short")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| "it is cut short")?;
    let (head, numbers) = rest.split_at_checked(length).ok_or("it is cut short")?;
    let head: Head = serde_json::from_slice(head).map_err(|_| "its head cannot be read")?;
    if head.collection != collection {
        return Err("it is another collection");
    }
    let (chunks, remainder) = numbers.as_chunks::<4>();
    let expected = head.documents.len().checked_mul(head.dimension);
    if !remainder.is_empty() || expected != Some(chunks.len()) {
        return Err("it has another number of vectors than of documents");
    }
    Ok(Index {
        manifest: head.manifest.into_owned(),
        documents: head.documents.into_owned(),
        dimension: head.dimension,
        vectors: chunks.iter().copied().map(f32::from_le_bytes).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use engine::ports::{EmbeddedDocument, Embedding};
    use proptest::prelude::*;

    fn index() -> Index {
        let document = |id: &str, x: f32| EmbeddedDocument {
            document: Document {
                id: id.into(),
                text: "ü \u{0}".into(),
                metadata: [("k".to_owned(), "v".to_owned())].into(),
            },
            embedding: Embedding::normalised(vec![x, 1.0]).unwrap(),
        };
        let manifest = IndexManifest {
            embedder_hash: "e".into(),
            source: "s".into(),
            documents: 2,
            indexed_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        };
        Index::new(&[document("b", 0.3), document("a", 0.7)], &manifest).unwrap()
    }

    fn snapshot() -> Vec<u8> {
        encode(Collection::SampleQueries, &index()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let read = decode(&snapshot(), Collection::SampleQueries);
        assert_eq!(read, Ok(index()));
        assert!(decode(&snapshot(), Collection::TableSchemas).is_err());
    }

    proptest! {
        #[test]
        fn a_snapshot_with_one_byte_changed_is_refused(at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let mut bytes = snapshot();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(decode(&bytes, Collection::SampleQueries).is_err());
        }

        #[test]
        fn a_snapshot_of_another_length_is_refused(cut in any::<prop::sample::Index>(), more in prop::collection::vec(any::<u8>(), 1..9)) {
            let mut bytes = snapshot();
            prop_assert!(decode(&bytes[..cut.index(bytes.len())], Collection::SampleQueries).is_err());
            bytes.extend(more);
            prop_assert!(decode(&bytes, Collection::SampleQueries).is_err());
        }

        /// Whoever has the right hash is not to make it panic either.
        #[test]
        fn any_bytes_with_a_right_hash_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), length in 0_u64..220) {
            let mut whole = length.to_le_bytes().to_vec();
            whole.extend(body);
            let mut bytes = MARK.to_vec();
            bytes.extend(VERSION.to_le_bytes());
            bytes.extend(blake3::hash(&whole).as_bytes());
            bytes.extend(whole);
            prop_assert!(decode(&bytes, Collection::SampleQueries).is_err());
        }
    }
}
