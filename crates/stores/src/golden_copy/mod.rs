//! The golden copy: the original is protected, a verified read-only duplicate of it is what questions are asked of.
//! Never writes to the original, never creates a file beside it, never opens it with SQLite. docs/golden-copy.md tells
//! the order of things and why.

mod cache;
mod copying;
mod freshness;
mod generations;
mod manifest;
mod original;
mod recovery;
mod settings;
mod status;

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use chrono::SecondsFormat;
use engine::ports::{TargetDatabase, TargetGeneration};
use engine::schema::Schema;
use engine::{Code, Error};

use crate::target::SqliteGeneration;
use crate::target::read_schema::read_schema;
use crate::target::values::{ValueIndex, ValueIndexSource};
use copying::{Counter, Patience, Snapshot, copy_set};
use freshness::{Freshness, same_sizes};
use generations::{FileId, FolderLock, Generations, seal};
use manifest::{CopyRecord, Manifest, Origin, row_counts};
use original::{Original, cannot_read, hash_file, last_modified};
use recovery::{integrity_problems, settle};

pub use cache::{copy_in_cache, prune_copies};
pub use freshness::OriginalState;
pub use settings::{CopyPhase, CopyProgress, GoldenCopySettings, OnProgress};
pub use status::{GenerationStatus, TargetStatus, Verification};

/// Nobody may write a generation, its owner included.
const READ_ONLY_MODE: u32 = 0o444;

/// A generation brought into service.
#[derive(Clone)]
pub struct Ensured {
    /// The generation.
    pub generation: Arc<dyn TargetGeneration>,
    /// Its fingerprint, in hex.
    pub fingerprint: String,
    /// It was copied now; `false` when the original was unchanged and its copy was there.
    pub is_new: bool,
}

/// The original, its working copy and the generation in service.
pub struct GoldenCopy {
    settings: GoldenCopySettings,
    generations: Generations,
    in_service: RwLock<Option<InService>>,
}

#[derive(Clone)]
struct InService {
    manifest: Arc<Manifest>,
    generation: Arc<dyn TargetGeneration>,
    /// The file that the generation reads; a restored one has the same name and is another.
    file: Option<FileId>,
}

#[derive(PartialEq, Eq)]
enum Reuse {
    IfUnchanged,
    Never,
}

impl GoldenCopy {
    /// Makes a golden copy that has nothing in service yet; touches no file.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the working copy would be the original or one of its journals, or if something
    /// stands in its place that Assay did not make.
    pub fn new(settings: GoldenCopySettings) -> Result<Self, Error> {
        let golden_copy = Self {
            generations: Generations::beside(&settings.working_copy),
            in_service: RwLock::new(None),
            settings,
        };
        if let Ok(original) = Original::find(&golden_copy.settings.original) {
            golden_copy.refuse_original_as_copy(&original)?;
        }
        golden_copy.generations.check_pointer()?;
        Ok(golden_copy)
    }

    /// Brings a copy of the original, as it is now, into service: the one there is if nothing changed, else a new one.
    ///
    /// When this fails, a generation that was in service before, in this process or an earlier one, still is.
    ///
    /// # Errors
    ///
    /// [`Code::TargetNotFound`], [`Code::InvalidTarget`] (empty, not SQLite, encrypted, damaged), [`Code::InvalidSetting`],
    /// [`Code::GoldenCopyMismatch`] (it kept changing, or the copy disagrees), [`Code::TargetDatabaseDown`] (disk full,
    /// no right to write).
    pub fn ensure(&self, progress: OnProgress<'_>) -> Result<Ensured, Error> {
        self.bring(Reuse::IfUnchanged, progress)
    }

    /// Looks whether the original changed and, if so, swaps a new generation in under running questions; the same
    /// as [`Self::ensure`] under the name that the command line has for it.
    ///
    /// # Errors
    ///
    /// As [`Self::ensure`].
    pub fn refresh(&self, progress: OnProgress<'_>) -> Result<Ensured, Error> {
        self.bring(Reuse::IfUnchanged, progress)
    }

    /// Makes the working copy anew from the original, whatever is known of the one there.
    ///
    /// # Errors
    ///
    /// As [`Self::ensure`].
    pub fn restore(&self, progress: OnProgress<'_>) -> Result<Ensured, Error> {
        self.bring(Reuse::Never, progress)
    }

    /// Removes old generations beyond the count that is kept: those that somebody held when the newest was made.
    ///
    /// # Errors
    ///
    /// [`Code::TargetDatabaseDown`] if the folder cannot be written.
    pub fn retain(&self) -> Result<(), Error> {
        let lock = self.lock(&|_| ())?;
        self.generations
            .retain(self.settings.keep_generations, &lock)
    }

    /// Returns the generation in service in this process, following what other processes did to the working copy.
    ///
    /// # Errors
    ///
    /// [`Code::TargetDatabaseDown`] if there is none.
    pub fn generation(&self) -> Result<Arc<dyn TargetGeneration>, Error> {
        self.follow_pointer();
        self.current_in_service()
            .map(|current| current.generation)
            .ok_or_else(|| {
                let path = self.settings.working_copy.display();
                Error::new(
                    Code::TargetDatabaseDown,
                    format!("there is no working copy at `{path}`"),
                )
                .with_hint("make one with `assay target refresh`")
            })
    }

    fn bring(&self, reuse: Reuse, progress: OnProgress<'_>) -> Result<Ensured, Error> {
        let brought = self.lock(progress).and_then(|lock| {
            let brought = self.bring_locked(reuse, &lock, progress);
            if brought.is_err() {
                self.serve_pointed(&lock);
            }
            brought
        });
        if let Err(error) = &brought {
            tracing::debug!(
                code = error.code().as_str(),
                cause = error.cause(),
                "no new generation"
            );
        }
        brought
    }

    fn bring_locked(
        &self,
        reuse: Reuse,
        lock: &FolderLock,
        progress: OnProgress<'_>,
    ) -> Result<Ensured, Error> {
        let published = self.generations.published();
        self.generations.clean_leftovers(&published, lock)?;
        let original = Original::find(&self.settings.original)?;
        self.refuse_original_as_copy(&original)?;

        if reuse == Reuse::IfUnchanged
            && let Some(manifest) = self.unchanged(&original, &published, progress)?
        {
            self.generations.point_at(&manifest.fingerprint, lock)?;
            let generation = self.put_in_service(manifest.clone(), lock)?;
            return Ok(Ensured {
                generation,
                fingerprint: manifest.fingerprint,
                is_new: false,
            });
        }
        let patience = Patience {
            attempts: self.settings.attempts,
            pause: self.settings.pause,
        };
        let snapshot = copy_set(&original, self.generations.folder(), patience, progress)?;
        let sequence = published
            .iter()
            .map(|manifest| manifest.sequence)
            .max()
            .unwrap_or(0)
            + 1;
        let manifest = self.finish(&original, &snapshot, sequence, progress)?;
        report(CopyPhase::Publishing, progress);
        self.generations
            .publish(&snapshot.database, &manifest, lock)?;
        let fingerprint = manifest.fingerprint.clone();
        let generation = self.put_in_service(manifest, lock)?;
        if let Err(error) = self
            .generations
            .retain(self.settings.keep_generations, lock)
        {
            // The new generation is in service; an old one too many is tried again after the next copy.
            tracing::warn!(cause = error.cause(), "{error}");
        }
        Ok(Ensured {
            generation,
            fingerprint,
            is_new: true,
        })
    }

    /// Returns the generation that holds what the original is now, if its file is intact.
    fn unchanged(
        &self,
        original: &Original,
        published: &[Manifest],
        progress: OnProgress<'_>,
    ) -> Result<Option<Manifest>, Error> {
        let stats = original.stat()?;
        let mut candidates = published
            .iter()
            .filter(|manifest| same_sizes(&manifest.members, &stats))
            .peekable();
        // A first copy, or one of a file that grew, needs no look: its bytes are hashed while they are copied.
        if candidates.peek().is_none() {
            return Ok(None);
        }
        let now = self.fingerprint_now(progress)?;
        let Some(found) = candidates.find(|manifest| manifest.fingerprint == now) else {
            return Ok(None);
        };
        if !self.is_intact(found) {
            return Ok(None);
        }
        let mut manifest = found.clone();
        // Only touched or moved: from now on this is what an unchanged original looks like.
        if manifest.members != stats && original.stat()? == stats {
            manifest.data_as_of = last_modified(&stats);
            manifest.members = stats;
            self.generations.rewrite(&manifest)?;
        }
        Ok(Some(manifest))
    }

    fn fingerprint_now(&self, progress: OnProgress<'_>) -> Result<String, Error> {
        let original = Original::find(&self.settings.original)?;
        let stats = original.stat()?;
        let total = stats.iter().map(|stat| stat.size).sum();
        let counter = Counter::new(CopyPhase::Fingerprinting, total, progress);
        original
            .hash(&stats, &|bytes| counter.add(bytes))
            .and_then(|members| original.fingerprint(&members))
            .map_err(|error| cannot_read(&error, original.path()))
    }

    /// Recovers, checks and seals a private copy, and writes down what it is.
    fn finish(
        &self,
        original: &Original,
        snapshot: &Snapshot,
        sequence: u64,
        progress: OnProgress<'_>,
    ) -> Result<Manifest, Error> {
        report(CopyPhase::Recovering, progress);
        let counts_before = settle(original, snapshot)?;
        let about_original = |error: Error| name_original(error, original.path());
        if self.settings.integrity_check {
            report(CopyPhase::CheckingIntegrity, progress);
            let problems = integrity_problems(&snapshot.database).map_err(about_original)?;
            if let Some(first) = problems.first() {
                let path = original.path().display();
                return Err(Error::new(Code::InvalidTarget, format!("the database `{path}` is damaged: {first}"))
                    .with_hint("restore it from a backup, or save what can be saved with `sqlite3 FILE .recover`")
                    .with_cause(problems.join("; ")));
            }
        }
        let schema = read_schema(
            &snapshot.database,
            &self.settings.schema_limits,
            &|done, total| {
                schema_progress(done, total, progress);
            },
        )
        .map_err(about_original)?;
        if let Some(before) = &counts_before {
            compare_counts(before, &schema)?;
        }
        let in_folder =
            |error: io::Error| io_error(&error, "writing a copy in", self.generations.folder());
        seal(&snapshot.database).map_err(in_folder)?;
        // Untouched, the file has the hash that was read; recovered, it has one of its own.
        let known = counts_before.is_none().then(|| &snapshot.members[0].hash);
        let copy = CopyRecord::of(&snapshot.database, known).map_err(in_folder)?;
        let origin = Origin {
            fingerprint: snapshot.fingerprint.clone(),
            sequence,
            original: self.settings.original.display().to_string(),
            members: snapshot.stats.clone(),
            data_as_of: last_modified(&snapshot.stats),
            copied_at: self
                .settings
                .clock
                .now()
                .to_rfc3339_opts(SecondsFormat::Secs, true),
            integrity_checked: self.settings.integrity_check,
        };
        Ok(Manifest::new(origin, copy, schema))
    }

    fn refuse_original_as_copy(&self, original: &Original) -> Result<(), Error> {
        let copy = &self.settings.working_copy;
        let is_inside = std::fs::canonicalize(self.generations.folder())
            .is_ok_and(|folder| original.path().starts_with(folder));
        if is_inside || original.has_member(copy) {
            let message = format!(
                "the working copy `{}` would be the original `{}`",
                copy.display(),
                self.settings.original.display()
            );
            return Err(Error::new(Code::InvalidSetting, message)
                .with_hint("set TARGET_DB_PATH to another path than TARGET_DB_SOURCE"));
        }
        Ok(())
    }

    fn lock(&self, progress: OnProgress<'_>) -> Result<FolderLock, Error> {
        self.generations
            .lock(&|| report(CopyPhase::Waiting, progress))
    }

    fn current_in_service(&self) -> Option<InService> {
        self.in_service
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a published generation in service. Questions that hold the previous one keep it until they are done.
    fn put_in_service(
        &self,
        manifest: Manifest,
        lock: &FolderLock,
    ) -> Result<Arc<dyn TargetGeneration>, Error> {
        let path = self.generations.database(&manifest.fingerprint);
        let file = FileId::of(&path);
        if let Some(current) = self.current_in_service()
            && *current.manifest == manifest
            && current.file == file
        {
            return Ok(current.generation);
        }
        let lease = Arc::new(self.generations.lease(&manifest.fingerprint, lock)?);
        let manifest = Arc::new(manifest);
        let schema = Arc::new(manifest.schema.clone());
        let values = self.settings.value_index.map(|limits| {
            let source = ValueIndexSource {
                copy: path.clone(),
                schema: Arc::clone(&schema),
                content: manifest.copy.hash.clone(),
                index: self.generations.values(&manifest.fingerprint),
                limits,
            };
            ValueIndex::start(source, Box::new(Arc::clone(&lease)))
        });
        let freshness = Freshness::new(self.settings.original.clone(), Arc::clone(&manifest));
        let provenance = move || {
            // The lease lives as long as the generation does, which is as long as this closure.
            let _held = &lease;
            freshness.provenance()
        };
        let mut generation = SqliteGeneration::new(path, schema, Box::new(provenance));
        if let Some(values) = values {
            generation = generation.with_values(values);
        }
        let generation: Arc<dyn TargetGeneration> = Arc::new(generation);
        *self
            .in_service
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(InService {
            manifest,
            generation: Arc::clone(&generation),
            file,
        });
        Ok(generation)
    }

    /// Puts the generation in service that the working copy points at, if it is intact.
    fn serve_pointed(&self, lock: &FolderLock) {
        let pointed = self.generations.pointed();
        if let Some(manifest) =
            pointed.and_then(|fingerprint| self.generations.manifest(&fingerprint))
            && self.is_intact(&manifest)
        {
            // Without a lease there is nothing new in service, and what was before goes on.
            if let Err(error) = self.put_in_service(manifest, lock) {
                tracing::warn!(cause = error.cause(), "{error}");
            }
        }
    }

    /// Says whether the file of a generation is what was published; reads it only if it looks otherwise.
    fn is_intact(&self, manifest: &Manifest) -> bool {
        let database = self.generations.database(&manifest.fingerprint);
        manifest.looks_intact(&database)
            || hash_file(&database, &|_| {})
                .is_ok_and(|(_, hash)| hash.to_hex().as_str() == manifest.copy.hash)
    }

    /// Takes over a generation that another process published or restored. Costs one `stat` when there is none; while
    /// that process still holds the lock, the generation in service here goes on.
    fn follow_pointer(&self) {
        let file = FileId::of(&self.settings.working_copy);
        if file.is_none()
            || self
                .current_in_service()
                .is_some_and(|current| current.file == file)
        {
            return;
        }
        if let Some(lock) = self.generations.try_lock() {
            self.serve_pointed(&lock);
        }
    }
}

#[async_trait]
impl TargetDatabase for GoldenCopy {
    async fn current(&self) -> Result<Arc<dyn TargetGeneration>, Error> {
        self.generation()
    }
}

/// Compares the rows seen through the journals with those in the file alone.
fn compare_counts(before: &recovery::RowCounts, schema: &Schema) -> Result<(), Error> {
    let after = row_counts(schema);
    for (table, rows) in before {
        if after.get(table).is_some_and(|now| now != rows) {
            let message = format!("table `{table}` lost rows when its journal was replayed");
            return Err(Error::new(Code::GoldenCopyMismatch, message)
                .with_hint("open and close the original once with the program that wrote it"));
        }
    }
    Ok(())
}

/// Says of the original what was found in its private copy, whose path means nothing to anyone.
fn name_original(error: Error, original: &Path) -> Error {
    let path = original.display();
    let message = match error.code() {
        Code::InvalidTarget => format!("the database `{path}` is damaged or not SQLite"),
        _ => format!("the copy of `{path}` cannot be read"),
    };
    let mut named = Error::new(error.code(), message);
    if let Some(hint) = error.hint() {
        named = named.with_hint(hint);
    }
    named.with_cause(error.cause().unwrap_or(error.message()))
}

fn report(phase: CopyPhase, progress: OnProgress<'_>) {
    progress(CopyProgress {
        phase,
        done: 0,
        total: 0,
    });
}

fn schema_progress(done: usize, total: usize, progress: OnProgress<'_>) {
    progress(CopyProgress {
        phase: CopyPhase::ReadingSchema,
        done: done as u64,
        total: total as u64,
    });
}

/// Says what a fault of the file system means: `doing` something to `path`.
fn io_error(error: &io::Error, doing: &str, path: &Path) -> Error {
    use io::ErrorKind::{
        FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };

    let path = path.display();
    let made = match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            Error::new(Code::TargetDatabaseDown, format!("no space left while {doing} `{path}`"))
                .with_hint("free some space, or set TARGET_DB_PATH to a folder on another device")
        }
        PermissionDenied | ReadOnlyFilesystem => {
            Error::new(Code::TargetDatabaseDown, format!("no permission while {doing} `{path}`"))
                .with_hint("give the user that runs Assay the right to it, or set TARGET_DB_PATH to another folder")
        }
        _ => Error::new(Code::TargetDatabaseDown, format!("{doing} `{path}` failed")),
    };
    made.with_cause(error)
}
