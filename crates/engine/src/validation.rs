//! Looks at SQL as the guard would, and at how the database would run it, without running it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::Actor;
use crate::audit::AuditEntry;
use crate::error::Error;
use crate::guard::{GuardedSql, guard};
use crate::ports::{PlanStep, Ports, QueryLimits, TargetGeneration};
use crate::prompt::GeneratedSql;

/// SQL that the guard would let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Validated {
    /// The text that would run; rewritten where hidden columns could matter.
    pub sql: String,
    /// The tables and views that it reads.
    pub tables: Vec<String>,
    /// The hash of what the actor may name.
    pub visible_schema_hash: String,
}

/// SQL that the guard would let through, and how the database would run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explained {
    #[serde(flatten)]
    pub validated: Validated,
    /// The database's plan.
    pub plan: Vec<PlanStep>,
}

/// Returns what would run, or the refusal. Recorded either way, like SQL that runs.
///
/// # Errors
///
/// As [`guard`]; [`crate::Code::TargetDisabled`], [`crate::Code::TargetDatabaseDown`].
pub async fn validate(
    ports: &Ports,
    actor: &Actor,
    sql: &GeneratedSql,
) -> Result<Validated, Error> {
    let (_, guarded) = look(ports, actor, sql).await?;
    record(ports, actor, "sql_validated", sql, guarded.as_ref().err()).await?;
    guarded.map(|guarded| validated(&guarded))
}

/// Returns what would run and how the database would run it, or the refusal. Recorded either way, like SQL that runs.
///
/// # Errors
///
/// As [`validate`], and as [`TargetGeneration::explain`].
pub async fn explain(
    ports: &Ports,
    limits: &QueryLimits,
    actor: &Actor,
    sql: &GeneratedSql,
) -> Result<Explained, Error> {
    let (target, guarded) = look(ports, actor, sql).await?;
    let explained = match guarded {
        Ok(guarded) => target
            .explain(&guarded, limits)
            .await
            .map(|plan| Explained {
                validated: validated(&guarded),
                plan,
            }),
        Err(error) => Err(error),
    };
    record(ports, actor, "sql_explained", sql, explained.as_ref().err()).await?;
    explained
}

/// Guards the SQL under what the actor may see.
async fn look(
    ports: &Ports,
    actor: &Actor,
    sql: &GeneratedSql,
) -> Result<(Arc<dyn TargetGeneration>, Result<GuardedSql, Error>), Error> {
    let visibility = ports.asking.store.visibility(actor.role).await?;
    let target = ports.asking.target.current().await?;
    let visible = ports.asking.known.visible(target.schema(), &visibility);
    let guarded = guard(sql, &visible);
    Ok((target, guarded))
}

fn validated(guarded: &GuardedSql) -> Validated {
    Validated {
        sql: guarded.text().to_owned(),
        tables: guarded.tables().to_vec(),
        visible_schema_hash: guarded.visible().hash().to_owned(),
    }
}

async fn record(
    ports: &Ports,
    actor: &Actor,
    action: &'static str,
    sql: &GeneratedSql,
    error: Option<&Error>,
) -> Result<(), Error> {
    let changes = json!({
        "sql": sql.as_str(),
        "error": error.map(|error| error.code().as_str()),
    });
    let audit = AuditEntry::new(
        ports.clock.now(),
        Some(actor.user_id),
        action,
        "query",
        changes,
    );
    ports.store.record(&audit).await
}
