//! Copies of databases that are asked by name (`assay ask --db FILE`): one folder per original in a cache folder that
//! is bounded in number and bytes.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use engine::Error;
use engine::ports::Clock;

use super::generations::Generations;
use super::{GoldenCopySettings, io_error};

/// Name of the working copy in the folder of one original.
const WORKING_COPY: &str = "copy.db";
/// Its time of change says when a copy was last asked for.
const LAST_USED: &str = "last-used";
/// Hex digits that name the folder of one original.
const NAME_LENGTH: usize = 32;

/// Returns settings for a copy of `original` in its own folder of the cache, and notes that it is used now.
///
/// # Errors
///
/// [`engine::Code::TargetDatabaseDown`] if the folder cannot be written.
pub fn copy_in_cache(
    cache: &Path,
    original: &Path,
    clock: Arc<dyn Clock>,
) -> Result<GoldenCopySettings, Error> {
    // A path that does not exist gets no folder of its own; the copy will say that there is no such file.
    let resolved = fs::canonicalize(original).unwrap_or_else(|_| original.to_owned());
    let name = blake3::hash(resolved.as_os_str().as_bytes()).to_hex();
    let folder = cache.join(&name[..NAME_LENGTH]);
    if resolved.is_file() {
        let note = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            File::create(folder.join(LAST_USED))?.set_modified(clock.now().into())
        };
        note().map_err(|error| io_error(&error, "writing", &folder))?;
    }
    Ok(GoldenCopySettings {
        keep_generations: 1,
        ..GoldenCopySettings::new(original.to_owned(), folder.join(WORKING_COPY), clock)
    })
}

/// Removes the copies that were used longest ago until at most `max_count` with at most `max_bytes` are left; returns
/// how many went. Copies in use by any process stay, whatever the bounds; nothing else in the folder is touched.
///
/// # Errors
///
/// [`engine::Code::TargetDatabaseDown`] if a copy cannot be removed.
pub fn prune_copies(cache: &Path, max_count: usize, max_bytes: u64) -> Result<usize, Error> {
    let mut copies: Vec<CachedCopy> = fs::read_dir(cache)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_copy_name(&entry.file_name()))
        .map(|entry| CachedCopy::at(entry.path()))
        .collect();
    copies.sort_by(|left, right| {
        (left.last_used, &left.folder).cmp(&(right.last_used, &right.folder))
    });
    let mut count = copies.len();
    let mut bytes: u64 = copies.iter().map(|copy| copy.bytes).sum();
    let mut removed = 0;
    for copy in copies {
        if count <= max_count && bytes <= max_bytes {
            break;
        }
        if copy
            .remove_unless_used()
            .map_err(|error| io_error(&error, "removing", &copy.folder))?
        {
            count -= 1;
            bytes -= copy.bytes;
            removed += 1;
        }
    }
    Ok(removed)
}

struct CachedCopy {
    folder: PathBuf,
    last_used: SystemTime,
    bytes: u64,
}

impl CachedCopy {
    fn at(folder: PathBuf) -> Self {
        let last_used =
            fs::metadata(folder.join(LAST_USED)).and_then(|metadata| metadata.modified());
        Self {
            last_used: last_used.unwrap_or(SystemTime::UNIX_EPOCH),
            bytes: bytes_below(&folder),
            folder,
        }
    }

    fn remove_unless_used(&self) -> io::Result<bool> {
        let generations = Generations::beside(&self.folder.join(WORKING_COPY));
        // Without generations there is nothing to lock, and nothing that anyone could use.
        if generations.folder().exists() {
            match generations.try_lock() {
                Some(lock) if !generations.is_leased(&lock) => {
                    fs::remove_dir_all(generations.folder())?
                }
                _ => return Ok(false),
            }
        }
        match fs::remove_dir_all(&self.folder) {
            // Another process began to copy the same original anew.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            other => other.map(|()| true),
        }
    }
}

fn is_copy_name(name: &std::ffi::OsStr) -> bool {
    name.len() == NAME_LENGTH && name.as_bytes().iter().all(u8::is_ascii_hexdigit)
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
