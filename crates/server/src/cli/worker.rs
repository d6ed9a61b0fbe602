//! `assay worker`: does jobs and nothing else, beside servers that share its Redis.

use std::process::ExitCode;

use engine::{Code, Error};

use super::output::{self, CopyBar};
use super::serve::{self, Background};
use crate::config::Settings;
use crate::wire;

pub async fn run(settings: &Settings) -> Result<ExitCode, Error> {
    if settings.redis.is_none() {
        return Err(Error::new(
            Code::InvalidSetting,
            "without Redis a worker has no queue that it shares with anyone",
        )
        .with_hint("set REDIS_URL, or leave the jobs to `assay serve`, which does its own"));
    }
    let app = {
        let bar = CopyBar::new();
        wire::open_without_model(settings, None, &|progress| bar.report(progress)).await?
    };
    let end = serve::told_to_end()?;
    let background = Background::start(&app, settings);
    output::say(&format!("working as {}", app.ask.instance_id));
    end.await;
    background.stop().await;
    Ok(ExitCode::SUCCESS)
}
