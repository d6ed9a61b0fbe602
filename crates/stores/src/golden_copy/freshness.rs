//! Tells, at the price of a few `stat` calls, whether the original is still what was copied.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use engine::Error;
use engine::question::Provenance;
use serde::Serialize;

use super::manifest::Manifest;
use super::original::{MemberStat, Original, cannot_read};

/// The original compared with what was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum OriginalState {
    /// Its files are what was copied.
    Unchanged,
    /// They are not.
    Changed,
    /// It is gone or cannot be read.
    Unreadable {
        /// Why, for people.
        reason: String,
    },
}

/// Bytes that are read to answer a question about the original, at most; they take some hundredths of a second.
const MAX_READ_PER_QUESTION: u64 = 64 << 20;

/// Where a generation came from, and the watch on it.
pub(super) struct Freshness {
    original: PathBuf,
    manifest: Arc<Manifest>,
    /// The last state of the files that was found, by reading them, to hold what was copied.
    same_as: Mutex<Vec<MemberStat>>,
    /// Once different, different until there is a new generation: a busy original is not read for each question.
    has_changed: Mutex<bool>,
}

impl Freshness {
    pub fn new(original: PathBuf, manifest: Arc<Manifest>) -> Self {
        Self {
            original,
            same_as: Mutex::new(manifest.members.clone()),
            has_changed: Mutex::new(false),
            manifest,
        }
    }

    /// Returns what an answer says of its data.
    ///
    /// Reads the original only if its files look different than before and are small; a big one that somebody
    /// touched counts as changed until a refresh has read it.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            fingerprint: self.manifest.fingerprint.clone(),
            data_as_of: self.manifest.data_as_of.clone(),
            copied_at: self.manifest.copied_at.clone(),
            original_changed: self.has_changed(),
        }
    }

    fn has_changed(&self) -> bool {
        let mut known_changed = self
            .has_changed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *known_changed {
            return true;
        }
        let mut same_as = self.same_as.lock().unwrap_or_else(PoisonError::into_inner);
        match compare(
            &self.original,
            &self.manifest,
            &same_as,
            MAX_READ_PER_QUESTION,
        ) {
            Ok(Compared::Same(stats)) => {
                *same_as = stats;
                false
            }
            Ok(Compared::Different) => {
                *known_changed = true;
                true
            }
            // Gone for now; it may come back as it was.
            Err(_) => true,
        }
    }
}

/// Compares the original with a manifest.
pub(super) fn original_state(original: &Path, manifest: &Manifest) -> OriginalState {
    match compare(original, manifest, &manifest.members, u64::MAX) {
        Ok(Compared::Same(_)) => OriginalState::Unchanged,
        Ok(Compared::Different) => OriginalState::Changed,
        Err(error) => OriginalState::Unreadable {
            reason: error.message().to_owned(),
        },
    }
}

enum Compared {
    Same(Vec<MemberStat>),
    Different,
}

fn compare(
    original: &Path,
    manifest: &Manifest,
    same_as: &[MemberStat],
    max_read: u64,
) -> Result<Compared, Error> {
    let original = Original::find(original)?;
    let stats = original.stat()?;
    if stats == same_as {
        return Ok(Compared::Same(stats));
    }
    let size: u64 = stats.iter().map(|stat| stat.size).sum();
    if size > max_read || !same_sizes(&stats, &manifest.members) {
        return Ok(Compared::Different);
    }
    let fingerprint = original
        .hash(&stats, &|_| {})
        .and_then(|members| original.fingerprint(&members))
        .map_err(|error| cannot_read(&error, original.path()))?;
    Ok(if fingerprint == manifest.fingerprint {
        Compared::Same(stats)
    } else {
        Compared::Different
    })
}

/// Says whether two sets can be equal at all.
pub(super) fn same_sizes(left: &[MemberStat], right: &[MemberStat]) -> bool {
    let sizes = |stats: &[MemberStat]| -> Vec<(String, u64)> {
        stats
            .iter()
            .map(|stat| (stat.suffix.clone(), stat.size))
            .collect()
    };
    sizes(left) == sizes(right)
}
