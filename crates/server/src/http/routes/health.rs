use axum::Json;
use axum::http::StatusCode;
use engine::Error;
use engine::ports::{Cache, Ports};
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
    /// `ready`, `degraded` (questions are answered, something is not as it should be) or `unavailable`.
    status: &'static str,
    /// Users, sessions, questions and the audit trail.
    system_store: Component,
    /// The copy of the business data.
    target: Component,
    /// The model that writes SQL. It is named, not tried.
    generator: Component,
    /// The index of schema, examples and terms.
    vector_store: Component,
    /// Rate limits, jobs and whatever else is kept for a short time.
    cache: Component,
}

/// One part.
#[derive(Serialize, ToSchema)]
pub struct Component {
    /// `up`, `degraded`, `down`, or `off` if it is not in use.
    state: &'static str,
    /// The code of what is wrong, or what is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Component {
    fn new(state: &'static str, detail: impl Into<String>) -> Self {
        Self {
            state,
            detail: Some(detail.into()),
        }
    }

    fn down(error: &Error) -> Self {
        Self::new("down", error.code().as_str())
    }
}

/// Says that the process is alive.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Live)))]
pub async fn live() -> Json<Live> {
    Json(Live { status: "alive" })
}

/// Says whether questions can be answered: 200 while they can, else 503.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub async fn ready(state: Shared) -> (StatusCode, Json<Ready>) {
    let ports = &state.app.ports;
    let system_store = match ports.store.user(1).await {
        Ok(_) => Component {
            state: "up",
            detail: None,
        },
        Err(error) => Component::down(&error),
    };
    let target = match ports.asking.target.current().await {
        Ok(generation) if generation.provenance().original_changed => {
            Component::new("degraded", "original_changed")
        }
        Ok(_) => Component {
            state: "up",
            detail: None,
        },
        Err(error) => Component::down(&error),
    };
    let cache = cache(&*ports.cache);
    let vector_store = vector_store(ports).await;
    let states = [
        system_store.state,
        target.state,
        cache.state,
        vector_store.state,
    ];
    let status = if system_store.state == "down" || target.state == "down" {
        "unavailable"
    } else if states.iter().all(|state| matches!(*state, "up" | "off")) {
        "ready"
    } else {
        "degraded"
    };
    let body = Ready {
        status,
        system_store,
        target,
        generator: Component::new("up", ports.asking.generator.identity().name),
        vector_store,
        cache,
    };
    let code = match status {
        "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    (code, Json(body))
}

/// Questions are answered without it, by words alone.
async fn vector_store(ports: &Ports) -> Component {
    let Some(embedder) = &ports.asking.embedder else {
        return Component::new("off", "no embedding model: tables are found by words");
    };
    match ports.asking.vectors.ping().await {
        Ok(()) => Component::new("up", embedder.identity().name),
        Err(error) => Component::down(&error),
    }
}

/// Questions are answered without Redis, so its absence is no more than worth knowing.
fn cache(cache: &dyn Cache) -> Component {
    if cache.is_degraded() {
        Component::new("degraded", "in process: Redis is down")
    } else if cache.is_shared() {
        Component::new("up", "Redis")
    } else {
        Component::new("up", "in process")
    }
}
