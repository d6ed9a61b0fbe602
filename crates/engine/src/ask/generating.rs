//! SQL from the model: written, mended, guarded, run, and written again with what was wrong.

use std::sync::Arc;
use std::time::Instant;

use super::{AskSettings, Asked, Found, PromptStyle, Sight, Trace, ms, run};
use crate::error::{Code, Error};
use crate::guard::{GuardedSql, guard};
use crate::mend;
use crate::policy::VisibleSchema;
use crate::ports::{Generator, Step};
use crate::prompt::{self, GeneratedSql, Prompt, SendValues};
use crate::result::ResultSet;

/// Generates until something passes the guard and runs, or no repair is left.
pub(super) async fn generate(
    asked: &Asked<'_>,
    sight: Sight,
    first: &Prompt,
    trace: &mut Trace,
) -> Result<Found, Error> {
    let Asked {
        settings, progress, ..
    } = asked;
    let mut next: Option<Prompt> = None;
    loop {
        progress.step(Step::Generating);
        let prompt = next.as_ref().unwrap_or(first);
        let fault = match attempt(asked, &sight, prompt, trace).await {
            Ok((guarded, rows)) => {
                return Ok(Found {
                    guarded,
                    rows,
                    target: sight.target,
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
        next = Some(match trace.repairs {
            1 => prompt::repair(first, trace.sql.as_deref(), &fault),
            _ => prompt::ask_anew(first, &fault),
        });
    }
}

/// One generation, guarded and run.
async fn attempt(
    asked: &Asked<'_>,
    sight: &Sight,
    prompt: &Prompt,
    trace: &mut Trace,
) -> Result<(GuardedSql, ResultSet), Error> {
    let Asked {
        ports,
        settings,
        progress,
        ..
    } = asked;
    let Sight { target, visible } = sight;
    let clock = Instant::now();
    trace.prompt_hash = prompt.hash();
    let generation = ports.generator.generate(prompt, &settings.generation).await;
    trace.timings.generate += ms(clock);
    let generation = generation?;
    trace.tokens += generation.tokens;
    trace.sql = None;
    let sql = GeneratedSql::from_reply(&generation.text)?;
    trace.sql = Some(sql.as_str().to_owned());

    progress.step(Step::Checking);
    let clock = Instant::now();
    let guarded = match settings.style {
        PromptStyle::Standard => guard_mended(&sql, visible),
        PromptStyle::Plain => guard(&sql, visible),
    };
    trace.timings.guard += ms(clock);
    run(&**target, settings, guarded?, *progress, trace).await
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
