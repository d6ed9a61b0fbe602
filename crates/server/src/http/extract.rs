//! Bodies, query strings and what stands in paths, whose faults become problem documents.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use engine::{Code, Error};
use serde::de::DeserializeOwned;

use super::error::Failure;

/// A body in JSON.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// A body in YAML, as text.
pub struct YamlBody(pub String);

impl<S: Send + Sync> FromRequest<S> for YamlBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if !is_yaml(request.headers()) {
            let message = "the body must have the content type application/yaml";
            return Err(Error::new(Code::UnsupportedMediaType, message).into());
        }
        match String::from_request(request, state).await {
            Ok(text) => Ok(Self(text)),
            Err(rejection) => {
                let code = match rejection.status() {
                    StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
                    _ => Code::InvalidRequest,
                };
                Err(Error::new(code, rejection.body_text()).into())
            }
        }
    }
}

/// Source: RFC 9512, and the names in use before it.
fn is_yaml(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    ["application/yaml", "application/x-yaml", "text/yaml"]
        .iter()
        .any(|yaml| yaml.eq_ignore_ascii_case(kind.trim()))
}

/// A query string.
pub struct QueryString<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryString<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        // PostgreSQL cannot hold this character, so nothing there can be found by it.
        if parts.uri.query().unwrap_or_default().contains("%00") {
            return Err(Error::new(
                Code::InvalidRequest,
                "the query string holds a NUL character",
            )
            .into());
        }
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Error::new(Code::InvalidRequest, rejection.body_text()).into()),
        }
    }
}

/// The one name in a path.
pub struct PathName(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(Error::new(Code::InvalidRequest, rejection.body_text()).into()),
        }
    }
}

/// The one identifier in a path.
pub struct PathId(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(rejection) => Err(Error::new(Code::InvalidRequest, rejection.body_text()).into()),
        }
    }
}

/// The one name in a path.
pub struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(rejection) => Err(Error::new(Code::InvalidRequest, rejection.body_text()).into()),
        }
    }
}
