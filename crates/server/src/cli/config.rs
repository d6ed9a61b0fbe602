//! `assay config`: settings that may change at run time. Secrets go in and never come out.

use std::io::Read;
use std::process::ExitCode;

use clap::Subcommand;
use engine::configuration::{self, MAX_VALUE_CHARS, SetConfiguration};
use engine::{Code, Error};

use super::output;
use crate::config::Settings;
use crate::keys::Keys;
use crate::{sealing, wire};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the settings; the values of secret ones are not shown.
    List {
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Create or replace a setting.
    Set {
        /// Its name, such as `mail.footer`.
        key: String,
        /// Its value; without one it is read from standard input, where no list of processes shows it.
        value: Option<String>,
        /// Encrypt it; a setting that is secret stays so.
        #[arg(long)]
        secret: bool,
        /// What it is for.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Remove a setting.
    Unset {
        /// Its name.
        key: String,
    },
    /// Encrypt all secrets with the current ENCRYPTION_KEY, so that those before it can be forgotten.
    RotateKeys,
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    let app = wire::open_store_alone(settings).await?;
    let actor = super::local_actor(&app, settings).await?;
    let keys = Keys::open(settings)?.ring;
    match command {
        Command::List { json } => {
            for setting in configuration::list(&app.ports).await? {
                if json {
                    output::json_line(&setting);
                } else {
                    let value = setting.value.as_deref().unwrap_or("(secret)");
                    let line = format!("{} = {value}", setting.key);
                    output::data(&line.replace(char::is_control, " "));
                }
            }
        }
        Command::Set {
            key,
            value,
            secret,
            description,
        } => {
            let new = SetConfiguration {
                key,
                value: value.map_or_else(from_input, Ok)?,
                description,
                is_secret: secret.then_some(true),
            };
            let set = configuration::set(&app.ports, &keys, &actor, new).await?;
            output::data(&format!("{} is set", set.key));
        }
        Command::Unset { key } => {
            configuration::delete(&app.ports, &actor, &key).await?;
            output::data(&format!("{key} is removed"));
        }
        Command::RotateKeys => {
            let count = configuration::rotate_keys(&app.ports, &keys, &actor).await?;
            output::data(&format!("{count} secrets encrypted anew"));
        }
    }
    sealing::seal_once(&app.ports, settings).await;
    Ok(ExitCode::SUCCESS)
}

/// Reads a value, without the line break at its end.
fn from_input() -> Result<String, Error> {
    let mut text = String::new();
    // A character has at most four bytes; what is longer is refused by its length.
    let limit = 4 * MAX_VALUE_CHARS as u64 + 4;
    std::io::stdin()
        .take(limit)
        .read_to_string(&mut text)
        .map_err(|fault| {
            Error::new(
                Code::InvalidRequest,
                "the value cannot be read from standard input",
            )
            .with_cause(fault)
        })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
