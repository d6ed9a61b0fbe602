//! `assay serve`: the HTTP interface.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use engine::{Code, Error};

use super::output::{self, CopyBar};
use crate::config::Settings;
use crate::wire::App;
use crate::{accounts, http, wire};

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
        if std::io::stderr().is_terminal() {
            output::say(&format!(
                "administrator: {} with the password {} (shown this once)",
                password.email, password.text
            ));
        } else {
            let path = accounts::keep_password(settings, &password)?;
            output::say(&format!(
                "administrator: {}, password in {}",
                password.email,
                path.display()
            ));
        }
    }
    app.ports.store.sweep_expired(app.ports.clock.now()).await?;
    let listener = tokio::net::TcpListener::bind(settings.listen)
        .await
        .map_err(|fault| {
            Error::new(
                Code::InvalidSetting,
                format!("cannot listen on {}", settings.listen),
            )
            .with_hint("choose another address with LISTEN")
            .with_cause(fault)
        })?;
    let address = listener.local_addr().unwrap_or(settings.listen);
    let state = http::State::new(app, accounts::Sessions::new(settings)?);
    let end = told_to_end().map_err(|fault| {
        Error::new(Code::Internal, "cannot listen for signals").with_cause(fault)
    })?;
    output::say(&format!("listening on http://{address}"));
    let sweeper = tokio::spawn(http::sweep(Arc::clone(&state)));
    let served = axum::serve(listener, http::router(state))
        .with_graceful_shutdown(end)
        .await;
    sweeper.abort();
    served.map_err(|fault| {
        Error::new(Code::Internal, "the server ended by itself").with_cause(fault)
    })?;
    Ok(ExitCode::SUCCESS)
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
