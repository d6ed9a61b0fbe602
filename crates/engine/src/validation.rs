//! Looks at SQL as the guard would, without running it.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::Actor;
use crate::audit::AuditEntry;
use crate::error::Error;
use crate::guard::guard;
use crate::policy::VisibleSchema;
use crate::ports::Ports;
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
    let visibility = ports.asking.store.visibility(actor.role).await?;
    let target = ports.asking.target.current().await?;
    let visible = VisibleSchema::new(target.schema(), &visibility);
    let guarded = guard(sql, &visible);
    let changes = json!({
        "sql": sql.as_str(),
        "error": guarded.as_ref().err().map(|error| error.code().as_str()),
    });
    let now = ports.clock.now();
    let audit = AuditEntry::new(now, Some(actor.user_id), "sql_validated", "query", changes);
    ports.store.record(&audit).await?;
    let guarded = guarded?;
    Ok(Validated {
        sql: guarded.text().to_owned(),
        tables: guarded.tables().to_vec(),
        visible_schema_hash: visible.hash().to_owned(),
    })
}
