use axum::Json;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::Shared;

/// The process is alive.
#[derive(Serialize, ToSchema)]
pub struct Live {
    status: &'static str,
}

/// Whether questions can be answered, and the state of each part.
#[derive(Serialize, ToSchema)]
pub struct Ready {
    /// `ready` or `unavailable`.
    status: &'static str,
    /// `up` or the code of what is wrong.
    system_store: String,
    /// `up` or the code of what is wrong.
    target: String,
    /// The model that writes SQL.
    generator: String,
}

/// Says that the process is alive.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Live)))]
pub async fn live() -> Json<Live> {
    Json(Live { status: "alive" })
}

/// Says whether questions can be answered.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub async fn ready(state: Shared) -> (StatusCode, Json<Ready>) {
    let ports = &state.app.ports;
    let store = ports.store.user(1).await.map(drop);
    let target = ports.target.current().await.map(drop);
    let is_ready = store.is_ok() && target.is_ok();
    let word = |part: Result<(), engine::Error>| match part {
        Ok(()) => "up".to_owned(),
        Err(error) => error.code().as_str().to_owned(),
    };
    let body = Ready {
        status: if is_ready { "ready" } else { "unavailable" },
        system_store: word(store),
        target: word(target),
        generator: ports.generator.identity().name,
    };
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(body))
}
