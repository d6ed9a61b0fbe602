//! The OpenAPI description, made from the code.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
};

use super::cookies;
use super::error::Problem;

/// Returns the parts that no route brings itself.
pub fn description() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Assay")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Asks business questions in plain language and shows where each number comes from.",
        ))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "An access token from /api/v1/auth/login, or an API key.",
        ))
        .build();
    let cookie = ApiKeyValue::with_description(
        cookies::SESSION,
        "An access token in the cookie of a login with `cookie`.",
    );
    let components = ComponentsBuilder::new()
        .security_scheme("session", SecurityScheme::Http(bearer))
        .security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)))
        .schema_from::<Problem>()
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// What every route may answer whose caller must be recognised.
pub struct CallerProblems;

impl IntoResponses for CallerProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("401", "The caller is not recognised."),
            ("403", "The caller may not do this."),
            ("503", "The system store is down."),
        ])
    }
}

/// What every route may answer that takes a body.
pub struct BodyProblems;

impl IntoResponses for BodyProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "The request is malformed."),
            ("413", "The body is too large."),
            ("415", "The body is not JSON."),
        ])
    }
}

/// What every route may answer that reads its path or its query string.
pub struct AddressProblems;

impl IntoResponses for AddressProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("400", "The request is malformed.")])
    }
}

/// What every route may answer that looks for one thing.
pub struct MissingProblems;

impl IntoResponses for MissingProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("404", "There is no such thing.")])
    }
}

/// What every route may answer whose change can clash with what is there.
pub struct ConflictProblems;

impl IntoResponses for ConflictProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("409", "It clashes with what is there.")])
    }
}

/// What every route may answer that only so many may use at once, or within some time.
pub struct RateProblems;

impl IntoResponses for RateProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("429", "Too many requests."),
            ("503", "The system store is down."),
        ])
    }
}

/// What every route may answer that sends a letter.
pub struct MailProblems;

impl IntoResponses for MailProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("502", "The mail server did not take the letter.")])
    }
}

fn problems(list: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    list.iter()
        .map(|(status, description)| {
            let body = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Problem")))
                .build();
            let mut response = ResponseBuilder::new()
                .description(*description)
                .content("application/problem+json", body);
            if *status == "429" {
                let seconds = HeaderBuilder::new()
                    .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
                    .description(Some("Seconds to wait."))
                    .build();
                response = response.header("retry-after", seconds);
            }
            ((*status).to_owned(), response.build().into())
        })
        .collect()
}
