use std::sync::Arc;

use axum::Json;
use engine::audit::AuditEntry;
use engine::{Code, Error, jobs};
use serde::Serialize;
use serde_json::json;
use stores::golden_copy::{Ensured, GenerationStatus, GoldenCopy, OriginalState};
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Admin, Require};
use crate::http::error::{Failure, Problem};

/// The golden copy.
#[derive(Serialize, ToSchema)]
pub struct Target {
    /// The original as configured.
    original: String,
    /// `unchanged`, `changed` or `unreadable`; null while nothing was copied.
    original_state: Option<&'static str>,
    /// The path of the working copy.
    working_copy: String,
    /// The generation that questions are answered from.
    in_service: Option<Generation>,
    /// All generations kept, the newest first.
    generations: Vec<Generation>,
}

/// One copy of the original.
#[derive(Serialize, ToSchema)]
pub struct Generation {
    /// BLAKE3, in hex, over the original's files.
    fingerprint: String,
    /// When the original was last written, RFC 3339 in UTC.
    data_as_of: String,
    /// When the copy was made, RFC 3339 in UTC.
    copied_at: String,
    /// Bytes of the copy.
    size_bytes: u64,
    /// Tables and views.
    tables: usize,
    /// Rows of all tables.
    rows: u64,
}

impl From<GenerationStatus> for Generation {
    fn from(status: GenerationStatus) -> Self {
        Self {
            fingerprint: status.fingerprint,
            data_as_of: status.data_as_of,
            copied_at: status.copied_at,
            size_bytes: status.size_bytes,
            tables: status.tables,
            rows: status.rows,
        }
    }
}

/// What a verification found.
#[derive(Serialize, ToSchema)]
pub struct Verified {
    /// The generation that was verified.
    fingerprint: String,
    /// What is wrong with the working copy; empty when it is intact.
    problems: Vec<String>,
    /// `unchanged`, `changed` or `unreadable`.
    original_state: &'static str,
}

/// A generation brought into service.
#[derive(Serialize, ToSchema)]
pub struct Brought {
    /// The generation.
    fingerprint: String,
    /// It was copied now; false when the copy there was still good.
    is_new: bool,
}

/// Says what is in service and whether the original has changed since.
#[utoipa::path(get, path = "/api/v1/target", tag = "target", security(("session" = [])), responses(
    (status = 200, body = Target),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub async fn status(state: Shared, _caller: Require<Admin>) -> Result<Json<Target>, Failure> {
    let status = work(&state, |golden_copy| Ok(golden_copy.status())).await?;
    Ok(Json(Target {
        original: status.original.display().to_string(),
        original_state: status.original_state.as_ref().map(word),
        working_copy: status.working_copy.display().to_string(),
        in_service: status.in_service.map(Into::into),
        generations: status.generations.into_iter().map(Into::into).collect(),
    }))
}

/// Compares the working copy and the original with what was recorded, reading all of both.
#[utoipa::path(post, path = "/api/v1/target/verify", tag = "target", security(("session" = [])), responses(
    (status = 200, body = Verified),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub async fn verify(state: Shared, caller: Require<Admin>) -> Result<Json<Verified>, Failure> {
    record(&state, &caller, "target_verified", json!({})).await?;
    let found = work(&state, |golden_copy| golden_copy.verify(&|_| ())).await?;
    Ok(Json(Verified {
        fingerprint: found.fingerprint,
        problems: found.problems,
        original_state: word(&found.original_state),
    }))
}

/// Puts a new copy in service if the original has changed.
#[utoipa::path(post, path = "/api/v1/target/refresh", tag = "target", security(("session" = [])), responses(
    (status = 200, body = Brought),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub async fn refresh(state: Shared, caller: Require<Admin>) -> Result<Json<Brought>, Failure> {
    bring(&state, &caller, "target_refreshed", |golden_copy| {
        golden_copy.refresh(&|_| ())
    })
    .await
}

/// Makes the working copy anew from the original.
#[utoipa::path(post, path = "/api/v1/target/restore", tag = "target", security(("session" = [])), responses(
    (status = 200, body = Brought),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub async fn restore(state: Shared, caller: Require<Admin>) -> Result<Json<Brought>, Failure> {
    bring(&state, &caller, "target_restored", |golden_copy| {
        golden_copy.restore(&|_| ())
    })
    .await
}

async fn bring(
    state: &Shared,
    caller: &Require<Admin>,
    action: &'static str,
    how: impl FnOnce(&GoldenCopy) -> Result<Ensured, Error> + Send + 'static,
) -> Result<Json<Brought>, Failure> {
    let done = work(state, how).await;
    let changes = match &done {
        Ok(done) => json!({ "fingerprint": done.fingerprint, "is_new": done.is_new }),
        Err(error) => json!({ "error": error.code().as_str() }),
    };
    record(state, caller, action, changes).await?;
    let done = done?;
    jobs::keep_index(&state.app.ports, &state.app.work).await;
    Ok(Json(Brought {
        fingerprint: done.fingerprint,
        is_new: done.is_new,
    }))
}

async fn record(
    state: &Shared,
    caller: &Require<Admin>,
    action: &'static str,
    changes: serde_json::Value,
) -> Result<(), Error> {
    let now = state.app.ports.clock.now();
    let audit = AuditEntry::new(now, Some(caller.actor.user_id), action, "target", changes);
    state.app.ports.store.record(&audit).await
}

/// Why an original cannot be read may name paths and is left to `assay target status`.
fn word(state: &OriginalState) -> &'static str {
    match state {
        OriginalState::Unchanged => "unchanged",
        OriginalState::Changed => "changed",
        OriginalState::Unreadable { .. } => "unreadable",
    }
}

/// Runs an operation on the golden copy off the asynchronous threads.
async fn work<T: Send + 'static>(
    state: &Shared,
    how: impl FnOnce(&GoldenCopy) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let golden_copy = state
        .app
        .golden_copy
        .as_ref()
        .map(Arc::clone)
        .ok_or_else(|| {
            Error::new(Code::TargetDisabled, "there is no target database")
                .with_hint("name one with TARGET_DATABASE_URL and start again")
        })?;
    tokio::task::spawn_blocking(move || how(&golden_copy))
        .await
        .map_err(|fault| {
            Error::new(Code::Internal, "the operation was interrupted").with_cause(fault)
        })?
}
