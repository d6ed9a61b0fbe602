//! The command line: one file per command. Data goes to standard output, talk to standard error.

mod ask;
mod audit;
mod backup;
mod bench;
mod config;
mod demo;
mod doctor;
mod eval;
mod eval_report;
mod import;
mod index;
mod init;
mod migrate;
mod model;
mod ontology;
pub mod output;
mod policy;
pub mod serve;
mod sql;
mod steps;
mod target;
mod user;
mod worker;

pub mod model_worker;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use engine::accounts::Actor;
use engine::{Code, Error, Kind};

use crate::config::{EnvVars, Fault, Settings, TraceSettings};
use crate::telemetry::LogSettings;
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
    Serve(serve::Args),
    /// Do the jobs of servers that share a Redis.
    Worker,
    /// Bring the index of schema, terms and verified queries up to date.
    Index(index::Args),
    /// Make everything ready for the first question; may be run again.
    Init(init::Args),
    /// Bring the system store up to date.
    Migrate,
    /// Look after accounts.
    #[command(subcommand)]
    User(user::Command),
    /// Fetch, list and find local models.
    #[command(subcommand)]
    Model(model::Command),
    /// Look at the golden copy of the target database.
    #[command(subcommand)]
    Target(target::Command),
    /// Keep the words of the business.
    #[command(subcommand)]
    Ontology(ontology::Command),
    /// Hide tables and columns from roles.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Keep settings that may change at run time.
    #[command(subcommand)]
    Config(config::Command),
    /// Verify, export and watch the audit trail.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Make, verify and restore backups of the system store.
    #[command(subcommand)]
    Backup(backup::Command),
    /// Bring in what stands elsewhere.
    #[command(subcommand)]
    Import(import::Command),
    /// Measure execution accuracy over questions with gold SQL.
    Eval(eval::Args),
    /// Measure what the parts cost on this machine.
    #[command(hide = true)]
    Bench(bench::Args),
    /// Check every part and say what to do about what is wrong.
    Doctor(doctor::Args),
}

impl Cli {
    /// Reads the settings for the command that was given.
    ///
    /// # Errors
    ///
    /// Every fault there is.
    pub fn settings(&self) -> Result<Settings, Vec<Fault>> {
        let default_data_dir = match &self.command {
            Command::Demo(_) => Some(Path::new("assay-data")),
            _ => None,
        };
        Settings::read(&self.vars, default_data_dir)
    }

    /// Logs warnings for commands, what happens for `serve`.
    pub fn log_settings(&self) -> LogSettings<'_> {
        LogSettings {
            default_filter: match self.command {
                Command::Serve(_) | Command::Worker => "info,sqlx::postgres::notice=error",
                _ => "warn,sqlx::postgres::notice=error",
            },
            is_json: self.vars.log_format.as_deref() == Some("json"),
        }
    }

    /// Returns where traces go; a command that serves nothing has no requests to trace.
    pub fn traces<'a>(
        &self,
        settings: &'a Result<Settings, Vec<Fault>>,
    ) -> Option<&'a TraceSettings> {
        match self.command {
            Command::Serve(_) | Command::Worker | Command::Demo(_) => {
                settings.as_ref().ok()?.traces.as_ref()
            }
            _ => None,
        }
    }
}

/// Runs one command and returns its exit code: 0 done, 1 the user can fix it, 2 we failed.
pub async fn run(cli: Cli, settings: Result<Settings, Vec<Fault>>) -> ExitCode {
    if let Command::Init(init::Args {
        write_env: Some(path),
        ..
    }) = &cli.command
    {
        return init::write_env(path).unwrap_or_else(|error| fail(&error));
    }
    let settings = match settings {
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
        Command::Serve(args) => serve::run(&args, &settings).await,
        Command::Worker => worker::run(&settings).await,
        Command::Index(args) => index::run(&args, &settings).await,
        Command::Init(args) => init::run(args, &settings).await,
        Command::Migrate => migrate::run(&settings).await,
        Command::User(command) => user::run(command, &settings).await,
        Command::Model(command) => model::run(command, &settings).await,
        Command::Target(command) => target::run(command, &settings).await,
        Command::Ontology(command) => ontology::run(command, &settings).await,
        Command::Policy(command) => policy::run(command, &settings).await,
        Command::Config(command) => config::run(command, &settings).await,
        Command::Audit(command) => audit::run(command, &settings).await,
        Command::Backup(command) => backup::run(command, &settings).await,
        Command::Import(command) => import::run(command, &settings).await,
        Command::Eval(args) => eval::run(args, &settings).await,
        Command::Bench(args) => bench::run(args, &settings).await,
        Command::Doctor(args) => doctor::run(args, &settings).await,
    };
    match done {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Returns the actor of the command line, creating the local administrator at the first use.
async fn local_actor(app: &App, settings: &Settings) -> Result<Actor, Error> {
    let (user_id, password) = accounts::ensure_admin(&app.ports, &settings.auth).await?;
    if let Some(password) = password {
        accounts::keep_password(settings, &password)?;
    }
    Ok(wire::local_admin(user_id))
}

/// Shows a password that was made up, once on a terminal; elsewhere it would stay in a log, so it goes to a file.
fn show_first_password(
    settings: &Settings,
    password: &accounts::FreshPassword,
) -> Result<String, Error> {
    if std::io::stderr().is_terminal() {
        output::say(&format!(
            "administrator: {} with the password {} (shown this once)",
            password.email, password.text
        ));
        return Ok(password.email.clone());
    }
    let path = accounts::keep_password(settings, password)?;
    Ok(format!(
        "{}, password in {}",
        password.email,
        path.display()
    ))
}

/// Says what went wrong and returns the exit code for it.
pub fn fail(error: &Error) -> ExitCode {
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
        Code::ModelMissing
            | Code::SystemStoreMismatch
            | Code::TargetDisabled
            | Code::TargetQueryTimeout
            | Code::BackupFailed
    )
}
