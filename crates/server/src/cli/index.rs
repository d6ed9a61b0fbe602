//! `assay index`: brings the index of schema, terms and verified queries up to date, or says how it stands.

use std::process::ExitCode;
use std::sync::Mutex;

use engine::indexing::{CollectionStatus, IndexState, IndexWork, Indexed};
use engine::jobs::OnJobProgress;
use engine::ports::JobProgress;
use engine::{Code, Error};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{self, CopyBar};
use crate::config::Settings;
use crate::wire;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make everything anew, also where nothing has changed.
    #[arg(long, conflicts_with = "status")]
    force: bool,
    /// Only say how the index stands.
    #[arg(long)]
    status: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Error> {
    let app = {
        let bar = CopyBar::new();
        wire::open_without_model(settings, None, &|progress| bar.report(progress)).await?
    };
    let asking = app.ports.asking.clone();
    let Some(embedder) = asking.embedder.clone() else {
        return Err(Error::new(
            Code::ModelMissing,
            "there is no embedding model to index with",
        )
        .with_hint("run `assay model pull`, or set EMBEDDING_PROVIDER"));
    };
    let work = IndexWork::new(asking, embedder);
    if args.status {
        let found = work.status().await?;
        if args.json {
            output::json_line(&serde_json::json!({ "collections": found }));
        } else {
            found.iter().for_each(|one| output::data(&state_line(one)));
        }
        let is_fresh = found.iter().all(|one| one.state == IndexState::Fresh);
        return Ok(ExitCode::from(u8::from(!is_fresh)));
    }
    let made = {
        let bar = IndexBar::new();
        work.make(args.force, &bar).await?
    };
    if args.json {
        output::json_line(&serde_json::json!({ "collections": made }));
    } else {
        made.iter().for_each(|one| output::data(&made_line(one)));
    }
    Ok(ExitCode::SUCCESS)
}

fn state_line(one: &CollectionStatus) -> String {
    let state = match one.state {
        IndexState::Fresh => "fresh",
        IndexState::Stale => "stale",
        IndexState::Missing => "missing",
    };
    let when = one.manifest.as_ref().map_or_else(String::new, |manifest| {
        format!(", made {}", manifest.indexed_at.to_rfc3339())
    });
    let name = one.collection.as_str();
    format!("{name}: {state}, {} documents{when}", one.documents)
}

fn made_line(one: &Indexed) -> String {
    let name = one.collection.as_str();
    if one.was_fresh {
        return format!("{name}: {} documents, nothing had changed", one.documents);
    }
    format!(
        "{name}: {} documents, {} embedded",
        one.documents, one.embedded
    )
}

/// A bar on a terminal; nothing elsewhere.
struct IndexBar {
    bar: ProgressBar,
    what: Mutex<String>,
}

impl IndexBar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}");
        bar.set_style(style.expect("the template is right"));
        Self {
            bar,
            what: Mutex::default(),
        }
    }
}

impl OnJobProgress for IndexBar {
    fn report(&self, progress: JobProgress) {
        if let Ok(mut what) = self.what.lock()
            && *what != progress.what
        {
            self.bar.set_message(progress.what.clone());
            *what = progress.what;
        }
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.done);
    }
}

impl Drop for IndexBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
