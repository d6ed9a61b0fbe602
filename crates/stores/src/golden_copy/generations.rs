//! The folder of generations: its lock, its leases, publishing, the pointer, and what may be thrown away.
//!
//! Beside the working copy `data.db`, which is a symbolic link, lies `data.db.generations` with, for each generation,
//! `<fingerprint>.db`, `<fingerprint>.json` (the manifest) and `<fingerprint>.lease` (locked by whoever uses it), and
//! perhaps `<fingerprint>.values.db`, the index of its values, with `.part` and `.lock` while that is built.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use engine::{Code, Error};

use super::copying::PRIVATE_PREFIX;
use super::manifest::Manifest;
use super::{READ_ONLY_MODE, io_error};

const LOCK: &str = "lock";
const NEXT_POINTER: &str = "pointer.tmp";

/// The generations of one working copy.
#[derive(Debug, Clone)]
pub(super) struct Generations {
    folder: PathBuf,
    pointer: PathBuf,
}

/// Held by the one that makes, publishes or removes generations.
#[derive(Debug)]
pub(super) struct FolderLock {
    _locked: Locked,
}

/// Held by whoever uses a generation; its files stay until the last one is dropped, in any process.
#[derive(Debug)]
pub(super) struct Lease {
    _locked: Locked,
}

/// A locked file, unlocked when dropped.
///
/// Closing it would not do: a child process being started shares the open file between fork and exec, and with it
/// the lock, so that the next `try_lock` would find it taken by nobody.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing unlocks it too, if later.
        let _ = self.0.unlock();
    }
}

impl Generations {
    /// Names the generations of the working copy at `pointer`; touches nothing.
    pub fn beside(pointer: &Path) -> Self {
        let mut folder = pointer.as_os_str().to_owned();
        folder.push(".generations");
        Self {
            folder: PathBuf::from(folder),
            pointer: pointer.to_owned(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn database(&self, fingerprint: &str) -> PathBuf {
        self.folder.join(format!("{fingerprint}.db"))
    }

    /// Returns the file of the index of a generation's values.
    pub fn values(&self, fingerprint: &str) -> PathBuf {
        self.folder.join(format!("{fingerprint}.values.db"))
    }

    fn manifest_path(&self, fingerprint: &str) -> PathBuf {
        self.folder.join(format!("{fingerprint}.json"))
    }

    fn lease_path(&self, fingerprint: &str) -> PathBuf {
        self.folder.join(format!("{fingerprint}.lease"))
    }

    /// Takes the lock, making the folder if it is not there. Calls `wait` once if someone else has it.
    pub fn lock(&self, wait: &dyn Fn()) -> Result<FolderLock, Error> {
        let failed = |error: io::Error| io_error(&error, "locking", &self.folder);
        loop {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)
                .map_err(|error| io_error(&error, "making", &self.folder))?;
            let file = open_lock(&self.folder.join(LOCK)).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    wait();
                    file.lock().map_err(failed)?;
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // Whoever had the lock may have removed the folder; then this one guards nothing.
            if is_file_at(&file, &self.folder.join(LOCK)) {
                return Ok(FolderLock {
                    _locked: Locked(file),
                });
            }
        }
    }

    /// Takes the lock if nobody has it and there is one.
    pub fn try_lock(&self) -> Option<FolderLock> {
        let path = self.folder.join(LOCK);
        let file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
        (file.try_lock().is_ok() && is_file_at(&file, &path)).then_some(FolderLock {
            _locked: Locked(file),
        })
    }

    /// Takes a lease on a generation. The lock keeps it from being removed at the same time.
    pub fn lease(&self, fingerprint: &str, _: &FolderLock) -> Result<Lease, Error> {
        let path = self.lease_path(fingerprint);
        let take = || {
            let file = open_lock(&path)?;
            file.lock_shared()?;
            Ok(Lease {
                _locked: Locked(file),
            })
        };
        take().map_err(|error: io::Error| io_error(&error, "locking", &path))
    }

    /// Returns the fingerprint of the generation that the working copy points at.
    pub fn pointed(&self) -> Option<String> {
        let target = fs::read_link(&self.pointer).ok()?;
        let is_ours = target.parent()?.file_name() == self.folder.file_name();
        let fingerprint = target.file_name()?.to_str()?.strip_suffix(".db")?;
        (is_ours && is_fingerprint(fingerprint)).then(|| fingerprint.to_owned())
    }

    /// Refuses a place for the working copy where something stands that Assay did not make.
    pub fn check_pointer(&self) -> Result<(), Error> {
        match fs::symlink_metadata(&self.pointer) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(_) if self.pointed().is_some() => Ok(()),
            _ => {
                let path = self.pointer.display();
                let message =
                    format!("`{path}` is there already and is not a working copy made by Assay");
                Err(Error::new(Code::InvalidSetting, message)
                    .with_hint("move it away, or set TARGET_DB_PATH to a path where nothing is"))
            }
        }
    }

    /// Returns the manifest of a generation whose file is there.
    pub fn manifest(&self, fingerprint: &str) -> Option<Manifest> {
        Manifest::read(&self.manifest_path(fingerprint), fingerprint)
            .filter(|_| self.database(fingerprint).is_file())
    }

    /// Returns all generations with an intact manifest, the newest first.
    pub fn published(&self) -> Vec<Manifest> {
        let mut manifests: Vec<Manifest> = self
            .file_names()
            .iter()
            .filter_map(|name| name.strip_suffix(".json"))
            .filter(|stem| is_fingerprint(stem))
            .filter_map(|fingerprint| self.manifest(fingerprint))
            .collect();
        manifests.sort_by_key(|manifest| std::cmp::Reverse(manifest.sequence));
        manifests
    }

    /// Records anew what is known of a generation that is there.
    pub fn rewrite(&self, manifest: &Manifest) -> Result<(), Error> {
        manifest.write(&self.manifest_path(&manifest.fingerprint))
    }

    /// Makes a finished private copy the generation in service. Until the last step the previous one is.
    ///
    /// `database` is on disk and read-only already, and `manifest` describes it.
    pub fn publish(
        &self,
        database: &Path,
        manifest: &Manifest,
        lock: &FolderLock,
    ) -> Result<(), Error> {
        let published = self.database(&manifest.fingerprint);
        fs::rename(database, &published)
            .map_err(|error| io_error(&error, "publishing", &published))?;
        manifest.write(&self.manifest_path(&manifest.fingerprint))?;
        sync_folder(&self.folder)?;
        self.point_at(&manifest.fingerprint, lock)
    }

    /// Swaps the pointer.
    ///
    /// It is a symbolic link because its target says which generation it is, and because renaming one over another
    /// is atomic: an opener finds the old file or the new one. Renaming a hard link over a link to the same file
    /// would do nothing and leave both names.
    pub fn point_at(&self, fingerprint: &str, _: &FolderLock) -> Result<(), Error> {
        if self.pointed().as_deref() == Some(fingerprint) {
            return Ok(());
        }
        self.check_pointer()?;
        let swap = || -> io::Result<()> {
            let next = self.folder.join(NEXT_POINTER);
            let folder_name = self.folder.file_name().unwrap_or_default();
            remove_if_there(&next)?;
            // Relative, so that the data folder may be moved as a whole.
            symlink(
                Path::new(folder_name).join(format!("{fingerprint}.db")),
                &next,
            )?;
            fs::rename(&next, &self.pointer)
        };
        swap().map_err(|error| io_error(&error, "pointing", &self.pointer))?;
        match self.pointer.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
            _ => sync_folder(Path::new(".")),
        }
    }

    /// Removes what processes that died here left half-done: all that is not one of the `intact` generations.
    pub fn clean_leftovers(&self, intact: &[Manifest], lock: &FolderLock) -> Result<(), Error> {
        let is_unfinished = |fingerprint: &str| {
            is_fingerprint(fingerprint)
                && intact
                    .iter()
                    .all(|manifest| manifest.fingerprint != fingerprint)
        };
        for name in self.file_names() {
            let path = self.folder.join(&name);
            let removed = if name.starts_with(PRIVATE_PREFIX) {
                fs::remove_dir_all(&path)
            } else if name.ends_with(".tmp") {
                remove_if_there(&path)
            } else if let Some((fingerprint, kind)) = name.split_once('.')
                && kind != "lease"
                && is_unfinished(fingerprint)
            {
                self.remove_unless_leased(fingerprint, lock).map(|_| ())
            } else {
                Ok(())
            };
            removed.map_err(|error| io_error(&error, "removing", &path))?;
        }
        Ok(())
    }

    /// Removes old generations beyond the newest `keep`; never the one in service, nor one that anybody holds.
    pub fn retain(&self, keep: usize, lock: &FolderLock) -> Result<(), Error> {
        let in_service = self.pointed();
        let published = self.published();
        let others = published
            .iter()
            .filter(|manifest| Some(&manifest.fingerprint) != in_service.as_ref());
        for manifest in others.skip(keep.saturating_sub(1)) {
            self.remove_unless_leased(&manifest.fingerprint, lock)
                .map_err(|error| {
                    io_error(&error, "removing", &self.database(&manifest.fingerprint))
                })?;
        }
        Ok(())
    }

    /// Says whether any process holds a generation.
    pub fn is_leased(&self, _: &FolderLock) -> bool {
        self.file_names()
            .iter()
            .filter(|name| name.ends_with(".lease"))
            .any(|name| is_held(&self.folder.join(name)))
    }

    fn remove_unless_leased(&self, fingerprint: &str, _: &FolderLock) -> io::Result<bool> {
        let lease = self.lease_path(fingerprint);
        if is_held(&lease) {
            return Ok(false);
        }
        // The manifest first: a file without one is a leftover, a manifest without its file would be a promise.
        remove_if_there(&self.manifest_path(fingerprint))?;
        let values = self.values(fingerprint);
        for file in [
            &values,
            &values.with_extension("part"),
            &values.with_extension("lock"),
        ] {
            remove_if_there(file)?;
        }
        remove_if_there(&self.database(fingerprint))?;
        remove_if_there(&lease)?;
        Ok(true)
    }

    fn file_names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

/// Says which file is behind a path, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Returns the file that `path` leads to, if there is one.
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path)
            .ok()
            .map(|metadata| Self::from(&metadata))
    }
}

impl From<&fs::Metadata> for FileId {
    fn from(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// Makes a file read-only for everyone and puts it on disk.
pub(super) fn seal(database: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(database)?;
    file.set_permissions(Permissions::from_mode(READ_ONLY_MODE))?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|error| io_error(&error, "writing", folder))
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn is_file_at(file: &File, path: &Path) -> bool {
    let open = file.metadata().ok().map(|metadata| FileId::from(&metadata));
    open.is_some() && open == FileId::of(path)
}

fn is_held(lease: &Path) -> bool {
    match OpenOptions::new().read(true).write(true).open(lease) {
        Ok(file) => Locked(file).0.try_lock().is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn is_fingerprint(name: &str) -> bool {
    name.len() == 64
        && name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_a_starting_child_shares_is_free_once_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let generations = Generations::beside(&folder.path().join("data.db"));
        let lock = generations.lock(&|| {}).unwrap();
        // What a child has between fork and exec: the same open file under another descriptor.
        let shared = lock._locked.0.try_clone().unwrap();
        drop(lock);
        assert!(generations.try_lock().is_some());
        drop(shared);
    }
}
