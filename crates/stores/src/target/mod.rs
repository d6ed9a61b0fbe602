//! The target database behind its fences. Opens working copies read-only and answers one guarded SELECT at a time;
//! never writes, never shows what a [`VisibleSchema`] hides, never runs beyond a deadline. Each fence and what it
//! stops alone is in docs/fences.md.

pub mod read_schema;
pub mod values;

mod authorizer;
mod connection;
mod echo;
mod faults;
mod functions;
mod plan;
mod program;
mod rows;
mod temporary_files;
mod watch;
mod words;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use engine::guard::GuardedSql;
use engine::policy::VisibleSchema;
use engine::ports::{
    FoundValues, PlanStep, QueryLimits, RowSink, RowsTaken, TargetGeneration, ValueIndexState,
};
use engine::question::Provenance;
use engine::result::ResultSet;
use engine::schema::Schema;
use engine::{Code, Error};
use tokio::sync::Semaphore;

use connection::FencedConnection;
use values::ValueIndex;
use watch::Watch;

/// Says where the data of a generation came from, asked anew for each answer because the original may change.
pub type ProvenanceOf = Box<dyn Fn() -> Provenance + Send + Sync>;

/// One working copy, a file that nobody changes any more, read through a few fenced connections.
pub struct SqliteGeneration {
    schema: Arc<Schema>,
    provenance: ProvenanceOf,
    fingerprint: String,
    pool: Arc<Pool>,
    values: Option<ValueIndex>,
}

impl SqliteGeneration {
    /// Takes the working copy at `path`, whose schema has been read. Nothing is opened until the first question.
    pub fn new(path: PathBuf, schema: Arc<Schema>, provenance: ProvenanceOf) -> Self {
        Self {
            schema,
            fingerprint: provenance().fingerprint,
            provenance,
            pool: Arc::new(Pool::new(path)),
            values: None,
        }
    }

    /// Adds the index in which words of questions are looked up.
    #[must_use]
    pub fn with_values(self, values: ValueIndex) -> Self {
        Self {
            values: Some(values),
            ..self
        }
    }

    /// Runs `text` under the engine's fences. Outside tests the text is a guarded one.
    async fn run(
        &self,
        text: String,
        visible: Arc<VisibleSchema>,
        limits: QueryLimits,
    ) -> Result<ResultSet, Error> {
        let job = move |connection: &mut FencedConnection, watch: &Arc<Watch>| {
            connection.query(&text, &visible, &limits, watch)
        };
        self.work(limits, job).await
    }

    /// Does `job` on a connection and off the threads that serve requests, until the deadline or until nobody waits.
    async fn work<T: Send + 'static>(
        &self,
        limits: QueryLimits,
        job: impl FnOnce(&mut FencedConnection, &Arc<Watch>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        // A time-out too large for the clock is as good as none; a day stands for it.
        let deadline = Instant::now()
            .checked_add(limits.timeout)
            .unwrap_or_else(|| Instant::now() + std::time::Duration::from_secs(86_400));
        let watch = Arc::new(Watch::until(deadline));
        // Dropped with this future, at the deadline or by whoever gave the question up.
        let _stop = watch.stop_when_dropped();
        let pool = self.pool.clone();
        let work = async {
            let permit = pool
                .permits
                .clone()
                .acquire_owned()
                .await
                .map_err(internal)?;
            let (pool, watch) = (pool.clone(), watch.clone());
            let blocking = move || {
                // Held by the thread and not by the future: what was given up may still be on its last opcode.
                let _permit = permit;
                pool.with_connection(|connection| job(connection, &watch))
            };
            tokio::task::spawn_blocking(blocking)
                .await
                .map_err(internal)?
        };
        match tokio::time::timeout_at(deadline.into(), work).await {
            Ok(result) => result,
            Err(_) => Err(faults::timed_out(limits.timeout)),
        }
    }
}

#[async_trait]
impl TargetGeneration for SqliteGeneration {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn provenance(&self) -> Provenance {
        (self.provenance)()
    }

    async fn query(&self, sql: &GuardedSql, limits: &QueryLimits) -> Result<ResultSet, Error> {
        self.run(sql.text().to_owned(), sql.visible().clone(), *limits)
            .await
    }

    async fn each_row(
        &self,
        sql: &GuardedSql,
        limits: &QueryLimits,
        mut sink: Box<dyn RowSink>,
    ) -> Result<RowsTaken, Error> {
        let (text, visible, limits) = (sql.text().to_owned(), sql.visible().clone(), *limits);
        let job = move |connection: &mut FencedConnection, watch: &Arc<Watch>| {
            connection.each_row(&text, &visible, &limits, watch, &mut *sink)
        };
        self.work(limits, job).await
    }

    async fn find_values(
        &self,
        question: &str,
        visible: &Arc<VisibleSchema>,
        limit: usize,
    ) -> Result<FoundValues, Error> {
        match &self.values {
            Some(values) => values.find(question, visible, limit).await,
            None => Ok(FoundValues::without_index(ValueIndexState::Missing)),
        }
    }

    async fn explain(
        &self,
        sql: &GuardedSql,
        limits: &QueryLimits,
    ) -> Result<Vec<PlanStep>, Error> {
        let (text, visible, limits) = (sql.text().to_owned(), sql.visible().clone(), *limits);
        let job = move |connection: &mut FencedConnection, watch: &Arc<Watch>| {
            connection.explain(&text, &visible, &limits, watch)
        };
        self.work(limits, job).await
    }
}

/// Connections that wait for work, and how many may work at once.
///
/// Opening costs as much as parsing the schema, which on a thousand tables is more than most questions; so connections
/// are kept. Nothing of one statement outlives it on a connection: there are no temporary tables and no settings.
struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<FencedConnection>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    fn new(path: PathBuf) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            path,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(processors.clamp(2, 8))),
        }
    }

    fn with_connection<T>(
        &self,
        job: impl FnOnce(&mut FencedConnection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let waiting = self.idle().pop();
        let mut connection = match waiting {
            Some(connection) => connection,
            None => FencedConnection::open(&self.path)?,
        };
        let result = job(&mut connection);
        if connection.is_sound() {
            self.idle().push(connection);
        }
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<FencedConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn internal(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, "the query was lost").with_cause(cause)
}
