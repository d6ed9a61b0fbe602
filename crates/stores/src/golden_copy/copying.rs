//! Copies an original that others may be writing, in such a way that the copy is what the original was at one moment,
//! or there is none.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use engine::{Code, Error};
use tempfile::TempDir;

use super::original::{MemberHash, MemberStat, Original, cannot_read, hash_file};
use super::{CopyPhase, CopyProgress, OnProgress, io_error};

/// Prefix of the folders in which copies are made; whatever carries it is left over once nobody holds the lock.
pub(super) const PRIVATE_PREFIX: &str = "private-";
/// Small enough that what was read is still in the processor's cache when it is hashed and written.
const BUFFER_BYTES: usize = 256 << 10;
const BUFFERS: usize = 8;

/// A copy of the whole set in a private folder, byte for byte what the original was, on disk.
pub(super) struct Snapshot {
    /// Removed with everything in it when dropped.
    pub folder: TempDir,
    /// The database in it; its journals lie beside it.
    pub database: PathBuf,
    pub stats: Vec<MemberStat>,
    pub members: Vec<MemberHash>,
    pub fingerprint: String,
}

/// How often a copy is tried again when the original moved meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one.
    pub pause: Duration,
}

/// Copies the set into a new private folder under `parent`.
///
/// # Errors
///
/// [`Code::InvalidTarget`] and [`Code::TargetNotFound`] as the original deserves them, [`Code::GoldenCopyMismatch`] if it
/// moved during every attempt or the copy read back differs, [`Code::TargetDatabaseDown`] if it cannot be written.
pub(super) fn copy_set(
    original: &Original,
    parent: &Path,
    patience: Patience,
    progress: OnProgress<'_>,
) -> Result<Snapshot, Error> {
    let mut pause = patience.pause;
    for attempt in 1..=patience.attempts.max(1) {
        if attempt > 1 {
            tracing::info!(
                attempt,
                "the original changed while it was copied, trying again"
            );
            thread::sleep(pause);
            pause *= 2;
        }
        original.check_header()?;
        if let Some(snapshot) = try_copy(original, parent, progress)? {
            return Ok(snapshot);
        }
    }
    let path = original.path().display();
    Err(Error::new(
        Code::GoldenCopyMismatch,
        format!("`{path}` kept changing while it was copied"),
    )
    .with_hint("try again when nobody writes to it, or give a backup of it as the original"))
}

/// Copies the set once; `None` if it moved.
fn try_copy(
    original: &Original,
    parent: &Path,
    progress: OnProgress<'_>,
) -> Result<Option<Snapshot>, Error> {
    let stats = original.stat()?;
    let total: u64 = stats.iter().map(|stat| stat.size).sum();
    let folder = tempfile::Builder::new()
        .prefix(PRIVATE_PREFIX)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(|error| io_error(&error, "making a folder in", parent))?;
    let database = folder.path().join("copy.db");
    let copied_path = |suffix: &str| {
        let mut name = database.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };

    let copying = Counter::new(CopyPhase::Copying, total, progress);
    let mut members = Vec::new();
    for stat in &stats {
        let from = original.member(&stat.suffix);
        match copy_file(&from, &copied_path(&stat.suffix), &|bytes| {
            copying.add(bytes)
        }) {
            Ok((size, hash)) => members.push(MemberHash {
                suffix: stat.suffix.clone(),
                size,
                hash,
            }),
            Err(CopyFault::Reading(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(CopyFault::Reading(error)) => return Err(cannot_read(&error, &from)),
            Err(CopyFault::Writing(error)) => {
                return Err(io_error(&error, "writing a copy in", parent));
            }
        }
    }

    // The disk is slow and reading is not: the copy is flushed while the original and the copy are read once more.
    let verifying = Counter::new(CopyPhase::Verifying, total * 2, progress);
    let tick = |bytes: u64| verifying.add(bytes);
    let (flushed, original_again, copy_again) = thread::scope(|scope| {
        let flushing = scope.spawn(|| File::open(&database)?.sync_all());
        let rereading = scope.spawn(|| original.hash(&stats, &tick));
        let copy_again: io::Result<Vec<MemberHash>> = stats
            .iter()
            .map(|stat| {
                let (size, hash) = hash_file(&copied_path(&stat.suffix), &tick)?;
                Ok(MemberHash {
                    suffix: stat.suffix.clone(),
                    size,
                    hash,
                })
            })
            .collect();
        (flushing.join(), rereading.join(), copy_again)
    });
    joined(flushed).map_err(|error| io_error(&error, "writing a copy in", parent))?;
    let copy_again =
        copy_again.map_err(|error| io_error(&error, "reading back a copy in", parent))?;
    let original_again = match joined(original_again) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| cannot_read(&error, original.path()))?,
    };
    if original_again != members || original.stat()? != stats {
        return Ok(None);
    }
    if copy_again != members {
        let path = parent.display();
        return Err(Error::new(
            Code::GoldenCopyMismatch,
            format!("the copy in `{path}`, read back, is not what was written"),
        )
        .with_hint("the disk or the memory of this machine may be failing"));
    }
    let fingerprint = original
        .fingerprint(&members)
        .map_err(|error| cannot_read(&error, original.path()))?;
    Ok(Some(Snapshot {
        folder,
        database,
        stats,
        members,
        fingerprint,
    }))
}

/// Passes on what a thread returned, and its panic if it had one.
fn joined<T>(result: thread::Result<T>) -> T {
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

enum CopyFault {
    Reading(io::Error),
    Writing(io::Error),
}

/// Copies one file and returns size and hash of what was read.
fn copy_file(
    from: &Path,
    to: &Path,
    tick: &(dyn Fn(u64) + Sync),
) -> Result<(u64, blake3::Hash), CopyFault> {
    // Where the file system can share blocks, the copy costs nothing and is taken at one instant.
    if reflink_copy::reflink(from, to).is_ok() {
        std::fs::set_permissions(to, Permissions::from_mode(0o600)).map_err(CopyFault::Writing)?;
        return hash_file(to, tick).map_err(CopyFault::Reading);
    }
    let mut source = File::open(from).map_err(CopyFault::Reading)?;
    let mut copy = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(to)
        .map_err(CopyFault::Writing)?;
    thread::scope(|scope| {
        let (full, to_write) = mpsc::sync_channel::<(Vec<u8>, usize)>(BUFFERS);
        let (empty, to_fill) = mpsc::channel::<Vec<u8>>();
        for _ in 0..BUFFERS {
            let _ = empty.send(vec![0; BUFFER_BYTES]);
        }
        let writer = scope.spawn(move || -> io::Result<()> {
            for (buffer, length) in to_write {
                copy.write_all(&buffer[..length])?;
                // The reader is gone once it has met the end; then nobody wants the buffer back.
                let _ = empty.send(buffer);
            }
            Ok(())
        });
        let mut hasher = blake3::Hasher::new();
        let mut size = 0;
        let mut fault = None;
        // Fails only when the writer has stopped, and then it says why below.
        while let Ok(mut buffer) = to_fill.recv() {
            match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    size += read as u64;
                    tick(read as u64);
                    if full.send((buffer, read)).is_err() {
                        break;
                    }
                }
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        drop(full);
        joined(writer.join()).map_err(CopyFault::Writing)?;
        match fault {
            Some(error) => Err(CopyFault::Reading(error)),
            None => Ok((size, hasher.finalize())),
        }
    })
}

/// Adds up bytes from several threads and reports the sum.
pub(super) struct Counter<'a> {
    phase: CopyPhase,
    total: u64,
    done: AtomicU64,
    progress: OnProgress<'a>,
}

impl<'a> Counter<'a> {
    pub fn new(phase: CopyPhase, total: u64, progress: OnProgress<'a>) -> Self {
        progress(CopyProgress {
            phase,
            done: 0,
            total,
        });
        Self {
            phase,
            total,
            done: AtomicU64::new(0),
            progress,
        }
    }

    pub fn add(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(CopyProgress {
            phase: self.phase,
            done,
            // A file that grows meanwhile must not show more than everything.
            total: self.total.max(done),
        });
    }
}
