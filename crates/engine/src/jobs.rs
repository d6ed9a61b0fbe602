//! Work in the background: what there is to do, what each job does, and the acts of adding and cancelling one. Each job
//! may be repeated or lost: what must survive is in the system store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::{Actor, UserId};
use crate::audit::AuditEntry;
use crate::backups::{self, Backups};
use crate::error::{Code, Error};
use crate::ports::{Clock, JobId, JobProgress, JobRecord, Ports, SystemStore};

/// How long what is over stays, so that administrators see what became of it.
const KEEP_OVER: TimeDelta = TimeDelta::days(30);

/// What can be done in the background.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Job {
    /// Makes the collections of the vector store anew where what they were made from has changed.
    Index {
        /// Also where nothing has changed.
        #[serde(default)]
        force: bool,
    },
    /// Makes a backup of the system store and deletes those beyond retention.
    Backup,
    /// Deletes what is over: expired sessions, tokens, invitations and password resets.
    Purge,
    /// Deletes what was kept long enough: old generations of the copy, old backups.
    Retention,
    /// Runs every approved verified query again on the copy in service and notes which no longer run.
    Reverify,
}

impl Job {
    /// Returns what a person calls it, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Job::Index { .. } => "index",
            Job::Backup => "backup",
            Job::Purge => "purge",
            Job::Retention => "retention",
            Job::Reverify => "reverify",
        }
    }
}

/// What jobs work on. A part that is not there is a kind of job that this installation does not have.
#[derive(Clone)]
pub struct JobPorts {
    /// Sessions, tokens and the audit trail.
    pub store: Arc<dyn SystemStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Backups of the system store.
    pub backups: Option<Arc<dyn Backups>>,
    /// Deletes old generations of the copy.
    pub old_copies: Option<Arc<dyn JobWork>>,
    /// [`Job::Index`] is asked for whenever something changed.
    pub keeps_index: bool,
    /// Does [`Job::Index`].
    pub index: Option<Arc<dyn JobWork>>,
    /// Does [`Job::Reverify`].
    pub reverify: Option<Arc<dyn JobWork>>,
}

/// Work that is written elsewhere. It may be dropped at any await and begun again, also by another process.
#[async_trait]
pub trait JobWork: Send + Sync {
    /// Does the work and returns what a person should read about it.
    ///
    /// # Errors
    ///
    /// Whatever kept it from being done.
    async fn run(&self, job: &Job, progress: &dyn OnJobProgress) -> Result<Option<String>, Error>;
}

/// Hears how far a job is. Never blocks.
pub trait OnJobProgress: Send + Sync {
    /// The job is this far.
    fn report(&self, progress: JobProgress);
}

/// Hears nothing.
impl OnJobProgress for () {
    fn report(&self, _: JobProgress) {}
}

impl JobPorts {
    /// Says whether this installation has this kind of job.
    ///
    /// # Errors
    ///
    /// [`Code::BackupsDisabled`], [`Code::JobUnavailable`].
    pub fn check(&self, job: &Job) -> Result<(), Error> {
        match job {
            Job::Backup => self.backups().map(drop),
            Job::Index { .. } => written_elsewhere(job, self.index.as_ref()).map(drop),
            Job::Reverify => written_elsewhere(job, self.reverify.as_ref()).map(drop),
            Job::Purge | Job::Retention => Ok(()),
        }
    }

    fn backups(&self) -> Result<&Arc<dyn Backups>, Error> {
        self.backups.as_ref().ok_or_else(|| {
            Error::new(Code::BackupsDisabled, "no folder for backups is configured")
                .with_hint("name one with BACKUP_DIR and start again")
        })
    }
}

fn written_elsewhere<'a>(
    job: &Job,
    work: Option<&'a Arc<dyn JobWork>>,
) -> Result<&'a Arc<dyn JobWork>, Error> {
    work.ok_or_else(|| {
        let message = format!("this installation has nothing to {}", job.kind());
        Error::new(Code::JobUnavailable, message)
    })
}

/// Does a job and returns what a person should read about it.
///
/// # Errors
///
/// As [`JobPorts::check`], and whatever kept it from being done.
pub async fn run(
    ports: &JobPorts,
    job: &Job,
    progress: &dyn OnJobProgress,
) -> Result<Option<String>, Error> {
    match job {
        Job::Backup => {
            let made = backups::create(&**ports.backups()?, &*ports.store, ports.clock.now(), None);
            Ok(Some(format!("made {}", made.await?.name)))
        }
        Job::Purge => {
            let purged = purge(&*ports.store, ports.clock.now()).await?;
            Ok(Some(purged.to_string()))
        }
        Job::Retention => {
            if let Some(backups) = &ports.backups {
                backups.retain().await?;
            }
            match &ports.old_copies {
                Some(old_copies) => old_copies.run(job, progress).await,
                None => Ok(None),
            }
        }
        Job::Index { .. } => {
            let index = written_elsewhere(job, ports.index.as_ref())?;
            index.run(job, progress).await
        }
        Job::Reverify => {
            let reverify = written_elsewhere(job, ports.reverify.as_ref())?;
            reverify.run(job, progress).await
        }
    }
}

/// Deletes sessions, refresh tokens, invitations and password resets that have been over for thirty days.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn purge(store: &dyn SystemStore, now: DateTime<Utc>) -> Result<Purged, Error> {
    let entry = AuditEntry::new(now, None, "purged", "session", json!({}));
    store.purge_over(now - KEEP_OVER, &entry).await
}

/// What was deleted because it was over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Sessions.
    pub sessions: u64,
    /// Refresh tokens.
    pub refresh_tokens: u64,
    /// Invitations.
    pub invitations: u64,
    /// Password resets.
    pub password_resets: u64,
}

impl Purged {
    /// Adds the counts to the entry of the act.
    #[must_use]
    pub fn noted_in(&self, mut audit: AuditEntry) -> AuditEntry {
        audit.changes = json!({ "deleted": self });
        audit
    }
}

impl fmt::Display for Purged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "deleted {} sessions, {} refresh tokens, {} invitations, {} password resets",
            self.sessions, self.refresh_tokens, self.invitations, self.password_resets
        )
    }
}

/// Adds a job on behalf of a person. One that waits already is not added again.
///
/// # Errors
///
/// As [`JobPorts::check`]; [`Code::CacheDown`], [`Code::SystemStoreDown`].
pub async fn enqueue(
    ports: &Ports,
    work: &JobPorts,
    actor: &Actor,
    job: &Job,
) -> Result<JobRecord, Error> {
    work.check(job)?;
    let id = ports.jobs.enqueue(job).await?;
    record(ports, actor.user_id, "job_added", &id, Some(job)).await?;
    // It may be over and forgotten at once where others add a thousand meanwhile.
    ports.jobs.job(&id).await?.ok_or_else(|| unknown(&id))
}

/// Has the index brought up to date soon, if it is kept at all: after a start, a new copy, a change of terms or verified
/// queries. If that cannot be asked for, the index stays stale, which every answer that uses it says.
pub async fn keep_index(ports: &Ports, work: &JobPorts) {
    if work.keeps_index && work.index.is_some() {
        let job = Job::Index { force: false };
        if let Err(error) = ports.jobs.enqueue(&job).await {
            tracing::warn!("the index is not brought up to date: {error}");
        }
    }
}

/// Cancels a job on behalf of a person.
///
/// # Errors
///
/// [`Code::NotFound`] if there is none such that waits or runs; [`Code::CacheDown`], [`Code::SystemStoreDown`].
pub async fn cancel(ports: &Ports, actor: &Actor, id: &JobId) -> Result<(), Error> {
    if !ports.jobs.cancel(id).await? {
        return Err(unknown(id).with_hint("a job that has ended cannot be cancelled"));
    }
    record(ports, actor.user_id, "job_cancelled", id, None).await
}

async fn record(
    ports: &Ports,
    by: UserId,
    action: &'static str,
    id: &JobId,
    job: Option<&Job>,
) -> Result<(), Error> {
    let changes = json!({ "id": id, "job": job });
    let entry = AuditEntry::new(ports.clock.now(), Some(by), action, "job", changes);
    ports.store.record(&entry).await
}

/// Says that there is no such job.
pub fn unknown(id: &JobId) -> Error {
    Error::new(Code::NotFound, format!("there is no live job `{}`", id.0))
}
