//! The HTTP interface: extract, authorise, one engine call, typed response.

mod auth;
mod error;
mod openapi;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Request};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Sessions;
use crate::wire::App;

/// The largest body accepted, in bytes; a question is far smaller.
const MAX_BODY_BYTES: usize = 64 << 10;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every handler may use.
pub struct State {
    pub app: App,
    pub sessions: Sessions,
}

impl State {
    pub fn new(app: App, sessions: Sessions) -> Arc<Self> {
        Arc::new(Self { app, sessions })
    }
}

/// The state as handlers take it.
pub type Shared = axum::extract::State<Arc<State>>;

/// Returns all routes with everything around them.
pub fn router(state: Arc<State>) -> Router {
    let (router, api) = api().split_for_parts();
    let fixed = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    router
        .route("/api/v1/openapi.json", axum::routing::get(|| async move { axum::Json(api) }))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn(error::as_problem))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(fixed("x-content-type-options", "nosniff"))
        .layer(fixed("referrer-policy", "no-referrer"))
        .layer(fixed("content-security-policy", "default-src 'none'; frame-ancestors 'none'"))
        .layer(fixed("cache-control", "no-store"))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request<_>| {
            let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
            tracing::info_span!("request", method = %request.method(), path = request.uri().path(), request.id = id)
        }))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .with_state(state)
}

fn api() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::with_openapi(openapi::description())
        .routes(routes!(routes::health::live))
        .routes(routes!(routes::health::ready))
        .routes(routes!(routes::auth::login))
        .routes(routes!(routes::auth::logout))
        .routes(routes!(routes::auth::me))
        .routes(routes!(routes::questions::ask_question))
        .routes(routes!(routes::sql::execute))
        .routes(routes!(routes::target::status))
        .routes(routes!(routes::target::verify))
        .routes(routes!(routes::target::refresh))
        .routes(routes!(routes::target::restore))
}

/// Turns questions whose process went away into `interrupted`, for as long as the server runs.
pub async fn sweep(state: Arc<State>) {
    let mut every = tokio::time::interval(Duration::from_secs(30));
    loop {
        every.tick().await;
        let ports = &state.app.ports;
        match ports.store.sweep_expired(ports.clock.now()).await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "questions were interrupted"),
            Err(fault) => {
                tracing::error!(code = fault.code().as_str(), "the sweep failed: {fault}")
            }
        }
    }
}
