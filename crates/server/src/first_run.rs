//! The first start of a program that nobody configured: a page creates the administrator, fetches the model and copies a
//! SQLite file. Then the server is the one that it would have been if all of it had been there.
//!
//! Who sees the terminal may do this, and nobody else: every step takes the code that is in the printed address. The code
//! stands behind `#`, so that no server and no log gets it before the page sends it.

mod routes;
mod steps;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::accounts::UserFilter;
use engine::ports::PageRequest;
use engine::{Code, Error};
use tokio::net::TcpListener;

use crate::cli::output;
use crate::config::{Settings, SystemStoreSettings, TargetSource};
use crate::{accounts, wire};
use steps::Setup;

/// Where the path of the file stands that was chosen on the page, in DATA_DIR.
const CHOSEN: &str = "target-source";

/// Says whether the page helps: there is no administrator, nothing says who is to be one, and somebody sees the terminal
/// (`is_wanted` where they said so). On PostgreSQL it never does: who runs that has configured something.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn is_due(settings: &Settings, is_wanted: bool) -> Result<bool, Error> {
    let is_embedded = matches!(settings.system_store, SystemStoreSettings::Sqlite { .. });
    if !is_embedded
        || settings.auth.admin_password.is_some()
        || !(is_wanted || std::io::stderr().is_terminal())
    {
        return Ok(false);
    }
    let store = wire::open_store(settings).await?;
    let (anyone, one) = (UserFilter::default(), PageRequest::first(1));
    Ok(store.users(&anyone, one).await?.items.is_empty())
}

/// Serves the page on this listener until everything is there, and returns the settings with what was chosen.
///
/// # Errors
///
/// [`Code::SystemStoreDown`]; [`Code::Cancelled`] if the process is told to end before.
pub async fn guide(settings: &Settings, listener: &TcpListener) -> Result<Settings, Error> {
    let app = wire::open_store_alone(settings).await?;
    let address = listener.local_addr().unwrap_or(settings.listen);
    let code = accounts::code(&*app.ports.random);
    let setup = Arc::new(Setup::new(app.ports, settings.clone(), code.clone()));
    output::say(&format!(
        "set Assay up in a browser: http://{address}/setup#{code}"
    ));
    let own = |fault: std::io::Error| {
        Error::new(Code::Internal, "the first page cannot be served").with_cause(fault)
    };
    // Connections that come while this server gives way to the real one wait in the queue of the same socket.
    let shared = shared(listener).map_err(own)?;
    let finished = Arc::clone(&setup);
    let mut is_told_to_end = false;
    let end = crate::cli::serve::told_to_end()?;
    let served = async {
        axum::serve(
            shared,
            routes::router(Arc::clone(&setup)).into_make_service_with_connect_info::<SocketAddr>(),
        )
        .with_graceful_shutdown(async move { finished.finished().await })
        .await
    };
    tokio::select! {
        served = served => served.map_err(own)?,
        () = end => is_told_to_end = true,
    }
    if is_told_to_end {
        return Err(Error::new(Code::Cancelled, "Assay was not set up")
            .with_hint("start it again, or set INIT_ADMIN_PASSWORD and TARGET_DATABASE_URL"));
    }
    Ok(setup.settings())
}

/// Returns a second handle of a socket that listens.
#[cfg(unix)]
fn shared(listener: &TcpListener) -> std::io::Result<TcpListener> {
    use std::os::fd::AsFd;
    let socket = listener.as_fd().try_clone_to_owned()?;
    TcpListener::from_std(socket.into())
}

/// Returns the file that was chosen at the first start, if there was one.
pub fn chosen(data_dir: &Path) -> Option<PathBuf> {
    let path = std::fs::read_to_string(data_dir.join(CHOSEN)).ok()?;
    let path = path.trim_end_matches('\n');
    (!path.is_empty()).then(|| path.into())
}

/// Remembers the file for further starts; for the demo company nothing but its own file.
fn choose(settings: &Settings, source: &TargetSource) -> Result<(), Error> {
    let (TargetSource::File(path) | TargetSource::Demo(path)) = source else {
        return Ok(());
    };
    let text = format!("{}\n", path.display());
    std::fs::write(settings.data_dir.join(CHOSEN), text).map_err(|fault| {
        Error::new(
            Code::InvalidSetting,
            format!("cannot write into `{}`", settings.data_dir.display()),
        )
        .with_hint("choose another folder with DATA_DIR")
        .with_cause(fault)
    })
}
