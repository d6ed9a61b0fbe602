use axum::Json;
use engine::admission::admit;
use engine::ask::run_sql;
use engine::prompt::GeneratedSql;
use engine::question::Answer;
use engine::validation::{self, Explained, Validated};
use serde::Deserialize;
use utoipa::ToSchema;

use super::questions::answered;
use crate::http::Shared;
use crate::http::auth::{Analyst, Require};
use crate::http::error::{Failure, Problem};
use crate::http::extract::JsonBody;
use crate::http::openapi::{BodyProblems, CallerProblems, RateProblems};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sql": "SELECT 1"}))]
pub struct Execute {
    /// One SELECT.
    sql: String,
}

/// Runs SQL of the caller's own through the same guard, fences and records as a question's.
#[utoipa::path(post, path = "/api/v1/sql/execute", tag = "sql", request_body = Execute, security(("session" = [])), responses(
    (status = 200, body = Answer),
    CallerProblems,
    BodyProblems,
    RateProblems,
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub async fn execute(
    state: Shared,
    caller: Require<Analyst>,
    JsonBody(body): JsonBody<Execute>,
) -> Result<Json<Answer>, Failure> {
    let sql = GeneratedSql::new(body.sql);
    admit(&state.app.ports, state.app.questions, &caller.actor).await?;
    let shared = state.0.clone();
    answered(async move |registration| {
        let (ports, settings) = (&shared.app.ports.asking, &shared.app.ask);
        run_sql(ports, settings, &caller.actor, &sql, registration).await
    })
    .await
}

/// Looks at SQL as the guard would, without running it: returns what would run, or the refusal.
#[utoipa::path(post, path = "/api/v1/sql/validate", tag = "sql", request_body = Execute, security(("session" = [])), responses(
    (status = 200, body = Validated),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    CallerProblems,
    BodyProblems,
))]
pub async fn validate(
    state: Shared,
    caller: Require<Analyst>,
    JsonBody(body): JsonBody<Execute>,
) -> Result<Json<Validated>, Failure> {
    let sql = GeneratedSql::new(body.sql);
    let validated = validation::validate(&state.app.ports, &caller.actor, &sql).await?;
    Ok(Json(validated))
}

/// Shows how the database would run SQL, without running it: what would run, the tables, and the plan with the indexes that
/// it uses; or the refusal. Nothing hidden is named.
#[utoipa::path(post, path = "/api/v1/sql/explain", tag = "sql", request_body = Execute, security(("session" = [])), responses(
    (status = 200, body = Explained),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
    CallerProblems,
    BodyProblems,
))]
pub async fn explain(
    state: Shared,
    caller: Require<Analyst>,
    JsonBody(body): JsonBody<Execute>,
) -> Result<Json<Explained>, Failure> {
    let sql = GeneratedSql::new(body.sql);
    let (ports, limits) = (&state.app.ports, &state.app.ask.query);
    let explained = validation::explain(ports, limits, &caller.actor, &sql).await?;
    Ok(Json(explained))
}
