//! Work in the background, for administrators.

use axum::Json;
use axum::http::StatusCode;
use engine::jobs::{self, Job};
use engine::ports::{JobId, JobRecord};
use engine::{Code, Error};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::Shared;
use crate::http::auth::{Admin, Require};
use crate::http::error::Failure;
use crate::http::extract::{JsonBody, PathName, QueryString};
use crate::http::openapi::{
    AddressProblems, BodyProblems, CallerProblems, ConflictProblems, MissingProblems,
};

/// The most jobs in one answer.
const MAX_JOBS: usize = 1_000;

/// Jobs that wait, run or have ended; ended ones for about a day.
#[derive(Serialize, ToSchema)]
pub struct JobList {
    /// The newest first.
    items: Vec<JobRecord>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct JobsQuery {
    /// Jobs at most; 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// A job to be done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddJob {
    /// What is to be done.
    kind: JobKind,
    /// For `index`: also where nothing has changed.
    #[serde(default)]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum JobKind {
    Index,
    Backup,
    Purge,
    Retention,
    Reverify,
}

impl AddJob {
    fn job(&self) -> Result<Job, Error> {
        if self.force && self.kind != JobKind::Index {
            let message = "only an index can be forced";
            return Err(Error::new(Code::InvalidRequest, message));
        }
        Ok(match self.kind {
            JobKind::Index => Job::Index { force: self.force },
            JobKind::Backup => Job::Backup,
            JobKind::Purge => Job::Purge,
            JobKind::Retention => Job::Retention,
            JobKind::Reverify => Job::Reverify,
        })
    }
}

/// Lists jobs. While Redis is down these are the ones of the process that answers.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobsQuery), security(("session" = [])), responses(
    (status = 200, body = JobList),
    CallerProblems,
    AddressProblems,
))]
pub async fn list(
    state: Shared,
    _caller: Require<Admin>,
    QueryString(query): QueryString<JobsQuery>,
) -> Result<Json<JobList>, Failure> {
    let limit = query.limit.unwrap_or(100).clamp(1, MAX_JOBS);
    let items = state.app.ports.jobs.jobs(limit).await?;
    Ok(Json(JobList { items }))
}

/// Shows a job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "The job's identifier.")), security(("session" = [])), responses(
    (status = 200, body = JobRecord),
    CallerProblems,
    MissingProblems,
))]
pub async fn one(
    state: Shared,
    _caller: Require<Admin>,
    PathName(id): PathName,
) -> Result<Json<JobRecord>, Failure> {
    let id = JobId(id);
    let job = state.app.ports.jobs.job(&id).await?;
    Ok(Json(job.ok_or_else(|| jobs::unknown(&id))?))
}

/// Adds a job. An equal one that still waits is not added again; its record is the answer.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs", request_body = AddJob, security(("session" = [])), responses(
    (status = 202, body = JobRecord),
    CallerProblems,
    BodyProblems,
    ConflictProblems,
))]
pub async fn enqueue(
    state: Shared,
    caller: Require<Admin>,
    JsonBody(body): JsonBody<AddJob>,
) -> Result<(StatusCode, Json<JobRecord>), Failure> {
    let app = &state.app;
    let added = jobs::enqueue(&app.ports, &app.work, &caller.actor, &body.job()?).await?;
    Ok((StatusCode::ACCEPTED, Json(added)))
}

/// Cancels a job: one that waits is never started, one that runs is stopped within seconds.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "The job's identifier.")), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    MissingProblems,
))]
pub async fn cancel(
    state: Shared,
    caller: Require<Admin>,
    PathName(id): PathName,
) -> Result<StatusCode, Failure> {
    jobs::cancel(&state.app.ports, &caller.actor, &JobId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
