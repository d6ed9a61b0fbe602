//! Connections that are kept open, and the statements that run on them.
//!
//! Why not the pool of sqlx: it asks the server for a sign of life after every use, which for statements as short as
//! ours is half of the work, and a BEGIN whose caller goes away stays open in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::{Code, Error};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, Postgres, raw_sql};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::faults::{down, is_lost, is_starting, unreachable};

pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// For so long a caller waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// For so long a server may be starting, or a connection on its way, where no caller is waiting.
const CONNECT: Duration = Duration::from_secs(30);
/// For so long a connection that was just used is taken to be alive without asking. No server restarts so fast.
const TRUSTED: Duration = Duration::from_millis(20);
/// After so long without use a connection is closed: firewalls drop silent ones.
const IDLE: Duration = Duration::from_secs(600);
/// A sign of life or a ROLLBACK takes no longer on a connection that is worth keeping.
const BRIEF: Duration = Duration::from_secs(1);
/// Beyond the server's own statement_timeout: only a server that has fallen silent gets here.
const SILENCE: Duration = Duration::from_secs(20);

pub(super) struct Pool {
    options: PgConnectOptions,
    /// What every connection is told first.
    greeting: &'static str,
    permits: Arc<Semaphore>,
    /// The one used last is taken first.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: PgConnection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(
        options: PgConnectOptions,
        greeting: &'static str,
        max_connections: u32,
    ) -> Arc<Self> {
        Arc::new(Self {
            options,
            greeting,
            permits: Arc::new(Semaphore::new(max_connections.max(1) as usize)),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// Returns a connection that answers.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Lease, Error> {
        timeout(ACQUIRE, self.wait_and_take())
            .await
            .unwrap_or_else(|_| {
                Err(Error::new(
                    Code::SystemStoreDown,
                    format!("no connection to the system store within {ACQUIRE:?}"),
                ))
            })
    }

    async fn wait_and_take(self: &Arc<Self>) -> Result<Lease, Error> {
        let permit = Semaphore::acquire_owned(self.permits.clone())
            .await
            .expect("the semaphore is never closed");
        let connection = match self.take_idle().await {
            Some(connection) => connection,
            None => connect(&self.options, self.greeting).await?,
        };
        Ok(Lease {
            connection: Some(connection),
            permit: Some(permit),
            pool: self.clone(),
        })
    }

    async fn take_idle(&self) -> Option<PgConnection> {
        let Idle {
            mut connection,
            since,
        } = self.idle().pop()?;
        let unused = since.elapsed();
        if unused < TRUSTED {
            return Some(connection);
        }
        if unused < IDLE && matches!(timeout(BRIEF, connection.ping()).await, Ok(Ok(()))) {
            return Some(connection);
        }
        // The others were used before this one; what became of it became of them.
        self.idle().clear();
        None
    }

    fn keep(&self, connection: PgConnection) {
        self.idle().push(Idle {
            connection,
            since: Instant::now(),
        });
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a connection and says what every one is told first. A server that is starting is waited for.
pub(super) async fn connect(
    options: &PgConnectOptions,
    greeting: &'static str,
) -> Result<PgConnection, Error> {
    let connecting = async {
        let mut connection = loop {
            match options.connect().await {
                Err(fault) if is_starting(&fault) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                connected => break connected?,
            }
        };
        raw_sql(greeting).execute(&mut connection).await?;
        Ok(connection)
    };
    let silent = |_| Err(sqlx::Error::PoolTimedOut);
    timeout(CONNECT, connecting)
        .await
        .unwrap_or_else(silent)
        .map_err(|fault| unreachable(options, fault))
}

/// A connection in use. [`Lease::give_back`] returns it at once; where work was cut short, dropping it rolls back first.
pub(super) struct Lease {
    connection: Option<PgConnection>,
    permit: Option<OwnedSemaphorePermit>,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.keep(connection);
        }
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(&mut self, query: Query<'_>) -> Result<u64, Error> {
        let done = timeout(SILENCE, query.execute(self.connection()?)).await;
        Ok(self.settle(done)?.rows_affected())
    }

    /// Runs a statement and returns its first row, if there is one.
    pub(super) async fn one<T>(
        &mut self,
        query: Query<'_>,
        read: impl FnOnce(&PgRow) -> sqlx::Result<T>,
    ) -> Result<Option<T>, Error> {
        let done = timeout(SILENCE, query.fetch_optional(self.connection()?)).await;
        let row = self.settle(done)?;
        row.as_ref().map(read).transpose().map_err(down)
    }

    /// Runs a statement that has one row and returns it.
    pub(super) async fn only<T>(
        &mut self,
        query: Query<'_>,
        read: impl FnOnce(&PgRow) -> sqlx::Result<T>,
    ) -> Result<T, Error> {
        let row = self.one(query, read).await?;
        row.ok_or_else(|| down(sqlx::Error::RowNotFound))
    }

    /// Runs a statement and returns all of its rows.
    pub(super) async fn all<T>(
        &mut self,
        query: Query<'_>,
        read: impl FnMut(&PgRow) -> sqlx::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let done = timeout(SILENCE, query.fetch_all(self.connection()?)).await;
        let rows = self.settle(done)?;
        rows.iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(down)
    }

    /// Runs statements without parameters in one round trip.
    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), Error> {
        let done = timeout(SILENCE, raw_sql(sql).execute(self.connection()?)).await;
        self.settle(done).map(drop)
    }

    fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        let gone = || Error::new(Code::SystemStoreDown, "the connection was lost");
        self.connection.as_mut().ok_or_else(gone)
    }

    fn settle<T>(&mut self, done: Result<sqlx::Result<T>, Elapsed>) -> Result<T, Error> {
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(fault)) => {
                if is_lost(&fault) {
                    self.connection = None;
                    self.pool.idle().clear();
                }
                Err(down(fault))
            }
            Err(_) => {
                self.connection = None;
                self.pool.idle().clear();
                let silent = format!("the system store has not answered for {SILENCE:?}");
                Err(Error::new(Code::SystemStoreDown, silent))
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(mut connection), Some(permit), Ok(runtime)) = (
            self.connection.take(),
            self.permit.take(),
            Handle::try_current(),
        ) else {
            return;
        };
        let pool = self.pool.clone();
        runtime.spawn(async move {
            let rollback = timeout(BRIEF, raw_sql("ROLLBACK").execute(&mut connection)).await;
            if matches!(rollback, Ok(Ok(_))) {
                pool.keep(connection);
            }
            drop(permit);
        });
    }
}
