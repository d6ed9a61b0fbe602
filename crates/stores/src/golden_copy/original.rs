//! The original as a set of files: the database, its `-wal`, its `-journal`. Only ever reads them, never through
//! SQLite, and never creates a file beside them.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat};
use engine::{Code, Error};
use serde::{Deserialize, Serialize};

/// What SQLite appends to a database's name for the files that belong to it, the database itself first.
const MEMBERS: [&str; 3] = ["", "-wal", "-journal"];
const HEADER: &[u8; 16] = b"SQLite format 3\0";
/// Ends a rollback journal that belongs to a transaction over several databases.
///
/// Source: SQLite, `aJournalMagic` in pager.c; also the file format document, section "The Rollback Journal".
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
const BUFFER_BYTES: usize = 256 << 10;

/// An original that exists and is a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Original {
    path: PathBuf,
}

/// What the file system says of one member. If nothing of it moved, the bytes did not either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberStat {
    /// One of [`MEMBERS`].
    pub suffix: String,
    pub size: u64,
    /// Nanoseconds since 1970 of the last write.
    pub modified_ns: i64,
    /// Nanoseconds since 1970 of the last change of anything; nobody can set it back.
    pub changed_ns: i64,
    pub device: u64,
    pub inode: u64,
}

/// What was read of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MemberHash {
    pub suffix: String,
    pub size: u64,
    pub hash: blake3::Hash,
}

impl Original {
    /// Resolves `path`, links included, as SQLite does: journals lie beside the file itself.
    ///
    /// # Errors
    ///
    /// [`Code::TargetNotFound`] if it does not exist or cannot be reached, [`Code::InvalidTarget`] if it is no regular file.
    pub fn find(path: &Path) -> Result<Self, Error> {
        let resolved = fs::canonicalize(path).map_err(|error| cannot_read(&error, path))?;
        let metadata = fs::metadata(&resolved).map_err(|error| cannot_read(&error, path))?;
        if metadata.is_dir() {
            return Err(Error::new(
                Code::InvalidTarget,
                format!("`{}` is a folder", path.display()),
            )
            .with_hint("name the SQLite file itself"));
        }
        // Opening a pipe would wait for someone to write to it.
        if !metadata.is_file() {
            return Err(Error::new(
                Code::InvalidTarget,
                format!("`{}` is not a regular file", path.display()),
            )
            .with_hint("name an SQLite file, not a pipe, socket or device"));
        }
        Ok(Self { path: resolved })
    }

    /// Returns the file itself, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the member with this suffix.
    pub fn member(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    }

    /// Says whether `path` names a file of the set, existing or not.
    pub fn has_member(&self, path: &Path) -> bool {
        let absolute = match (path.parent().map(fs::canonicalize), path.file_name()) {
            (Some(Ok(folder)), Some(name)) => folder.join(name),
            _ => path.to_owned(),
        };
        let is_same_file = |member: &Path| match (fs::metadata(member), fs::metadata(path)) {
            (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
            _ => false,
        };
        MEMBERS
            .iter()
            .map(|suffix| self.member(suffix))
            .any(|member| member == absolute || is_same_file(&member))
    }

    /// Returns what the file system says of the members that hold anything.
    ///
    /// An empty `-wal` or `-journal` says nothing: one appears whenever somebody merely reads.
    pub fn stat(&self) -> Result<Vec<MemberStat>, Error> {
        let mut stats = Vec::new();
        for suffix in MEMBERS {
            let path = self.member(suffix);
            let metadata = match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {
                    continue;
                }
                other => other.map_err(|error| cannot_read(&error, &path))?,
            };
            if !metadata.is_file() {
                let message = format!("`{}` is not a regular file", path.display());
                return Err(Error::new(Code::InvalidTarget, message));
            }
            if metadata.len() == 0 && !suffix.is_empty() {
                continue;
            }
            stats.push(MemberStat {
                suffix: suffix.to_owned(),
                size: metadata.len(),
                modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
                changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
                device: metadata.dev(),
                inode: metadata.ino(),
            });
        }
        Ok(stats)
    }

    /// Refuses what cannot be SQLite before any byte is copied.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidTarget`] if the file is empty or does not begin as SQLite files do.
    pub fn check_header(&self) -> Result<(), Error> {
        let path = self.path.display();
        let mut start = Vec::with_capacity(HEADER.len());
        File::open(&self.path)
            .and_then(|file| file.take(HEADER.len() as u64).read_to_end(&mut start))
            .map_err(|error| cannot_read(&error, &self.path))?;
        if start.is_empty() {
            return Err(
                Error::new(Code::InvalidTarget, format!("`{path}` is empty"))
                    .with_hint("name the SQLite file that holds the data"),
            );
        }
        if start != HEADER {
            let message = format!("`{path}` is not an SQLite database, or it is encrypted");
            return Err(Error::new(Code::InvalidTarget, message)
                .with_hint("decrypt or export it to an ordinary SQLite file first"));
        }
        Ok(())
    }

    /// Reads the members of `stats` and returns their hashes. Hears of the bytes as they are read.
    pub fn hash(
        &self,
        stats: &[MemberStat],
        tick: &(dyn Fn(u64) + Sync),
    ) -> io::Result<Vec<MemberHash>> {
        stats
            .iter()
            .map(|stat| {
                let (size, hash) = hash_file(&self.member(&stat.suffix), tick)?;
                Ok(MemberHash {
                    suffix: stat.suffix.clone(),
                    size,
                    hash,
                })
            })
            .collect()
    }

    /// Returns the fingerprint, in hex, of a set read as `members`.
    pub fn fingerprint(&self, members: &[MemberHash]) -> io::Result<String> {
        let mut hasher = blake3::Hasher::new();
        let mut frame = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for member in members {
            frame(member.suffix.as_bytes());
            frame(&member.size.to_le_bytes());
            frame(member.hash.as_bytes());
            if member.suffix == "-journal" {
                // Whether this journal is to be rolled back hangs on another file, so that file's presence counts.
                match self.super_journal(&self.member("-journal"))? {
                    Some(SuperJournal { is_present: true }) => frame(b"super-journal present"),
                    Some(SuperJournal { is_present: false }) => frame(b"super-journal gone"),
                    None => {}
                }
            }
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Looks at the end of a rollback journal for the super-journal of a transaction over several databases.
    ///
    /// While that file exists, the transaction did not commit; once it is gone, it did. The name is the one the
    /// writer used, so a file of the same name beside the original counts too, for a set that was moved together.
    ///
    /// Source: SQLite, `readSuperJournal` in pager.c.
    pub fn super_journal(&self, journal: &Path) -> io::Result<Option<SuperJournal>> {
        const TRAILER: u64 = 16;
        const MAX_NAME: u64 = 4096;
        let mut file = match File::open(journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let size = file.seek(SeekFrom::End(0))?;
        let mut trailer = [0_u8; TRAILER as usize];
        if size < TRAILER {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(size - TRAILER))?;
        file.read_exact(&mut trailer)?;
        let number = |at: usize| {
            u32::from_be_bytes([
                trailer[at],
                trailer[at + 1],
                trailer[at + 2],
                trailer[at + 3],
            ])
        };
        let (length, checksum) = (u64::from(number(0)), number(4));
        if trailer[8..] != JOURNAL_MAGIC
            || length == 0
            || length > MAX_NAME
            || length > size - TRAILER
        {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(size - TRAILER - length))?;
        let mut name = vec![0_u8; length as usize];
        file.read_exact(&mut name)?;
        // SQLite adds the bytes as signed characters.
        let sum = name.iter().fold(0_u32, |sum, &byte| {
            sum.wrapping_add_signed(i32::from(byte.cast_signed()))
        });
        if sum != checksum {
            return Ok(None);
        }
        let named = Path::new(std::ffi::OsStr::from_bytes(&name));
        let beside = named.file_name().map(|name| self.path.with_file_name(name));
        let is_present = named.exists() || beside.is_some_and(|path| path.exists());
        Ok(Some(SuperJournal { is_present }))
    }
}

/// The super-journal that a rollback journal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SuperJournal {
    pub is_present: bool,
}

/// Returns size and hash of a file. Hears of the bytes as they are read.
pub(super) fn hash_file(
    path: &Path,
    tick: &(dyn Fn(u64) + Sync),
) -> io::Result<(u64, blake3::Hash)> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
        tick(read as u64);
    }
}

/// Returns when any member was last written, RFC 3339 in UTC.
pub(super) fn last_modified(stats: &[MemberStat]) -> String {
    let newest = stats.iter().map(|stat| stat.modified_ns).max().unwrap_or(0);
    DateTime::from_timestamp_nanos(newest).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// Says why the original cannot be read, which is the owner's to mend.
pub(super) fn cannot_read(error: &io::Error, path: &Path) -> Error {
    let path = path.display();
    let made = match error.kind() {
        io::ErrorKind::NotFound => {
            Error::new(Code::TargetNotFound, format!("there is no file `{path}`"))
                .with_hint("check the path; the original is set by TARGET_DB_SOURCE or --db")
        }
        io::ErrorKind::PermissionDenied => {
            Error::new(Code::TargetNotFound, format!("`{path}` cannot be read"))
                .with_hint("give the user that runs Assay the right to read it")
        }
        _ => Error::new(Code::TargetNotFound, format!("`{path}` cannot be read"))
            .with_hint("check the disk or the network share it lies on"),
    };
    made.with_cause(error)
}
