//! `assay migrate`: the system store brought up to date, and nothing else.

use std::process::ExitCode;

use engine::Error;

use super::output;
use crate::config::Settings;
use crate::wire;

pub async fn run(settings: &Settings) -> Result<ExitCode, Error> {
    let pending = wire::migrations(settings).await?.pending;
    wire::open_store(settings).await?;
    for name in &pending {
        output::data(&format!("applied {name}"));
    }
    output::say(&format!("up to date: {}", settings.system_store));
    Ok(ExitCode::SUCCESS)
}
