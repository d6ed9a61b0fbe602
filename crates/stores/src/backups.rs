//! The folder of backups: what is whole, what is kept. A backup is two files, `NAME.backup` and its manifest
//! `NAME.json`. The manifest comes last when one is made and goes first when one is removed, so whatever interrupts
//! either leaves no backup that looks whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use engine::audit::Anchor;
use engine::backups::Backup;
use engine::{Code, Error};
use serde::{Deserialize, Serialize};

/// Names of folders in which a backup is being written; a killed process leaves one behind.
const PARTIAL: &str = ".partial-";
const LOCK: &str = ".lock";
/// Raised when an older program could not read a manifest rightly.
const FORMAT: u32 = 1;

/// The folder of one system store's backups.
#[derive(Debug, Clone)]
pub(crate) struct BackupFolder {
    folder: PathBuf,
    /// The kind of store that belongs here.
    store: &'static str,
    keep: usize,
}

/// Held by the one that makes or removes backups; unlocked when dropped.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // A child process being started shares the open file for a moment, so closing alone would not do.
        let _ = self.0.unlock();
    }
}

/// What only the store can tell of a backup.
pub(crate) struct Contents {
    pub schema_version: String,
    pub row_counts: RowCounts,
    pub last_seal: Option<Anchor>,
}

pub(crate) type RowCounts = std::collections::BTreeMap<String, u64>;

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    #[serde(flatten)]
    backup: Backup,
}

impl BackupFolder {
    /// Names the folder; `keep` is how many backups stay.
    pub(crate) fn new(folder: &Path, store: &'static str, keep: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            store,
            keep: keep.max(1),
        }
    }

    /// Waits until nobody else makes or removes backups, and throws away what an interrupted one left behind.
    pub(crate) fn lock(&self) -> Result<FolderLock, Error> {
        let lock = || -> io::Result<FolderLock> {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&self.folder)?;
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(self.folder.join(LOCK))?;
            file.lock()?;
            let lock = FolderLock(file);
            for entry in fs::read_dir(&self.folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            Ok(lock)
        };
        lock().map_err(|fault| self.failed("written", fault))
    }

    /// Makes the private folder in which a backup is written.
    pub(crate) fn draft(&self, _: &FolderLock) -> Result<tempfile::TempDir, Error> {
        tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempdir_in(&self.folder)
            .map_err(|fault| self.failed("written", fault))
    }

    /// Makes a backup of a file that is written to its end, and removes what is beyond the count that is kept.
    pub(crate) fn publish(
        &self,
        lock: &FolderLock,
        draft: &tempfile::TempDir,
        file: &Path,
        contents: Contents,
        at: DateTime<Utc>,
    ) -> Result<Backup, Error> {
        let publish = || -> io::Result<Backup> {
            let written = File::open(file)?;
            written.sync_all()?;
            let backup = Backup {
                name: self.free_name(at),
                created_at: at,
                store: self.store.to_owned(),
                size_bytes: written.metadata()?.len(),
                hash: hash(file)?,
                schema_version: contents.schema_version,
                row_counts: contents.row_counts,
                last_seal: contents.last_seal,
            };
            let manifest = draft.path().join("manifest");
            let text = serde_json::to_vec_pretty(&Manifest {
                format: FORMAT,
                backup: backup.clone(),
            })?;
            fs::write(&manifest, text)?;
            File::open(&manifest)?.sync_all()?;
            fs::rename(file, self.file(&backup.name))?;
            // The file's name must be on disk before the manifest vouches for it.
            sync_folder(&self.folder)?;
            fs::rename(&manifest, self.manifest(&backup.name))?;
            sync_folder(&self.folder)?;
            Ok(backup)
        };
        let backup = publish().map_err(|fault| self.failed("written", fault))?;
        self.retain(lock)?;
        Ok(backup)
    }

    /// Lists whole backups, the newest first.
    pub(crate) fn list(&self) -> Result<Vec<Backup>, Error> {
        let mut backups = self.manifests()?;
        backups.retain(|backup| self.size_of(&backup.name) == Some(backup.size_bytes));
        backups.sort_by(|one, other| other.name.cmp(&one.name));
        Ok(backups)
    }

    /// Returns a backup and its file after comparing all of its bytes with the manifest. Names come from outside, so
    /// a name is looked for among those that are there and never made part of a path.
    pub(crate) fn intact(&self, name: &str) -> Result<(Backup, PathBuf), Error> {
        let backup = self
            .manifests()?
            .into_iter()
            .find(|backup| backup.name == name)
            .ok_or_else(|| {
                Error::new(Code::NotFound, format!("there is no backup `{name}`"))
                    .with_hint("`assay backup list` names them")
            })?;
        if backup.store != self.store {
            return Err(invalid(format!(
                "the backup is of a store of the kind {}, this one is {}",
                backup.store, self.store
            )));
        }
        let file = self.file(name);
        let size = self.size_of(name).unwrap_or(0);
        if size != backup.size_bytes {
            return Err(invalid(format!(
                "the backup has {size} bytes, and {} were written",
                backup.size_bytes
            )));
        }
        if hash(&file).map_err(|fault| self.failed("read", fault))? != backup.hash {
            return Err(invalid(
                "the bytes of the backup are not those that were written".into(),
            ));
        }
        Ok((backup, file))
    }

    /// Removes the oldest whole backups of this kind of store beyond the count that is kept.
    pub(crate) fn retain(&self, _: &FolderLock) -> Result<(), Error> {
        let ours = self
            .list()?
            .into_iter()
            .filter(|backup| backup.store == self.store);
        for old in ours.skip(self.keep) {
            fs::remove_file(self.manifest(&old.name))
                .and_then(|()| fs::remove_file(self.file(&old.name)))
                .map_err(|fault| self.failed("written", fault))?;
        }
        Ok(())
    }

    /// Reads every manifest, of damaged backups too.
    fn manifests(&self) -> Result<Vec<Backup>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|fault| self.failed("read", fault))?,
        };
        Ok(entries
            .filter_map(|entry| manifest_of(&entry.ok()?.path()))
            .collect())
    }

    fn size_of(&self, name: &str) -> Option<u64> {
        let metadata = fs::metadata(self.file(name)).ok()?;
        Some(metadata.len())
    }

    /// Names sort by age: the second, then a number among those of the same second.
    fn free_name(&self, at: DateTime<Utc>) -> String {
        let second = at.format("%Y%m%dT%H%M%SZ");
        let mut names = (0..).map(|number: u32| format!("assay-{second}-{number:04}"));
        names
            .find(|name| !self.manifest(name).exists() && !self.file(name).exists())
            .expect("some number is free")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.backup"))
    }

    fn manifest(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn failed(&self, what: &str, fault: io::Error) -> Error {
        Error::new(
            Code::BackupFailed,
            format!(
                "the folder of backups `{}` cannot be {what}: {fault}",
                self.folder.display()
            ),
        )
        .with_hint("choose a folder with room that this user may write to with BACKUP_DIR")
    }
}

/// Reads a manifest; whatever else lies in the folder is none.
fn manifest_of(path: &Path) -> Option<Backup> {
    let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
    let manifest: Manifest = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let is_ours = manifest.format == FORMAT && manifest.backup.name == name;
    is_ours.then_some(manifest.backup)
}

fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Says that a backup cannot be trusted.
pub(crate) fn invalid(message: String) -> Error {
    Error::new(Code::InvalidBackup, message)
        .with_hint("use another one; `assay backup list` names them")
}

/// Compares the rows of a restored backup with what its manifest says.
pub(crate) fn compare_rows(backup: &Backup, found: &RowCounts) -> Result<(), Error> {
    for (table, expected) in &backup.row_counts {
        match found.get(table) {
            Some(count) if count == expected => {}
            Some(count) => {
                return Err(invalid(format!(
                    "table `{table}` has {count} rows in the backup, and {expected} were written"
                )));
            }
            None => return Err(invalid(format!("table `{table}` is missing in the backup"))),
        }
    }
    Ok(())
}

/// Runs work on files off the asynchronous threads, to its end even if the caller goes away.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|fault| {
        Error::new(Code::Internal, "the work on backups was interrupted").with_cause(fault)
    })?
}
