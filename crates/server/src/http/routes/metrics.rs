use axum::response::Response;

use crate::http::auth::{Admin, Require};
use crate::http::openapi::CallerProblems;
use crate::http::{Shared, metrics};

/// Returns counters and histograms in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "health", security(("session" = [])), responses(
    (status = 200, body = String, content_type = "text/plain"),
    CallerProblems,
))]
pub async fn render(state: Shared, _caller: Require<Admin>) -> Response {
    metrics::render(&state.metrics)
}
