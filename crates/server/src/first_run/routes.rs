//! The routes of the first page. They are gone once the server is set up, and not part of its interface.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::{Code, Error};
use futures::StreamExt;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::steps::{Setup, Status};
use crate::config::TargetSource;
use crate::http::error::Failure;
use crate::http::extract::JsonBody;
use crate::http::{around, ui};

/// The header that carries the code.
const CODE: &str = "x-setup-code";

type Shared = State<Arc<Setup>>;

pub fn router(setup: Arc<Setup>) -> Router {
    let routes = Router::new()
        .route("/api/v1/setup", get(status))
        .route("/api/v1/setup/administrator", post(administrator))
        .route("/api/v1/setup/model", post(model))
        .route("/api/v1/setup/target", post(target))
        .route(
            "/api/v1/setup/upload",
            post(upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/api/v1/setup/finish", post(finish))
        .route("/health/live", get(|| async { StatusCode::NO_CONTENT }))
        .route("/health/ready", get(not_yet))
        .route("/api/v1/me", get(nobody))
        .fallback(page);
    around(routes, &[]).with_state(setup)
}

/// Somebody who has the code.
struct Operator;

impl FromRequestParts<Arc<Setup>> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, setup: &Arc<Setup>) -> Result<Self, Failure> {
        let code = parts.headers.get(CODE).and_then(|code| code.to_str().ok());
        setup.check(code.unwrap_or_default())?;
        Ok(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Administrator {
    email: String,
    full_name: String,
    password: String,
}

/// A file on the server's machine, or the demo company.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Wanted {
    Path(PathBuf),
    Demo,
}

async fn status(_: Operator, State(setup): Shared) -> Json<Status> {
    Json(setup.status())
}

async fn administrator(
    _: Operator,
    State(setup): Shared,
    JsonBody(body): JsonBody<Administrator>,
) -> Result<StatusCode, Failure> {
    setup
        .create_administrator(&body.email, &body.full_name, &body.password)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn model(_: Operator, State(setup): Shared) -> Result<StatusCode, Failure> {
    setup.fetch_models()?;
    Ok(StatusCode::ACCEPTED)
}

async fn target(
    _: Operator,
    State(setup): Shared,
    JsonBody(body): JsonBody<Wanted>,
) -> Result<StatusCode, Failure> {
    let source = match body {
        Wanted::Demo => TargetSource::Demo(setup.demo_path()),
        Wanted::Path(path) if path.is_absolute() => TargetSource::File(path),
        Wanted::Path(path) => {
            let message = format!("`{}` is not a whole path", path.display());
            return Err(Error::new(Code::InvalidRequest, message)
                .with_hint("begin it with the root of the file system")
                .into());
        }
    };
    setup.copy(source)?;
    Ok(StatusCode::ACCEPTED)
}

/// Takes a file as the body, however large: the folder of the data has to have room for it.
async fn upload(
    _: Operator,
    State(setup): Shared,
    request: Request,
) -> Result<StatusCode, Failure> {
    let path = setup.upload_path();
    save(&path, request.into_body()).await?;
    setup.copy(TargetSource::File(path))?;
    Ok(StatusCode::ACCEPTED)
}

/// Writes the whole body beside the path, then puts it there: half a file is never taken for one.
async fn save(path: &Path, body: Body) -> Result<(), Error> {
    let half = path.with_extension("part");
    let failed = |fault: &dyn std::fmt::Display| {
        Error::new(Code::InvalidRequest, "the file did not arrive whole")
            .with_hint("see whether the disk has room, and send it again")
            .with_cause(fault)
    };
    let written = async {
        let mut file = tokio::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            // Business data is for who runs this alone.
            .mode(0o600)
            .open(&half)
            .await?;
        let mut body = body.into_data_stream();
        while let Some(bytes) = body.next().await {
            file.write_all(&bytes.map_err(std::io::Error::other)?)
                .await?;
        }
        file.sync_all().await?;
        tokio::fs::rename(&half, path).await
    };
    let written: std::io::Result<()> = written.await;
    if let Err(fault) = written {
        let _ = tokio::fs::remove_file(&half).await;
        return Err(failed(&fault));
    }
    Ok(())
}

async fn finish(_: Operator, State(setup): Shared) -> Result<StatusCode, Failure> {
    setup.finish()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn not_yet() -> Failure {
    Error::new(Code::SetupDue, "Assay is being set up")
        .with_hint("open the address that `assay serve` printed")
        .into()
}

async fn nobody() -> Failure {
    Error::new(Code::MissingCredentials, "there are no accounts yet").into()
}

/// Every page is that of the setting up.
async fn page(request: Request) -> Response {
    let path = request.uri().path();
    match path {
        "/setup" => ui::file_or_page(request).await,
        _ if path.starts_with("/api/") => not_yet().await.into_response(),
        _ if path.contains('.') => ui::file_or_page(request).await,
        _ => Redirect::temporary("/setup").into_response(),
    }
}
