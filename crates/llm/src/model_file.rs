//! What a model file is, read without llama.cpp: its name and its hash. The name is read from the header by bounded,
//! safe code; the hash is kept beside the file, so that a gigabyte is not read again at every start.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use engine::{Code, Error};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A model file whose contents are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Where it is.
    pub path: PathBuf,
    /// `general.name` of its metadata, or the file's name.
    pub name: String,
    /// SHA-256 in lowercase hex.
    pub sha256: String,
    /// Bytes.
    pub size_bytes: u64,
}

/// Opens a model file, reads its name and checks its hash against `pinned_sha256` if there is one.
///
/// # Errors
///
/// [`Code::ModelMissing`] if there is no such file, [`Code::InvalidModel`] if it is not GGUF or not the pinned file.
pub fn open(path: &Path, pinned_sha256: Option<&str>) -> Result<ModelFile, Error> {
    let path = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
    let size_bytes = file
        .metadata()
        .map_err(|error| unreadable(&path, &error))?
        .len();
    let name = read_general_name(&mut BufReader::new(file)).map_err(|error| {
        Error::new(
            Code::InvalidModel,
            format!("`{}` is not a GGUF file", path.display()),
        )
        .with_cause(error)
    })?;
    let sha256 = sha256_cached(&path).map_err(|error| unreadable(&path, &error))?;
    if let Some(pinned) = pinned_sha256
        && !pinned.eq_ignore_ascii_case(&sha256)
    {
        return Err(Error::new(
            Code::InvalidModel,
            format!(
                "`{}` is not the file that was pinned: its sha256 is {sha256}",
                path.display()
            ),
        )
        .with_hint("delete it and run `assay model pull`"));
    }
    let file_name = || {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    Ok(ModelFile {
        name: name.or_else(file_name).unwrap_or_default(),
        path,
        sha256,
        size_bytes,
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let what = format!("the model file `{}` cannot be read", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => Error::new(
            Code::ModelMissing,
            format!("there is no model file `{}`", path.display()),
        )
        .with_hint("run `assay model pull`, or set LLM_MODEL to a GGUF file"),
        _ => Error::new(Code::InvalidModel, what).with_cause(error),
    }
}

/// What stands beside a model file: its hash, and the marks by which a change of the file shows.
#[derive(Serialize, Deserialize, PartialEq)]
struct HashNote {
    sha256: String,
    marks: Marks,
}

/// Cheap signs that a file is the one that was hashed. The change time cannot be set back by ordinary means, unlike the
/// modification time. Whoever can write the note can write the model too, so the note needs no protection of its own.
#[derive(Serialize, Deserialize, PartialEq, Clone)]
struct Marks {
    size_bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
    inode: u64,
}

impl Marks {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let nanoseconds =
                |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
            Ok(Self {
                size_bytes: metadata.len(),
                modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
                changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
                inode: metadata.ino(),
            })
        }
        #[cfg(not(unix))]
        {
            let modified = metadata.modified()?;
            let since_epoch = modified
                .duration_since(std::time::UNIX_EPOCH)
                .map_err(io::Error::other)?;
            Ok(Self {
                size_bytes: metadata.len(),
                modified_ns: i128::try_from(since_epoch.as_nanos()).map_err(io::Error::other)?,
                changed_ns: 0,
                inode: 0,
            })
        }
    }
}

/// Returns the SHA-256 of a file in lowercase hex, from the note beside it when the file has not changed since.
pub fn sha256_cached(path: &Path) -> io::Result<String> {
    let marks = Marks::of(path)?;
    let note = fs::read(note_path(path))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<HashNote>(&bytes).ok());
    if let Some(note) = note
        && note.marks == marks
    {
        return Ok(note.sha256);
    }
    let sha256 = sha256_of(path)?;
    // A file that moved while it was read is not noted: its hash belongs to neither state.
    if Marks::of(path)? == marks {
        note_sha256(path, &sha256);
    }
    Ok(sha256)
}

/// Notes the hash of a file, just computed, beside it. Failing only costs the next start the hashing.
pub(crate) fn note_sha256(path: &Path, sha256: &str) {
    let noted = Marks::of(path).and_then(|marks| {
        let sha256 = sha256.to_owned();
        write_note(&note_path(path), &HashNote { sha256, marks })
    });
    if let Err(error) = noted {
        tracing::debug!(%error, "the hash of the model file could not be kept beside it");
    }
}

fn note_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".sha256.json");
    path.with_file_name(name)
}

fn write_note(path: &Path, note: &HashNote) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, note)?;
    file.persist(path)?;
    Ok(())
}

/// Returns the SHA-256 of a file in lowercase hex.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hex(&hasher.finalize()))
}

/// Returns bytes in lowercase hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Source: the GGUF specification, version 2 and 3 (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).
const MAGIC: &[u8; 4] = b"GGUF";
const KEYS_READ_AT_MOST: u64 = 64;
const TEXT_BYTES_AT_MOST: u64 = 64 << 10;
const KIND_TEXT: u32 = 8;
const KIND_ARRAY: u32 = 9;

/// Reads `general.name` from the first keys of a GGUF header. Stops at the first array: writers put the general keys
/// before the vocabulary, and a name is not worth reading that.
fn read_general_name(reader: &mut impl Read) -> io::Result<Option<String>> {
    let mut magic = [0; 4];
    reader.read_exact(&mut magic)?;
    let version = read_u32(reader)?;
    if &magic != MAGIC || !(2..=3).contains(&version) {
        return Err(io::Error::other(format!(
            "magic {magic:02x?}, version {version}"
        )));
    }
    let _tensors = read_u64(reader)?;
    let keys = read_u64(reader)?;
    for _ in 0..keys.min(KEYS_READ_AT_MOST) {
        let key = read_text(reader)?;
        let kind = read_u32(reader)?;
        let bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            KIND_TEXT => {
                let value = read_text(reader)?;
                if key == "general.name" && !value.trim().is_empty() {
                    return Ok(Some(value.trim().to_owned()));
                }
                0
            }
            KIND_ARRAY => return Ok(None),
            _ => return Err(io::Error::other(format!("unknown kind of value {kind}"))),
        };
        io::copy(&mut reader.by_ref().take(bytes), &mut io::sink())?;
    }
    Ok(None)
}

fn read_u32(reader: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_u64(reader: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn read_text(reader: &mut impl Read) -> io::Result<String> {
    let length = read_u64(reader)?;
    if length > TEXT_BYTES_AT_MOST {
        return Err(io::Error::other(format!("a text of {length} bytes")));
    }
    let mut bytes = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Vec<u8> {
        let mut bytes = (value.len() as u64).to_le_bytes().to_vec();
        bytes.extend(value.as_bytes());
        bytes
    }

    fn header(keys: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        bytes.extend((keys.len() as u64).to_le_bytes());
        for (key, value) in keys {
            bytes.extend(text(key));
            bytes.extend(KIND_TEXT.to_le_bytes());
            bytes.extend(text(value));
        }
        bytes
    }

    #[test]
    fn name_comes_from_the_metadata_and_else_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("a.gguf");
        fs::write(
            &named,
            header(&[
                ("general.architecture", "qwen2"),
                ("general.name", "Small One"),
            ]),
        )
        .unwrap();
        assert_eq!(open(&named, None).unwrap().name, "Small One");
        let unnamed = folder.path().join("b.gguf");
        fs::write(&unnamed, header(&[("general.architecture", "qwen2")])).unwrap();
        assert_eq!(open(&unnamed, None).unwrap().name, "b.gguf");
    }

    #[test]
    fn damaged_headers_are_invalid_models() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        let mut huge_text = header(&[]);
        huge_text[16..24].copy_from_slice(&1_u64.to_le_bytes());
        huge_text.extend(u64::MAX.to_le_bytes());
        for bytes in [
            b"".to_vec(),
            b"SQLite format 3\0".to_vec(),
            huge_text,
            header(&[("k", "v")])[..30].to_vec(),
        ] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(open(&path, None).unwrap_err().code(), Code::InvalidModel);
        }
    }

    #[test]
    fn missing_file_is_a_missing_model() {
        let error = open(Path::new("no/such/model.gguf"), None).unwrap_err();
        assert_eq!(error.code(), Code::ModelMissing);
        assert!(error.hint().unwrap().contains("assay model pull"));
    }

    #[test]
    fn a_changed_file_is_hashed_again_and_refused_when_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        fs::write(&path, header(&[("general.name", "One")])).unwrap();
        let first = open(&path, None).unwrap().sha256;
        assert!(note_path(&path).exists());
        assert!(open(&path, Some(&first)).is_ok());

        fs::write(&path, header(&[("general.name", "Two")])).unwrap();
        assert_eq!(
            open(&path, Some(&first)).unwrap_err().code(),
            Code::InvalidModel
        );
        assert_ne!(open(&path, None).unwrap().sha256, first);
    }

    #[test]
    fn sha256_is_the_standard_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        // Source: FIPS 180-4, example for "abc".
        assert_eq!(
            sha256_of(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
