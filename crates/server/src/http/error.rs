//! Every error body is an RFC 9457 problem document with a stable code.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use engine::question::Choice;
use engine::{Code, Error, Kind};
use serde::Serialize;
use utoipa::ToSchema;

/// A problem document (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem in a sentence.
    title: String,
    /// The HTTP status.
    status: u16,
    /// This problem, for the caller.
    detail: String,
    /// The stable code.
    code: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The identifier of the request, also in the header `x-request-id`.
    request_id: String,
    /// The identifier of the `queries` row, for a question that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    query_id: Option<i64>,
    /// The SQL that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<String>,
    /// What the question may mean, when it is asked back which.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<Choice>,
}

/// An error on its way out; [`as_problem`] writes its body, which needs the request's identifier.
#[derive(Debug, Clone)]
pub struct Failure {
    error: Error,
    query_id: Option<i64>,
    sql: Option<String>,
    choices: Vec<Choice>,
}

impl Failure {
    /// A question that was refused.
    pub fn refused(refusal: engine::question::Refusal) -> Self {
        Self {
            error: refusal.error,
            query_id: Some(refusal.query_id),
            sql: refusal.sql,
            choices: refusal.choices,
        }
    }
}

impl Failure {
    /// Returns the document of this failure, and logs it.
    pub fn into_problem(self, request_id: String) -> Problem {
        let error = &self.error;
        log(error);
        // The request's span, where there is one.
        tracing::Span::current().record("error.type", error.code().as_str());
        Problem {
            kind: format!("urn:assay:problem:{}", error.code()),
            title: error.code().meaning().to_owned(),
            status: status_of(error.code()).as_u16(),
            detail: error.message().to_owned(),
            code: error.code().as_str().to_owned(),
            hint: error.hint().map(str::to_owned),
            request_id,
            query_id: self.query_id,
            sql: self.sql,
            choices: self.choices,
        }
    }

    /// Names the question that failed.
    pub fn of_query(self, query_id: Option<i64>) -> Self {
        Self {
            query_id: self.query_id.or(query_id),
            ..self
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            query_id: None,
            sql: None,
            choices: Vec::new(),
        }
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            _ => Code::InvalidRequest,
        };
        Error::new(code, rejection.body_text()).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = status_of(self.error.code()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Some codes are more precise in HTTP than their kind.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => {
            StatusCode::from_u16(code.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Writes the body of every failure and logs it once.
pub async fn as_problem(request: Request, next: Next) -> Response {
    let request_id = request
        .headers()
        .get(super::REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let mut response = next.run(request).await;
    let Some(failure) = response.extensions_mut().remove::<Failure>() else {
        return response;
    };
    let wait = failure.error.retry_after();
    let problem = failure.into_problem(request_id);
    let (mut parts, _) = response.into_parts();
    let body = Json(problem).into_response().into_body();
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    parts.headers.remove(header::CONTENT_LENGTH);
    if let Some(wait) = wait {
        // Whole seconds, rounded up: who comes at that time is let in.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        parts.headers.insert(header::RETRY_AFTER, seconds.into());
    }
    Response::from_parts(parts, body)
}

fn log(error: &Error) {
    let (code, cause) = (error.code().as_str(), error.cause().unwrap_or_default());
    match error.code().kind() {
        Kind::Internal | Kind::Unavailable => tracing::error!(code, cause, "failed: {error}"),
        Kind::Upstream | Kind::Timeout => tracing::warn!(code, cause, "failed: {error}"),
        Kind::Refused | Kind::Forbidden | Kind::Unauthenticated | Kind::TooMany => {
            tracing::info!(code, cause, "refused");
        }
        Kind::Invalid | Kind::NotFound | Kind::Conflict => tracing::debug!(code, cause, "refused"),
    }
}

pub async fn not_found() -> Failure {
    Error::new(Code::NotFound, "there is no such route")
        .with_hint("see /api/v1/openapi.json")
        .into()
}

pub async fn method_not_allowed() -> Failure {
    Error::new(
        Code::MethodNotAllowed,
        "the route does not answer this method",
    )
    .with_hint("see /api/v1/openapi.json")
    .into()
}

/// The panic's message may hold anything, so it goes to the log only.
pub fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    let error = Error::new(Code::Internal, "something went wrong on our side").with_cause(text);
    Failure::from(error).into_response()
}
