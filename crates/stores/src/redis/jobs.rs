use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::jobs::Job;
use engine::ports::{Delivery, JobId, JobProgress, JobRecord, JobStatus, Jobs, Standing};
use redis::Script;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use super::{Call, RedisServer, TIMEOUT, connect, down, milliseconds};

/// A queue that all replicas share: a stream with one group of consumers.
///
/// A worker takes a job with one script, which also looks for those whose worker fell silent, and waits for more on a
/// connection of its own. Waiting takes nothing, so who stops waiting loses nothing. Times are the server's.
pub struct RedisJobs {
    server: Arc<RedisServer>,
    scripts: Scripts,
    /// Connections on which nobody waits just now.
    idle: Mutex<Vec<MultiplexedConnection>>,
}

struct Scripts {
    enqueue: Script,
    enqueue_scheduled: Script,
    take: Script,
    keep: Script,
    finish: Script,
    give_back: Script,
    cancel: Script,
    one: Script,
    list: Script,
}

/// How long one read waits: so soon a server that went away is noticed, and a job whose worker fell silent since.
const MAX_READ: Duration = Duration::from_secs(2);
/// How long it is remembered that a job was added when it fell due: replicas whose clocks differ by less add it once.
const DUE_MEMORY: Duration = Duration::from_secs(2 * 86_400);

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("jobs/common.lua"),
            include_str!(concat!("jobs/", $name, ".lua"))
        ))
    };
}

impl RedisJobs {
    /// Queues jobs on this server.
    pub fn new(server: Arc<RedisServer>) -> Self {
        Self {
            server,
            scripts: Scripts {
                enqueue: script!("enqueue"),
                enqueue_scheduled: script!("enqueue_scheduled"),
                take: script!("take"),
                keep: script!("keep"),
                finish: script!("finish"),
                give_back: script!("give_back"),
                cancel: script!("cancel"),
                one: script!("one"),
                list: script!("list"),
            },
            idle: Mutex::default(),
        }
    }

    async fn call<T: redis::FromRedisValue + Send + Sync>(
        &self,
        script: &Script,
        arguments: &[&str],
    ) -> Result<T, Error> {
        self.server
            .script(&Call {
                script,
                keys: vec![&self.server.key("jobs", "")],
                arguments: arguments.iter().map(|text| text.as_bytes()).collect(),
            })
            .await
    }

    /// Waits until something was added to the stream after the entry `last`, or for this long.
    async fn wait_for_more(&self, last: &str, wait: Duration) -> Result<(), Error> {
        let pooled = self.idle().pop();
        let is_new = pooled.is_none();
        let mut connection = match pooled {
            Some(connection) => connection,
            None => connect(&self.server.client, Some(MAX_READ + TIMEOUT)).await?,
        };
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(1);
        read.arg("BLOCK").arg(milliseconds(wait));
        read.arg("STREAMS")
            .arg(self.server.key("jobs", "stream"))
            .arg(last);
        match read.query_async::<redis::Value>(&mut connection).await {
            Ok(_) => self.idle().push(connection),
            Err(fault) if is_new || fault.is_timeout() => return Err(down(fault)),
            // It was closed while nobody used it. What to do next shows when the queue is looked at again.
            Err(_) => {}
        }
        Ok(())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<MultiplexedConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Jobs for RedisJobs {
    async fn enqueue(&self, job: &Job) -> Result<JobId, Error> {
        let id = self.call(&self.scripts.enqueue, &[&written(job)?]).await?;
        Ok(JobId(id))
    }

    async fn enqueue_scheduled(
        &self,
        job: &Job,
        due: DateTime<Utc>,
    ) -> Result<Option<JobId>, Error> {
        let due = due.timestamp_millis().to_string();
        let memory = milliseconds(DUE_MEMORY).to_string();
        let arguments = [written(job)?, due, memory];
        let id: Option<String> = self
            .call(
                &self.scripts.enqueue_scheduled,
                &arguments.each_ref().map(String::as_str),
            )
            .await?;
        Ok(id.map(JobId))
    }

    async fn take(
        &self,
        worker: &str,
        lease: Duration,
        wait: Duration,
    ) -> Result<Option<Delivery>, Error> {
        let until = Instant::now() + wait;
        let lease = milliseconds(lease).to_string();
        loop {
            let reply: Vec<String> = self.call(&self.scripts.take, &[worker, &lease]).await?;
            match &reply[..] {
                [id, job, attempt] => {
                    let delivery = |job| Delivery {
                        id: JobId(id.clone()),
                        job,
                        attempt: attempt.parse().unwrap_or(1),
                        worker: worker.to_owned(),
                        receipt: attempt.clone(),
                    };
                    match serde_json::from_str(job) {
                        Ok(job) => return Ok(Some(delivery(job))),
                        Err(_) => {
                            let message = "this version of Assay does not know this kind of job";
                            let arguments = [id, attempt, worker, "failed", message];
                            let () = self.call(&self.scripts.finish, &arguments).await?;
                        }
                    }
                }
                [next_end, last] => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(None);
                    }
                    let next_end = Duration::from_millis(next_end.parse().map_err(down)?);
                    self.wait_for_more(last, left.min(next_end).min(MAX_READ))
                        .await?;
                }
                _ => return Err(down("an unknown reply")),
            }
        }
    }

    async fn keep(
        &self,
        delivery: &Delivery,
        progress: Option<&JobProgress>,
    ) -> Result<Standing, Error> {
        let progress = progress.map(written).transpose()?;
        let mut arguments = vec![&*delivery.id.0, &delivery.receipt, &delivery.worker];
        arguments.extend(progress.as_deref());
        let standing: String = self.call(&self.scripts.keep, &arguments).await?;
        Ok(match &*standing {
            "yours" => Standing::Yours,
            "cancelled" => Standing::Cancelled,
            _ => Standing::Lost,
        })
    }

    async fn finish(
        &self,
        delivery: &Delivery,
        outcome: Result<Option<String>, String>,
    ) -> Result<(), Error> {
        let (status, message) = match &outcome {
            Ok(message) => ("done", message.as_deref()),
            Err(message) => ("failed", Some(&**message)),
        };
        let mut arguments = vec![&*delivery.id.0, &delivery.receipt, &delivery.worker, status];
        arguments.extend(message);
        self.call(&self.scripts.finish, &arguments).await
    }

    async fn give_back(&self, delivery: &Delivery) -> Result<(), Error> {
        let arguments = [&*delivery.id.0, &delivery.receipt, &delivery.worker];
        self.call(&self.scripts.give_back, &arguments).await
    }

    async fn cancel(&self, id: &JobId) -> Result<bool, Error> {
        self.call(&self.scripts.cancel, &[&id.0]).await
    }

    async fn job(&self, id: &JobId) -> Result<Option<JobRecord>, Error> {
        let fields = self.call(&self.scripts.one, &[&id.0]).await?;
        Ok(read(id.0.clone(), &fields))
    }

    async fn jobs(&self, limit: usize) -> Result<Vec<JobRecord>, Error> {
        let found: Vec<(String, HashMap<String, String>)> =
            self.call(&self.scripts.list, &[&limit.to_string()]).await?;
        let records = found
            .into_iter()
            .filter_map(|(id, fields)| read(id, &fields));
        Ok(records.collect())
    }

    async fn ping(&self) -> Result<(), Error> {
        self.server.ping().await
    }
}

fn written(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(down)
}

/// Reads a record; `None` if there is none, or if it is of a kind that this version does not know.
fn read(id: String, fields: &HashMap<String, String>) -> Option<JobRecord> {
    let time = |name: &str| {
        let ms = fields.get(name)?.parse().ok()?;
        DateTime::from_timestamp_millis(ms)
    };
    Some(JobRecord {
        id: JobId(id),
        job: serde_json::from_str(fields.get("job")?).ok()?,
        status: match &**fields.get("status")? {
            "queued" => JobStatus::Queued,
            "running" => JobStatus::Running,
            "done" => JobStatus::Done,
            "failed" => JobStatus::Failed,
            _ => JobStatus::Cancelled,
        },
        attempts: fields.get("attempts")?.parse().ok()?,
        worker: fields.get("worker").cloned(),
        progress: fields
            .get("progress")
            .and_then(|progress| serde_json::from_str(progress).ok()),
        message: fields.get("message").cloned(),
        enqueued_at: time("enqueued_at")?,
        started_at: time("started_at"),
        finished_at: time("finished_at"),
    })
}
