//! `assay bench`: what the parts of Assay cost on this machine, each beside something known, measured in the same run.

mod copying;
mod embedding;
mod exporting;
mod indexing;
mod linking;
mod queries;
mod serving;
mod trail;
mod values;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use engine::{Code, Error};

use super::output;
use crate::config::Settings;
use crate::demo_company::{self, DemoOptions};

/// Where to measure, and what.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write files in; several GB are needed for a while
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Orders of the file that is copied; the default makes 1 GB
    #[arg(long, value_name = "N", default_value_t = 1_620_000)]
    orders: u64,
    /// Leave out the language model and the embedding model
    #[arg(long)]
    no_model: bool,
    /// An empty PostgreSQL database to measure on as a superuser
    #[arg(
        long,
        env = "TEST_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    postgres: Option<String>,
    /// A Redis to measure the semantic cache on
    #[arg(
        long,
        env = "TEST_REDIS_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    redis: Option<String>,
    /// An evaluation set whose questions are linked to tables, as `make eval` takes it
    #[arg(long, value_name = "DIR")]
    eval_dir: Option<PathBuf>,
    /// Measure schema linking only
    #[arg(long, requires = "eval_dir")]
    only_linking: bool,
    /// A Chroma to measure on
    #[arg(long, env = "TEST_CHROMA_URL", value_name = "URL")]
    chroma: Option<String>,
    /// Measure the server only
    #[arg(long)]
    only_server: bool,
    /// Measure exports only
    #[arg(long, conflicts_with = "only_server")]
    only_exports: bool,
    /// Measure the search of vectors only
    #[arg(long, conflicts_with = "only_server")]
    only_vectors: bool,
    /// Measure the index only
    #[arg(long, conflicts_with = "only_server")]
    only_indexing: bool,
    /// Measure the embedding model only
    #[arg(long, conflicts_with_all = ["only_server", "no_model"])]
    only_embedding: bool,
}

/// One figure: what was measured, the figure, and what it is compared with.
pub struct Figure {
    what: String,
    figure: String,
    beside: String,
}

impl Figure {
    fn new(what: impl Into<String>, figure: impl Into<String>, beside: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            figure: figure.into(),
            beside: beside.into(),
        }
    }
}

/// Runs the command. Figures are drawn as one table at the end; what is being measured is told meanwhile.
pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let begun = Instant::now();
    if args.only_embedding {
        draw(&embedding::figures(settings).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let parent = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    std::fs::create_dir_all(&parent).map_err(failed)?;
    let folder = tempfile::Builder::new()
        .prefix("assay-bench-")
        .tempdir_in(&parent)
        .map_err(failed)?;

    if args.only_exports {
        draw(&exporting::figures(folder.path()).await?);
        return Ok(ExitCode::SUCCESS);
    }
    if args.only_vectors {
        draw(&vectors::figures(folder.path(), args.chroma.as_deref(), settings).await?);
        return Ok(ExitCode::SUCCESS);
    }
    if args.only_indexing {
        draw(&indexing::figures(folder.path(), &args, settings).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut figures = Vec::new();
    if args.only_linking {
        let set = args.eval_dir.as_deref().unwrap_or(Path::new(""));
        draw(&linking::figures(set).await?);
        return Ok(ExitCode::SUCCESS);
    }
    if !args.only_server {
        figures.extend(copying::figures(folder.path(), args.orders)?);
        figures.extend(queries::schema_figures(folder.path())?);
        figures.extend(queries::statement_figures(folder.path()).await?);
        figures.extend(queries::json_figures(folder.path()).await?);
        if let Some(set) = &args.eval_dir {
            figures.extend(linking::figures(set).await?);
        }
        figures.extend(vectors::figures(folder.path(), args.chroma.as_deref(), settings).await?);
        figures.extend(indexing::figures(folder.path(), &args, settings).await?);
        figures.extend(values::figures(folder.path()).await?);
    }
    figures.extend({
        let (postgres, redis) = (args.postgres.as_deref(), args.redis.as_deref());
        serving::figures(folder.path(), postgres, redis).await?
    });
    figures.extend(exporting::figures(folder.path()).await?);
    if !args.no_model && !args.only_server {
        output::say("the language model");
        figures.extend(model_figures(folder.path(), settings).await?);
        output::say("the embedding model");
        figures.extend(embedding::figures(settings).await?);
    }
    draw(&figures);
    output::say(&format!(
        "measured in {:.0} s",
        begun.elapsed().as_secs_f64()
    ));
    Ok(ExitCode::SUCCESS)
}

fn draw(figures: &[Figure]) {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_header(["measured", "figure", "beside"]);
    for figure in figures {
        table.add_row([&figure.what, &figure.figure, &figure.beside]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    output::data(&table.to_string());
}

/// Asks the model two questions about the demo company, the first with nothing kept from before.
#[cfg(feature = "gguf")]
async fn model_figures(folder: &Path, settings: &Settings) -> Result<Vec<Figure>, Error> {
    use crate::config::{LlmProvider, LlmSettings};
    use crate::wire;
    use engine::policy::{Visibility, VisibleSchema};
    use engine::ports::GenerationLimits;
    use engine::prompt::{self, SendValues};
    use engine::question::Question;

    let LlmProvider::Gguf {
        threads,
        context_tokens,
        ..
    } = settings.llm.provider
    else {
        return Ok(vec![Figure::new(
            "language model",
            "-",
            "the configured model is remote",
        )]);
    };
    let file = wire::model_file(&settings.llm)?.path;
    let fresh = LlmSettings {
        provider: LlmProvider::Gguf {
            model: Some(file.to_string_lossy().into_owned()),
            threads,
            context_tokens,
        },
        // States kept by earlier runs would be reused, and there would be nothing to measure.
        cache_dir: Some(folder.join("cache")),
        ..settings.llm.clone()
    };
    let generator = match wire::gguf(&fresh) {
        Ok(generator) => generator,
        Err(error) if error.code() == Code::ModelMissing => {
            return Ok(vec![Figure::new(
                "language model",
                "-",
                "none is installed: assay model pull",
            )]);
        }
        Err(error) => return Err(error),
    };
    generator.warm().await?;
    let database = demo(folder, "model", DemoOptions::default().orders)?;
    let schema =
        stores::target::read_schema::read_schema(&database, &Default::default(), &|_, _| ())?;
    let visible = VisibleSchema::new(&schema, &Visibility::everything());
    let mut measured = Vec::new();
    for question in [
        "How many customers are there in each country?",
        "Which five products were ordered most often in 2025?",
    ] {
        let prompt = prompt::first(&Question::parse(question)?, &visible, SendValues::All, &[]);
        measured.push(
            generator
                .generate_measured(&prompt, &GenerationLimits::default())
                .await?,
        );
    }
    let [first, second] = &measured[..] else {
        return Ok(Vec::new());
    };
    let (tokens, timings) = (first.generation.tokens, first.timings);
    let generated = tokens.generated + second.generation.tokens.generated;
    let generate_ms = timings.generate_ms + second.timings.generate_ms;
    let name = format!("{} threads", generator.threads());
    let again = second.generation.tokens;
    Ok(vec![
        Figure::new(
            "model: prompt tokens per second",
            format!(
                "{:.1}",
                per_second(tokens.prompt - tokens.prompt_reused, timings.prompt_ms)
            ),
            format!("{} tokens, {name}", tokens.prompt - tokens.prompt_reused),
        ),
        Figure::new(
            "model: generated tokens per second",
            format!("{:.1}", per_second(generated, generate_ms)),
            format!("{generated} tokens, {name}"),
        ),
        Figure::new(
            "model: tokens reused by the second question",
            again.prompt_reused.to_string(),
            format!(
                "of {} in its prompt; {} are the schema's",
                again.prompt, again.prompt_prefix
            ),
        ),
        Figure::new(
            "model: second question",
            format!(
                "{:.2} s",
                (second.timings.restore_ms + second.timings.prompt_ms + second.timings.generate_ms)
                    / 1e3
            ),
            format!(
                "first question {:.2} s",
                (timings.prompt_ms + timings.save_ms + timings.generate_ms) / 1e3
            ),
        ),
    ])
}

#[cfg(not(feature = "gguf"))]
async fn model_figures(_: &Path, _: &Settings) -> Result<Vec<Figure>, Error> {
    Ok(vec![Figure::new(
        "language model",
        "-",
        "this program was built without it",
    )])
}

#[cfg(feature = "gguf")]
fn per_second(tokens: u64, milliseconds: f64) -> f64 {
    tokens as f64 * 1e3 / milliseconds.max(f64::MIN_POSITIVE)
}

/// Generates a demo company of so many orders.
fn demo(folder: &Path, name: &str, orders: u64) -> Result<PathBuf, Error> {
    let path = folder.join(format!("{name}.sqlite"));
    let options = DemoOptions {
        orders,
        ..DemoOptions::default()
    };
    demo_company::generate(&path, &options, &mut |_, _| ())?;
    Ok(path)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

fn ratio(ours: Duration, theirs: Duration) -> String {
    format!(
        "{:.2}",
        ours.as_secs_f64() / theirs.as_secs_f64().max(f64::MIN_POSITIVE)
    )
}

/// Returns the most memory that a process has held at once, where the system tells.
fn peak_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn failed(cause: impl std::fmt::Display) -> Error {
    Error::new(
        Code::Internal,
        format!("the benchmark cannot go on: {cause}"),
    )
}
