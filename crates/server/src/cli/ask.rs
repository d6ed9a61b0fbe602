//! `assay ask`: one question from the command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use engine::Error;
use engine::ask::ask;
use engine::question::{Outcome, Question};
use futures::future::{AbortHandle, AbortRegistration};

use super::output::{self, CopyBar, StepSpinner};
use crate::config::Settings;
use crate::{sealing, wire};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The question, in plain language.
    #[arg(required = true)]
    question: Vec<String>,
    /// Ask this SQLite file, with nothing else set up.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How long one question waits for the values of a file to be indexed, which is done once for each file.
const VALUES_AT_MOST: Duration = Duration::from_secs(5);

pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let question = Question::parse(&args.question.join(" "))?;
    let app = {
        let bar = CopyBar::new();
        wire::open(settings, args.db.as_deref(), &|progress| {
            bar.report(progress)
        })
        .await?
    };
    let actor = super::local_actor(&app, settings).await?;
    wire::values_indexed(&*app.ports.asking.target, VALUES_AT_MOST).await;
    let outcome = {
        let spinner = StepSpinner::start();
        ask(
            &app.ports.asking,
            &app.ask,
            &actor,
            &question,
            &spinner,
            on_ctrl_c(),
        )
        .await
    };
    let shown = show(outcome, args.json);
    sealing::seal_once(&app.ports, settings).await;
    shown
}

/// Prints what came of a question or a statement and returns the exit code.
pub fn show(outcome: Result<Outcome, Error>, as_json: bool) -> Result<ExitCode, Error> {
    match outcome {
        Ok(outcome) => {
            if as_json {
                output::json_line(&output::outcome_json(&outcome));
            }
            match outcome {
                Outcome::Answered(answer) => {
                    if !as_json {
                        output::answer(&answer);
                    }
                    Ok(ExitCode::SUCCESS)
                }
                Outcome::Refused(refusal) => {
                    if let Some(sql) = refusal.sql.as_deref().filter(|_| !as_json) {
                        output::say(&format!("{}\n", sql.trim()));
                    }
                    Err(refusal.error)
                }
            }
        }
        Err(error) => {
            if as_json {
                output::json_line(
                    &serde_json::json!({ "status": "failed", "error": output::error_json(&error) }),
                );
            }
            Err(error)
        }
    }
}

/// Returns a registration that Ctrl-C aborts: model and database stop, the question is recorded as cancelled.
pub fn on_ctrl_c() -> AbortRegistration {
    let (abort, registration) = AbortHandle::new_pair();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            abort.abort();
        }
    });
    registration
}
