//! One question to one answer, in reading order.
//!
//! Invariant: a question is recorded as `pending` before anything is done for it, and no row leaves before its outcome
//! and the audit entry for it are committed. If either fails, the answer is withheld.

mod deciding;
mod evidence;
mod following;
mod generating;
mod knowledge;
mod nothing;
mod reuse;
mod statement;
mod writing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{AbortRegistration, Abortable};
use serde_json::json;

use crate::accounts::Actor;
use crate::audit::{AuditEntry, storable};
use crate::checks::Finding;
use crate::confidence::{Fit, Signals};
use crate::conversation::{FollowUp, Turn};
use crate::error::{Code, Error, Kind};
use crate::guard::{GuardedSql, guard};
use crate::known::{KnownTerms, KnownVerified};
use crate::policy::{Role, VisibleSchema};
use crate::ports::{
    AskPorts, Begun, Embedding, FinishedQuery, GenerationLimits, ModelIdentity, NewQuery, Progress,
    QueryLimits, Situation, Step, StoredValue, TargetGeneration, TokenCounts,
};
use crate::prompt::{GeneratedSql, SchemaFormat, SendValues};
use crate::question::{Choice, Origin, Outcome, Question, Refusal, Timings, UsedQuery};
use crate::result::ResultSet;
use crate::retrieval::Degradation;
use crate::semantic_cache::{Hit, Place};
use crate::triage::NoRows;
use crate::verified_queries::exact_match;
pub use deciding::{Constrained, Deciding, Thresholds};
use evidence::{evidence, signals};
use generating::{generate, values_allowed};
use knowledge::{Said, first_prompt, plain_prompt};
use reuse::Reuse;
pub use statement::{run_again, run_sql};

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
    /// SQL of verified queries and of questions asked before is reused; off where each answer must be the model's own.
    pub reuse: bool,
    /// How the schema is written into the prompt, where it fits whole.
    pub schema_format: SchemaFormat,
    /// What is looked up for a question.
    pub linking: Linking,
    /// How the answer is decided on.
    pub deciding: Deciding,
    /// How sure an answer must be.
    pub thresholds: Thresholds,
    /// A question of a conversation may lean on the one before; off, each is asked as if it stood alone.
    pub follow_ups: bool,
    /// Names this process in the system store.
    pub instance_id: String,
    /// After this long a question counts as interrupted.
    pub lease: Duration,
}

/// What is looked up for a question; each can be left out, to measure what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linking {
    /// Tables, terms and verified queries near in meaning.
    pub meaning: bool,
    /// Stored values that the question mentions.
    pub values: bool,
    /// Verified queries and questions asked before, as examples.
    pub examples: bool,
}

impl Default for Linking {
    /// All of it.
    fn default() -> Self {
        Self {
            meaning: true,
            values: true,
            examples: true,
        }
    }
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
            reuse: true,
            schema_format: SchemaFormat::default(),
            linking: Linking::default(),
            deciding: Deciding::default(),
            thresholds: Thresholds::NONE,
            follow_ups: true,
            query: QueryLimits::default(),
            generation: GenerationLimits::default(),
            instance_id: "local".into(),
            lease: Duration::from_secs(600),
        }
    }
}

/// Answers a question outside any conversation; otherwise as [`ask_in`].
///
/// # Errors
///
/// Those of [`ask_in`].
pub async fn ask(
    ports: &AskPorts,
    settings: &AskSettings,
    actor: &Actor,
    question: &Question,
    progress: &dyn Progress,
    cancel: AbortRegistration,
) -> Result<Outcome, Error> {
    ask_in(ports, settings, actor, None, question, progress, cancel).await
}

/// Answers a question of a conversation, or says why not. Aborting through `cancel` stops model and database at once;
/// the cancelled question is recorded like any other.
///
/// # Errors
///
/// [`Code::ConversationNotFound`] if the actor has no such conversation, and whatever broke: the system store, the model
/// or the target database. Refusals are [`Outcome::Refused`].
pub async fn ask_in(
    ports: &AskPorts,
    settings: &AskSettings,
    actor: &Actor,
    conversation_id: Option<i64>,
    question: &Question,
    progress: &dyn Progress,
    cancel: AbortRegistration,
) -> Result<Outcome, Error> {
    let started = Instant::now();
    let begun = begin(ports, settings, actor, conversation_id, Ok(question)).await?;
    let id = begun.id;
    progress.begun(id);
    let mut trace = Trace {
        conversation_id,
        ..Trace::default()
    };
    let mut reuse = None;
    let asked = Asked {
        ports,
        settings,
        situation: &begun.situation,
        query_id: id,
        role: actor.role,
        previous: begun.previous.as_ref(),
        question,
        follow_up: None,
        progress,
    };
    let work = async {
        let found = answer(&asked, &mut trace, &mut reuse).await?;
        trace.no_rows = nothing::why(&found, settings, progress).await;
        Ok(found)
    };
    let result = Abortable::new(work, cancel)
        .await
        .unwrap_or_else(|_| Err(cancelled()));
    if !matches!(trace.origin, Origin::VerifiedQuery { .. }) {
        trace.model = Some(ports.generator.identity());
    }
    let embedding = trace.embedding.clone();
    let outcome = finish(ports, actor, id, question.as_str(), started, trace, result).await;
    if let Some(reuse) = reuse {
        let answered = match &outcome {
            Ok(Outcome::Answered(answer)) => Some(&**answer),
            Ok(Outcome::Refused(_)) | Err(_) => None,
        };
        reuse.end(ports, id, answered, embedding.as_ref()).await;
    }
    outcome
}

/// A question that was begun.
#[derive(Clone, Copy)]
struct Asked<'a> {
    ports: &'a AskPorts,
    settings: &'a AskSettings,
    situation: &'a Situation,
    query_id: i64,
    role: Role,
    /// The turn that was answered last in its conversation.
    previous: Option<&'a Turn>,
    /// As it stands alone.
    question: &'a Question,
    follow_up: Option<&'a FollowUp>,
    progress: &'a dyn Progress,
}

/// What a question looks at, to its end.
struct Sight {
    target: Arc<dyn TargetGeneration>,
    visible: Arc<VisibleSchema>,
}

/// What is known of a question so far, whether it ends well or not.
#[derive(Default)]
struct Trace {
    conversation_id: Option<i64>,
    understood_as: Option<String>,
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
    origin: Origin,
    verified: Vec<UsedQuery>,
    values: Vec<StoredValue>,
    degraded: Vec<Degradation>,
    embedding: Option<Embedding>,
    /// What the model was told besides the question and the schema, by people.
    note: String,
    signals: Signals,
    findings: Vec<Finding>,
    corrections: Vec<String>,
    choices: Vec<Choice>,
    no_rows: Option<NoRows>,
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
    conversation_id: Option<i64>,
    asked: Result<&Question, &GeneratedSql>,
) -> Result<Begun, Error> {
    let question = asked.ok().map(Question::as_str);
    let sql = asked.err().map(GeneratedSql::as_str);
    let user_id = actor.user_id;
    let now = ports.clock.now();
    let query = NewQuery {
        user_id,
        role: actor.role,
        question: question.map(str::to_owned),
        sql: sql.map(storable),
        conversation_id,
        instance_id: settings.instance_id.clone(),
        lease_until: now + settings.lease,
    };
    let changes = json!({ "question": question, "sql": sql });
    let mut audit = AuditEntry::new(now, Some(user_id), "query", "query", changes);
    if conversation_id.is_some() {
        audit = audit.with("conversation_id", json!(conversation_id));
    }
    ports.store.begin_query(&query, &audit).await
}

/// Opens the target and cuts its schema to what may be seen.
async fn look(ports: &AskPorts, situation: &Situation, trace: &mut Trace) -> Result<Sight, Error> {
    let clock = Instant::now();
    let target = ports.target.current().await?;
    let visible = ports.known.visible(target.schema(), &situation.visibility);
    trace.target_fingerprint = Some(target.fingerprint());
    trace.timings.schema += ms(clock);
    Ok(Sight { target, visible })
}

async fn answer(
    asked: &Asked<'_>,
    trace: &mut Trace,
    reuse: &mut Option<Reuse>,
) -> Result<Found, Error> {
    let Asked {
        ports,
        settings,
        question,
        progress,
        ..
    } = asked;
    progress.step(Step::Understanding);
    let sight = look(ports, asked.situation, trace).await?;
    let follow_up = following::follow_up(asked, &sight);
    let asked = &following::standing_alone(asked, follow_up.as_ref(), trace);
    if sight.visible.tables().is_empty() {
        return Err(Error::new(
            Code::CannotBeAnswered,
            "the database has no table that may be seen",
        ));
    }
    match settings.style {
        PromptStyle::Standard => {
            let said = said(asked).await?;
            if let Some(found) = reused(asked, &sight, &said, trace, reuse).await? {
                return Ok(found);
            }
            let Some(reuse) = reuse else {
                return answer_anew(asked, sight, &said, None, trace).await;
            };
            let place = Some(&reuse.place);
            let work = answer_anew(asked, sight, &said, place, trace);
            reuse.holding_the_claim(&*ports.cache, work).await
        }
        PromptStyle::Plain => {
            let values = values_allowed(&*ports.generator, settings, trace);
            let prompt = plain_prompt(&*sight.target, question, &sight.visible, values).await?;
            let prompt = following::told(asked, prompt);
            generate(asked, sight, &prompt, trace).await
        }
    }
}

/// Answers with the model, from all that is known about the data.
async fn answer_anew(
    asked: &Asked<'_>,
    sight: Sight,
    said: &Said,
    place: Option<&Place>,
    trace: &mut Trace,
) -> Result<Found, Error> {
    asked.progress.step(Step::Searching);
    let clock = Instant::now();
    let prompt = first_prompt(asked, &sight, said, place, trace).await;
    trace.timings.prompt += ms(clock);
    generate(asked, sight, &prompt, trace).await
}

/// Reads what people have said about the data, where it has changed since the last question.
async fn said(asked: &Asked<'_>) -> Result<Said, Error> {
    let AskPorts { store, known, .. } = asked.ports;
    let Situation {
        terms,
        verified_queries,
        ..
    } = asked.situation;
    let read_terms = async { store.all_terms().await.map(KnownTerms::from) };
    let read_verified = async { store.approved_queries().await.map(KnownVerified::from) };
    Ok(Said {
        terms: known.terms.of(terms, read_terms).await?,
        verified: known.verified.of(verified_queries, read_verified).await?,
    })
}

/// Answers without the model, where a verified query or the semantic cache has the SQL and it still runs.
async fn reused(
    asked: &Asked<'_>,
    sight: &Sight,
    said: &Said,
    trace: &mut Trace,
    reuse: &mut Option<Reuse>,
) -> Result<Option<Found>, Error> {
    let Asked {
        ports,
        settings,
        question,
        progress,
        ..
    } = asked;
    if !settings.reuse {
        return Ok(None);
    }
    let Sight { target, visible } = sight;
    let mut known = None;
    let (guarded, origin) = match exact_match(question.as_str(), &said.verified.items, visible) {
        Some((query, guarded)) => {
            trace.verified = vec![UsedQuery {
                id: query.id,
                question: query.question.clone(),
            }];
            (Ok(guarded), Origin::VerifiedQuery { id: query.id })
        }
        None => {
            let clock = Instant::now();
            let place = reuse.insert(Reuse::of(asked, visible));
            let found = place.find(&*ports.cache, asked.query_id, trace).await;
            trace.timings.reuse += ms(clock);
            let Some(Hit {
                sql,
                judged,
                is_exact,
            }) = found
            else {
                return Ok(None);
            };
            known = Some(judged);
            progress.step(Step::Checking);
            let clock = Instant::now();
            let guarded = guard(&GeneratedSql::new(sql), visible);
            trace.timings.guard += ms(clock);
            (guarded, Origin::cached(is_exact))
        }
    };
    trace.values_sent = "nothing";
    let ran = match guarded {
        Ok(guarded) => run(&**target, settings, guarded, *progress, trace).await,
        Err(fault) => Err(fault),
    };
    match ran {
        Ok((guarded, rows)) => {
            let found = Found {
                guarded,
                rows,
                target: Arc::clone(target),
            };
            if let Some(judged) = known {
                trace.judge_again(judged, &found.rows);
                let confidence = Fit::in_use().confidence(&signals(trace, &found));
                if confidence < settings.thresholds.of(asked.role) {
                    // Sure enough for whoever asked before. Others are still served it, and this one is asked back.
                    trace.forget_judgement();
                    return Ok(None);
                }
            }
            trace.origin = origin;
            Ok(Some(found))
        }
        // What does not run any more is generated again; what ran out of time would do so again.
        Err(fault) if fault.code().is_repairable() || fault.code().kind() == Kind::Refused => {
            if let Some(reuse) = reuse {
                reuse.forget(&*ports.cache).await;
            }
            trace.sql = None;
            trace.verified.clear();
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

async fn run(
    target: &dyn TargetGeneration,
    settings: &AskSettings,
    guarded: GuardedSql,
    progress: &dyn Progress,
    trace: &mut Trace,
) -> Result<(GuardedSql, ResultSet), Error> {
    trace.sql = Some(guarded.text().to_owned());
    progress.sql(guarded.text());
    progress.step(Step::Running);
    let clock = Instant::now();
    let rows = target.query(&guarded, &settings.query).await;
    trace.timings.run += ms(clock);
    Ok((guarded, rows?))
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
        understood_as: trace.understood_as.clone(),
        sql: trace.sql.as_deref().map(storable),
        error: error.map(|error| (error.code().as_str().to_owned(), storable(error.message()))),
        result_count: receipt.as_ref().map(|receipt| receipt.row_count),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        generator: trace.model.as_ref().map(|model| model.name.clone()),
        cached: trace.origin.is_cached(),
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
    let mut audit =
        AuditEntry::new(now, Some(actor.user_id), action, "query", changes).about(query_id);
    if let Some(text) = &trace.understood_as {
        audit = audit.with("understood_as", json!(text));
    }
    ports
        .store
        .finish_query(query_id, &finished, &audit)
        .await?;
    // The outcome stands; a time that could not be noted withholds no answer.
    if ports.known.is_worth_noting(actor.user_id, now) {
        let _ = ports.store.note_last_query(actor.user_id, now).await;
    }

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
            choices: trace.choices,
        }))),
        Err(error) => Err(error),
    }
}

/// Faults of the question or its SQL are decisions not to answer; everything else is a failure of ours.
fn is_about_the_request(error: &Error) -> bool {
    matches!(error.code().kind(), Kind::Refused | Kind::Invalid)
        || error.code() == Code::TargetQueryTimeout
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the question was cancelled")
}

fn ms(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests;
