//! One question to one answer, in reading order.
//!
//! Invariant: a question is recorded as `pending` before anything is done for it, and no row leaves before its outcome
//! and the audit entry for it are committed. If either fails, the answer is withheld.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{AbortRegistration, Abortable};
use serde_json::json;

use crate::accounts::Actor;
use crate::audit::{AuditEntry, storable};
use crate::error::{Code, Error, Kind};
use crate::guard::{GuardedSql, guard};
use crate::mend;
use crate::ontology::{HiddenNames, mentioned};
use crate::policy::{Role, VisibleSchema};
use crate::ports::{
    AskPorts, FinishedQuery, GenerationLimits, Generator, ModelIdentity, NewQuery, Progress,
    QueryLimits, Step, TargetGeneration, TokenCounts,
};
use crate::prompt::{self, GeneratedSql, Prompt, SendValues};
use crate::question::{Answer, Outcome, Question, Receipt, Refusal, Timings};
use crate::result::ResultSet;
use crate::words;

/// How questions are answered; the same for every question of one process.
#[derive(Debug, Clone)]
pub struct AskSettings {
    /// Which prompt is written.
    pub style: PromptStyle,
    /// Generations after the first, each told what was wrong with the one before.
    pub max_repairs: u32,
    /// What a remote model may see of the data.
    pub send_values: SendValues,
    /// Bounds on each statement.
    pub query: QueryLimits,
    /// Bounds on each generation.
    pub generation: GenerationLimits,
    /// Names this process in the system store.
    pub instance_id: String,
    /// After this long a question counts as interrupted.
    pub lease: Duration,
}

/// Which prompt is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptStyle {
    /// The product's.
    Standard,
    /// Stored DDL, three sample rows, the question: what every measurement is compared with.
    Plain,
}

impl Default for AskSettings {
    /// The product's prompt, two repairs, no values to remote models, a lease of ten minutes.
    fn default() -> Self {
        Self {
            style: PromptStyle::Standard,
            max_repairs: 2,
            send_values: SendValues::None,
            query: QueryLimits::default(),
            generation: GenerationLimits::default(),
            instance_id: "local".into(),
            lease: Duration::from_secs(600),
        }
    }
}

/// Answers a question, or says why not. Aborting through `cancel` stops model and database at once; the cancelled
/// question is recorded like any other.
///
/// # Errors
///
/// Whatever broke: the system store, the model or the target database. Refusals are [`Outcome::Refused`].
pub async fn ask(
    ports: &AskPorts,
    settings: &AskSettings,
    actor: &Actor,
    question: &Question,
    progress: &dyn Progress,
    cancel: AbortRegistration,
) -> Result<Outcome, Error> {
    let started = Instant::now();
    let query_id = begin(ports, settings, actor, Some(question.as_str()), None).await?;
    let mut trace = Trace::default();
    let work = answer(ports, settings, actor, question, progress, &mut trace);
    let result = Abortable::new(work, cancel)
        .await
        .unwrap_or_else(|_| Err(cancelled()));
    trace.model = Some(ports.generator.identity());
    finish(
        ports,
        actor,
        query_id,
        question.as_str(),
        started,
        trace,
        result,
    )
    .await
}

/// Runs SQL of the actor's own, through the same guard, fences and records as a generated one.
///
/// # Errors
///
/// [`Code::RoleTooLow`] for viewers; whatever broke. Refusals are [`Outcome::Refused`].
pub async fn run_sql(
    ports: &AskPorts,
    settings: &AskSettings,
    actor: &Actor,
    sql: &GeneratedSql,
    cancel: AbortRegistration,
) -> Result<Outcome, Error> {
    let started = Instant::now();
    let query_id = begin(ports, settings, actor, None, Some(sql.as_str())).await?;
    let mut trace = Trace::default();
    let work = async {
        if actor.role < Role::Analyst {
            return Err(Error::new(
                Code::RoleTooLow,
                "running SQL of one's own takes the role analyst",
            ));
        }
        let (target, visible) = look(ports, actor, &mut trace).await?;
        trace.sql = Some(sql.as_str().to_owned());
        let (guarded, rows) =
            check_and_run(&*target, settings, sql, &visible, &(), &mut trace).await?;
        Ok(Found {
            guarded,
            rows,
            target,
        })
    };
    let result = Abortable::new(work, cancel)
        .await
        .unwrap_or_else(|_| Err(cancelled()));
    finish(ports, actor, query_id, "", started, trace, result).await
}

/// What is known of a question so far, whether it ends well or not.
#[derive(Default)]
struct Trace {
    sql: Option<String>,
    fault: Option<Code>,
    timings: Timings,
    tokens: TokenCounts,
    repairs: u32,
    model: Option<ModelIdentity>,
    terms: Vec<String>,
    prompt_hash: String,
    values_sent: &'static str,
    target_fingerprint: Option<String>,
}

/// What was found, before it is committed.
struct Found {
    guarded: GuardedSql,
    rows: ResultSet,
    target: Arc<dyn TargetGeneration>,
}

async fn begin(
    ports: &AskPorts,
    settings: &AskSettings,
    actor: &Actor,
    question: Option<&str>,
    sql: Option<&str>,
) -> Result<i64, Error> {
    let user_id = actor.user_id;
    let now = ports.clock.now();
    let query = NewQuery {
        user_id,
        question: question.map(str::to_owned),
        sql: sql.map(storable),
        instance_id: settings.instance_id.clone(),
        lease_until: now + settings.lease,
    };
    let changes = json!({ "question": question, "sql": sql });
    let audit = AuditEntry::new(now, Some(user_id), "query", "query", changes);
    ports.store.begin_query(&query, &audit).await
}

/// Opens the target and cuts its schema to what the actor may see.
async fn look(
    ports: &AskPorts,
    actor: &Actor,
    trace: &mut Trace,
) -> Result<(Arc<dyn TargetGeneration>, Arc<VisibleSchema>), Error> {
    let clock = Instant::now();
    let visibility = ports.store.visibility(actor.role).await?;
    let target = ports.target.current().await?;
    let visible = VisibleSchema::new(target.schema(), &visibility);
    trace.target_fingerprint = Some(target.provenance().fingerprint);
    trace.timings.schema += ms(clock);
    Ok((target, visible))
}

async fn answer(
    ports: &AskPorts,
    settings: &AskSettings,
    actor: &Actor,
    question: &Question,
    progress: &dyn Progress,
    trace: &mut Trace,
) -> Result<Found, Error> {
    progress.step(Step::Understanding);
    let (target, visible) = look(ports, actor, trace).await?;
    if visible.tables().is_empty() {
        return Err(Error::new(
            Code::CannotBeAnswered,
            "the database has no table that may be seen",
        ));
    }

    let clock = Instant::now();
    let values = values_allowed(&*ports.generator, settings, trace);
    let first = match settings.style {
        PromptStyle::Standard => {
            let first = prompt::first(question, &visible, values);
            let (first, terms) = with_terms(ports, first, question, &*target, &visible).await?;
            trace.terms = terms;
            first
        }
        PromptStyle::Plain => plain_prompt(&*target, question, &visible, values).await?,
    };
    let mut prompt = first.clone();
    trace.timings.prompt += ms(clock);

    loop {
        progress.step(Step::Generating);
        let fault = match attempt(
            ports, settings, &*target, &visible, &prompt, progress, trace,
        )
        .await
        {
            Ok((guarded, rows)) => {
                return Ok(Found {
                    guarded,
                    rows,
                    target,
                });
            }
            Err(fault) => fault,
        };
        if !fault.code().is_repairable() {
            return Err(fault);
        }
        if trace.repairs == settings.max_repairs {
            trace.fault = Some(fault.code());
            return Err(unanswerable(&fault));
        }
        progress.step(Step::Repairing);
        trace.repairs += 1;
        prompt = match trace.repairs {
            1 => prompt::repair(&first, trace.sql.as_deref(), &fault),
            _ => prompt::ask_anew(&first, &fault),
        };
    }
}

/// One generation, guarded and run.
async fn attempt(
    ports: &AskPorts,
    settings: &AskSettings,
    target: &dyn TargetGeneration,
    visible: &Arc<VisibleSchema>,
    prompt: &Prompt,
    progress: &dyn Progress,
    trace: &mut Trace,
) -> Result<(GuardedSql, ResultSet), Error> {
    let clock = Instant::now();
    trace.prompt_hash = prompt.hash();
    let generation = ports.generator.generate(prompt, &settings.generation).await;
    trace.timings.generate += ms(clock);
    let generation = generation?;
    trace.tokens += generation.tokens;
    trace.sql = None;
    let sql = GeneratedSql::from_reply(&generation.text)?;
    trace.sql = Some(sql.as_str().to_owned());
    let sql = match settings.style {
        PromptStyle::Standard => mended(sql, visible),
        PromptStyle::Plain => sql,
    };
    check_and_run(target, settings, &sql, visible, progress, trace).await
}

/// Corrects the slips that have one certain correction. A text that stays wrong comes back as the model wrote it, so
/// that the model is told of its own words.
fn mended(sql: GeneratedSql, visible: &Arc<VisibleSchema>) -> GeneratedSql {
    let mut attempt = sql.clone();
    for _ in 0..mend::MAX_MENDS {
        let Err(fault) = guard(&attempt, visible) else {
            return attempt;
        };
        let Some(better) = mend::mend(&attempt, &fault) else {
            return sql;
        };
        attempt = better;
    }
    sql
}

async fn check_and_run(
    target: &dyn TargetGeneration,
    settings: &AskSettings,
    sql: &GeneratedSql,
    visible: &Arc<VisibleSchema>,
    progress: &dyn Progress,
    trace: &mut Trace,
) -> Result<(GuardedSql, ResultSet), Error> {
    progress.step(Step::Checking);
    let clock = Instant::now();
    let guarded = guard(sql, visible);
    trace.timings.guard += ms(clock);
    let guarded = guarded?;
    trace.sql = Some(guarded.text().to_owned());

    progress.step(Step::Running);
    let clock = Instant::now();
    let rows = target.query(&guarded, &settings.query).await;
    trace.timings.run += ms(clock);
    Ok((guarded, rows?))
}

fn values_allowed(
    generator: &dyn Generator,
    settings: &AskSettings,
    trace: &mut Trace,
) -> SendValues {
    if generator.identity().is_remote {
        trace.values_sent = settings.send_values.as_str();
        settings.send_values
    } else {
        trace.values_sent = "local";
        SendValues::All
    }
}

/// Adds the terms that the question mentions, as far as they name nothing that the actor may not see.
async fn with_terms(
    ports: &AskPorts,
    first: Prompt,
    question: &Question,
    target: &dyn TargetGeneration,
    visible: &VisibleSchema,
) -> Result<(Prompt, Vec<String>), Error> {
    let terms = ports.store.all_terms().await?;
    let mut told = mentioned(question.as_str(), &terms);
    if !told.is_empty() {
        let hidden = HiddenNames::between(target.schema(), visible);
        told.retain(|term| !hidden.are_in(term.texts()));
    }
    Ok(prompt::with_terms(first, &told))
}

async fn plain_prompt(
    target: &dyn TargetGeneration,
    question: &Question,
    visible: &Arc<VisibleSchema>,
    values: SendValues,
) -> Result<Prompt, Error> {
    let limits = QueryLimits {
        max_rows: 3,
        ..QueryLimits::default()
    };
    let mut rows = Vec::new();
    for table in visible.tables() {
        let sql = format!(
            "SELECT * FROM {} LIMIT 3",
            crate::policy::quote_identifier(&table.name)
        );
        let guarded = guard(&GeneratedSql::new(sql), visible)?;
        let mut sample = target.query(&guarded, &limits).await?;
        if values == SendValues::None {
            sample.rows.clear();
        }
        rows.push(sample);
    }
    Ok(prompt::plain(question, visible, &rows))
}

/// Commits the outcome, then lets it go.
async fn finish(
    ports: &AskPorts,
    actor: &Actor,
    query_id: i64,
    question: &str,
    started: Instant,
    mut trace: Trace,
    result: Result<Found, Error>,
) -> Result<Outcome, Error> {
    let result = result.map(|found| evidence(query_id, question, &trace, found));
    let receipt = result.as_ref().ok().map(|answer| answer.receipt.clone());
    let error = result.as_ref().err();
    let finished = FinishedQuery {
        sql: trace.sql.as_deref().map(storable),
        error: error.map(|error| (error.code().as_str().to_owned(), storable(error.message()))),
        result_count: receipt.as_ref().map(|receipt| receipt.row_count),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        generator: trace.model.as_ref().map(|model| model.name.clone()),
        cached: false,
        target_fingerprint: trace.target_fingerprint.clone(),
        receipt,
    };
    let changes = json!({
        "sql": finished.sql,
        "error": error.map(|error| error.code().as_str()),
        "result_count": finished.result_count,
        "values_sent": trace.values_sent,
    });
    let action = match error {
        None => "query_answered",
        Some(error) if error.code().kind() == Kind::Refused => "query_refused",
        Some(_) => "query_failed",
    };
    let now = ports.clock.now();
    let audit = AuditEntry::new(now, Some(actor.user_id), action, "query", changes).about(query_id);
    ports
        .store
        .finish_query(query_id, &finished, &audit)
        .await?;
    // The outcome stands; a time that could not be noted withholds no answer.
    let _ = ports.store.note_last_query(actor.user_id, now).await;

    trace.timings.total = ms(started);
    match result {
        Ok(mut answer) => {
            answer.timings_ms = trace.timings;
            Ok(Outcome::Answered(Box::new(answer)))
        }
        Err(error) if is_about_the_request(&error) => Ok(Outcome::Refused(Box::new(Refusal {
            query_id,
            fault: trace.fault.unwrap_or(error.code()),
            error,
            sql: trace.sql,
            timings_ms: trace.timings,
            tokens: trace.tokens,
            repairs: trace.repairs,
        }))),
        Err(error) => Err(error),
    }
}

/// Faults of the question or its SQL are decisions not to answer; everything else is a failure of ours.
fn is_about_the_request(error: &Error) -> bool {
    matches!(error.code().kind(), Kind::Refused | Kind::Invalid)
        || error.code() == Code::TargetQueryTimeout
}

fn evidence(query_id: i64, question: &str, trace: &Trace, found: Found) -> Answer {
    let Found {
        guarded,
        rows,
        target,
    } = found;
    let provenance = target.provenance();
    let model = trace.model.clone().unwrap_or_else(|| ModelIdentity {
        name: "none".into(),
        hash: String::new(),
        is_remote: false,
    });
    let receipt = Receipt {
        question: question.to_owned(),
        sql: guarded.text().to_owned(),
        copy_fingerprint: provenance.fingerprint,
        schema_fingerprint: target.schema().fingerprint(),
        visible_schema_hash: guarded.visible().hash().to_owned(),
        model_hash: model.hash.clone(),
        prompt_hash: trace.prompt_hash.clone(),
        row_count: rows.rows.len() as u64,
        result_hash: rows.hash(),
    };
    Answer {
        query_id,
        question: question.to_owned(),
        sql: guarded.text().to_owned(),
        sentence: words::sentence(&rows),
        tables: guarded.tables().to_vec(),
        terms: trace.terms.clone(),
        columns: rows.columns,
        rows: rows.rows,
        truncated: rows.truncated,
        repairs: trace.repairs,
        data_as_of: provenance.data_as_of,
        copied_at: provenance.copied_at,
        original_changed: provenance.original_changed,
        model,
        values_sent: trace.values_sent.to_owned(),
        timings_ms: trace.timings,
        tokens: trace.tokens,
        receipt,
    }
}

fn unanswerable(fault: &Error) -> Error {
    let error = Error::new(
        Code::CannotBeAnswered,
        format!(
            "no SQL was found that answers this from the data: {}",
            fault.message()
        ),
    );
    error.with_hint(
        fault
            .hint()
            .unwrap_or("name the tables or columns you mean, or ask in other words"),
    )
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the question was cancelled")
}

fn ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests;
