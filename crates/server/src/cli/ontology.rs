//! `assay ontology`: the words of the business, kept as YAML.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use engine::ontology::{self, MAX_YAML_BYTES};
use engine::ports::PageRequest;
use engine::{Code, Error};

use super::output;
use crate::config::Settings;
use crate::{sealing, wire};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the terms.
    List {
        /// Only terms whose name, description or synonyms contain this text.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Create or replace the terms of a YAML file, all of them or none.
    Import {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write all terms as YAML.
    Export,
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    // A file that cannot be read is told before anything is opened.
    let yaml = match &command {
        Command::Import { file, .. } => Some(read(file)?),
        _ => None,
    };
    let app = wire::open_store_alone(settings).await?;
    let actor = super::local_actor(&app, settings).await?;
    match command {
        Command::List { search, json } => {
            let mut page = PageRequest::first(PageRequest::MAX_LIMIT);
            loop {
                let terms = ontology::list(&app.ports, &actor, search.as_deref(), page).await?;
                for term in &terms.items {
                    if json {
                        output::json_line(term);
                    } else {
                        output::data(&format!("{}: {}", term.term_name, term.description));
                    }
                }
                if terms.next_cursor.is_none() {
                    break;
                }
                page.cursor = terms.next_cursor;
            }
        }
        Command::Import { json, .. } => {
            let yaml = yaml.unwrap_or_default();
            let done = ontology::import(&app.ports, &actor, &yaml).await?;
            if json {
                output::json_line(&done);
            } else {
                output::data(&format!(
                    "{} terms created, {} changed, {} as they were",
                    done.created, done.changed, done.unchanged
                ));
            }
        }
        Command::Export => {
            let yaml = ontology::export(&app.ports, &actor).await?;
            output::data(yaml.trim_end());
        }
    }
    sealing::seal_once(&app.ports, settings).await;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn read(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    // One byte more than allowed is enough to be refused.
    let limit = MAX_YAML_BYTES as u64 + 1;
    let done = if file == Path::new("-") {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    done.map(|_| text).map_err(|fault| {
        Error::new(
            Code::InvalidRequest,
            format!("cannot read `{}`", file.display()),
        )
        .with_cause(fault)
    })
}
