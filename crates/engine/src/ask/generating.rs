//! SQL from the model: written, mended, guarded, run, and written again with what was wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deciding::{
    Choice, Constrained, Contender, Content, Deciding, all_agree, choose, is_decided,
};
use super::evidence::signals;
use super::writing::Writing;
use super::{AskSettings, Asked, Found, Sight, Trace, ms, run};
use crate::checks::{self, Evidence, Finding};
use crate::confidence::Fit;
use crate::conversation::FollowUp;
use crate::decoding::Names;
use crate::error::{Code, Error, Kind};
use crate::guard::{GuardedSql, guard};
use crate::mend;
use crate::policy::VisibleSchema;
use crate::ports::{Ahead, Candidate, GenerationLimits, Generator, QueryLimits, Sampling, Step};
use crate::prompt::{self, GeneratedSql, Prompt, SendValues};
use crate::question::Choice as Offered;
use crate::reading;
use crate::result::ResultSet;

/// Readings offered when Assay asks back.
const MAX_CHOICES: usize = 4;

/// Tokens of a drawn statement. One that is longer mostly repeats itself, and several of them would take minutes.
const MAX_DRAWN_TOKENS: u32 = 200;

/// What each drawn statement may run for, however short the first one ran.
const LEAST_DRAWN_TIME: Duration = Duration::from_secs(2);

/// How often one statement is corrected for what is suspicious about it.
const MAX_REWRITES: usize = 4;

/// Returns what is decided on: the first statement if it leaves no doubt, else the one of several whose rows agree; if
/// none runs, what a repair gives.
pub(super) async fn generate(
    asked: &Asked<'_>,
    sight: Sight,
    first: &Prompt,
    trace: &mut Trace,
) -> Result<Found, Error> {
    let Asked {
        settings, progress, ..
    } = asked;
    progress.step(Step::Generating);
    trace.signals.drawn = 1;
    let mut first_try = attempt(asked, &sight, first, trace).await;
    let is_settled = match &first_try {
        Ok(contender) => !settings.deciding.always && contender.is_settled(),
        Err(fault) => !others_may_run(fault),
    };
    let mut contenders = Vec::new();
    if !is_settled && settings.deciding.candidates > 0 {
        // Before any repair: the model has the prompt in mind, and may have begun with them.
        let failed = trace.sql.clone();
        let bounded = AskSettings {
            query: bounded(settings.query, trace.timings.run),
            ..(*settings).clone()
        };
        let bounded = Asked {
            settings: &bounded,
            ..*asked
        };
        for is_more in [false, true] {
            let known = trace.signals.drawn;
            match drawn(&bounded, &sight, first, is_more, trace).await {
                Ok(drawn) => contenders.extend(drawn),
                // What is known by now stands without more.
                Err(error) => {
                    tracing::warn!(
                        code = error.code().as_str(),
                        cause = error.cause().unwrap_or_default(),
                        "no further statement could be drawn"
                    );
                    break;
                }
            }
            let drawn = trace.signals.drawn;
            let is_enough =
                !settings.deciding.insists || all_agree(first_try.iter().chain(&contenders), drawn);
            if drawn == known || is_enough {
                break;
            }
        }
        trace.sql = failed;
    }
    if let Err(fault) = &first_try
        && fault.code().is_repairable()
        && !is_decided(&contenders)
    {
        first_try = repaired(asked, &sight, first, fault.clone(), trace).await;
    }
    let mut fault = None;
    match first_try {
        Ok(contender) => contenders.push(Contender {
            is_first: true,
            ..contender
        }),
        // Others that ran may answer yet.
        Err(error) => fault = Some(error),
    }
    trace.signals.ran = contenders.iter().map(|one| one.drawn).sum();
    let Some(choice) = choose(contenders) else {
        return Err(fault.unwrap_or_else(|| {
            Error::new(
                Code::Internal,
                "nothing ran, and nothing is known to be wrong",
            )
        }));
    };
    trace.fault = None;
    let Choice {
        chosen,
        agreeing,
        others,
    } = choice;
    trace.sql = Some(chosen.guarded.text().to_owned());
    if !chosen.is_first {
        // It was drawn from the first prompt, whatever a repair was asked since.
        trace.prompt_hash = first.hash();
    }
    trace.signals.agreeing = agreeing;
    trace.signals.corrected = chosen.corrected;
    trace.signals.mean_logprob = chosen.likelihood.map(|one| one.mean_logprob);
    trace.signals.least_logprob = chosen.likelihood.map(|one| one.least_logprob);
    trace.findings = chosen.findings;
    trace.corrections = chosen.corrections;
    let found = Found {
        guarded: chosen.guarded,
        rows: chosen.rows,
        target: sight.target,
    };
    let confidence = Fit::in_use().confidence(&signals(trace, &found));
    if confidence < settings.thresholds.of(asked.role) {
        return Err(asked_back(found, &others, trace));
    }
    Ok(found)
}

/// Asks which reading is meant instead of answering.
fn asked_back(found: Found, others: &[Contender], trace: &mut Trace) -> Error {
    let readings = std::iter::once(&found.guarded)
        .chain(others.iter().map(|other| &other.guarded))
        .take(MAX_CHOICES);
    trace.choices = readings
        .map(|sql| Offered {
            reading: reading::read(sql).sentence,
            sql: sql.text().to_owned(),
        })
        .collect();
    let told: Vec<&str> = trace
        .choices
        .iter()
        .map(|one| one.reading.as_str())
        .collect();
    let message = match told[..] {
        [] | [_] => "the model is not sure enough of what it understood",
        _ => "the question can be read in ways that give different rows",
    };
    Error::new(Code::TooUncertain, message).with_hint(format!(
        "say which is meant, in words like these: {}",
        told.join(" Or: ")
    ))
}

/// Draws several statements and returns those that run.
async fn drawn(
    asked: &Asked<'_>,
    sight: &Sight,
    prompt: &Prompt,
    is_more: bool,
    trace: &mut Trace,
) -> Result<Vec<Contender>, Error> {
    let Asked {
        ports,
        settings,
        progress,
        ..
    } = asked;
    progress.step(Step::Generating);
    let Ahead {
        sampling,
        max_tokens,
    } = drawing(settings, prompt, is_more);
    let limits = GenerationLimits {
        max_tokens,
        ..limits(settings, sight, false)
    };
    let clock = Instant::now();
    let replies = ports.generator.sample(prompt, &limits, &sampling).await;
    trace.timings.generate += ms(clock);
    let mut ran = Vec::new();
    for Candidate { generation, drawn } in replies? {
        trace.tokens += generation.tokens;
        trace.signals.drawn += drawn;
        let tried = match GeneratedSql::from_reply(&generation.text) {
            Ok(sql) => try_sql(asked, sight, &sql, trace).await,
            Err(fault) => Err(fault),
        };
        match tried {
            Ok(contender) => ran.push(Contender {
                likelihood: generation.likelihood,
                drawn,
                ..contender
            }),
            // One that cannot run, or takes too long, is no answer, and says nothing of the others.
            Err(fault) if is_its_own(&fault) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(ran)
}

/// How statements are drawn from a prompt: at first, or more of them because those do not agree, by one more than at
/// first, which takes the place of the likeliest.
fn drawing(settings: &AskSettings, prompt: &Prompt, is_more: bool) -> Ahead {
    let Deciding {
        candidates,
        temperature,
        ..
    } = settings.deciding;
    // The same prompt gives the same answer, whenever it is asked.
    let seed = u64::from_str_radix(&prompt.hash()[..16], 16).unwrap_or_default();
    let (count, seed) = match is_more {
        false => (candidates, seed),
        // Each reply has a seed of its own, one after the other.
        true => (candidates + 1, seed.wrapping_add(candidates.into())),
    };
    Ahead {
        sampling: Sampling {
            count,
            temperature,
            seed,
        },
        max_tokens: settings.generation.max_tokens.min(MAX_DRAWN_TOKENS),
    }
}

/// Says whether another statement for the same question may run where this one did not. One that would write something
/// says what the question is after.
fn others_may_run(fault: &Error) -> bool {
    let code = fault.code();
    code.is_repairable()
        || matches!(
            code,
            Code::TargetQueryTimeout | Code::ResultTooLarge | Code::SqlTooComplex
        )
}

/// Returns the bounds on each drawn statement: what only speaks for or against another does not keep the data busy for
/// long, nor, with the rows of all of them held until one is chosen, much memory. `first_ms` is how long the first statement ran.
fn bounded(limits: QueryLimits, first_ms: f64) -> QueryLimits {
    let enough = Duration::from_secs_f64(4.0 * first_ms / 1_000.0).min(limits.timeout / 4);
    QueryLimits {
        timeout: enough.max(LEAST_DRAWN_TIME).min(limits.timeout),
        max_bytes: limits.max_bytes / 4,
        ..limits
    }
}

/// Says whether a fault is of one statement and not of the question, the model or the data.
fn is_its_own(fault: &Error) -> bool {
    fault.code().is_repairable()
        || fault.code().kind() == Kind::Refused
        || fault.code() == Code::TargetQueryTimeout
}

/// Asks again, told of the fault, until something runs or no repair is left.
async fn repaired(
    asked: &Asked<'_>,
    sight: &Sight,
    first: &Prompt,
    mut fault: Error,
    trace: &mut Trace,
) -> Result<Contender, Error> {
    while trace.repairs < asked.settings.max_repairs {
        asked.progress.step(Step::Repairing);
        trace.repairs += 1;
        let next = match trace.repairs {
            1 => prompt::repair(first, trace.sql.as_deref(), &fault),
            _ => prompt::ask_anew(first, &fault),
        };
        asked.progress.step(Step::Generating);
        fault = match attempt(asked, sight, &next, trace).await {
            Ok(contender) => return Ok(contender),
            Err(fault) if fault.code().is_repairable() => fault,
            Err(fault) => return Err(fault),
        };
    }
    trace.fault = Some(fault.code());
    Err(unanswerable(&fault))
}

/// Returns the bounds of a generation.
fn limits(settings: &AskSettings, sight: &Sight, is_last: bool) -> GenerationLimits {
    let is_constrained = match settings.deciding.constrained {
        Constrained::Never => false,
        Constrained::Last => is_last,
        Constrained::Always => true,
    };
    GenerationLimits {
        names: is_constrained.then(|| Names::of(&sight.visible)),
        ..settings.generation.clone()
    }
}

/// One generation, guarded and run.
async fn attempt(
    asked: &Asked<'_>,
    sight: &Sight,
    prompt: &Prompt,
    trace: &mut Trace,
) -> Result<Contender, Error> {
    let Asked {
        ports,
        settings,
        progress,
        ..
    } = asked;
    let clock = Instant::now();
    trace.prompt_hash = prompt.hash();
    let is_last = trace.repairs > 0 && trace.repairs == settings.max_repairs;
    let Deciding {
        always, candidates, ..
    } = settings.deciding;
    let is_drawn_next = always && candidates > 0 && trace.repairs == 0;
    let limits = GenerationLimits {
        ahead: is_drawn_next.then(|| drawing(settings, prompt, false)),
        ..limits(settings, sight, is_last)
    };
    let writing = Writing::of(*progress);
    let generation = ports
        .generator
        .generate_heard(prompt, &limits, &|more| writing.hear(more))
        .await;
    trace.timings.generate += ms(clock);
    let generation = generation?;
    trace.tokens += generation.tokens;
    trace.sql = None;
    let sql = GeneratedSql::from_reply(&generation.text)?;
    trace.sql = Some(sql.as_str().to_owned());
    let contender = try_sql(asked, sight, &sql, trace).await?;
    Ok(Contender {
        likelihood: generation.likelihood,
        ..contender
    })
}

/// Tries a statement, and once more where the database says what is wrong and that has one certain correction.
async fn try_sql(
    asked: &Asked<'_>,
    sight: &Sight,
    sql: &GeneratedSql,
    trace: &mut Trace,
) -> Result<Contender, Error> {
    let tried = try_once(asked, sight, sql, trace).await;
    let mended = match &tried {
        Err(fault) if asked.settings.deciding.mends => mend::mend(sql, fault),
        _ => None,
    };
    let Some(mended) = mended else {
        return tried;
    };
    match try_once(asked, sight, &mended, trace).await {
        Ok(contender) => Ok(Contender {
            corrected: true,
            ..contender
        }),
        // The model is told of its own words.
        Err(_) => tried,
    }
}

/// Guards a statement, corrects what is suspicious and certain about it, and runs it.
async fn try_once(
    asked: &Asked<'_>,
    sight: &Sight,
    sql: &GeneratedSql,
    trace: &mut Trace,
) -> Result<Contender, Error> {
    let Asked {
        settings,
        progress,
        question,
        follow_up,
        ..
    } = asked;
    let Sight { target, visible } = sight;
    progress.step(Step::Checking);
    let clock = Instant::now();
    let guarded = if settings.deciding.mends {
        guard_mended(sql, visible)
    } else {
        guard(sql, visible)
    };
    trace.timings.guard += ms(clock);
    let mut guarded = guarded?;
    if !settings.deciding.checks {
        let (guarded, rows) = run(&**target, settings, guarded, *progress, trace).await?;
        return Ok(contender(sql, guarded, rows, Vec::new()));
    }

    let (stored, note) = (
        std::mem::take(&mut trace.values),
        std::mem::take(&mut trace.note),
    );
    // A follow-up asks what it says; what was asked before supports what stands in the SQL.
    let (asks, before) = match follow_up {
        Some(FollowUp {
            asked,
            previous,
            sql,
            ..
        }) => (
            asked,
            format!("{previous}\n{}", sql.as_deref().unwrap_or_default()),
        ),
        None => (*question, String::new()),
    };
    let told = format!("{note}\n{before}");
    let evidence = Evidence {
        question: asks.as_str(),
        note: &told,
        visible,
        stored: &stored,
    };
    let clock = Instant::now();
    let mut findings = checks::check(&guarded, &evidence);
    let mut corrections = Vec::new();
    while corrections.len() < MAX_REWRITES {
        let Some((why, better)) = first_rewrite(&findings, visible) else {
            break;
        };
        corrections.push(why);
        guarded = better;
        findings = checks::check(&guarded, &evidence);
    }
    trace.timings.guard += ms(clock);
    let ran = run_checked(asked, sight, guarded, &evidence, &mut corrections, trace).await;
    (trace.values, trace.note) = (stored, note);
    let (guarded, rows, after) = ran?;
    findings.extend(after);
    // What has a correction that the guard refused, or too many of them, is still suspicious.
    Ok(Contender {
        corrections,
        ..contender(sql, guarded, rows, findings)
    })
}

/// Runs a statement; if its rows show that something is wrong with it and how it may be put right, tries that, and keeps
/// it if it finds something.
async fn run_checked(
    asked: &Asked<'_>,
    sight: &Sight,
    guarded: GuardedSql,
    evidence: &Evidence<'_>,
    corrections: &mut Vec<String>,
    trace: &mut Trace,
) -> Result<(GuardedSql, ResultSet, Vec<Finding>), Error> {
    let Asked {
        settings, progress, ..
    } = asked;
    let (guarded, rows) = run(&*sight.target, settings, guarded, *progress, trace).await?;
    let findings = checks::check_result(&guarded, evidence, &rows);
    let Some((why, better)) = first_rewrite(&findings, &sight.visible) else {
        return Ok((guarded, rows, findings));
    };
    match run(&*sight.target, settings, better, *progress, trace).await {
        Ok((better, found)) if !checks::is_nothing(&found) => {
            corrections.push(why);
            let findings = checks::check_result(&better, evidence, &found);
            Ok((better, found, findings))
        }
        Ok(_) => Ok((guarded, rows, findings)),
        Err(fault) if is_its_own(&fault) => Ok((guarded, rows, findings)),
        Err(fault) => Err(fault),
    }
}

/// Returns the first correction that the guard accepts, and what it corrects.
fn first_rewrite(
    findings: &[Finding],
    visible: &Arc<VisibleSchema>,
) -> Option<(String, GuardedSql)> {
    findings.iter().find_map(|finding| {
        let better = guard(finding.rewrite.as_ref()?, visible).ok()?;
        Some((finding.message.clone(), better))
    })
}

fn contender(
    sql: &GeneratedSql,
    guarded: GuardedSql,
    rows: ResultSet,
    findings: Vec<Finding>,
) -> Contender {
    let words = |text: &str| -> Vec<String> {
        text.trim_end_matches(';')
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    Contender {
        corrected: words(guarded.text()) != words(sql.as_str().trim()),
        guarded,
        content: Content::of(&rows),
        rows,
        findings,
        corrections: Vec::new(),
        likelihood: None,
        drawn: 1,
        is_first: false,
    }
}

/// Guards what the model wrote, after correcting the slips that have one certain correction. A text that stays wrong is
/// refused as the model wrote it, so that the model is told of its own words.
fn guard_mended(sql: &GeneratedSql, visible: &Arc<VisibleSchema>) -> Result<GuardedSql, Error> {
    let mut guarded = guard(sql, visible);
    let mut attempt = sql.clone();
    for _ in 1..mend::MAX_MENDS {
        let Err(fault) = &guarded else { break };
        let Some(better) = mend::mend(&attempt, fault) else {
            break;
        };
        attempt = better;
        guarded = guard(&attempt, visible);
    }
    guarded.or_else(|_| guard(sql, visible))
}

pub(super) fn values_allowed(
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
