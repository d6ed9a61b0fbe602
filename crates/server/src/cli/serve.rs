//! `assay serve`: the HTTP interface.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use engine::{Code, Error, jobs};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::output::{self, CopyBar};
use crate::accounts::AccessTokens;
use crate::config::BackupSchedule;
use crate::config::Settings;
use crate::keys::Keys;
use crate::schedule::Schedule;
use crate::sealing::Sealer;
use crate::wire::App;
use crate::worker::Worker;
use crate::{accounts, first_run, http, wire};

#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Leave the jobs to others: to `assay worker`, or to servers that share the same Redis.
    #[arg(long)]
    no_worker: bool,
    /// Set Assay up in a browser even if no terminal is there to show the address on; the log has it.
    #[arg(long)]
    setup: bool,
}

pub async fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Error> {
    if args.no_worker && settings.redis.is_none() {
        let message = "with --no-worker and without Redis nobody would do the jobs";
        return Err(Error::new(Code::InvalidSetting, message)
            .with_hint("set REDIS_URL, or leave --no-worker out"));
    }
    let listener = listen("LISTEN", settings.listen).await?;
    let chosen = match first_run::is_due(settings, args.setup).await? {
        true => Some(first_run::guide(settings, &listener).await?),
        false => None,
    };
    let settings = chosen.as_ref().unwrap_or(settings);
    let app = {
        let bar = CopyBar::new();
        wire::open(settings, None, &|progress| bar.report(progress)).await?
    };
    serve_on(listener, settings, app, args).await
}

/// Serves until the process is told to end, then lets running questions finish.
pub async fn serve(settings: &Settings, app: App, args: &Args) -> Result<ExitCode, Error> {
    let listener = listen("LISTEN", settings.listen).await?;
    serve_on(listener, settings, app, args).await
}

async fn serve_on(
    listener: TcpListener,
    settings: &Settings,
    app: App,
    args: &Args,
) -> Result<ExitCode, Error> {
    let (_, password) = accounts::ensure_admin(&app.ports, &settings.auth).await?;
    if let Some(password) = password {
        let shown = super::show_first_password(settings, &password)?;
        output::say(&format!("administrator: {shown}"));
    }
    app.ports.store.sweep_expired(app.ports.clock.now()).await?;
    let metrics = http::metrics::start()?;
    let open_metrics = open_metrics(settings, &metrics).await?;
    let address = listener.local_addr().unwrap_or(settings.listen);
    let tokens = AccessTokens::open(settings, &*app.ports.random)?;
    let keys = Keys::open(settings)?;
    let sealer = Sealer::new(&app.ports, &keys, settings);
    let ports = app.ports.clone();
    let state = http::State::new(app, tokens, keys, &settings.auth, metrics);
    let end = told_to_end()?;
    if settings.redis.is_some() {
        // One that is down is noticed, and logged, before the first question needs it.
        let _ = state.app.ports.cache.ping().await;
    }
    output::say(&format!("listening on http://{address}"));
    let sweeper = tokio::spawn(http::sweep(Arc::clone(&state)));
    let (stop_sealing, told_to_stop) = oneshot::channel::<()>();
    let sealing = tokio::spawn(sealer.run(async move {
        // That the sender is gone is a word too.
        let _ = told_to_stop.await;
    }));
    let background = (!args.no_worker).then(|| Background::start(&state.app, settings));
    jobs::keep_index(&ports, &state.app.work).await;
    let served = axum::serve(
        listener,
        http::router(state).into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(end)
    .await;
    if let Some(open_metrics) = open_metrics {
        open_metrics.abort();
    }
    if let Some(background) = background {
        background.stop().await;
    }
    sweeper.abort();
    drop(stop_sealing);
    if let Err(fault) = sealing.await {
        tracing::error!("the audit trail was not sealed to its end: {fault}");
    }
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

/// Jobs and their schedule, beside whatever else the process does.
pub struct Background {
    stop: watch::Sender<bool>,
    worker: JoinHandle<()>,
    schedule: JoinHandle<()>,
}

impl Background {
    /// Begins to work.
    pub fn start(app: &App, settings: &Settings) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (jobs, work) = (app.ports.jobs.clone(), app.work.clone());
        let worker = Worker::new(jobs, work.clone(), app.ask.instance_id.clone());
        let backups = settings.backups.as_ref();
        let backups = backups.map_or(BackupSchedule::Off, |backups| backups.schedule.clone());
        let schedule = Schedule::new(app.ports.clone(), work, backups);
        Self {
            stop,
            worker: tokio::spawn(worker.run(stopped)),
            schedule: tokio::spawn(schedule.run()),
        }
    }

    /// Waits until the job at hand is given back.
    pub async fn stop(self) {
        self.schedule.abort();
        self.stop.send_replace(true);
        if self.worker.await.is_err() {
            tracing::error!("the worker had ended by itself");
        }
    }
}

/// Listens for the signals from now on, so that none is missed, and returns what waits for the first one.
///
/// # Errors
///
/// [`Code::Internal`] if the system gives no signals.
pub fn told_to_end() -> Result<impl Future<Output = ()>, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| {
        signal(kind).map_err(|fault| {
            Error::new(Code::Internal, "cannot listen for signals").with_cause(fault)
        })
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
