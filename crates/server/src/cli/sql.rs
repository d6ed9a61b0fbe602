//! `assay sql`: SQL of one's own through the same guard and fences.

use std::path::PathBuf;
use std::process::ExitCode;

use engine::Error;
use engine::ask::run_sql;
use engine::prompt::GeneratedSql;
use engine::validation;

use super::ask::{on_ctrl_c, show};
use super::output::{self, CopyBar};
use crate::config::Settings;
use crate::{sealing, wire};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// One SELECT.
    sql: String,
    /// Ask this SQLite file, with nothing else set up.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Show what would run and how, without running it.
    #[arg(long)]
    explain: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let app = {
        let bar = CopyBar::new();
        wire::open_without_model(settings, args.db.as_deref(), &|progress| {
            bar.report(progress)
        })
        .await?
    };
    let actor = super::local_actor(&app, settings).await?;
    let sql = GeneratedSql::new(args.sql);
    if args.explain {
        let (ports, limits) = (&app.ports, &app.ask.query);
        let explained = validation::explain(ports, limits, &actor, &sql).await;
        sealing::seal_once(ports, settings).await;
        let explained = explained?;
        if args.json {
            output::json_line(&explained);
        } else {
            output::explained(&explained);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = run_sql(&app.ports.asking, &app.ask, &actor, &sql, on_ctrl_c()).await;
    let shown = show(outcome, args.json);
    sealing::seal_once(&app.ports, settings).await;
    shown
}
