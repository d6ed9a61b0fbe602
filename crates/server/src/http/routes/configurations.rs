//! Settings that may change at run time, for administrators. Secrets go in and never come out.

use axum::Json;
use axum::http::StatusCode;
use engine::configuration::{self, SetConfiguration, Setting};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Admin, Require};
use crate::http::error::Failure;
use crate::http::extract::{JsonBody, PathText};
use crate::http::openapi::{AddressProblems, BodyProblems, CallerProblems, MissingProblems};

/// All settings.
#[derive(Serialize, ToSchema)]
pub struct Settings {
    /// By key.
    items: Vec<Setting>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"value": "Good morning", "description": "What people are met with"}))]
pub struct PutSetting {
    /// The value, in clear.
    value: String,
    /// What it is for; left out it stays.
    description: Option<String>,
    /// The value is to be encrypted and never returned; left out it stays as it is.
    is_secret: Option<bool>,
}

/// Lists all settings; the values of secret ones are null.
#[utoipa::path(get, path = "/api/v1/configurations", tag = "configurations", security(("session" = [])), responses(
    (status = 200, body = Settings),
    CallerProblems,
))]
pub async fn list(state: Shared, _caller: Require<Admin>) -> Result<Json<Settings>, Failure> {
    let items = configuration::list(&state.app.ports).await?;
    Ok(Json(Settings { items }))
}

/// Creates or replaces a setting.
#[utoipa::path(put, path = "/api/v1/configurations/{key}", tag = "configurations", params(("key" = String, Path, example = "greeting")), request_body = PutSetting, security(("session" = [])), responses(
    (status = 200, body = Setting),
    CallerProblems,
    BodyProblems,
))]
pub async fn put(
    state: Shared,
    caller: Require<Admin>,
    PathText(key): PathText,
    JsonBody(body): JsonBody<PutSetting>,
) -> Result<Json<Setting>, Failure> {
    let new = SetConfiguration {
        key,
        value: body.value,
        description: body.description,
        is_secret: body.is_secret,
    };
    let keys = &state.keys.ring;
    let setting = configuration::set(&state.app.ports, keys, &caller.actor, new).await?;
    Ok(Json(setting))
}

/// Removes a setting.
#[utoipa::path(delete, path = "/api/v1/configurations/{key}", tag = "configurations", params(("key" = String, Path, example = "greeting")), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn delete(
    state: Shared,
    caller: Require<Admin>,
    PathText(key): PathText,
) -> Result<StatusCode, Failure> {
    configuration::delete(&state.app.ports, &caller.actor, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
