//! `assay demo`: the demo company, a few questions of rising difficulty, then the server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use engine::ask::ask;
use engine::question::{Outcome, Question};
use engine::{Code, Error};
use indicatif::{ProgressBar, ProgressStyle};

use super::ask::on_ctrl_c;
use super::output::{self, CopyBar, StepSpinner};
use crate::config::{Settings, TargetSource};
use crate::demo_company::{self, DemoOptions};
use crate::{accounts, wire};

/// Asked in this order. They say nothing of tables or columns; the model has to find them.
const QUESTIONS: [&str; 6] = [
    "How many customers do we have?",
    "Which five products have the highest unit price?",
    "How many orders were placed in each year?",
    "What are the three countries with the most customers?",
    "How many employees work in each department?",
    "Which ten customers placed the most orders, and how many orders did each place?",
];

/// A demo that answers fewer has failed.
const MIN_ANSWERS: usize = 5;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the questions.
    #[arg(long)]
    no_serve: bool,
    /// Print one JSON object a question.
    #[arg(long)]
    json: bool,
    /// Orders of the company that is generated.
    #[arg(long, value_name = "N")]
    orders: Option<u64>,
    /// Only generate the company, as this file.
    #[arg(long, value_name = "FILE")]
    generate: Option<PathBuf>,
}

pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let mut options = DemoOptions::default();
    if let Some(orders) = args.orders {
        options.orders = orders;
    }
    if let Some(path) = &args.generate {
        generate(path, &options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = settings.data_dir.join("demo_company.db");
    if !path.exists() {
        generate(&path, &options)?;
    }
    let mut settings = settings.clone();
    settings.target.source = TargetSource::Demo(path);
    let app = {
        let bar = CopyBar::new();
        wire::open(&settings, None, &|progress| bar.report(progress)).await?
    };
    let actor = super::local_actor(&app, &settings).await?;

    let mut answered = 0;
    for (index, text) in QUESTIONS.iter().enumerate() {
        if !args.json {
            output::say(&format!("\n[{}/{}] {text}", index + 1, QUESTIONS.len()));
        }
        let outcome = {
            let spinner = StepSpinner::start();
            ask(
                &app.ports.asking,
                &app.ask,
                &actor,
                &Question::parse(text)?,
                &spinner,
                on_ctrl_c(),
            )
            .await?
        };
        if args.json {
            output::json_line(&output::outcome_json(&outcome));
        }
        match &outcome {
            Outcome::Answered(answer) => {
                answered += usize::from(!answer.rows.is_empty());
                if !args.json {
                    output::answer(answer);
                }
            }
            Outcome::Refused(refusal) if refusal.error.code() == Code::Cancelled => {
                return Err(refusal.error.clone());
            }
            Outcome::Refused(refusal) if !args.json => {
                output::say(&format!("not answered: {}", refusal.error))
            }
            Outcome::Refused(_) => {}
        }
    }
    if answered < MIN_ANSWERS {
        return Err(Error::new(
            Code::Internal,
            format!(
                "only {answered} of {} demo questions were answered with rows",
                QUESTIONS.len()
            ),
        )
        .with_hint("look into each part with `assay doctor --data-dir assay-data`"));
    }
    if args.no_serve {
        return Ok(ExitCode::SUCCESS);
    }
    output::say("\nNow serving the same data; end with Ctrl-C.");
    let password = accounts::password_file(&settings);
    if password.exists() {
        let email = settings.auth.admin_email.as_str();
        output::say(&format!(
            "log in as {email}, password in {}",
            password.display()
        ));
    }
    super::serve::serve(&settings, app, &super::serve::Args::default()).await
}

fn generate(path: &Path, options: &DemoOptions) -> Result<(), Error> {
    let bar = ProgressBar::new(options.orders).with_message("generating the demo company");
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} orders") {
        bar.set_style(style);
    }
    let summary = demo_company::generate(path, options, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    output::say(&format!("{} rows in {}", summary.rows(), path.display()));
    Ok(())
}
