//! `assay serve`: the HTTP interface.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use engine::{Code, Error};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::output::{self, CopyBar};
use crate::accounts::AccessTokens;
use crate::config::Settings;
use crate::keys::Keys;
use crate::sealing::{self, Sealer};
use crate::wire::App;
use crate::{accounts, http, scheduled_backups, wire};

pub async fn run(settings: &Settings) -> Result<ExitCode, Error> {
    let app = {
        let bar = CopyBar::new();
        wire::open(settings, None, &|progress| bar.report(progress)).await?
    };
    serve(settings, app).await
}

/// Serves until the process is told to end, then lets running questions finish.
pub async fn serve(settings: &Settings, app: App) -> Result<ExitCode, Error> {
    let (_, password) = accounts::ensure_admin(&app.ports, &settings.auth).await?;
    if let Some(password) = password {
        let shown = super::show_first_password(settings, &password)?;
        output::say(&format!("administrator: {shown}"));
    }
    app.ports.store.sweep_expired(app.ports.clock.now()).await?;
    let listener = listen("LISTEN", settings.listen).await?;
    let metrics = http::metrics::start()?;
    let open_metrics = open_metrics(settings, &metrics).await?;
    let address = listener.local_addr().unwrap_or(settings.listen);
    let tokens = AccessTokens::open(settings, &*app.ports.random)?;
    let keys = Keys::open(settings)?;
    let sealer = Sealer::new(&app.ports, &keys, settings);
    let ports = app.ports.clone();
    let state = http::State::new(app, tokens, keys, &settings.auth, metrics);
    let end = told_to_end().map_err(|fault| {
        Error::new(Code::Internal, "cannot listen for signals").with_cause(fault)
    })?;
    if !settings.unused.is_empty() {
        tracing::warn!("set, and not used yet: {}", settings.unused.join(", "));
    }
    output::say(&format!("listening on http://{address}"));
    let sweeper = tokio::spawn(http::sweep(Arc::clone(&state)));
    let sealing = tokio::spawn(sealer.run());
    let backups = settings.backups.as_ref().zip(state.app.backups.clone());
    let backups = backups.map(|(settings, backups)| {
        let schedule = settings.schedule.clone();
        tokio::spawn(scheduled_backups::run(backups, schedule, ports.clone()))
    });
    let served = axum::serve(
        listener,
        http::router(state).into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(end)
    .await;
    for task in [backups, open_metrics].into_iter().flatten() {
        task.abort();
    }
    sweeper.abort();
    sealing.abort();
    sealing::seal_once(&ports, settings).await;
    served.map_err(|fault| {
        Error::new(Code::Internal, "the server ended by itself").with_cause(fault)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Serves metrics to whoever reaches METRICS_LISTEN, if that is set.
async fn open_metrics(
    settings: &Settings,
    metrics: &PrometheusHandle,
) -> Result<Option<JoinHandle<()>>, Error> {
    let Some(address) = settings.metrics_listen else {
        return Ok(None);
    };
    let listener = listen("METRICS_LISTEN", address).await?;
    let address = listener.local_addr().unwrap_or(address);
    output::say(&format!("metrics on http://{address}/metrics"));
    let router = http::metrics::open_router(metrics.clone());
    Ok(Some(tokio::spawn(async move {
        if let Err(fault) = axum::serve(listener, router).await {
            tracing::error!("metrics are no longer served: {fault}");
        }
    })))
}

async fn listen(variable: &str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|fault| {
        Error::new(Code::InvalidSetting, format!("cannot listen on {address}"))
            .with_hint(format!("choose another address with {variable}"))
            .with_cause(fault)
    })
}

/// Listens for the signals from now on, so that none is missed, and returns what waits for the first one.
fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
