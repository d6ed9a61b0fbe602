//! Backups that a running server makes by itself.

use std::sync::Arc;
use std::time::Duration;

use engine::Error;
use engine::backups::{self, Backups};
use engine::ports::Ports;

use crate::config::BackupSchedule;
use crate::http::metrics;

/// How often the schedule is looked at.
const EVERY: Duration = Duration::from_secs(30);
/// How long to wait after a backup that failed: what is wrong is hardly mended at once.
const AFTER_FAILURE: Duration = Duration::from_secs(15 * 60);

/// Makes a backup whenever one is due, for as long as the server runs. Replicas that share the folder see each other's,
/// so one of them makes it.
pub async fn run(backups: Arc<dyn Backups>, schedule: BackupSchedule, ports: Ports) {
    loop {
        let pause = match back_up_if_due(&*backups, &schedule, &ports).await {
            Ok(()) => EVERY,
            Err(error) => {
                metrics::backup(false);
                tracing::error!(
                    code = error.code().as_str(),
                    cause = error.cause().unwrap_or_default(),
                    "the scheduled backup failed: {error}"
                );
                AFTER_FAILURE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn back_up_if_due(
    backups: &dyn Backups,
    schedule: &BackupSchedule,
    ports: &Ports,
) -> Result<(), Error> {
    let newest = backups.list().await?.into_iter().next();
    let now = ports.clock.now();
    if !schedule.is_due(newest.map(|backup| backup.created_at), now) {
        return Ok(());
    }
    let made = backups::create(backups, &*ports.store, now, None).await?;
    metrics::backup(true);
    tracing::info!(
        backup.name = made.name,
        backup.size_bytes = made.size_bytes,
        "made the scheduled backup"
    );
    Ok(())
}
