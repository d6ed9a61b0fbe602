//! `assay sql`: SQL of one's own through the same guard and fences.

use std::path::PathBuf;
use std::process::ExitCode;

use engine::Error;
use engine::ask::run_sql;
use engine::prompt::GeneratedSql;

use super::ask::{on_ctrl_c, show};
use super::output::CopyBar;
use crate::config::Settings;
use crate::wire;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// One SELECT.
    sql: String,
    /// Ask this SQLite file, with nothing else set up.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let app = {
        let bar = CopyBar::new();
        wire::open_without_model(settings, args.db.as_deref(), &|progress| {
            bar.report(progress)
        })?
    };
    let asker = super::local_asker(&app, settings).await?;
    let sql = GeneratedSql::new(args.sql);
    show(
        run_sql(&app.ports, &app.ask, &asker, &sql, on_ctrl_c()).await,
        args.json,
    )
}
