//! One span for each request.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::Empty;
use tracing::{Instrument, Level};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::TARGET;

const TRACEPARENT: &str = "traceparent";
const REQUEST_ID: &str = "x-request-id";

/// Opens a span around a request, as a child of the caller's if it came with a `traceparent` (W3C Trace Context).
///
/// Route and method are from our own short lists. The path is not told: it may be any text.
pub async fn request(request: Request, next: Next) -> Response {
    if !tracing::enabled!(target: TARGET, Level::DEBUG) {
        return next.run(request).await;
    }
    let method = known(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str);
    let span = tracing::debug_span!(
        target: TARGET,
        "request",
        otel.name = format_args!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request.id = identifier(request.headers()),
        "error.type" = Empty,
    );
    if request.headers().contains_key(TRACEPARENT) {
        let parent = TraceContextPropagator::new().extract(&Parent(request.headers()));
        // Fails only where nothing is exported, and then there is no one to tell.
        let _ = span.set_parent(parent);
    }
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// Shows the propagator the one header that has a fixed form. `tracestate` may hold anything.
struct Parent<'a>(&'a HeaderMap);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then(|| self.0.get(key)?.to_str().ok())?
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// A method may be any word.
fn known(method: &Method) -> &'static str {
    let known = [
        "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT",
    ];
    let known = known.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("_OTHER")
}

/// Returns the request's identifier if it looks like one. A caller may choose it, so it may be any text.
fn identifier(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_plain = id.len() <= 36
        && id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_plain.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_chooses_freely_is_not_told() {
        assert_eq!(known(&Method::PATCH), "PATCH");
        assert_eq!(known(&"SECRET".parse().unwrap()), "_OTHER");
        let with =
            |id: &str| HeaderMap::from_iter([(REQUEST_ID.parse().unwrap(), id.parse().unwrap())]);
        let own = with("0191d3e2-9f3e-7aab-8f7f-3d2f5a0a1b2c");
        assert!(identifier(&own).is_some());
        assert_eq!(identifier(&with("assay_secret")), None);
        assert_eq!(identifier(&with(&"a".repeat(37))), None);
    }
}
