//! `assay policy`: which tables and columns are hidden from whom.

use std::process::ExitCode;

use clap::Subcommand;
use engine::Error;
use engine::policy::{self, NewPolicy, Role};
use engine::ports::PageRequest;

use super::output::{self, CopyBar};
use crate::config::Settings;
use crate::{sealing, wire};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the policies.
    List {
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Hide a table or a column from a role and every role below it.
    Add {
        /// The highest role that it is hidden from: viewer, analyst or admin.
        #[arg(value_parser = role)]
        role: Role,
        /// The table or view.
        table: String,
        /// The column; without it the whole table is hidden.
        column: Option<String>,
        /// Keep it although the data have no such table or column, or cannot be read.
        #[arg(long)]
        force: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Remove a policy.
    Remove {
        /// Its identifier, as listed.
        id: i64,
    },
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    let app = {
        let bar = CopyBar::new();
        wire::open_without_model(settings, None, &|progress| bar.report(progress)).await?
    };
    let actor = super::local_actor(&app, settings).await?;
    match command {
        Command::List { json } => {
            let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
            loop {
                let policies = policy::list(&app.ports, page).await?;
                for listed in &policies.items {
                    if json {
                        output::json_line(listed);
                        continue;
                    }
                    let absent = match listed.is_present {
                        Some(false) => "; the data have no such name",
                        Some(true) | None => "",
                    };
                    output::data(&format!(
                        "{}: {} is hidden from {}{absent}",
                        listed.policy.id,
                        listed.policy.hidden_name(),
                        listed.policy.role.as_str()
                    ));
                }
                if policies.next_cursor.is_none() {
                    break;
                }
                page.cursor = policies.next_cursor;
            }
        }
        Command::Add {
            role,
            table,
            column,
            force,
            json,
        } => {
            let new = NewPolicy {
                role,
                table_name: table,
                column_name: column,
            };
            let made = policy::create(&app.ports, &actor, new, force).await?;
            if json {
                output::json_line(&made);
            } else {
                output::data(&format!(
                    "policy {}: {} is hidden from {}",
                    made.id,
                    made.hidden_name(),
                    made.role.as_str()
                ));
            }
        }
        Command::Remove { id } => {
            policy::delete(&app.ports, &actor, id).await?;
            output::data(&format!("policy {id} is removed"));
        }
    }
    sealing::seal_once(&app.ports, settings).await;
    Ok(ExitCode::SUCCESS)
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "it is not `viewer`, `analyst` or `admin`".into())
}
