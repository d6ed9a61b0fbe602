//! Business terms: everyone reads them, analysts write them.

use axum::Json;
use axum::http::{HeaderName, StatusCode, header};
use engine::jobs;
use engine::ontology::{self, BusinessTerm, Imported, NewTerm, TermChange};
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};

use crate::http::Shared;
use crate::http::auth::{Analyst, Require, Viewer};
use crate::http::error::Failure;
use crate::http::extract::{JsonBody, PathId, QueryString, YamlBody};
use crate::http::openapi::{
    AddressProblems, BodyProblems, CallerProblems, ConflictProblems, MissingProblems,
};
use crate::http::paging::{Listing, PageQuery, Paging};

const YAML: &str = "application/yaml";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TermQuery {
    /// Only terms whose name, description or synonyms contain this text.
    search: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTerm {
    /// The word; left out it stays.
    term_name: Option<String>,
    /// What it means; left out it stays.
    description: Option<String>,
    /// Other words for it; left out they stay.
    synonyms: Option<Vec<String>>,
    /// Where in the data it is; left out it stays, null clears it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    data_source: Option<Option<String>>,
    /// Who answers for it; left out it stays, null clears it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
}

/// Tells a field that is null from one that was left out.
fn given<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// Lists the terms that the caller may see; what names hidden tables or columns is left out.
#[utoipa::path(get, path = "/api/v1/ontology", tag = "ontology", params(TermQuery, PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<BusinessTerm>),
    CallerProblems,
    AddressProblems,
))]
pub async fn list(
    state: Shared,
    caller: Require<Viewer>,
    QueryString(query): QueryString<TermQuery>,
    page: Paging,
) -> Result<Json<Listing<BusinessTerm>>, Failure> {
    let search = query.search.as_deref();
    let terms = ontology::list(&state.app.ports, &caller.actor, search, page.0).await?;
    Ok(Json(terms.into()))
}

/// Records a term.
#[utoipa::path(post, path = "/api/v1/ontology", tag = "ontology", request_body = NewTerm, security(("session" = [])), responses(
    (status = 201, body = BusinessTerm),
    CallerProblems,
    BodyProblems,
    ConflictProblems,
))]
pub async fn create(
    state: Shared,
    caller: Require<Analyst>,
    JsonBody(body): JsonBody<NewTerm>,
) -> Result<(StatusCode, Json<BusinessTerm>), Failure> {
    let term = ontology::create(&state.app.ports, &caller.actor, body).await?;
    jobs::keep_index(&state.app.ports, &state.app.work).await;
    Ok((StatusCode::CREATED, Json(term)))
}

/// Returns a term.
#[utoipa::path(get, path = "/api/v1/ontology/{id}", tag = "ontology", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 200, body = BusinessTerm),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn one(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
) -> Result<Json<BusinessTerm>, Failure> {
    let term = ontology::one(&state.app.ports, &caller.actor, id.0).await?;
    Ok(Json(term))
}

/// Changes a term.
#[utoipa::path(patch, path = "/api/v1/ontology/{id}", tag = "ontology", params(("id" = i64, Path, example = 1)), request_body = ChangeTerm, security(("session" = [])), responses(
    (status = 200, body = BusinessTerm),
    CallerProblems,
    BodyProblems,
    MissingProblems,
    ConflictProblems,
))]
pub async fn change(
    state: Shared,
    caller: Require<Analyst>,
    id: PathId,
    JsonBody(body): JsonBody<ChangeTerm>,
) -> Result<Json<BusinessTerm>, Failure> {
    let change = TermChange {
        term_name: body.term_name,
        description: body.description,
        synonyms: body.synonyms,
        data_source: body.data_source,
        owner: body.owner,
    };
    let term = ontology::change(&state.app.ports, &caller.actor, id.0, change).await?;
    jobs::keep_index(&state.app.ports, &state.app.work).await;
    Ok(Json(term))
}

/// Removes a term.
#[utoipa::path(delete, path = "/api/v1/ontology/{id}", tag = "ontology", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn delete(
    state: Shared,
    caller: Require<Analyst>,
    id: PathId,
) -> Result<StatusCode, Failure> {
    ontology::delete(&state.app.ports, &caller.actor, id.0).await?;
    jobs::keep_index(&state.app.ports, &state.app.work).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A file of business terms.
#[derive(ToSchema)]
#[schema(example = json!({"terms": [{"term_name": "revenue", "description": "What customers paid, without tax"}]}))]
pub struct OntologyFile {
    /// The terms.
    #[expect(dead_code, reason = "it describes a file; engine reads and writes it")]
    terms: Vec<NewTerm>,
}

/// Creates or replaces the terms of a YAML file of at most 1 MiB, all of them or none. Every fault is told with its
/// line.
#[utoipa::path(post, path = "/api/v1/ontology/import", tag = "ontology", request_body(content = OntologyFile, content_type = "application/yaml"), security(("session" = [])), responses(
    (status = 200, body = Imported),
    CallerProblems,
    BodyProblems,
))]
pub async fn import(
    state: Shared,
    caller: Require<Analyst>,
    YamlBody(body): YamlBody,
) -> Result<Json<Imported>, Failure> {
    let done = ontology::import(&state.app.ports, &caller.actor, &body).await?;
    jobs::keep_index(&state.app.ports, &state.app.work).await;
    Ok(Json(done))
}

/// Returns the terms that the caller may see as YAML that can be imported again.
#[utoipa::path(get, path = "/api/v1/ontology/export", tag = "ontology", security(("session" = [])), responses(
    (status = 200, body = OntologyFile, content_type = "application/yaml"),
    CallerProblems,
))]
pub async fn export(
    state: Shared,
    caller: Require<Viewer>,
) -> Result<([(HeaderName, &'static str); 1], String), Failure> {
    let yaml = ontology::export(&state.app.ports, &caller.actor).await?;
    Ok(([(header::CONTENT_TYPE, YAML)], yaml))
}
