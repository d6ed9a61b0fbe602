//! What is known of a golden copy, and whether it holds: `assay target status` and `assay target verify`.

use std::path::PathBuf;

use engine::{Code, Error};
use serde::Serialize;

use super::copying::Counter;
use super::freshness::{OriginalState, original_state};
use super::manifest::{Manifest, row_counts};
use super::original::hash_file;
use super::recovery::integrity_problems;
use super::{CopyPhase, GoldenCopy, OnProgress, report, schema_progress};
use crate::target::read_schema::{SchemaLimits, read_schema};

/// One generation, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GenerationStatus {
    /// BLAKE3, in hex, over the original's files.
    pub fingerprint: String,
    /// When the original was last written, RFC 3339 in UTC.
    pub data_as_of: String,
    /// When the copy was made, RFC 3339 in UTC.
    pub copied_at: String,
    /// Bytes of the copy.
    pub size_bytes: u64,
    /// Tables and views.
    pub tables: usize,
    /// Rows of all tables.
    pub rows: u64,
    /// SQLite's own check ran when it was made.
    pub integrity_checked: bool,
    /// The hash of names, types and keys.
    pub schema_fingerprint: String,
}

/// What `assay target status` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetStatus {
    /// The original as given.
    pub original: PathBuf,
    /// What became of it since; `None` while nothing was copied.
    pub original_state: Option<OriginalState>,
    /// The path of the working copy.
    pub working_copy: PathBuf,
    /// The generation that the working copy is.
    pub in_service: Option<GenerationStatus>,
    /// All generations kept, the newest first.
    pub generations: Vec<GenerationStatus>,
}

/// What `assay target verify` found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The generation that was verified.
    pub fingerprint: String,
    /// What is wrong with the working copy, one sentence each; empty when it is intact.
    pub problems: Vec<String>,
    /// Whether the original is still what was copied, found by reading all of it.
    pub original_state: OriginalState,
}

impl Verification {
    /// Says whether the working copy is what was copied.
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }
}

impl GoldenCopy {
    /// Tells what is in service and whether the original has changed since. Reads the original only if its files
    /// look different.
    pub fn status(&self) -> TargetStatus {
        let pointed = self.generations.pointed();
        let published = self.generations.published();
        let current = published
            .iter()
            .find(|manifest| Some(&manifest.fingerprint) == pointed.as_ref());
        TargetStatus {
            original: self.settings.original.clone(),
            original_state: current
                .map(|manifest| original_state(&self.settings.original, manifest)),
            working_copy: self.settings.working_copy.clone(),
            in_service: current.map(generation_status),
            generations: published.iter().map(generation_status).collect(),
        }
    }

    /// Reads the working copy and the original wholly and compares both with what was recorded.
    ///
    /// # Errors
    ///
    /// [`Code::TargetDatabaseDown`] if there is no working copy. A damaged one is not an error but a finding.
    pub fn verify(&self, progress: OnProgress<'_>) -> Result<Verification, Error> {
        let lock = self.lock(progress)?;
        let path = self.settings.working_copy.display();
        let none = || {
            Error::new(
                Code::TargetDatabaseDown,
                format!("there is no working copy at `{path}`"),
            )
            .with_hint("make one with `assay target restore`")
        };
        let fingerprint = self.generations.pointed().ok_or_else(none)?;
        let manifest = self.generations.manifest(&fingerprint).ok_or_else(none)?;
        let _lease = self.generations.lease(&fingerprint, &lock)?;
        drop(lock);

        let problems = self.problems_of(&manifest, progress);
        let original_state = match self.fingerprint_now(progress) {
            Ok(now) if now == fingerprint => OriginalState::Unchanged,
            Ok(_) => OriginalState::Changed,
            Err(error) => OriginalState::Unreadable {
                reason: error.message().to_owned(),
            },
        };
        Ok(Verification {
            fingerprint,
            problems,
            original_state,
        })
    }

    fn problems_of(&self, manifest: &Manifest, progress: OnProgress<'_>) -> Vec<String> {
        let database = self.generations.database(&manifest.fingerprint);
        let mut problems = Vec::new();
        let counter = Counter::new(CopyPhase::Verifying, manifest.copy.size, progress);
        match hash_file(&database, &|bytes| counter.add(bytes)) {
            Err(error) => problems.push(format!("the working copy cannot be read: {error}")),
            Ok((size, _)) if size != manifest.copy.size => problems.push(format!(
                "the working copy has {size} bytes instead of {}",
                manifest.copy.size
            )),
            Ok((_, hash)) if hash.to_hex().as_str() != manifest.copy.hash => {
                problems.push(
                    "the bytes of the working copy are not those that were copied".to_owned(),
                );
            }
            Ok(_) => {}
        }
        report(CopyPhase::CheckingIntegrity, progress);
        match integrity_problems(&database) {
            Ok(found) => problems.extend(found),
            Err(error) => problems.push(error.message().to_owned()),
        }
        let limits = SchemaLimits {
            max_cells: 0,
            ..self.settings.schema_limits
        };
        match read_schema(&database, &limits, &|done, total| {
            schema_progress(done, total, progress)
        }) {
            Ok(schema) if row_counts(&schema) != manifest.row_counts => {
                problems.push(
                    "the tables do not have the rows that were counted when they were copied"
                        .to_owned(),
                );
            }
            Ok(schema) if schema.fingerprint() != manifest.schema_fingerprint => {
                problems.push("the schema is not the one that was copied".to_owned());
            }
            Ok(_) => {}
            Err(error) => problems.push(error.message().to_owned()),
        }
        problems.dedup();
        problems
    }
}

fn generation_status(manifest: &Manifest) -> GenerationStatus {
    GenerationStatus {
        fingerprint: manifest.fingerprint.clone(),
        data_as_of: manifest.data_as_of.clone(),
        copied_at: manifest.copied_at.clone(),
        size_bytes: manifest.copy.size,
        tables: manifest.schema.tables.len(),
        rows: manifest.row_counts.values().sum(),
        integrity_checked: manifest.integrity_checked,
        schema_fingerprint: manifest.schema_fingerprint.clone(),
    }
}
