//! `assay eval`: asks every question of a set, runs its gold SQL beside it, and says how often the rows agree. How a
//! question is answered is the [`Predictor`]'s business.

pub mod curves;
mod gold;
mod predict;
pub mod questions;
pub mod record;
mod replies;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::ask::Constrained;
use engine::confidence::{Fit, Signals};
use engine::evaluation::{judge, orders_rows};
use engine::ports::{Clock, ModelIdentity, TargetDatabase, TokenCounts};
use engine::prompt::SchemaFormat;
use engine::result::ResultSet;
use engine::{Code, Error, Kind};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::eval_report::{self, Report};
use crate::config::Settings;
use crate::{accounts, wire};
use gold::run_gold;
use predict::{EnginePredictor, OpenTarget};
use questions::{Group, Item};
use record::{Output, Record, RunSettings};
use replies::KeptReplies;

/// How long the first question over a file waits for its values to be indexed.
const VALUES_AT_MOST: Duration = Duration::from_secs(60);

/// What to ask, and what to keep of it.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The questions: one JSON object a line with id, db, question, evidence, gold_sql, hardness, source, follows
    #[arg(long, value_name = "FILE")]
    pub questions: PathBuf,
    /// The folder with the databases, DB.sqlite each; `demo_company` is generated there if it is missing
    #[arg(long, value_name = "DIR")]
    pub databases: PathBuf,
    /// Ask only the first N questions of the file
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Write one JSON line a question here, and the summary to OUT.summary.json; a run that was cut off goes on here
    #[arg(long, value_name = "OUT")]
    pub json: Option<PathBuf>,
    /// Start over even if OUT holds answers
    #[arg(long, requires = "json")]
    pub fresh: bool,
    /// Ask in these ways one after the other, and compare each with the next: product, drawn, doubt, checked, linked, mended,
    /// constrained, prompt, plain; or alone, where questions follow others
    #[arg(long, value_enum, value_delimiter = ',', default_value = "product")]
    pub arms: Vec<Arm>,
    /// Keep the model's replies here and do not ask for them again: for work on what comes after the model. A kept reply
    /// counts the seconds that it took when it was given
    #[arg(long, value_name = "FILE")]
    pub replies: Option<PathBuf>,
    /// Hold the model to the visible names while it writes: never, last (in the last repair) or always
    #[arg(long, value_name = "WHEN", value_parser = constrained)]
    pub constrained: Option<Constrained>,
    /// Write the schema like this: commented, stored, lines or m-schema
    #[arg(long, value_name = "FORMAT", value_parser = schema_format)]
    pub schema: Option<SchemaFormat>,
    /// Fit the confidence to the answers, and write the fit to this file
    #[arg(long, value_name = "FILE")]
    pub fit: Option<PathBuf>,
    /// Write figures as SVG into this folder: reliability, and precision by coverage
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

/// A way of answering. From [`Arm::Product`] on each has what the one below it has and one technique more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// As a user is answered, but no question leans on the one before.
    Alone,
    /// As a user is answered: several statements are drawn for every question, if the model is a local one.
    Product,
    /// Several statements are drawn for every question, but no more where they do not agree.
    Drawn,
    /// Several statements are drawn where the first leaves a doubt.
    Doubt,
    /// One statement, looked over for what is suspicious and corrected where that is certain.
    Checked,
    /// One statement, with what is looked up for the question: values, examples, what is near in meaning.
    Linked,
    /// One statement from the product's prompt; what cannot run is corrected where that is certain, else written again.
    Mended,
    /// One statement from the product's prompt, held to the visible names while it is written, and not corrected.
    Constrained,
    /// One statement from the product's prompt, as the model wrote it.
    Prompt,
    /// One statement from the bare prompt: the baseline.
    Plain,
}

impl Arm {
    /// Returns the word for tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Arm::Alone => "alone",
            Arm::Product => "product",
            Arm::Drawn => "drawn",
            Arm::Doubt => "doubt",
            Arm::Checked => "checked",
            Arm::Linked => "linked",
            Arm::Mended => "mended",
            Arm::Constrained => "constrained",
            Arm::Prompt => "prompt",
            Arm::Plain => "plain",
        }
    }
}

fn constrained(text: &str) -> Result<Constrained, String> {
    match text {
        "never" => Ok(Constrained::Never),
        "last" => Ok(Constrained::Last),
        "always" => Ok(Constrained::Always),
        _ => Err("never, last or always".to_owned()),
    }
}

fn schema_format(text: &str) -> Result<SchemaFormat, String> {
    match text {
        "commented" => Ok(SchemaFormat::Commented),
        "stored" => Ok(SchemaFormat::Stored),
        "lines" => Ok(SchemaFormat::Lines),
        "m-schema" => Ok(SchemaFormat::MSchema),
        _ => Err("commented, stored, lines or m-schema".to_owned()),
    }
}

/// Answers questions over database files. Asked one question after the other.
#[async_trait]
pub trait Predictor: Send + Sync {
    /// Returns which way of answering this is.
    fn arm(&self) -> Arm;

    /// Returns everything that answers depend on: a run goes on only with the same.
    fn settings(&self) -> PredictorSettings;

    /// Answers one question over one database file, which must not be changed. `previous` is the turn before in its
    /// conversation, if that was answered.
    async fn predict(
        &self,
        database: &Path,
        question: &str,
        previous: Option<Previous<'_>>,
    ) -> Prediction;
}

/// What a follow-up leans on, as the same way of answering gave it.
#[derive(Debug, Clone, Copy)]
pub struct Previous<'a> {
    /// The question.
    pub question: &'a str,
    /// The SQL of its answer.
    pub sql: &'a str,
}

/// What answers depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictorSettings {
    /// The model.
    pub model: ModelIdentity,
    /// The version of the prompt.
    pub prompt_version: String,
    /// Anything else: limits, repairs.
    pub options: serde_json::Value,
}

/// One answer, or why there is none.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// The SQL of the answer, or the SQL that was refused or failed.
    pub sql: Option<String>,
    /// The rows of the answer, or the reason why there are none.
    pub result: Result<ResultSet, Error>,
    /// What the last attempt failed with, where the error only says that no attempt succeeded.
    pub fault: Option<Code>,
    /// Wall-clock seconds from question to answer.
    pub seconds: f64,
    /// Of these, seconds spent in the model.
    pub generate_seconds: f64,
    /// Tokens of all generations.
    pub tokens: TokenCounts,
    /// Generations after the first.
    pub repairs: u32,
    /// What speaks for and against the answer; `None` without one.
    pub signals: Option<Signals>,
}

/// Runs the command: answers as `assay ask` does, and keeps the questions in memory only.
pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let mut generator = wire::generator(&settings.llm)?;
    let mut kept = None;
    if let Some(file) = &args.replies {
        let replies = Arc::new(KeptReplies::open(file, generator)?);
        generator = replies.clone();
        kept = Some(replies);
    }
    let app = wire::app(settings, wire::store_in_memory()?, generator, None)?;
    let (user_id, _) = accounts::ensure_admin(&app.ports, &settings.auth).await?;
    let actor = wire::local_admin(user_id);
    let open = open_target(settings);
    let mut ask = app.ask.clone();
    if let Some(constrained) = args.constrained {
        ask.deciding.constrained = constrained;
    }
    ask.schema_format = args.schema.unwrap_or(ask.schema_format);
    let predictor = |arm: &Arm| {
        let open = Arc::clone(&open);
        let predictor = EnginePredictor::new(
            *arm,
            app.ports.asking.clone(),
            app.ports.store.clone(),
            open,
            ask.clone(),
            actor.clone(),
            kept.clone(),
        );
        Arc::new(predictor) as Arc<dyn Predictor>
    };
    let predictors: Vec<_> = args.arms.iter().map(predictor).collect();
    let report = evaluate(&args, &predictors).await?;
    eval_report::print(&report, &mut std::io::stdout().lock())
        .map_err(|cause| fault("the report cannot be printed", cause))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns what brings the golden copy of a file into service.
fn open_target(settings: &Settings) -> OpenTarget {
    let settings = Arc::new(settings.clone());
    Arc::new(move |path| {
        let settings = Arc::clone(&settings);
        Box::pin(async move {
            let opening = tokio::task::spawn_blocking(move || {
                wire::open_golden_copy(&settings, Some(&path), &|_| ())
            });
            let golden_copy = opening.await.map_err(|cause| {
                Error::new(Code::Internal, "the copy was interrupted").with_cause(cause)
            })??;
            let golden_copy = golden_copy
                .ok_or_else(|| Error::new(Code::TargetDisabled, "there is no target database"))?;
            wire::values_indexed(&*golden_copy, VALUES_AT_MOST).await;
            Ok(golden_copy as Arc<dyn TargetDatabase>)
        })
    })
}

/// Makes an error of something that the user can mend.
fn fault(what: impl Display, cause: impl Display) -> Error {
    Error::new(Code::InvalidRequest, format!("{what}: {cause}"))
}

/// Makes an error of something that is wrong with a file.
fn in_file<E: Display>(path: &Path) -> impl Fn(E) -> Error + '_ {
    move |cause| fault(format!("`{}`", path.display()), cause)
}

/// Runs the evaluation and returns what it found.
///
/// Questions are asked database by database, so that what the model keeps of a schema serves all its questions.
///
/// # Errors
///
/// Anything that keeps the run from going on: unreadable questions, missing databases, an `OUT` of other settings, or
/// a model or system store that is not there. What is answered by then is in `OUT`, and the next run goes on from it.
async fn evaluate(args: &Args, predictors: &[Arc<dyn Predictor>]) -> Result<Report, Error> {
    let set = questions::load(&args.questions, args.limit)?;
    let groups = questions::group_by_database(set.items, &args.databases)?;
    let mut runs = Vec::with_capacity(predictors.len());
    for predictor in predictors {
        let settings = RunSettings {
            arm: predictor.arm(),
            questions_hash: set.hash.clone(),
            predictor: predictor.settings(),
        };
        let is_first = runs.is_empty();
        let file = args.json.as_deref().map(|out| {
            if is_first {
                out.to_owned()
            } else {
                second_file(out, &settings)
            }
        });
        let output = Output::open(file.as_deref(), settings, args.fresh)?;
        runs.push((Arc::clone(predictor), output));
    }

    let open = |output: &Output| {
        groups
            .iter()
            .flat_map(|group| &group.items)
            .filter(|item| !output.has(&item.id))
            .count()
    };
    let bar = progress_bar(runs.iter().map(|(_, output)| open(output)).sum());
    for group in &groups {
        // One way of answering after the other: their prompts begin differently.
        for (predictor, output) in &mut runs {
            ask_group(group, &**predictor, output, &bar).await?;
        }
    }
    bar.finish_and_clear();

    let asked: Vec<&str> = groups
        .iter()
        .flat_map(|group| &group.items)
        .map(|item| item.id.as_str())
        .collect();
    let runs: Vec<(RunSettings, Vec<Record>)> = runs
        .into_iter()
        .map(|(_, output)| output.finish(&asked))
        .collect();
    if let (Some(path), Some((settings, records))) = (&args.fit, runs.first()) {
        let fit = fitted(settings, records, &set.hash);
        let text = serde_json::to_string_pretty(&fit).map_err(in_file(path))?;
        std::fs::write(path, text + "\n").map_err(in_file(path))?;
    }
    let report = Report::new(runs)?;
    if let (Some(folder), Some(run)) = (&args.report, report.runs.first()) {
        let calibration = run.calibration.as_ref().ok_or_else(|| {
            Error::new(
                Code::EmptyInput,
                "no question was answered: there is nothing to draw",
            )
        })?;
        calibration.draw(folder)?;
    }
    if let Some(out) = &args.json {
        let path = summary_file(out);
        let text = serde_json::to_string_pretty(&report).map_err(in_file(&path))?;
        std::fs::write(&path, text + "\n").map_err(in_file(&path))?;
    }
    Ok(report)
}

fn fitted(settings: &RunSettings, records: &[Record], questions_hash: &str) -> Fit {
    let date = wire::SystemClock.now().date_naive().to_string();
    let model = &settings.predictor.model.name;
    let set = format!("the questions {}", &questions_hash[..16]);
    curves::fitted(
        records,
        &date,
        model,
        &set,
        &settings.predictor.prompt_version,
    )
}

fn second_file(out: &Path, settings: &RunSettings) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(format!(".{}.jsonl", settings.arm.as_str()));
    name.into()
}

fn summary_file(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".summary.json");
    name.into()
}

fn progress_bar(length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{wide_bar} {pos}/{len}  {elapsed} of about {duration}  {msg}",
    )
    .expect("the template is well formed");
    // indicatif draws on stderr, and only on a terminal.
    ProgressBar::new(length as u64).with_style(style)
}

/// Asks the questions of one database that have no answer yet.
async fn ask_group(
    group: &Group,
    predictor: &dyn Predictor,
    output: &mut Output,
    bar: &ProgressBar,
) -> Result<(), Error> {
    let mut is_first = true;
    for item in &group.items {
        if output.has(&item.id) {
            continue;
        }
        bar.set_message(format!("{} {}", group.name, output.tally()));
        let before = item.follows.as_ref().and_then(|follows| {
            let before = group.items.iter().find(|before| before.id == *follows)?;
            Some((before.full_question(), output.sql_of(follows)?))
        });
        let previous = before
            .as_ref()
            .map(|(question, sql)| Previous { question, sql });
        let record = ask_one(item, &group.path, predictor, previous, is_first).await?;
        is_first = false;
        output.append(record)?;
        bar.inc(1);
    }
    if bar.is_hidden() && !is_first {
        eprintln!(
            "{}: {} done, {}",
            predictor.arm().as_str(),
            group.name,
            output.tally()
        );
    }
    Ok(())
}

async fn ask_one(
    item: &Item,
    database: &Path,
    predictor: &dyn Predictor,
    previous: Option<Previous<'_>>,
    is_first_of_database: bool,
) -> Result<Record, Error> {
    let gold = match orders_rows(&item.gold_sql) {
        Ok(orders) => run_gold(database, &item.gold_sql)
            .await
            .map(|rows| (rows, orders)),
        Err(error) => Err(error.to_string()),
    };
    let prediction = predictor
        .predict(database, &item.full_question(), previous)
        .await;
    if let Err(error) = &prediction.result
        && error.code().kind() == Kind::Unavailable
    {
        let message = format!("question {} was not asked: {}", item.id, error.message());
        let error = Error::new(error.code(), message)
            .with_hint(error.hint().unwrap_or("what is answered is kept"));
        return Err(error);
    }
    let verdict = match (&gold, &prediction.result) {
        (Ok((gold, orders)), Ok(rows)) => Some(judge(gold, rows, *orders)),
        _ => None,
    };
    Ok(Record::new(
        item,
        &gold,
        prediction,
        verdict,
        is_first_of_database,
    ))
}
