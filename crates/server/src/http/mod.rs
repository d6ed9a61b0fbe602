//! The HTTP interface: extract, authorise, one engine call, typed response.

mod auth;
mod client_address;
mod cookies;
mod documentation;
pub mod error;
pub mod extract;
mod live;
pub mod metrics;
mod openapi;
mod paging;
mod routes;
mod site;
pub mod ui;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, Request, header};
use engine::ontology::MAX_YAML_BYTES;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::accounts::AccessTokens;
use crate::config::AuthSettings;
use crate::keys::Keys;
use crate::telemetry;
use crate::wire::App;

use live::LiveQuestions;
use site::Site;

/// The largest body accepted, in bytes; a question is far smaller.
const MAX_BODY_BYTES: usize = 64 << 10;

/// A statement has a connection to the copy while it runs, and there are two at least.
const EXPORTS_AT_ONCE: usize = 1;

/// Where the description of the interface is.
const DESCRIPTION: &str = "/api/v1/openapi.json";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every handler may use.
pub struct State {
    /// What commands use too.
    pub app: App,
    /// Signs and recognises access tokens.
    pub tokens: AccessTokens,
    /// How browsers see this server.
    pub site: Site,
    /// Encrypt secret settings, verify seals.
    pub keys: Keys,
    /// What was counted.
    pub metrics: PrometheusHandle,
    /// Other sites whose pages may ask.
    embed_origins: Vec<HeaderValue>,
    /// What is being answered.
    live: Arc<LiveQuestions>,
    /// Exports that may run at once: as few as leave room for questions.
    exports: Semaphore,
}

impl State {
    pub fn new(
        app: App,
        tokens: AccessTokens,
        keys: Keys,
        auth: &AuthSettings,
        metrics: PrometheusHandle,
    ) -> Arc<Self> {
        let site = Site::new(&auth.accounts.public_url, auth.trusted_proxies.clone());
        // They were read as texts that fit into a header.
        let origins = auth.embed_origins.iter();
        let embed_origins = origins.filter_map(|origin| origin.parse().ok()).collect();
        Arc::new(Self {
            app,
            tokens,
            site,
            keys,
            metrics,
            embed_origins,
            live: Arc::default(),
            exports: Semaphore::new(EXPORTS_AT_ONCE),
        })
    }
}

/// The state as handlers take it.
pub type Shared = axum::extract::State<Arc<State>>;

/// Returns all routes with everything around them.
pub fn router(state: Arc<State>) -> Router {
    let (router, api) = api().split_for_parts();
    let router = router
        .route(
            DESCRIPTION,
            axum::routing::get(|| async move { axum::Json(api) }),
        )
        .merge(documentation::pages(DESCRIPTION))
        .fallback(ui::file_or_page);
    around(router, &state.embed_origins).with_state(state)
}

/// Puts around routes what every answer needs: problem documents, limits, headers, a span and an identifier. Pages of
/// `embed_origins` may ask.
pub fn around<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    embed_origins: &[HeaderValue],
) -> Router<S> {
    let fixed = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    router
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(axum::middleware::from_fn(error::as_problem))
        .layer(axum::middleware::from_fn(metrics::measure))
        .layer(axum::middleware::from_fn(telemetry::request))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(fixed("x-content-type-options", "nosniff"))
        .layer(fixed("referrer-policy", "no-referrer"))
        .layer(fixed("content-security-policy", "default-src 'none'; frame-ancestors 'none'"))
        .layer(fixed("cache-control", "no-store"))
        .layer(embedding(embed_origins))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(TraceLayer::new_for_http().make_span_with(|request: &Request<_>| {
            let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
            tracing::info_span!("request", method = %request.method(), path = request.uri().path(), request.id = id)
        }))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
}

/// Lets pages of other sites ask with a token of their own. They get no cookie, so no session that a person has open here
/// can be used from there.
fn embedding(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([REQUEST_ID])
        .max_age(Duration::from_secs(600))
}

fn api() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::with_openapi(openapi::description())
        .routes(routes!(routes::health::live))
        .routes(routes!(routes::health::ready))
        .routes(routes!(routes::metrics::render))
        .routes(routes!(routes::auth::login))
        .routes(routes!(routes::auth::refresh))
        .routes(routes!(routes::auth::logout))
        .routes(routes!(routes::auth::logout_all))
        .routes(routes!(routes::passwords::change))
        .routes(routes!(routes::passwords::forgot))
        .routes(routes!(routes::passwords::reset))
        .routes(routes!(routes::joining::register))
        .routes(routes!(routes::joining::accept_invitation))
        .routes(routes!(routes::users::me, routes::users::change_me))
        .routes(routes!(routes::users::users, routes::users::create))
        .routes(routes!(routes::users::user, routes::users::change))
        .routes(routes!(routes::users::log_out))
        .routes(routes!(routes::users::reset_password))
        .routes(routes!(
            routes::joining::invitations,
            routes::joining::invite
        ))
        .routes(routes!(routes::joining::withdraw_invitation))
        .routes(routes!(routes::api_keys::list, routes::api_keys::create))
        .routes(routes!(routes::api_keys::revoke))
        .routes(routes!(routes::questions::ask_question))
        .routes(routes!(routes::questions::stop_question))
        .routes(routes!(routes::questions::question_events))
        .routes(routes!(routes::suggestions::suggestions))
        .routes(routes!(
            routes::conversations::list,
            routes::conversations::create
        ))
        .routes(routes!(
            routes::conversations::one,
            routes::conversations::rename,
            routes::conversations::delete
        ))
        .routes(routes!(routes::queries::list))
        .routes(routes!(routes::queries::one))
        .routes(routes!(routes::queries::run_again))
        .routes(routes!(routes::queries::result))
        .routes(routes!(routes::feedback::rate, routes::feedback::of_query))
        .routes(routes!(routes::feedback::everyones))
        .routes(routes!(routes::sql::execute))
        .routes(routes!(routes::sql::validate))
        .routes(routes!(routes::sql::explain))
        .routes(routes!(routes::schema::schema))
        .routes(routes!(routes::ontology::list, routes::ontology::create))
        .routes(routes!(
            routes::ontology::one,
            routes::ontology::change,
            routes::ontology::delete
        ))
        .routes(routes!(routes::ontology::import).layer(DefaultBodyLimit::max(MAX_YAML_BYTES)))
        .routes(routes!(routes::ontology::export))
        .routes(routes!(
            routes::verified_queries::list,
            routes::verified_queries::propose
        ))
        .routes(routes!(
            routes::verified_queries::one,
            routes::verified_queries::change,
            routes::verified_queries::remove
        ))
        .routes(routes!(routes::verified_queries::approve))
        .routes(routes!(routes::verified_queries::reject))
        .routes(routes!(routes::policies::list, routes::policies::create))
        .routes(routes!(routes::policies::delete))
        .routes(routes!(routes::configurations::list))
        .routes(routes!(
            routes::configurations::put,
            routes::configurations::delete
        ))
        .routes(routes!(routes::audit_logs::list))
        .routes(routes!(routes::audit_logs::one))
        .routes(routes!(routes::audit_logs::proof))
        .routes(routes!(routes::audit_logs::seals))
        .routes(routes!(routes::target::status))
        .routes(routes!(routes::target::verify))
        .routes(routes!(routes::target::refresh))
        .routes(routes!(routes::target::restore))
        .routes(routes!(routes::backups::list, routes::backups::create))
        .routes(routes!(routes::backups::verify))
        .routes(routes!(routes::index::status))
        .routes(routes!(routes::jobs::list, routes::jobs::enqueue))
        .routes(routes!(routes::jobs::one, routes::jobs::cancel))
}

/// Turns questions whose process went away into `interrupted` and keeps counts small, for as long as the server runs.
pub async fn sweep(state: Arc<State>) {
    let mut every = tokio::time::interval(Duration::from_secs(30));
    loop {
        every.tick().await;
        state.metrics.run_upkeep();
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
