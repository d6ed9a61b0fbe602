//! What is done without anybody asking: adds jobs when they fall due. However many processes look at the schedule, a job
//! is added once.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use croner::Cron;
use engine::Error;
use engine::jobs::{Job, JobPorts};
use engine::ports::{JobStatus, Jobs, Ports};
use tokio::time::MissedTickBehavior;

use crate::config::BackupSchedule;

/// How often the schedule is looked at.
const EVERY: Duration = Duration::from_secs(30);
/// A backup that is due is begun once within each of these, so one that failed is tried again in the next.
const BACKUP_SLOT: TimeDelta = TimeDelta::minutes(15);
/// Jobs of every day, at times (UTC) when little else happens.
const DAILY: [(Job, &str); 3] = [
    (Job::Purge, "17 2 * * *"),
    (Job::Retention, "37 2 * * *"),
    (Job::Reverify, "57 2 * * *"),
];
/// Jobs that are looked through for a backup that is on its way.
const RECENT: usize = 100;

/// Adds what falls due, for as long as the process runs.
pub struct Schedule {
    ports: Ports,
    work: JobPorts,
    backups: BackupSchedule,
    daily: Vec<(Job, Cron)>,
    /// The newest data that were seen, by their time.
    data_as_of: Option<String>,
}

impl Schedule {
    /// Makes a schedule of the jobs that this installation has.
    pub fn new(ports: Ports, work: JobPorts, backups: BackupSchedule) -> Self {
        let daily = DAILY
            .into_iter()
            .filter(|(job, _)| work.check(job).is_ok())
            .filter_map(|(job, pattern)| Some((job, Cron::from_str(pattern).ok()?)));
        Self {
            daily: daily.collect(),
            ports,
            work,
            backups,
            data_as_of: None,
        }
    }

    /// Looks again and again. What fell due while nothing ran is made up for.
    pub async fn run(mut self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            every.tick().await;
            let looked = self.look(self.ports.clock.now()).await;
            if let Err(error) = &looked
                && !is_failing
            {
                tracing::error!(
                    code = error.code().as_str(),
                    cause = error.cause().unwrap_or_default(),
                    "what is due cannot be told: {error}"
                );
            }
            is_failing = looked.is_err();
        }
    }

    async fn look(&mut self, now: DateTime<Utc>) -> Result<(), Error> {
        for (job, cron) in &self.daily {
            if let Ok(due) = cron.find_previous_occurrence(&now, true) {
                self.add(job, due).await?;
            }
        }
        self.reverify_new_data().await?;
        self.back_up(now).await
    }

    async fn add(&self, job: &Job, due: DateTime<Utc>) -> Result<(), Error> {
        if let Some(id) = self.ports.jobs.enqueue_scheduled(job, due).await? {
            tracing::info!(job = job.kind(), job.id = id.0, "a job fell due");
        }
        Ok(())
    }

    async fn back_up(&self, now: DateTime<Utc>) -> Result<(), Error> {
        let Some(backups) = &self.work.backups else {
            return Ok(());
        };
        let newest = backups.list().await?.into_iter().next();
        let is_due = self
            .backups
            .is_due(newest.map(|backup| backup.created_at), now);
        if !is_due || is_on_its_way(&self.ports.jobs, &Job::Backup).await? {
            return Ok(());
        }
        let slot = now.duration_trunc(BACKUP_SLOT).unwrap_or(now);
        self.add(&Job::Backup, slot).await
    }

    /// Verified queries are run again on new data. Every replica sees them by and by; their time is the same on all.
    async fn reverify_new_data(&mut self) -> Result<(), Error> {
        if self.work.check(&Job::Reverify).is_err() {
            return Ok(());
        }
        // Without data there is nothing to run on; that is not this schedule's to report.
        let Ok(generation) = self.ports.asking.target.current().await else {
            return Ok(());
        };
        let as_of = generation.provenance().data_as_of;
        let seen = self.data_as_of.replace(as_of.clone());
        if seen.is_some_and(|seen| seen != as_of)
            && let Ok(due) = as_of.parse()
        {
            self.add(&Job::Reverify, due).await?;
        }
        Ok(())
    }
}

async fn is_on_its_way(jobs: &Arc<dyn Jobs>, job: &Job) -> Result<bool, Error> {
    let recent = jobs.jobs(RECENT).await?;
    Ok(recent.iter().any(|record| {
        record.job == *job && matches!(record.status, JobStatus::Queued | JobStatus::Running)
    }))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use engine::backups::{Backup, Backups, VerifiedBackup};
    use engine::ports::{Clock, JobId, SystemStore};
    use stores::memory::MemoryJobs;

    use super::*;
    use crate::config::{EnvVars, Settings};
    use crate::wire::{self, SystemClock};

    /// A folder with one backup, made at this time, or with none.
    struct Folder(Option<DateTime<Utc>>);

    #[async_trait]
    impl Backups for Folder {
        async fn list(&self) -> Result<Vec<Backup>, Error> {
            let backups = self.0.iter().map(|created_at| Backup {
                name: "one".into(),
                created_at: *created_at,
                store: "sqlite".into(),
                size_bytes: 1,
                hash: String::new(),
                schema_version: String::new(),
                row_counts: Default::default(),
                last_seal: None,
            });
            Ok(backups.collect())
        }

        async fn create(&self, _: DateTime<Utc>) -> Result<Backup, Error> {
            unreachable!("a schedule only adds jobs")
        }

        async fn retain(&self) -> Result<(), Error> {
            unreachable!("a schedule only adds jobs")
        }

        async fn verify(
            &self,
            _: &str,
            _: &[engine::audit::SealingKey],
        ) -> Result<VerifiedBackup, Error> {
            unreachable!("a schedule only adds jobs")
        }

        async fn restore(&self, _: &str, _: bool) -> Result<Backup, Error> {
            unreachable!("a schedule only adds jobs")
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Schedules of several replicas that share a queue.
    fn replicas(count: usize, newest: Option<&str>) -> (Vec<Schedule>, Arc<MemoryJobs>) {
        let vars = EnvVars {
            data_dir: Some("/nowhere".into()),
            backup_dir: Some("/nowhere".into()),
            ..EnvVars::default()
        };
        let settings = Settings::read(&vars, None).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let jobs = Arc::new(MemoryJobs::new("here", clock));
        let store: Arc<dyn SystemStore> = wire::store_in_memory().unwrap();
        let schedules = (0..count).map(|_| {
            let app = wire::app(&settings, store.clone(), wire::no_generator(), None).unwrap();
            let ports = Ports {
                jobs: jobs.clone(),
                ..app.ports
            };
            let work = JobPorts {
                backups: Some(Arc::new(Folder(newest.map(at)))),
                ..app.work
            };
            let backups = settings.backups.as_ref().unwrap().schedule.clone();
            Schedule::new(ports, work, backups)
        });
        (schedules.collect(), jobs)
    }

    async fn look_all(schedules: &mut [Schedule], now: &str) {
        for schedule in schedules {
            schedule.look(at(now)).await.unwrap();
        }
    }

    /// Ends all that waits and returns of what kinds it was.
    async fn do_all(jobs: &MemoryJobs) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        while let Some(next) = jobs.take("ada", EVERY, Duration::ZERO).await.unwrap() {
            kinds.push(next.job.kind());
            jobs.finish(&next, Err("it failed".into())).await.unwrap();
        }
        kinds
    }

    #[tokio::test]
    async fn what_falls_due_each_day_is_added_once_for_all_replicas() {
        let newest = Some("2026-11-22T01:00:05Z");
        let (mut schedules, jobs) = replicas(5, newest);
        look_all(&mut schedules, "2026-11-22T12:00:00Z").await;
        assert_eq!(do_all(&jobs).await, ["purge", "retention"]);
        look_all(&mut schedules, "2026-11-22T23:00:00Z").await;
        assert_eq!(do_all(&jobs).await, [""; 0]);
        let (mut tomorrow, _) = replicas(1, Some("2026-11-23T01:00:05Z"));
        tomorrow[0].ports.jobs = jobs.clone();
        look_all(&mut tomorrow, "2026-11-23T02:20:00Z").await;
        assert_eq!(do_all(&jobs).await, ["purge"]);
    }

    #[tokio::test]
    async fn a_backup_that_failed_is_tried_again_a_quarter_of_an_hour_later() {
        let (mut schedules, jobs) = replicas(3, Some("2026-11-21T01:00:05Z"));
        let due = |kinds: Vec<&str>| kinds.contains(&"backup");
        look_all(&mut schedules, "2026-11-22T01:00:10Z").await;
        look_all(&mut schedules, "2026-11-22T01:00:40Z").await;
        assert!(due(do_all(&jobs).await));
        look_all(&mut schedules, "2026-11-22T01:14:59Z").await;
        assert!(!due(do_all(&jobs).await));
        look_all(&mut schedules, "2026-11-22T01:15:10Z").await;
        assert!(due(do_all(&jobs).await));
    }

    #[tokio::test]
    async fn a_backup_that_takes_long_is_not_begun_twice() {
        let (mut schedules, jobs) = replicas(1, None);
        look_all(&mut schedules, "2026-11-22T01:00:10Z").await;
        let backup = async || {
            let listed = jobs.jobs(10).await.unwrap();
            let backups = listed.into_iter().filter(|job| job.job == Job::Backup);
            backups.map(|job| job.id).collect::<Vec<JobId>>()
        };
        let added = backup().await;
        assert_eq!(added.len(), 1);
        look_all(&mut schedules, "2026-11-22T01:20:10Z").await;
        assert_eq!(backup().await, added);
    }
}
