//! Where backups of the system store go, how many are kept and when they are made.

use std::path::PathBuf;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;

use super::env_vars::EnvVars;
use super::faults::{Faults, given, given_path};

/// At one o'clock at night, UTC.
const NIGHTLY: &str = "0 1 * * *";

/// Backups of the system store.
#[derive(Debug, Clone)]
pub struct BackupSettings {
    /// The folder they are kept in.
    pub folder: PathBuf,
    /// How many are kept.
    pub keep: usize,
    /// When a running server makes one.
    pub schedule: BackupSchedule,
}

/// When a running server makes backups.
#[derive(Debug, Clone)]
pub enum BackupSchedule {
    /// Never; someone else runs `assay backup create`.
    Off,
    /// At the times of this pattern, in UTC.
    Cron(Box<Cron>),
}

impl BackupSchedule {
    /// Says whether a backup should be made now: there is none yet, or one of the pattern's times has passed since the
    /// newest one. So a time that passed while nothing ran is made up for.
    pub fn is_due(&self, newest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
        match (self, newest) {
            (BackupSchedule::Off, _) => false,
            (BackupSchedule::Cron(_), None) => true,
            (BackupSchedule::Cron(cron), Some(newest)) => cron
                .find_next_occurrence(&newest, false)
                .is_ok_and(|next| next <= now),
        }
    }
}

/// Reads the settings; `None` when no folder is set.
pub(super) fn read(vars: &EnvVars, faults: &mut Faults) -> Option<BackupSettings> {
    let keep = faults.number(
        "BACKUP_RETENTION_COUNT",
        vars.backup_retention_count.as_ref(),
        30,
        1..=10_000,
    );
    let text = given(vars.backup_schedule.as_ref()).unwrap_or(NIGHTLY);
    let schedule = match text.to_ascii_lowercase().as_str() {
        "off" => BackupSchedule::Off,
        _ => {
            match Cron::from_str(text) {
                Ok(cron) => BackupSchedule::Cron(Box::new(cron)),
                Err(fault) => {
                    faults.add(
                    "BACKUP_SCHEDULE",
                    format!("`{text}` is neither `off` nor a cron pattern such as `{NIGHTLY}`: {fault}"),
                );
                    BackupSchedule::Off
                }
            }
        }
    };
    Some(BackupSettings {
        folder: given_path(vars.backup_dir.as_ref())?,
        keep: usize::try_from(keep).unwrap_or(30),
        schedule,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_folder_alone_means_nightly_and_thirty() {
        let mut vars = EnvVars::default();
        let mut faults = Faults::default();
        assert!(read(&vars, &mut faults).is_none());
        vars.backup_dir = Some("/backups".into());
        let settings = read(&vars, &mut faults).unwrap();
        assert_eq!(settings.keep, 30);
        let schedule = settings.schedule;
        let now = at("2026-11-22T12:00:00Z");
        assert!(schedule.is_due(None, now));
        assert!(schedule.is_due(Some(at("2026-11-22T00:59:00Z")), now));
        assert!(schedule.is_due(Some(at("2026-11-01T00:00:00Z")), now));
        assert!(!schedule.is_due(Some(at("2026-11-22T01:00:03Z")), now));
        assert!(faults.0.is_empty());
    }

    #[test]
    fn a_pattern_may_be_given_or_switched_off() {
        let schedule = |text: &str| {
            let mut faults = Faults::default();
            let vars = EnvVars {
                backup_dir: Some("/backups".into()),
                backup_schedule: Some(text.into()),
                ..EnvVars::default()
            };
            let schedule = read(&vars, &mut faults).unwrap().schedule;
            (schedule, faults.0.len())
        };
        let now = at("2026-11-22T12:00:00Z");
        let newest = Some(at("2026-11-22T11:58:00Z"));
        assert!(schedule("*/5 * * * *").0.is_due(newest, now));
        assert!(!schedule("0 3 * * *").0.is_due(newest, now));
        assert!(!schedule("off").0.is_due(None, now));
        assert_eq!(schedule("every night").1, 1);
    }
}
