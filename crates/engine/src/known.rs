//! What is remembered from question to question, so that each need not read and make again what has not changed.
//!
//! Nothing here is ever believed on its own: a question brings the schema that it holds, the visibility and the
//! versions that it has just read, and gets what belongs to exactly these or what was made from them now. So a
//! remembered thing cannot be older than the question, nor belong to someone who may see more.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::accounts::UserId;
use crate::error::Error;
use crate::indexing::{Example, Source};
use crate::ontology::BusinessTerm;
use crate::policy::{Visibility, VisibleSchema};
use crate::ports::Version;
use crate::schema::Schema;
use crate::verified_queries::VerifiedQuery;

/// Visible schemas remembered: a few roles on the generation in service, and those on the ones before that running
/// questions still hold.
const MAX_VISIBLE: usize = 16;
/// Schemas whose source of an index is remembered: the generation in service and the one before.
const MAX_SOURCES: usize = 2;
/// Users whose last question is remembered.
const MAX_NOTED: usize = 10_000;

/// What one process remembers. Bounded; knows nothing at first.
#[derive(Default)]
pub struct Known {
    /// The one used last comes first.
    visible: Mutex<VecDeque<Cut>>,
    /// The business terms.
    pub terms: Remembered<KnownTerms>,
    /// The approved verified queries.
    pub verified: Remembered<KnownVerified>,
    /// What an index of a schema is made from.
    sources: Mutex<VecDeque<(Arc<Schema>, Arc<Source>)>>,
    noted: Mutex<HashMap<UserId, DateTime<Utc>>>,
}

/// Business terms, and what an index of them is made from.
#[derive(Debug)]
pub struct KnownTerms {
    /// The terms.
    pub items: Vec<BusinessTerm>,
    /// What is indexed of them.
    pub source: Source,
}

impl From<Vec<BusinessTerm>> for KnownTerms {
    fn from(items: Vec<BusinessTerm>) -> Self {
        Self {
            source: Source::of_terms(&items),
            items,
        }
    }
}

/// Approved verified queries, and what an index of them is made from.
#[derive(Debug)]
pub struct KnownVerified {
    /// The queries.
    pub items: Vec<VerifiedQuery>,
    /// Those of them that still run, as examples.
    pub examples: Vec<Example>,
    /// What is indexed of them.
    pub source: Source,
}

impl From<Vec<VerifiedQuery>> for KnownVerified {
    fn from(items: Vec<VerifiedQuery>) -> Self {
        let still_run = items.iter().filter(|query| query.check_error.is_none());
        let examples: Vec<Example> = still_run
            .map(|query| Example {
                id: query.id,
                question: query.question.clone(),
                sql: query.sql.clone(),
            })
            .collect();
        Self {
            source: Source::of_examples(&examples),
            items,
            examples,
        }
    }
}

/// A visible schema with what it was cut from, and by what.
struct Cut {
    /// Held, so that no other schema can come to lie at its address.
    schema: Arc<Schema>,
    visibility: Visibility,
    visible: Arc<VisibleSchema>,
}

impl Known {
    /// Returns `schema` cut down to what `visibility` leaves.
    pub fn visible(&self, schema: &Arc<Schema>, visibility: &Visibility) -> Arc<VisibleSchema> {
        if let Some(visible) = self.recall(schema, visibility) {
            return visible;
        }
        // Not under the lock: another visibility need not wait. Two that make the same at once waste the work of one.
        let visible = VisibleSchema::new(schema, visibility);
        let mut cuts = lock(&self.visible);
        cuts.truncate(MAX_VISIBLE - 1);
        cuts.push_front(Cut {
            schema: Arc::clone(schema),
            visibility: visibility.clone(),
            visible: Arc::clone(&visible),
        });
        visible
    }

    fn recall(&self, schema: &Arc<Schema>, visibility: &Visibility) -> Option<Arc<VisibleSchema>> {
        let mut cuts = lock(&self.visible);
        let place = cuts
            .iter()
            .position(|cut| Arc::ptr_eq(&cut.schema, schema) && cut.visibility == *visibility)?;
        if place > 0 {
            let cut = cuts.remove(place)?;
            cuts.push_front(cut);
        }
        cuts.front().map(|cut| Arc::clone(&cut.visible))
    }

    /// Returns what an index of `schema` is made from.
    pub fn schema_source(&self, schema: &Arc<Schema>) -> Arc<Source> {
        let found = lock(&self.sources)
            .iter()
            .find(|(known, _)| Arc::ptr_eq(known, schema))
            .map(|(_, source)| Arc::clone(source));
        if let Some(source) = found {
            return source;
        }
        let source = Arc::new(Source::of_schema(schema));
        let mut sources = lock(&self.sources);
        sources.truncate(MAX_SOURCES - 1);
        sources.push_front((Arc::clone(schema), Arc::clone(&source)));
        source
    }

    /// Says whether this process has noted no question of this user within the last second, and takes it for noted now.
    pub fn is_worth_noting(&self, user_id: UserId, now: DateTime<Utc>) -> bool {
        let is_old = |noted: &DateTime<Utc>| (now - noted).abs() >= TimeDelta::seconds(1);
        let mut all = lock(&self.noted);
        if all.get(&user_id).is_some_and(|noted| !is_old(noted)) {
            return false;
        }
        if all.len() >= MAX_NOTED {
            all.retain(|_, noted| !is_old(noted));
        }
        // Whoever has no room is noted every time, which costs a little and hurts nobody.
        if all.len() < MAX_NOTED {
            all.insert(user_id, now);
        }
        true
    }
}

/// The rows of one table, read anew when their version has moved.
pub struct Remembered<T> {
    newest: Mutex<Option<(Version, Arc<T>)>>,
    /// Held by the one who reads; others who found nothing wait for what it reads.
    reading: futures::lock::Mutex<()>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self {
            newest: Mutex::default(),
            reading: futures::lock::Mutex::default(),
        }
    }
}

impl<T> Remembered<T> {
    /// Returns the rows of a version that the caller has just read, from memory or through `read`.
    ///
    /// What changes between the reading of the version and that of the rows makes them newer than the version, never
    /// older, and the next one to come brings another version.
    ///
    /// # Errors
    ///
    /// Those of `read`; nothing is remembered then.
    pub async fn of(
        &self,
        version: &Version,
        read: impl Future<Output = Result<T, Error>>,
    ) -> Result<Arc<T>, Error> {
        if let Some(rows) = self.recall(version) {
            return Ok(rows);
        }
        let _reading = self.reading.lock().await;
        if let Some(rows) = self.recall(version) {
            return Ok(rows);
        }
        let rows = Arc::new(read.await?);
        *lock(&self.newest) = Some((version.clone(), Arc::clone(&rows)));
        Ok(rows)
    }

    fn recall(&self, version: &Version) -> Option<Arc<T>> {
        let newest = lock(&self.newest);
        let (remembered, rows) = newest.as_ref()?;
        (remembered == version).then(|| Arc::clone(rows))
    }
}

/// Nothing under these locks leaves half a change behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
