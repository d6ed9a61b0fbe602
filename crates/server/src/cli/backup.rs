//! `assay backup`: copies of the system store, made, looked at, tried out and put back.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use engine::backups::{self, Backup, Backups};
use engine::{Code, Error};

use super::output;
use crate::config::Settings;
use crate::keys::Keys;
use crate::{sealing, wire};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a backup of the system store, also while it is in use.
    Create(Format),
    /// List whole backups, the newest first.
    List(Format),
    /// Restore a backup into a scratch database and compare all of it with what was recorded.
    Verify {
        /// The backup; the newest one if none is named.
        name: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Put a backup in the place of the system store.
    Restore {
        /// The backup.
        name: String,
        /// Replace a store that holds data.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, clap::Args)]
pub struct Format {
    /// Print one JSON object, or one for each backup of a list.
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    let backups = wire::backups(settings).ok_or_else(disabled)?;
    match command {
        Command::Create(format) => {
            let ports = wire::open_store_alone(settings).await?.ports;
            let made = backups::create(&*backups, &*ports.store, ports.clock.now(), None).await;
            sealing::seal_once(&ports, settings).await;
            show(&format, &made?, "made");
        }
        Command::List(format) => {
            for backup in backups.list().await? {
                show(&format, &backup, "");
            }
        }
        Command::Verify { name, format } => verify(&backups, name, &format, settings).await?,
        Command::Restore {
            name,
            force,
            format,
        } => {
            let restored = backups.restore(&name, force).await?;
            let ports = wire::open_store_alone(settings).await?.ports;
            let now = ports.clock.now();
            // The heads noted since the backup are of the trail that was replaced.
            if let Some(aside) = sealing::set_anchors_aside(settings, now)? {
                output::say(&format!("noted heads are now in {}", aside.display()));
            }
            // The trail that was restored says so itself.
            ports
                .store
                .record(&backups::restored(&restored, now))
                .await?;
            sealing::seal_once(&ports, settings).await;
            show(&format, &restored, "restored");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(
    backups: &Arc<dyn Backups>,
    name: Option<String>,
    format: &Format,
    settings: &Settings,
) -> Result<(), Error> {
    let name = match name {
        Some(name) => name,
        None => newest(backups).await?,
    };
    let keys = Keys::open(settings)?;
    let ports = wire::open_store_alone(settings).await?.ports;
    let now = ports.clock.now();
    let verified =
        backups::verify(&**backups, &*ports.store, &name, &keys.verifying, now, None).await;
    sealing::seal_once(&ports, settings).await;
    let verified = verified?;
    if format.json {
        output::json_line(&verified);
        return Ok(());
    }
    let audit = &verified.audit;
    output::data(&format!(
        "whole: {name}, {} tables, {} audit entries, {} seals",
        verified.backup.row_counts.len(),
        audit.sealed + audit.unsealed,
        audit.seals
    ));
    Ok(())
}

async fn newest(backups: &Arc<dyn Backups>) -> Result<String, Error> {
    let newest = backups.list().await?.into_iter().next();
    newest.map(|backup| backup.name).ok_or_else(|| {
        Error::new(Code::NotFound, "there is no backup yet")
            .with_hint("`assay backup create` makes one")
    })
}

fn show(format: &Format, backup: &Backup, done: &str) {
    if format.json {
        output::json_line(backup);
        return;
    }
    let rows: u64 = backup.row_counts.values().sum();
    let line = format!(
        "{done} {}  {}  {} bytes, {rows} rows, {}",
        backup.name,
        backup.created_at.format("%Y-%m-%d %H:%M:%S UTC"),
        backup.size_bytes,
        backup.store
    );
    output::data(line.trim_start());
}

fn disabled() -> Error {
    Error::new(Code::BackupsDisabled, "no folder for backups is configured")
        .with_hint("name one with BACKUP_DIR")
}
