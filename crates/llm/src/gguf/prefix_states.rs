//! The states of prefixes, kept in memory and on disk, bounded in bytes on both, least recently used out. A state is
//! only ever given back under the key it was kept under; a file that is damaged or foreign is never given to llama.cpp.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What a state belongs to: the hash of exact prefix tokens, model, llama.cpp build and context parameters.
pub(super) type Key = [u8; 32];

// ---------------------------------------------------------------------------------------------------------------------
// In memory

/// States in memory, most recently used last.
pub(super) struct MemoryStates<S> {
    bytes_at_most: u64,
    bytes: u64,
    entries: Vec<(Key, u64, S)>,
}

impl<S> MemoryStates<S> {
    pub(super) fn new(bytes_at_most: u64) -> Self {
        Self {
            bytes_at_most,
            bytes: 0,
            entries: Vec::new(),
        }
    }

    /// Returns a state and marks it as used.
    pub(super) fn get(&mut self, key: &Key) -> Option<&S> {
        let found = self.entries.iter().position(|(held, ..)| held == key)?;
        let entry = self.entries.remove(found);
        self.entries.push(entry);
        self.entries.last().map(|(.., state)| state)
    }

    /// Keeps a state, unless it alone is over the bound.
    pub(super) fn put(&mut self, key: Key, state: S, size_bytes: u64) {
        self.remove(&key);
        if size_bytes > self.bytes_at_most {
            return;
        }
        while self.bytes + size_bytes > self.bytes_at_most {
            let (_, freed, _) = self.entries.remove(0);
            self.bytes -= freed;
        }
        self.bytes += size_bytes;
        self.entries.push((key, size_bytes, state));
    }

    /// Forgets a state.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(found) = self.entries.iter().position(|(held, ..)| held == key) {
            let (_, freed, _) = self.entries.remove(found);
            self.bytes -= freed;
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// On disk

/// After llama.cpp's own bytes come: their BLAKE3, the key, this mark, and one byte that is rewritten at every use, so
/// that the file's modification time says when it was last used.
const MARK: &[u8; 16] = b"assay-prefix-1\r\n";
const FOOTER_BYTES: u64 = 32 + 32 + 16 + 1;
const EXTENSION: &str = "state";
const UNFINISHED: &str = "new-";

/// States on disk, one file each.
pub(super) struct DiskStates {
    folder: PathBuf,
    bytes_at_most: u64,
}

impl DiskStates {
    /// Opens the folder, creating it for this user alone.
    pub(super) fn open(folder: &Path, bytes_at_most: u64) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        #[cfg(unix)]
        set_mode(folder, 0o700)?;
        sweep_unfinished(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            bytes_at_most,
        })
    }

    /// Returns the file of a state, if there is one and every byte of it is as written. A file that is not is deleted.
    pub(super) fn find(&self, key: &Key) -> Option<PathBuf> {
        let path = self.path(key);
        match verify(&path, key) {
            Ok(()) => Some(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, "a kept prefix state is damaged and was deleted");
                self.remove(key);
                None
            }
        }
    }

    /// Keeps the state that `write` puts into the file of the given path, then deletes what is over the bound.
    pub(super) fn put(
        &self,
        key: &Key,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(&self.folder)?
            .into_temp_path();
        write(&temporary)?;
        let size_bytes = seal(&temporary, key)?;
        if size_bytes > self.bytes_at_most {
            return Err(io::Error::other(format!(
                "a state of {size_bytes} bytes is over the bound of {} bytes",
                self.bytes_at_most
            )));
        }
        #[cfg(unix)]
        set_mode(&temporary, 0o600)?;
        temporary.persist(self.path(key))?;
        self.trim(key)
    }

    /// Deletes a state.
    pub(super) fn remove(&self, key: &Key) {
        // A file that cannot be deleted is found damaged again, and again not used.
        let _ = fs::remove_file(self.path(key));
    }

    fn path(&self, key: &Key) -> PathBuf {
        let name = blake3::Hash::from_bytes(*key).to_hex();
        self.folder.join(name.as_str()).with_extension(EXTENSION)
    }

    /// Deletes the states used longest ago until the rest is within the bound; never the one of `newest`.
    fn trim(&self, newest: &Key) -> io::Result<()> {
        let newest = self.path(newest);
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let path = entry.path();
            // Another worker may delete files of the same folder meanwhile: what is gone does not count.
            if let Ok(metadata) = entry.metadata()
                && metadata.is_file()
                && path.extension().is_some_and(|found| found == EXTENSION)
            {
                files.push((metadata.modified()?, metadata.len(), path));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if bytes <= self.bytes_at_most {
                break;
            }
            if path != newest && fs::remove_file(&path).is_ok() {
                bytes -= size;
            }
        }
        Ok(())
    }
}

/// Deletes what a worker that died while writing left behind an hour ago or earlier. The time is read off a file made
/// now: the folder may be on a machine with another clock.
fn sweep_unfinished(folder: &Path) -> io::Result<()> {
    let now = tempfile::tempfile_in(folder)?.metadata()?.modified()?;
    for entry in fs::read_dir(folder)?.flatten() {
        let is_unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        let is_old = |modified| {
            now.duration_since(modified)
                .is_ok_and(|age| age > Duration::from_secs(3600))
        };
        if is_unfinished
            && entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(is_old)
        {
            // Another worker may sweep at the same time.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Appends the footer and returns the size of the file.
fn seal(path: &Path, key: &Key) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    let hash = hash_of(&mut file, size)?;
    let mut footer = Vec::new();
    footer.extend(hash.as_bytes());
    footer.extend(key);
    footer.extend(MARK);
    footer.push(0);
    file.write_all(&footer)?;
    Ok(size + FOOTER_BYTES)
}

/// Checks that a file is a state kept under this key, whole and unchanged, and marks it as used.
fn verify(path: &Path, key: &Key) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let wrong = |what: &str| Err(io::Error::other(format!("wrong {what}")));
    let Some(size) = file.metadata()?.len().checked_sub(FOOTER_BYTES) else {
        return wrong("size");
    };
    let hash = hash_of(&mut file, size)?;
    let mut footer = [0; FOOTER_BYTES as usize];
    file.read_exact(&mut footer)?;
    if &footer[64..80] != MARK {
        return wrong("mark");
    }
    if &footer[32..64] != key {
        return wrong("key");
    }
    if footer[..32] != *hash.as_bytes() {
        return wrong("hash");
    }
    file.seek(SeekFrom::End(-1))?;
    file.write_all(&[footer[80].wrapping_add(1)])
}

/// Hashes the first `size` bytes.
fn hash_of(file: &mut File, size: u64) -> io::Result<blake3::Hash> {
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    let mut rest = size;
    let mut buffer = vec![0; 1 << 20];
    while rest > 0 {
        let wanted = usize::try_from(rest.min(buffer.len() as u64)).map_err(io::Error::other)?;
        file.read_exact(&mut buffer[..wanted])?;
        hasher.update(&buffer[..wanted]);
        rest -= wanted as u64;
    }
    Ok(hasher.finalize())
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = [7; 32];

    fn keep(states: &DiskStates, key: &Key, bytes: &[u8]) {
        states.put(key, |path| fs::write(path, bytes)).unwrap();
    }

    #[test]
    fn least_recently_used_state_leaves_memory_first() {
        let mut states = MemoryStates::new(10);
        states.put([1; 32], "one", 4);
        states.put([2; 32], "two", 4);
        assert_eq!(states.get(&[1; 32]), Some(&"one"));
        states.put([3; 32], "three", 4);
        assert_eq!(states.get(&[2; 32]), None);
        assert_eq!(states.get(&[1; 32]), Some(&"one"));
        states.put([4; 32], "too large", 11);
        assert_eq!(states.get(&[4; 32]), None);
        assert_eq!(states.get(&[3; 32]), Some(&"three"));
    }

    #[test]
    fn a_state_is_found_again_under_its_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let states = DiskStates::open(folder.path(), 1 << 20).unwrap();
        keep(&states, &KEY, b"state");
        let path = states.find(&KEY).unwrap();
        assert!(fs::read(&path).unwrap().starts_with(b"state"));
        assert!(states.find(&KEY).is_some(), "being used does not damage it");
        assert!(states.find(&[8; 32]).is_none());

        fs::copy(&path, states.path(&[8; 32])).unwrap();
        assert!(
            states.find(&[8; 32]).is_none(),
            "a file renamed to another key is not used"
        );
    }

    #[test]
    fn a_changed_cut_or_foreign_file_is_deleted_and_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let states = DiskStates::open(folder.path(), 1 << 20).unwrap();
        keep(&states, &KEY, &[42; 5000]);
        let whole = fs::read(states.path(&KEY)).unwrap();
        let mut changed = whole.clone();
        changed[2500] ^= 1;
        for bytes in [
            changed,
            whole[..4000].to_vec(),
            b"GGUF".to_vec(),
            Vec::new(),
        ] {
            fs::write(states.path(&KEY), bytes).unwrap();
            assert!(states.find(&KEY).is_none());
            assert!(!states.path(&KEY).exists());
        }
    }

    #[test]
    fn disk_is_bounded_and_the_state_used_longest_ago_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let states = DiskStates::open(folder.path(), 3000).unwrap();
        let used = |key: &Key, seconds: u64| {
            let when = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let file = OpenOptions::new()
                .write(true)
                .open(states.path(key))
                .unwrap();
            file.set_modified(when).unwrap();
        };
        keep(&states, &[1; 32], &[0; 1000]);
        keep(&states, &[2; 32], &[0; 1000]);
        used(&[1; 32], 100);
        used(&[2; 32], 200);
        assert!(
            states.find(&[1; 32]).is_some(),
            "this use makes it the younger one"
        );
        keep(&states, &[3; 32], &[0; 1000]);
        assert!(states.find(&[2; 32]).is_none());
        assert!(states.find(&[1; 32]).is_some() && states.find(&[3; 32]).is_some());
        assert!(states.put(&KEY, |path| fs::write(path, [0; 4000])).is_err());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing half-written is left"
        );
    }

    #[test]
    fn what_a_dead_worker_left_half_written_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let (old, fresh) = (
            folder.path().join("new-old"),
            folder.path().join("new-fresh"),
        );
        File::create(&old)
            .unwrap()
            .set_modified(SystemTime::UNIX_EPOCH)
            .unwrap();
        File::create(&fresh).unwrap();
        DiskStates::open(folder.path(), 3000).unwrap();
        assert!(!old.exists() && fresh.exists());
    }

    #[cfg(unix)]
    #[test]
    fn folder_and_files_are_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("states");
        let states = DiskStates::open(&folder, 1 << 20).unwrap();
        keep(&states, &KEY, b"state");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&states.path(&KEY)), 0o600);
    }
}
