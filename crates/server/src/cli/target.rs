//! `assay target`: the golden copy, seen and handled by an operator.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use engine::{Code, Error};
use serde::Serialize;
use stores::golden_copy::{Ensured, GoldenCopy, OriginalState, TargetStatus};

use super::output::{self, CopyBar};
use crate::config::Settings;
use crate::wire;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what is in service and whether the original has changed since.
    Status(Format),
    /// Compare the working copy and the original with what was recorded, reading all of both.
    Verify(Format),
    /// Put a new copy in service if the original has changed.
    Refresh(Format),
    /// Make the working copy anew from the original.
    Restore(Format),
}

#[derive(Debug, clap::Args)]
pub struct Format {
    /// Ask about the copy of this SQLite file.
    #[arg(long, value_name = "FILE")]
    db: Option<std::path::PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    let (Command::Status(format)
    | Command::Verify(format)
    | Command::Refresh(format)
    | Command::Restore(format)) = &command;
    let golden_copy = wire::golden_copy(settings, format.db.as_deref())?.ok_or_else(|| {
        Error::new(Code::TargetDisabled, "there is no target database")
            .with_hint("name one with TARGET_DATABASE_URL or --db")
    })?;
    match &command {
        Command::Status(format) => {
            let status = golden_copy.status();
            show(format, &status, || say_status(&status));
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify(format) => {
            let found = with_bar(&golden_copy, |copy, bar| {
                copy.verify(&|progress| bar.report(progress))
            })
            .await?;
            show(format, &found, || {
                if found.is_intact() {
                    output::data(&format!(
                        "the working copy {} is intact",
                        short(&found.fingerprint)
                    ));
                }
                for problem in &found.problems {
                    output::data(&format!("problem: {problem}"));
                }
                output::data(&format!("original: {}", word(&found.original_state)));
            });
            if found.is_intact() {
                return Ok(ExitCode::SUCCESS);
            }
            Err(Error::new(
                Code::GoldenCopyMismatch,
                "the working copy is not what was copied",
            )
            .with_hint("make it anew with `assay target restore`"))
        }
        Command::Refresh(format) => {
            let done = with_bar(&golden_copy, |copy, bar| {
                copy.refresh(&|progress| bar.report(progress))
            })
            .await?;
            say_ensured(format, &done);
            Ok(ExitCode::SUCCESS)
        }
        Command::Restore(format) => {
            let done = with_bar(&golden_copy, |copy, bar| {
                copy.restore(&|progress| bar.report(progress))
            })
            .await?;
            say_ensured(format, &done);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a long operation off the asynchronous threads, with a progress bar.
async fn with_bar<T: Send + 'static>(
    golden_copy: &Arc<GoldenCopy>,
    work: impl FnOnce(&GoldenCopy, &CopyBar) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let golden_copy = golden_copy.clone();
    tokio::task::spawn_blocking(move || work(&golden_copy, &CopyBar::new()))
        .await
        .map_err(|fault| {
            Error::new(Code::Internal, "the operation was interrupted").with_cause(fault)
        })?
}

fn show(format: &Format, object: &impl Serialize, draw: impl FnOnce()) {
    if format.json {
        output::json_line(object);
    } else {
        draw();
    }
}

fn say_status(status: &TargetStatus) {
    output::data(&format!("original:     {}", status.original.display()));
    if let Some(state) = &status.original_state {
        output::data(&format!("              {}", word(state)));
    }
    output::data(&format!("working copy: {}", status.working_copy.display()));
    match &status.in_service {
        None => output::data("in service:   nothing yet; `assay target refresh` makes a copy"),
        Some(generation) => {
            output::data(&format!("in service:   {}", short(&generation.fingerprint)));
            output::data(&format!("data as of:   {}", generation.data_as_of));
            output::data(&format!("copied at:    {}", generation.copied_at));
            output::data(&format!(
                "holds:        {} tables and views, {} rows, {} bytes",
                generation.tables, generation.rows, generation.size_bytes
            ));
        }
    }
    output::data(&format!("generations:  {}", status.generations.len()));
}

fn say_ensured(format: &Format, done: &Ensured) {
    let object = serde_json::json!({
        "fingerprint": done.fingerprint,
        "is_new": done.is_new,
        "provenance": done.generation.provenance(),
    });
    show(format, &object, || {
        let what = if done.is_new {
            "new copy in service"
        } else {
            "unchanged, the copy there stays in service"
        };
        output::data(&format!("{what}: {}", short(&done.fingerprint)));
    });
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}

fn word(state: &OriginalState) -> String {
    match state {
        OriginalState::Unchanged => "unchanged since the copy".into(),
        OriginalState::Changed => {
            "changed since the copy; `assay target refresh` makes a new one".into()
        }
        OriginalState::Unreadable { reason } => format!("cannot be read: {reason}"),
    }
}
