//! What is counted and timed, in Prometheus' text format. Labels come from our own short lists, never from a request, so
//! that nobody can make their number grow.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use engine::question::Outcome;
use engine::{Code, Error};
use metrics::{counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the histograms, in seconds: from a health check to a long generation.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0,
];

/// Begins to count.
///
/// # Errors
///
/// [`Code::Internal`] if something in this process counts already.
pub fn start() -> Result<PrometheusHandle, Error> {
    let failed = |fault: metrics_exporter_prometheus::BuildError| {
        Error::new(Code::Internal, "metrics cannot be counted").with_cause(fault)
    };
    let handle = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)?;
    describe_counter!(
        "assay_http_requests_total",
        "Requests by method, route and status."
    );
    describe_histogram!(
        "assay_http_request_duration_seconds",
        "From the request's head to the answer's head, by method and route."
    );
    describe_counter!(
        "assay_questions_total",
        "Questions and statements by outcome (answered, refused, failed) and code."
    );
    describe_histogram!(
        "assay_question_duration_seconds",
        "From the question to its outcome, by outcome."
    );
    describe_counter!("assay_backups_total", "Backups by outcome (made, failed).");
    describe_counter!(
        "assay_jobs_total",
        "Jobs by kind and outcome (done, failed, cancelled, lost)."
    );
    Ok(handle)
}

/// Counts and times every request.
pub async fn measure(request: Request, next: Next) -> Response {
    let method = request.method().as_str().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    // A method may be any word; those that no route answers are counted as one.
    let method = match response.status().as_u16() {
        404 | 405 => "none".to_owned(),
        _ => method,
    };
    counter!("assay_http_requests_total", "method" => method.clone(), "route" => route.clone(), "status" => status)
        .increment(1);
    histogram!("assay_http_request_duration_seconds", "method" => method, "route" => route)
        .record(started.elapsed());
    response
}

/// Counts and times one question or statement.
pub fn question(outcome: &Result<Outcome, Error>, took: Duration) {
    let (outcome, code) = match outcome {
        Ok(Outcome::Answered(_)) => ("answered", "none"),
        Ok(Outcome::Refused(refusal)) => ("refused", refusal.error.code().as_str()),
        Err(error) => ("failed", error.code().as_str()),
    };
    counter!("assay_questions_total", "outcome" => outcome, "code" => code).increment(1);
    histogram!("assay_question_duration_seconds", "outcome" => outcome).record(took);
}

/// Counts one backup.
pub fn backup(is_made: bool) {
    let outcome = if is_made { "made" } else { "failed" };
    counter!("assay_backups_total", "outcome" => outcome).increment(1);
}

/// Counts a job that this process has done or stopped doing.
pub fn job(kind: &'static str, outcome: &'static str) {
    counter!("assay_jobs_total", "kind" => kind, "outcome" => outcome).increment(1);
}

/// Returns the counts as they are now.
pub fn render(handle: &PrometheusHandle) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, kind)], handle.render()).into_response()
}

/// Returns the routes of METRICS_LISTEN: the counts, for whoever reaches them.
pub fn open_router(handle: PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(async move || render(&handle)))
}
