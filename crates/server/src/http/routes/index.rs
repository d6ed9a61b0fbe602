use axum::Json;
use engine::indexing::{CollectionStatus, IndexWork};
use engine::ports::EmbedderIdentity;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Admin, Require};
use crate::http::error::Failure;
use crate::http::openapi::CallerProblems;

/// The index of schema, verified queries and business terms.
#[derive(Serialize, ToSchema)]
pub struct Index {
    /// The model that makes its vectors; null when there is none, and nothing is found by meaning.
    embedder: Option<EmbedderIdentity>,
    /// How each collection stands to what it was made from; empty without a model.
    collections: Vec<CollectionStatus>,
}

/// Says how the index stands. A job of the kind `index` makes it anew.
#[utoipa::path(get, path = "/api/v1/index", tag = "jobs", security(("session" = [])), responses(
    (status = 200, body = Index),
    CallerProblems,
))]
pub async fn status(state: Shared, _caller: Require<Admin>) -> Result<Json<Index>, Failure> {
    let asking = &state.app.ports.asking;
    let Some(embedder) = asking.embedder.clone() else {
        return Ok(Json(Index {
            embedder: None,
            collections: Vec::new(),
        }));
    };
    let identity = embedder.identity();
    let collections = IndexWork::new(asking.clone(), embedder).status().await?;
    Ok(Json(Index {
        embedder: Some(identity),
        collections,
    }))
}
