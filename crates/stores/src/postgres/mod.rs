//! The system store in PostgreSQL. Migrations run as the owner of the database; everything else as the role `assay_app`,
//! which can append to the audit trail and read it, but neither change it nor its triggers.

mod faults;
mod pool;
mod rows;
mod transaction;

mod migrate;
mod roles;

mod users;

mod invitations;
mod password_resets;

mod api_keys;
mod sessions;

mod conversations;
mod feedback;
mod queries;
mod situation;

mod configurations;
mod ontologies;
mod policies;
mod verified_queries;

mod audit_logs;

mod backup;
mod client_tools;
mod diagnosis;
mod init_lock;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use engine::ports::{Page, PageRequest};
use engine::{Code, Error};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Postgres, QueryBuilder};

pub use self::backup::PostgresBackups;
pub use self::client_tools::ClientTools;
pub use self::diagnosis::{Diagnosis, diagnose};
pub use self::init_lock::{InitLock, lock_init};
pub use self::roles::{APP_ROLE, Protection};

use self::pool::{Pool, Query};
use self::transaction::Transaction;

/// What every connection that works is told first. Names mean tables in `public` whatever the login's own settings say,
/// and an answer that was confirmed survives a crash of the server. Time limits are also how a lost peer is noticed.
const GREETING: &str = "
    SET ROLE assay_app;
    SET search_path TO public, pg_temp;
    SET default_transaction_isolation TO 'read committed';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
    SET statement_timeout TO '15s';
    SET lock_timeout TO '10s';
    SET idle_in_transaction_session_timeout TO '10s';
    SET tcp_keepalives_idle TO 30;
    SET tcp_keepalives_interval TO 10;
    SET tcp_keepalives_count TO 3;
";

/// Where the system store is.
#[derive(Clone)]
pub struct PostgresSettings {
    /// The connection that answers requests: `postgres://user:password@host:port/database`.
    pub url: String,
    /// The owner's connection, for migrations; `None` if `url` is the owner's.
    pub migration_url: Option<String>,
    /// Connections open at once at most.
    pub max_connections: u32,
}

impl PostgresSettings {
    /// The store at `url` with 20 connections.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            migration_url: None,
            max_connections: 20,
        }
    }

    fn options(&self) -> Result<PgConnectOptions, Error> {
        parse(&self.url, "DATABASE_URL")
    }

    fn owner_options(&self) -> Result<PgConnectOptions, Error> {
        match &self.migration_url {
            Some(url) => parse(url, "MIGRATION_DATABASE_URL"),
            None => self.options(),
        }
    }
}

/// Prints without passwords.
impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |url: &str| match PgConnectOptions::from_str(url) {
            Ok(options) => format!(
                "{}@{}:{}/{}",
                options.get_username(),
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
            Err(_) => "***".to_owned(),
        };
        f.debug_struct("PostgresSettings")
            .field("url", &place(&self.url))
            .field("migration_url", &self.migration_url.as_deref().map(place))
            .field("max_connections", &self.max_connections)
            .finish()
    }
}

fn parse(url: &str, variable: &str) -> Result<PgConnectOptions, Error> {
    // The driver's own words are left out: they may repeat the URL, and with it the password.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Error::new(
            Code::InvalidSetting,
            format!("{variable} is not the URL of a PostgreSQL database"),
        )
        .with_hint("it has the form postgres://user:password@host:5432/database; special characters in it are written as %XX")
    })?;
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("assay"),
    };
    Ok(options.disable_statement_logging())
}

/// The system store on PostgreSQL.
pub struct PostgresStore {
    pool: Arc<Pool>,
}

impl PostgresStore {
    /// Opens the store after bringing it up to the newest migration.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] for a URL that is none, [`Code::SystemStoreDown`] if the server cannot be reached, lacks
    /// a right that is needed, or holds a store that is newer than this program.
    pub async fn open(settings: &PostgresSettings) -> Result<Self, Error> {
        Self::migrate(settings).await?;
        let store = Self {
            pool: Pool::new(settings.options()?, GREETING, settings.max_connections),
        };
        store.pool.take().await?.give_back();
        Ok(store)
    }

    /// Brings the store up to the newest migration and sees to the role `assay_app`, as the owner. Where nothing is
    /// missing, the owner's rights are not needed either.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresStore::open`].
    pub async fn migrate(settings: &PostgresSettings) -> Result<(), Error> {
        let login = settings.options()?.get_username().to_owned();
        let mut owner = pool::connect(&settings.owner_options()?, migrate::GREETING).await?;
        roles::prepare(&mut owner, &login).await?;
        migrate::run(&mut owner).await
    }

    /// Says how well the audit trail is protected from whoever holds the connection that answers requests.
    ///
    /// # Errors
    ///
    /// [`Code::SystemStoreDown`].
    pub async fn protection(&self) -> Result<Protection, Error> {
        self.only(roles::protection(), roles::read).await
    }

    async fn begin(&self) -> Result<Transaction, Error> {
        Transaction::begin(self.pool.take().await?).await
    }

    /// Runs one statement in a transaction of its own and returns how many rows it changed.
    async fn execute(&self, query: Query<'_>) -> Result<u64, Error> {
        let mut lease = self.pool.take().await?;
        let changed = lease.execute(query).await?;
        lease.give_back();
        Ok(changed)
    }

    async fn only<T>(
        &self,
        query: Query<'_>,
        read: impl FnOnce(&PgRow) -> sqlx::Result<T>,
    ) -> Result<T, Error> {
        let row = self.one(query, read).await?;
        row.ok_or_else(|| faults::down(sqlx::Error::RowNotFound))
    }

    async fn one<T>(
        &self,
        query: Query<'_>,
        read: impl FnOnce(&PgRow) -> sqlx::Result<T>,
    ) -> Result<Option<T>, Error> {
        let mut lease = self.pool.take().await?;
        let row = lease.one(query, read).await?;
        lease.give_back();
        Ok(row)
    }

    async fn all<T>(
        &self,
        query: Query<'_>,
        read: impl FnMut(&PgRow) -> sqlx::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let mut lease = self.pool.take().await?;
        let rows = lease.all(query, read).await?;
        lease.give_back();
        Ok(rows)
    }

    /// Lists what `select`, which ends within its WHERE clause, gives.
    async fn page<T>(
        &self,
        mut select: QueryBuilder<Postgres>,
        request: PageRequest,
        read: impl FnMut(&PgRow) -> sqlx::Result<T>,
        id: impl Fn(&T) -> i64,
    ) -> Result<Page<T>, Error> {
        let limit = request.limit.clamp(1, PageRequest::MAX_LIMIT);
        rows::and(&mut select, "id < ", request.cursor);
        select
            .push(" ORDER BY id DESC LIMIT ")
            .push_bind(i64::from(limit) + 1);
        let items = self.all(select.build(), read).await?;
        Ok(Page::of(items, limit, id))
    }
}
