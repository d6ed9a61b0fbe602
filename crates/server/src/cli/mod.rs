//! The command line: one file per command. Data goes to standard output, talk to standard error.

mod ask;
mod bench;
mod demo;
mod doctor;
mod eval;
mod eval_report;
mod model;
mod output;
mod serve;
mod sql;
mod target;

pub mod model_worker;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use engine::ask::Asker;
use engine::{Code, Error, Kind};

use crate::config::{EnvVars, Settings};
use crate::wire::App;
use crate::{accounts, wire};

/// Asks business questions in plain language and shows where each number comes from.
#[derive(Debug, Parser)]
#[command(
    name = "assay",
    version,
    propagate_version = true,
    max_term_width = 110
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    vars: EnvVars,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask one question.
    Ask(ask::Args),
    /// Run SQL of your own through the same fences.
    Sql(sql::Args),
    /// Generate the demo company, ask a few questions, then serve.
    Demo(demo::Args),
    /// Serve the HTTP interface.
    Serve,
    /// Fetch, list and find local models.
    #[command(subcommand)]
    Model(model::Command),
    /// Look at the golden copy of the target database.
    #[command(subcommand)]
    Target(target::Command),
    /// Measure execution accuracy over questions with gold SQL.
    Eval(eval::Args),
    /// Measure what the parts cost on this machine.
    #[command(hide = true)]
    Bench(bench::Args),
    /// Check every part and say what to do about what is wrong.
    Doctor(doctor::Args),
}

/// Runs one command and returns its exit code: 0 done, 1 the user can fix it, 2 we failed.
pub async fn run(cli: Cli) -> ExitCode {
    let default_data_dir = match &cli.command {
        Command::Demo(_) => Some(Path::new("assay-data")),
        _ => None,
    };
    let settings = match Settings::read(&cli.vars, default_data_dir) {
        Ok(settings) => settings,
        Err(faults) => {
            for fault in faults {
                output::say(&format!("error: {}: {}", fault.variable, fault.message));
            }
            return ExitCode::from(1);
        }
    };
    let done = match cli.command {
        Command::Ask(args) => ask::run(args, &settings).await,
        Command::Sql(args) => sql::run(args, &settings).await,
        Command::Demo(args) => demo::run(args, &settings).await,
        Command::Serve => serve::run(&settings).await,
        Command::Model(command) => model::run(command, &settings).await,
        Command::Target(command) => target::run(command, &settings).await,
        Command::Eval(args) => eval::run(args, &settings).await,
        Command::Bench(args) => bench::run(args, &settings).await,
        Command::Doctor(args) => doctor::run(args, &settings).await,
    };
    match done {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Returns the asker of the command line, creating the local administrator at the first use.
async fn local_asker(app: &App, settings: &Settings) -> Result<Asker, Error> {
    let (user_id, password) = accounts::ensure_admin(&app.ports, &settings.auth).await?;
    if let Some(password) = password {
        accounts::keep_password(settings, &password)?;
    }
    Ok(wire::everything_for(user_id))
}

/// Says what went wrong and returns the exit code for it.
fn fail(error: &Error) -> ExitCode {
    output::say(&format!("error: {} [{}]", error.message(), error.code()));
    if let Some(hint) = error.hint() {
        output::say(&format!("hint: {hint}"));
    }
    if let Some(cause) = error.cause() {
        tracing::debug!("cause: {cause}");
    }
    ExitCode::from(if can_be_fixed(error) { 1 } else { 2 })
}

/// Says whether the user can do something about an error.
fn can_be_fixed(error: &Error) -> bool {
    matches!(
        error.code().kind(),
        Kind::Invalid | Kind::Refused | Kind::Forbidden | Kind::NotFound | Kind::Conflict
    ) || matches!(
        error.code(),
        Code::ModelMissing | Code::TargetDisabled | Code::TargetQueryTimeout
    )
}

/// Logs to standard error: warnings for commands, what happens for `serve`; `RUST_LOG` says otherwise.
pub fn start_logging(cli: &Cli) {
    let default = match cli.command {
        Command::Serve => "info",
        _ => "warn",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
}
