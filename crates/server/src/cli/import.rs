//! `assay import`: what stands elsewhere, brought to where Assay can ask about it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use engine::{Code, Error};
use indicatif::{ProgressBar, ProgressStyle};
use stores::legacy::{LegacyImport, import_legacy};

use super::output;
use crate::config::{Settings, SystemStoreSettings};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Move `accounting_transactions` out of a PostgreSQL system store into a SQLite file to ask about.
    Legacy(Legacy),
}

#[derive(Debug, clap::Args)]
pub struct Legacy {
    /// The database that has the table, as its owner; the configured system store if it is not named.
    #[arg(long, value_name = "DATABASE_URL")]
    from: Option<String>,
    /// The file to make; one that is there is not overwritten.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Remove the table once rows and sums were compared.
    #[arg(long)]
    drop: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    let Command::Legacy(args) = command;
    let import = LegacyImport {
        from: source(args.from, settings)?,
        to: args.to,
        drop_table: args.drop,
    };
    let bar = ProgressBar::new(0).with_message("copying");
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} rows") {
        bar.set_style(style);
    }
    let done = import_legacy(&import, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    let done = done?;
    if args.json {
        output::json_line(&done);
        return Ok(ExitCode::SUCCESS);
    }
    output::data(&format!(
        "{} rows of {} columns in {}; {} sums agree",
        done.rows,
        done.columns,
        import.to.display(),
        done.sums
    ));
    if done.was_dropped {
        output::data("the table is gone from the system store");
    }
    output::say("ask about it with TARGET_DB_SOURCE, or `assay ask --db`");
    Ok(ExitCode::SUCCESS)
}

/// A URL of SQLAlchemy's names the driver behind a plus sign, which PostgreSQL's own programs do not know.
fn source(from: Option<String>, settings: &Settings) -> Result<String, Error> {
    if let Some(url) = from {
        return Ok(match url.split_once("://") {
            Some((scheme, rest)) if scheme.starts_with("postgres") => {
                format!("postgresql://{rest}")
            }
            _ => url,
        });
    }
    match &settings.system_store {
        SystemStoreSettings::Postgres(database) => Ok(database
            .migration_url
            .clone()
            .unwrap_or_else(|| database.url.clone())),
        SystemStoreSettings::Sqlite { .. } => Err(Error::new(
            Code::InvalidRequest,
            "the system store is not PostgreSQL, so it is not known where the table is",
        )
        .with_hint("name the database with --from postgresql://...")),
    }
}
