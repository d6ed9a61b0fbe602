//! Backups of the system store, for administrators. Restoring one is left to the command line, where the server that
//! would be replaced is not the one that answers.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use engine::backups::{self, Backup, Backups};
use engine::{Code, Error};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::auth::{Admin, Require};
use crate::http::error::{Failure, Problem};
use crate::http::extract::PathName;
use crate::http::openapi::{CallerProblems, ConflictProblems, MissingProblems};
use crate::http::{Shared, metrics};

/// All whole backups.
#[derive(Serialize, ToSchema)]
pub struct BackupList {
    /// The newest first.
    items: Vec<Backup>,
}

/// A backup that was restored into a scratch database and compared with what was recorded.
#[derive(Serialize, ToSchema)]
pub struct VerifiedBackup {
    /// The backup.
    backup: Backup,
    /// Entries of its audit trail that its seals cover.
    sealed: u64,
    /// Entries after its last seal.
    unsealed: u64,
    /// Its seals.
    seals: u64,
}

/// Lists whole backups; none where no folder for them is configured.
#[utoipa::path(get, path = "/api/v1/backups", tag = "backups", security(("session" = [])), responses(
    (status = 200, body = BackupList),
    CallerProblems,
))]
pub async fn list(state: Shared, _caller: Require<Admin>) -> Result<Json<BackupList>, Failure> {
    let items = match &state.app.backups {
        Some(backups) => backups.list().await?,
        None => Vec::new(),
    };
    Ok(Json(BackupList { items }))
}

/// Makes a backup while the system store is in use.
#[utoipa::path(post, path = "/api/v1/backups", tag = "backups", security(("session" = [])), responses(
    (status = 201, body = Backup),
    CallerProblems,
    ConflictProblems,
))]
pub async fn create(
    state: Shared,
    caller: Require<Admin>,
) -> Result<(StatusCode, Json<Backup>), Failure> {
    let backups = of(&state)?;
    let by = Some(caller.actor.user_id);
    let made = to_the_end(async move {
        let ports = &state.app.ports;
        let made = backups::create(&*backups, &*ports.store, ports.clock.now(), by).await;
        metrics::backup(made.is_ok());
        made
    })
    .await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Restores a backup into a scratch database and compares all of it with what was recorded.
#[utoipa::path(post, path = "/api/v1/backups/{name}/verify", tag = "backups", params(("name" = String, Path, description = "The backup's name.")), security(("session" = [])), responses(
    (status = 200, body = VerifiedBackup),
    (status = 400, body = Problem, content_type = "application/problem+json", description = "The backup is damaged."),
    CallerProblems,
    MissingProblems,
    ConflictProblems,
))]
pub async fn verify(
    state: Shared,
    caller: Require<Admin>,
    PathName(name): PathName,
) -> Result<Json<VerifiedBackup>, Failure> {
    let backups = of(&state)?;
    let by = Some(caller.actor.user_id);
    let verified = to_the_end(async move {
        let ports = &state.app.ports;
        let (keys, now) = (&state.keys.verifying, ports.clock.now());
        backups::verify(&*backups, &*ports.store, &name, keys, now, by).await
    })
    .await?;
    Ok(Json(VerifiedBackup {
        sealed: verified.audit.sealed,
        unsealed: verified.audit.unsealed,
        seals: verified.audit.seals,
        backup: verified.backup,
    }))
}

fn of(state: &Shared) -> Result<Arc<dyn Backups>, Error> {
    let backups = state.app.backups.as_ref().map(Arc::clone);
    backups.ok_or_else(|| {
        Error::new(Code::BackupsDisabled, "no folder for backups is configured")
            .with_hint("name one with BACKUP_DIR and start again")
    })
}

/// Runs work that must leave nothing half done when the caller goes away.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work)
        .await
        .map_err(|fault| Error::new(Code::Internal, "the work was lost").with_cause(fault))?
}
