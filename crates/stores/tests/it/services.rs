//! Real services for tests, by the addresses in TEST_... variables, which `scripts/services run` sets.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};
use stores::postgres::{PostgresSettings, PostgresStore};
use tokio::sync::OnceCell;

/// Returns a migrated database of the test's own, or `None` if there is no server.
///
/// # Panics
///
/// If REQUIRE_SERVICES is 1 and there is no server.
pub async fn postgres() -> Option<PostgresFixture> {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let server = address("TEST_DATABASE_URL")?;
    let template = TEMPLATE
        .get_or_init(|| async {
            let template = PostgresFixture::create(&server, "template0").await;
            PostgresStore::migrate(&PostgresSettings::new(template.url()))
                .await
                .unwrap();
            // It stays as long as the server: no test knows that it is the last one.
            std::mem::ManuallyDrop::new(template).name.clone()
        })
        .await;
    Some(PostgresFixture::create(&server, template).await)
}

/// Returns an empty database of the test's own, as [`postgres`] does.
pub async fn empty_postgres() -> Option<PostgresFixture> {
    let server = address("TEST_DATABASE_URL")?;
    Some(PostgresFixture::create(&server, "template0").await)
}

fn address(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if address.is_none() {
        let is_required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(!is_required, "{variable} is not set");
        eprintln!("skipped: {variable} is not set");
    }
    address
}

/// A database that is gone when this is dropped.
pub struct PostgresFixture {
    server: String,
    name: String,
    url: String,
}

impl PostgresFixture {
    async fn create(server: &str, template: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("assay_test_{}_{number}", std::process::id());
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'");
        execute(&mut connect(server).await, &sql).await.unwrap();
        let (address, parameters) = server.split_once('?').unwrap_or((server, ""));
        let (address, _) = address.rsplit_once('/').unwrap();
        Self {
            server: server.to_owned(),
            url: format!("{address}/{name}?{parameters}"),
            name,
        }
    }

    /// The address of the database, as a superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same address with another login.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        let (_, place) = self.url.rsplit_once('@').unwrap();
        format!("postgres://{user}:{password}@{place}")
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a store in the database.
    pub async fn store(&self) -> PostgresStore {
        PostgresStore::open(&PostgresSettings::new(self.url()))
            .await
            .unwrap()
    }

    /// Connects as a superuser, past the store.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url).await
    }
}

impl Drop for PostgresFixture {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // On a thread of its own: the test's runtime may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let sql = format!("DROP DATABASE {name} WITH (FORCE)");
                execute(&mut connect(&server).await, &sql).await.unwrap();
            });
        });
        // A test that fails is not to fail twice.
        let _ = dropping.join();
    }
}

async fn connect(url: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(url).unwrap();
    options.disable_statement_logging().connect().await.unwrap()
}

/// Runs statements of a test.
pub async fn execute(connection: &mut PgConnection, sql: &str) -> sqlx::Result<()> {
    raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(connection)
        .await
        .map(drop)
}
