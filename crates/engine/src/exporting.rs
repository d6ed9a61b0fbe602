//! The rows of an answer as a file: the SQL of the question runs again, on the copy that is in service and under what the
//! actor may see now, and its rows are handed over one by one.
//!
//! Invariant: no byte leaves before the export is recorded, and none of an export that failed.

use std::sync::Arc;

use serde_json::json;

use crate::accounts::Actor;
use crate::audit::AuditEntry;
use crate::error::Error;
use crate::guard::guard;
use crate::history::AnsweredQuery;
use crate::ports::{Ports, QueryLimits, RowSink, RowsTaken};
use crate::prompt::GeneratedSql;
use crate::question::Provenance;
use crate::result::{ResultColumn, Value};

/// What an export held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// What was handed over.
    pub taken: RowsTaken,
    /// Where the data came from.
    pub provenance: Provenance,
}

/// Runs the SQL of a question for `sink` to write. `sink` gets the columns with their types if `needs_types`: the
/// statement then runs twice, because a column of SQLite has the types of its values.
///
/// # Errors
///
/// Those of the guard, of [`crate::ports::TargetGeneration::each_row`], and of recording it; recorded, too.
pub async fn export(
    ports: &Ports,
    limits: &QueryLimits,
    actor: &Actor,
    query: &AnsweredQuery,
    format: &'static str,
    needs_types: bool,
    sink: impl FnOnce(Option<&[ResultColumn]>) -> Result<Box<dyn RowSink>, Error> + Send,
) -> Result<Exported, Error> {
    let exported = rows(ports, limits, actor, query, needs_types, sink).await;
    let changes = match &exported {
        Ok(exported) => json!({
            "format": format,
            "rows": exported.taken.rows,
            "truncated": exported.taken.truncated,
            "target_fingerprint": exported.provenance.fingerprint,
        }),
        Err(error) => json!({ "format": format, "error": error.code().as_str() }),
    };
    let audit = AuditEntry::new(
        ports.clock.now(),
        Some(actor.user_id),
        "query_exported",
        "query",
        changes,
    );
    ports.store.record(&audit.about(query.id)).await?;
    exported
}

async fn rows(
    ports: &Ports,
    limits: &QueryLimits,
    actor: &Actor,
    query: &AnsweredQuery,
    needs_types: bool,
    sink: impl FnOnce(Option<&[ResultColumn]>) -> Result<Box<dyn RowSink>, Error> + Send,
) -> Result<Exported, Error> {
    let visibility = ports.asking.store.visibility(actor.role).await?;
    // One generation of the copy from beginning to end: both runs read the same.
    let target = ports.asking.target.current().await?;
    let visible = ports.asking.known.visible(target.schema(), &visibility);
    let guarded = guard(
        &GeneratedSql::new(query.sql.as_str()),
        &Arc::clone(&visible),
    )?;
    let columns = if needs_types {
        let typed = target.each_row(&guarded, limits, Box::new(Nowhere)).await?;
        Some(typed.columns)
    } else {
        None
    };
    let sink = sink(columns.as_deref())?;
    let taken = target.each_row(&guarded, limits, sink).await?;
    Ok(Exported {
        taken,
        provenance: target.provenance(),
    })
}

/// Rows that only their types are wanted of.
struct Nowhere;

impl RowSink for Nowhere {
    fn begin(&mut self, _: &[String]) -> std::io::Result<()> {
        Ok(())
    }

    fn row(&mut self, _: &[Value]) -> std::io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
