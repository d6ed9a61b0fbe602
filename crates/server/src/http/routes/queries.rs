//! What was asked and what came of it: everyone their own, administrators all.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use engine::accounts::UserId;
use engine::admission::admit;
use engine::history::{self, Whose};
use engine::ports::{QueryLimits, QueryRecord, QueryStatus};
use engine::question::Answer;
use engine::result::Value;
use engine::{Code, Error, ask, exporting};
use serde::Deserialize;
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};

use super::questions::answered;
use crate::export::{self, Format};
use crate::http::Shared;
use crate::http::auth::{Require, Viewer};
use crate::http::error::{Failure, Problem};
use crate::http::extract::{PathId, QueryString};
use crate::http::openapi::{
    AddressProblems, CallerProblems, ConflictProblems, MissingProblems, RateProblems,
};
use crate::http::paging::{Listing, PageQuery, Paging};

const ROWS: HeaderName = HeaderName::from_static("x-assay-rows");
const TRUNCATED: HeaderName = HeaderName::from_static("x-assay-truncated");
const DATA_AS_OF: HeaderName = HeaderName::from_static("x-assay-data-as-of");

/// What is read of a file at once.
const PIECE_BYTES: usize = 1 << 16;

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

/// Runs the SQL of a question of one's own again, on the data as they are now, without the model.
#[utoipa::path(post, path = "/api/v1/queries/{id}/run", tag = "queries", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 200, body = Answer),
    CallerProblems,
    AddressProblems,
    MissingProblems,
    ConflictProblems,
    RateProblems,
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub async fn run_again(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
) -> Result<Json<Answer>, Failure> {
    admit(&state.app.ports, state.app.questions, &caller.actor).await?;
    let query = history::answered(&state.app.ports, &caller.actor, id.0).await?;
    let shared = state.0.clone();
    answered(async move |registration| {
        let (ports, settings) = (&shared.app.ports.asking, &shared.app.ask);
        ask::run_again(ports, settings, &caller.actor, &query, registration).await
    })
    .await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResultQuery {
    /// The form of the file.
    #[param(inline)]
    format: Format,
}

/// The form of an export in JSON; it is written row by row.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
pub struct Exported {
    /// The names of the columns.
    columns: Vec<String>,
    /// The rows.
    rows: Vec<Vec<Value>>,
}

/// Runs the SQL of a question of one's own again and returns all rows as a file, up to `EXPORT_MAX_ROWS`; the header
/// `x-assay-truncated` says whether there were more.
#[utoipa::path(get, path = "/api/v1/queries/{id}/result", tag = "queries",
    params(("id" = i64, Path, example = 1), ResultQuery), security(("session" = [])), responses(
    (status = 200, content(
        (String = "text/csv"),
        (Exported = "application/json"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (Vec<u8> = "application/vnd.apache.parquet"),
        (Vec<u8> = "application/vnd.apache.arrow.file"),
    )),
    CallerProblems,
    AddressProblems,
    MissingProblems,
    ConflictProblems,
    RateProblems,
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub async fn result(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
    QueryString(wanted): QueryString<ResultQuery>,
) -> Result<Response, Failure> {
    let (ports, actor, format) = (&state.app.ports, &caller.actor, wanted.format);
    admit(ports, state.app.questions, actor).await?;
    let query = history::answered(ports, actor, id.0).await?;
    let limits = QueryLimits {
        max_rows: state.app.export.max_rows.min(format.max_rows()),
        ..state.app.export
    };
    // Never closed.
    let turn = state.exports.acquire().await;
    let mut file = export::file(&state.app.scratch)?;
    let writes = file.try_clone().map_err(|cause| {
        Error::new(Code::Internal, "the export cannot be written").with_cause(cause)
    })?;
    let exported = exporting::export(
        ports,
        &limits,
        actor,
        &query,
        format.as_str(),
        format.needs_types(),
        |columns| Ok(format.sink(writes, columns, &state.app.scratch)),
    )
    .await?;
    drop(turn);
    let size = export::rewind(&mut file)?;
    let name = format!(
        "attachment; filename=\"assay-{}.{}\"",
        id.0,
        format.as_str()
    );
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CONTENT_DISPOSITION, name),
        (ROWS, exported.taken.rows.to_string()),
        (TRUNCATED, exported.taken.truncated.to_string()),
        (DATA_AS_OF, exported.provenance.data_as_of),
    ];
    let body = Body::from_stream(ReaderStream::with_capacity(
        tokio::fs::File::from_std(file),
        PIECE_BYTES,
    ));
    Ok((headers, body).into_response())
}
