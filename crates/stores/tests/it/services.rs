//! Real services for tests, by the addresses in TEST_... variables, which `scripts/services run` sets.

use std::process::Command;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, raw_sql};
use stores::chroma::ChromaSettings;
use stores::postgres::{PostgresSettings, PostgresStore};
use stores::redis::RedisSettings;
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

/// Returns the throwaway Redis with a key prefix of the test's own, or `None` if there is none.
///
/// # Panics
///
/// As [`postgres`].
pub fn redis() -> Option<RedisSettings> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut settings = RedisSettings::new(address("TEST_REDIS_URL")?);
    // With what a pattern would take for something else.
    settings.key_prefix = format!("[test]*{}-{number}:", std::process::id());
    Some(settings)
}

/// Returns a Redis that a test may stop and stall, or `None` where there is none at all.
///
/// # Panics
///
/// As [`postgres`].
pub async fn own_redis() -> Option<OwnRedis> {
    address("TEST_REDIS_URL")?;
    let folder = tempfile::tempdir().unwrap();
    // A port that is taken shows when the server ends at once, and the next one is tried.
    for _ in 0..20 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = OwnRedis {
            port: port.local_addr().unwrap().port(),
            folder: folder.path().to_owned(),
            process: None,
            _folder: None,
        };
        drop(port);
        if server.try_start().await {
            server._folder = Some(folder);
            return Some(server);
        }
    }
    panic!("Redis does not start");
}

/// A Redis of one test, with nothing on disk, that is gone when this is dropped.
pub struct OwnRedis {
    port: u16,
    folder: std::path::PathBuf,
    process: Option<std::process::Child>,
    _folder: Option<tempfile::TempDir>,
}

impl OwnRedis {
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn settings(&self) -> RedisSettings {
        RedisSettings::new(self.url())
    }

    /// Leaves it running but deaf.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().unwrap().id().to_string();
        let mut kill = std::process::Command::new("kill");
        assert!(kill.args([signal, &process]).status().unwrap().success());
    }

    /// Ends it, and all it held.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again, at the same address and empty.
    pub async fn start(&mut self) {
        assert!(self.try_start().await, "Redis does not start again");
    }

    async fn try_start(&mut self) -> bool {
        let mut server = std::process::Command::new("redis-server");
        server.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        server.args(["--save", "", "--appendonly", "no", "--dir"]);
        server.arg(&self.folder).stdout(std::process::Stdio::null());
        let process = self.process.insert(server.spawn().unwrap());
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while tokio::time::Instant::now() < deadline {
            if process.try_wait().unwrap().is_some() {
                return false;
            }
            if client.get_multiplexed_async_connection().await.is_ok() {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        false
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns settings for a Chroma database of the test's own, or `None` if there is no server, as [`postgres`] does.
pub fn chroma() -> Option<ChromaSettings> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut settings = ChromaSettings::new(address("TEST_CHROMA_URL")?);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    settings.database = format!("assay_test_{}_{number}", std::process::id());
    // Many tests share one server and few processors.
    settings.search_timeout = Duration::from_secs(30);
    Some(settings)
}

/// A service of the test's own, which it may stop; gone when this is dropped.
pub struct OwnService {
    name: &'static str,
    folder: String,
    url: String,
}

impl OwnService {
    /// Starts one; `None` where scripts/services did not start those of all tests.
    pub fn start(name: &'static str, variable: &str) -> Option<Self> {
        if std::env::var_os("TEST_SERVICES").is_none() {
            eprintln!("skipped: the services were not started by scripts/services");
            return None;
        }
        let printed = services_script(&["start", name]);
        let value = |variable: &str| {
            let line = format!("export {variable}=");
            let value = printed
                .lines()
                .find_map(|printed| printed.strip_prefix(&line));
            value.unwrap().to_owned()
        };
        Some(Self {
            name,
            folder: value("TEST_SERVICES"),
            url: value(variable),
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> std::path::PathBuf {
        std::path::Path::new(&self.folder).join(self.name)
    }

    /// Runs `down`, `up`, `pause` or `resume`.
    pub fn run(&self, command: &str) {
        services_script(&[command, &self.folder, self.name]);
    }
}

impl Drop for OwnService {
    fn drop(&mut self) {
        services_script(&["stop", &self.folder]);
    }
}

fn services_script(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");
    let output = Command::new(script).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
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
