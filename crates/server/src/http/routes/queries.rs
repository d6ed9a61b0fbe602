//! What was asked and what came of it: everyone their own, administrators all.

use axum::Json;
use engine::accounts::UserId;
use engine::history::{self, Whose};
use engine::ports::{QueryRecord, QueryStatus};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::Shared;
use crate::http::auth::{Require, Viewer};
use crate::http::error::Failure;
use crate::http::extract::{PathId, QueryString};
use crate::http::openapi::{AddressProblems, CallerProblems, MissingProblems};
use crate::http::paging::{Listing, PageQuery, Paging};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Only questions of this status.
    status: Option<QueryStatus>,
    /// Only questions whose text or SQL contains this.
    search: Option<String>,
    /// The questions of this user, for administrators; left out, one's own.
    user_id: Option<UserId>,
    /// Everyone's questions, for administrators.
    everyone: Option<bool>,
}

impl HistoryQuery {
    fn whose(&self) -> Whose {
        match (self.user_id, self.everyone) {
            (Some(user_id), _) => Whose::Of(user_id),
            (None, Some(true)) => Whose::Everyones,
            (None, _) => Whose::Own,
        }
    }
}

/// Lists questions, newest first.
#[utoipa::path(get, path = "/api/v1/queries", tag = "queries", params(HistoryQuery, PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<QueryRecord>),
    CallerProblems,
    AddressProblems,
))]
pub async fn list(
    state: Shared,
    caller: Require<Viewer>,
    QueryString(query): QueryString<HistoryQuery>,
    page: Paging,
) -> Result<Json<Listing<QueryRecord>>, Failure> {
    let ports = &state.app.ports;
    let whose = query.whose();
    let (status, search) = (query.status, query.search);
    let queries = history::list(ports, &caller.actor, whose, status, search, page.0).await?;
    Ok(Json(queries.into()))
}

/// Returns a question.
#[utoipa::path(get, path = "/api/v1/queries/{id}", tag = "queries", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 200, body = QueryRecord),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn one(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
) -> Result<Json<QueryRecord>, Failure> {
    let query = history::one(&state.app.ports, &caller.actor, id.0).await?;
    Ok(Json(query))
}
