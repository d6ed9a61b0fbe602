//! A place with an original and room for its working copy.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::ports::Clock;
use engine::{Code, Error};
use rusqlite::{Connection, OpenFlags};
use stores::golden_copy::{CopyProgress, Ensured, GoldenCopy, GoldenCopySettings};
use tempfile::TempDir;

pub(super) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }
}

pub(super) struct Scene {
    folder: TempDir,
}

impl Scene {
    /// An empty folder for the original, and none yet for the working copy.
    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("theirs")).unwrap();
        Self { folder }
    }

    /// An original made by running `sql` in an ordinary database.
    pub fn with(sql: &str) -> Self {
        let scene = Self::empty();
        Connection::open(scene.original())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
        scene
    }

    /// An original with a hundred parts.
    pub fn with_parts() -> Self {
        Self::with(PARTS)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn original(&self) -> PathBuf {
        self.folder.path().join("theirs/business data.db")
    }

    pub fn original_member(&self, suffix: &str) -> PathBuf {
        self.folder
            .path()
            .join(format!("theirs/business data.db{suffix}"))
    }

    pub fn working_copy(&self) -> PathBuf {
        self.folder.path().join("ours/target/working.db")
    }

    pub fn generations(&self) -> PathBuf {
        self.folder
            .path()
            .join("ours/target/working.db.generations")
    }

    pub fn settings(&self) -> GoldenCopySettings {
        GoldenCopySettings {
            pause: Duration::ZERO,
            ..GoldenCopySettings::new(self.original(), self.working_copy(), Arc::new(FixedClock))
        }
    }

    pub fn golden_copy(&self) -> GoldenCopy {
        GoldenCopy::new(self.settings()).unwrap()
    }

    /// Runs `sql` in the original, as the program that owns it would.
    pub fn change_original(&self, sql: &str) {
        Connection::open(self.original())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }

    /// Returns the value of a query over the working copy.
    pub fn ask_copy<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        let copy =
            Connection::open_with_flags(self.working_copy(), OpenFlags::SQLITE_OPEN_READ_ONLY)
                .unwrap();
        copy.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Returns the names of the generations' files with this ending.
    pub fn generation_files(&self, ending: &str) -> Vec<String> {
        let entries = fs::read_dir(self.generations())
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name.ends_with(ending))
            .collect();
        names.sort();
        names
    }

    pub fn witness(&self) -> Witness {
        Witness::of(self.original().parent().unwrap())
    }
}

pub(super) const PARTS: &str = "
    CREATE TABLE parts(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
    INSERT INTO parts SELECT i, 'part ' || i FROM n;";

/// What a folder held when it was looked at: every name, and of every file the bytes, the mode and the time of writing.
#[derive(Debug, PartialEq)]
pub(super) struct Witness {
    folder: PathBuf,
    mode: u32,
    files: BTreeMap<String, (Vec<u8>, u32, i64, i64)>,
}

impl Witness {
    fn of(folder: &Path) -> Self {
        let files = fs::read_dir(folder).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            let bytes = if metadata.is_file() {
                fs::read(entry.path()).unwrap()
            } else {
                Vec::new()
            };
            let name = entry.file_name().into_string().unwrap();
            (
                name,
                (
                    bytes,
                    metadata.mode(),
                    metadata.mtime(),
                    metadata.mtime_nsec(),
                ),
            )
        });
        Self {
            folder: folder.to_owned(),
            mode: fs::metadata(folder).unwrap().permissions().mode(),
            files: files.collect(),
        }
    }

    /// Fails unless the folder is, in every byte, mode and time, what it was.
    pub fn assert_untouched(&self) {
        let now = Self::of(&self.folder);
        let names = |witness: &Self| witness.files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(self),
            names(&now),
            "files appeared or went beside the original"
        );
        assert!(*self == now, "the original or its folder was touched");
    }
}

pub(super) fn quiet(_: CopyProgress) {}

/// Ensures a copy and proves that doing so left the original alone.
pub(super) fn ensure(scene: &Scene) -> Result<Ensured, Error> {
    let witness = scene.witness();
    let ensured =
        GoldenCopy::new(scene.settings()).and_then(|golden_copy| golden_copy.ensure(&quiet));
    witness.assert_untouched();
    ensured
}

/// Fails unless ensuring a copy ends with this code, a hint, and nothing published.
pub(super) fn assert_refused(scene: &Scene, code: Code) -> Error {
    let error = ensure(scene).err().expect("the original must be refused");
    assert_eq!(error.code(), code, "{error} {:?}", error.cause());
    assert!(error.hint().is_some(), "no hint: {error}");
    assert!(
        fs::symlink_metadata(scene.working_copy()).is_err(),
        "a working copy was published"
    );
    for ending in [".db", ".json", ".tmp"] {
        assert_eq!(scene.generation_files(ending), Vec::<String>::new());
    }
    let has_private = scene
        .generation_files("")
        .iter()
        .any(|name| name.starts_with("private-"));
    assert!(!has_private, "a private folder was left");
    error
}
