//! Sees whether the SQL of a verified query runs on the copy in service. Its rows go nowhere.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::CheckedQuery;
use crate::audit::AuditEntry;
use crate::error::{Code, Error, Kind};
use crate::guard::guard;
use crate::jobs::{Job, JobWork, OnJobProgress};
use crate::policy::{Role, Visibility, VisibleSchema};
use crate::ports::{Ports, QueryLimits, TargetGeneration};
use crate::prompt::GeneratedSql;

/// Rows after which SQL is known to run.
const MAX_ROWS: usize = 1_000;

/// What came of running every approved query again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reverified {
    /// Queries that were run.
    pub checked: u32,
    /// Queries of those that no longer run, and so serve nobody until they do.
    pub failing: u32,
}

/// [`verify_all`] as work in the background.
pub struct ReverifyWork(pub Ports);

#[async_trait]
impl JobWork for ReverifyWork {
    async fn run(&self, _: &Job, _: &dyn OnJobProgress) -> Result<Option<String>, Error> {
        let Reverified { checked, failing } = verify_all(&self.0).await?;
        Ok(Some(format!("{checked} checked, {failing} no longer run")))
    }
}

/// Runs every approved query again on the copy in service and notes which no longer run. May be repeated at any time.
///
/// # Errors
///
/// [`Code::SystemStoreDown`]; [`Code::TargetDisabled`] and [`Code::TargetDatabaseDown`], which say nothing about the
/// queries, so that nothing is noted then.
pub async fn verify_all(ports: &Ports) -> Result<Reverified, Error> {
    let approved = ports.store.approved_queries().await?;
    if approved.is_empty() {
        return Ok(Reverified::default());
    }
    let target = ports.asking.target.current().await?;
    // What single people may not see is looked at when they ask; here nobody sees anything.
    let visible = VisibleSchema::new(target.schema(), &Visibility::everything());
    let mut checked = Vec::new();
    for query in approved {
        let error = match run(&*target, &visible, &query.sql).await {
            Ok(()) => None,
            Err(fault) if is_about_the_sql(&fault) => {
                Some(format!("{}: {}", fault.code(), fault.message()))
            }
            Err(fault) => return Err(fault),
        };
        checked.push(CheckedQuery {
            id: query.id,
            error,
        });
    }
    let failing: Vec<i64> = checked
        .iter()
        .filter(|query| query.error.is_some())
        .map(|query| query.id)
        .collect();
    let outcome = Reverified {
        checked: u32::try_from(checked.len()).unwrap_or(u32::MAX),
        failing: u32::try_from(failing.len()).unwrap_or(u32::MAX),
    };
    let changes = json!({
        "checked": outcome.checked,
        "failing": failing,
        "target_fingerprint": target.provenance().fingerprint,
    });
    let now = ports.clock.now();
    let audit = AuditEntry::new(
        now,
        None,
        "verified_queries_checked",
        "verified_query",
        changes,
    );
    ports.store.note_checks(&checked, &audit).await?;
    Ok(outcome)
}

/// Runs SQL as it would run for someone of this role.
pub(super) async fn try_out(ports: &Ports, role: Role, sql: &str) -> Result<(), Error> {
    let visibility = ports.asking.store.visibility(role).await?;
    let target = ports.asking.target.current().await?;
    let visible = VisibleSchema::new(target.schema(), &visibility);
    run(&*target, &visible, sql).await
}

async fn run(
    target: &dyn TargetGeneration,
    visible: &Arc<VisibleSchema>,
    sql: &str,
) -> Result<(), Error> {
    let guarded = guard(&GeneratedSql::new(sql.to_owned()), visible)?;
    let limits = QueryLimits {
        max_rows: MAX_ROWS,
        ..QueryLimits::default()
    };
    target.query(&guarded, &limits).await.map(drop)
}

fn is_about_the_sql(fault: &Error) -> bool {
    matches!(fault.code().kind(), Kind::Refused | Kind::Invalid)
        || fault.code() == Code::TargetQueryTimeout
}
