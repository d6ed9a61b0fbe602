//! The description of the interface as a page to read and try, at `/docs`. Everything it needs is in the program, so it
//! works offline.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{State, error};

/// The page runs scripts and asks for data, from here alone; its drawing library sets styles on elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Returns the pages, which read the description at `description`.
pub fn pages(description: &'static str) -> Router<Arc<State>> {
    let pages = SwaggerUi::new("/docs").config(Config::new([description]).validator_url("none"));
    Router::from(pages)
        .layer(axum::middleware::map_response(missing_as_problem))
        .layer(SetResponseHeaderLayer::overriding(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ))
}

async fn missing_as_problem(response: Response) -> Response {
    match response.status() {
        StatusCode::NOT_FOUND => error::not_found().await.into_response(),
        _ => response,
    }
}
