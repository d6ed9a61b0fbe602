//! SQL that no model wrote just now: the actor's own, or that of an answer of theirs, through the same guard, fences and
//! records as a generated one.

use std::time::Instant;

use futures::future::{AbortRegistration, Abortable};

use super::{AskSettings, Found, Sight, Trace, begin, cancelled, finish, look, ms, nothing, run};
use crate::accounts::Actor;
use crate::error::{Code, Error};
use crate::guard::guard;
use crate::history::AnsweredQuery;
use crate::policy::Role;
use crate::ports::{AskPorts, Begun};
use crate::prompt::GeneratedSql;
use crate::question::Outcome;

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
    let may_run = match actor.role {
        Role::Viewer => Err(Error::new(
            Code::RoleTooLow,
            "running SQL of one's own takes the role analyst",
        )),
        Role::Analyst | Role::Admin => Ok(()),
    };
    run_recorded(ports, settings, actor, sql, may_run, cancel).await
}

/// Runs the SQL of a question of the actor's own again, on the data as they are now and as far as they may still see them.
///
/// # Errors
///
/// Whatever broke. Refusals are [`Outcome::Refused`].
pub async fn run_again(
    ports: &AskPorts,
    settings: &AskSettings,
    actor: &Actor,
    query: &AnsweredQuery,
    cancel: AbortRegistration,
) -> Result<Outcome, Error> {
    let sql = GeneratedSql::new(query.sql.as_str());
    run_recorded(ports, settings, actor, &sql, Ok(()), cancel).await
}

async fn run_recorded(
    ports: &AskPorts,
    settings: &AskSettings,
    actor: &Actor,
    sql: &GeneratedSql,
    may_run: Result<(), Error>,
    cancel: AbortRegistration,
) -> Result<Outcome, Error> {
    let started = Instant::now();
    let Begun { id, situation, .. } = begin(ports, settings, actor, None, Err(sql)).await?;
    let mut trace = Trace::default();
    let work = async {
        may_run?;
        let Sight { target, visible } = look(ports, &situation, &mut trace).await?;
        trace.sql = Some(sql.as_str().to_owned());
        let clock = Instant::now();
        let guarded = guard(sql, &visible);
        trace.timings.guard += ms(clock);
        let (guarded, rows) = run(&*target, settings, guarded?, &(), &mut trace).await?;
        let found = Found {
            guarded,
            rows,
            target,
        };
        trace.no_rows = nothing::why(&found, settings, &()).await;
        Ok(found)
    };
    let result = Abortable::new(work, cancel)
        .await
        .unwrap_or_else(|_| Err(cancelled()));
    finish(ports, actor, id, "", started, trace, result).await
}
