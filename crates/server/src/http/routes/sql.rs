use axum::Json;
use axum::extract::rejection::JsonRejection;
use engine::ask::run_sql;
use engine::prompt::GeneratedSql;
use engine::question::Answer;
use serde::Deserialize;
use utoipa::ToSchema;

use super::questions::{answer, asker};
use crate::http::Shared;
use crate::http::auth::{Analyst, Require};
use crate::http::error::{Failure, Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Execute {
    /// One SELECT.
    sql: String,
}

/// Runs SQL of the caller's own through the same guard, fences and records as a question's.
#[utoipa::path(post, path = "/api/v1/sql/execute", tag = "sql", request_body = Execute, security(("session" = [])), responses(
    (status = 200, body = Answer),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub async fn execute(
    state: Shared,
    caller: Require<Analyst>,
    body: Result<Json<Execute>, JsonRejection>,
) -> Result<Json<Answer>, Failure> {
    let Json(body) = body?;
    let asker = asker(caller.actor);
    let sql = GeneratedSql::new(body.sql);
    answer(async move |registration| {
        run_sql(&state.app.ports, &state.app.ask, &asker, &sql, registration).await
    })
    .await
}
