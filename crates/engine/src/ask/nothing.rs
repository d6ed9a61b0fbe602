//! Looks into an answer that has no rows, on the same copy and within the same fences.

use std::time::Duration;

use super::{AskSettings, Found};
use crate::guard::GuardedSql;
use crate::ports::{Progress, QueryLimits, Step};
use crate::triage::{self, NoRows};

/// What one look may take. It is a courtesy: nobody waits long for the reason of nothing.
const AT_MOST: Duration = Duration::from_secs(1);

/// Returns why there are no rows, as far as that can be told quickly.
pub(super) async fn why(
    found: &Found,
    settings: &AskSettings,
    progress: &dyn Progress,
) -> Option<NoRows> {
    let probes = triage::probes(&found.guarded, &found.rows)?;
    progress.step(Step::Checking);
    let limits = QueryLimits {
        timeout: settings.query.timeout.min(AT_MOST),
        max_rows: 1,
        ..settings.query
    };
    let has_rows = async |sql: &GuardedSql| {
        let rows = found.target.query(sql, &limits).await.ok()?;
        Some(!rows.rows.is_empty())
    };
    let any = has_rows(&probes.anything).await?;
    let mut fulfilled = Vec::new();
    if any {
        for condition in &probes.conditions {
            fulfilled.push(has_rows(&condition.sql).await?);
        }
    }
    probes.reason(any, &fulfilled)
}
