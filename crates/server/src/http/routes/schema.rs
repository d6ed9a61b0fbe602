//! The data as the caller may see them.

use axum::Json;
use engine::catalog::{Catalog, catalog};

use crate::http::Shared;
use crate::http::auth::{Require, Viewer};
use crate::http::error::Failure;
use crate::http::openapi::CallerProblems;

/// Returns tables, columns and keys, with row counts and sample values; what is hidden from the caller is absent.
#[utoipa::path(get, path = "/api/v1/schema", tag = "schema", security(("session" = [])), responses(
    (status = 200, body = Catalog),
    CallerProblems,
))]
pub async fn schema(state: Shared, caller: Require<Viewer>) -> Result<Json<Catalog>, Failure> {
    let catalog = catalog(&state.app.ports, &caller.actor).await?;
    Ok(Json(catalog))
}
