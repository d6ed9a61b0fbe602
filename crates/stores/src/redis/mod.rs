//! Ports that all replicas share, on one Redis server (6.2 or newer; not a cluster). Nothing in it is the only copy of
//! anything: all of it may be lost at any time.
//!
//! Whatever changes several keys is one Lua script, so a process that dies leaves nothing half done.

mod cache;
mod jobs;
mod rate_limits;

pub use cache::RedisCache;
pub use jobs::RedisJobs;
pub use rate_limits::RedisRateLimits;

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, Script};
use engine::{Code, Error};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

/// Within this time a command has its answer or has failed, connecting included.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Where the server is.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://`, `rediss://` (TLS, verified with the system's certificates) or `unix://`, with user, password and
    /// number of the database where they are needed.
    pub url: String,
    /// The password; wins over that of the address.
    pub password: Option<String>,
    /// What every key begins with, so that several installations can share a server.
    pub key_prefix: String,
}

/// Neither address nor password is printed.
impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis, keys {}*", self.key_prefix)
    }
}

impl RedisSettings {
    /// Names a server, with keys that begin with `assay:`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            key_prefix: "assay:".into(),
        }
    }

    fn client(&self) -> Result<Client, Error> {
        let client = || {
            let address = self.url.as_str().into_connection_info()?;
            let mut login = address.redis_settings().clone().set_lib_name("assay", "");
            if let Some(password) = &self.password {
                login = login.set_password(password);
            }
            Client::open(address.set_redis_settings(login.set_skip_set_lib_name()))
        };
        client().map_err(|fault: ::redis::RedisError| {
            // The address may hold a password, so it is not repeated.
            Error::new(
                Code::InvalidSetting,
                "the address of the Redis server cannot be used",
            )
            .with_hint("write it as redis://host:6379/0, or rediss:// for TLS")
            .with_cause(fault)
        })
    }
}

/// Says whether an address can be used, without connecting.
///
/// # Errors
///
/// [`Code::InvalidSetting`].
pub fn check_settings(settings: &RedisSettings) -> Result<(), Error> {
    settings.client().map(drop)
}

/// What an operator should know of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisDiagnosis {
    /// Its version.
    pub version: String,
    /// Bytes it may use; 0 is without a limit.
    pub max_memory_bytes: u64,
    /// What it does when they are used up, such as `noeviction`.
    pub eviction: String,
}

impl RedisDiagnosis {
    /// Says whether keys without a time to live can be evicted: waiting jobs among them.
    pub fn may_lose_jobs(&self) -> bool {
        self.max_memory_bytes > 0 && self.eviction.starts_with("allkeys")
    }
}

/// One server, by one connection for all that answers at once and further ones for reads that wait.
///
/// A connection that failed or did not answer in time is given up, and the next command connects anew: so whatever
/// happened to the server, nothing has to be told that it is back.
pub struct RedisServer {
    client: Client,
    prefix: String,
    shared: Mutex<Option<Connecting>>,
}

type Connecting = Shared<BoxFuture<'static, Result<MultiplexedConnection, Error>>>;

impl RedisServer {
    /// Names a server. Connects at the first command, so it may be down now.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the address cannot be used.
    pub fn new(settings: &RedisSettings) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            client: settings.client()?,
            prefix: settings.key_prefix.clone(),
            shared: Mutex::new(None),
        }))
    }

    /// Says whether the server answers.
    ///
    /// # Errors
    ///
    /// [`Code::CacheDown`].
    pub async fn ping(&self) -> Result<(), Error> {
        self.command::<String>(&::redis::cmd("PING"))
            .await
            .map(drop)
    }

    /// Returns what an operator should know.
    ///
    /// # Errors
    ///
    /// [`Code::CacheDown`].
    pub async fn diagnose(&self) -> Result<RedisDiagnosis, Error> {
        let info: String = self.command(&::redis::cmd("INFO")).await?;
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        Ok(RedisDiagnosis {
            version: field("redis_version"),
            max_memory_bytes: field("maxmemory").parse().unwrap_or_default(),
            eviction: field("maxmemory_policy"),
        })
    }

    fn key(&self, kind: &str, name: &str) -> String {
        format!("{}{kind}:{name}", self.prefix)
    }

    async fn command<T: FromRedisValue + Send>(&self, command: &Cmd) -> Result<T, Error> {
        self.within_timeout(|mut connection| {
            async move { command.query_async(&mut connection).await }.boxed()
        })
        .await
    }

    async fn script<T: FromRedisValue + Send + Sync>(&self, call: &Call<'_>) -> Result<T, Error> {
        self.within_timeout(|mut connection| async move { call.run(&mut connection).await }.boxed())
            .await
    }

    /// Runs a command on the shared connection. One that was closed since it was last used is replaced at once, and the
    /// command sent again: everything that is sent here may be done twice.
    async fn within_timeout<'a, T>(
        &self,
        send: impl Fn(MultiplexedConnection) -> BoxFuture<'a, ::redis::RedisResult<T>>,
    ) -> Result<T, Error> {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        let mut is_second_try = false;
        loop {
            let (connecting, is_new) = self.connecting();
            let sent = tokio::time::timeout_at(deadline, async {
                let connection = connecting.clone().await?;
                Ok(send(connection).await)
            });
            let fault = match sent.await {
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(fault))) => {
                    if !fault.is_unrecoverable_error() && !fault.is_io_error() {
                        return Err(down(fault));
                    }
                    self.give_up(&connecting);
                    if !is_new && !is_second_try && !fault.is_timeout() {
                        is_second_try = true;
                        continue;
                    }
                    return Err(down(fault));
                }
                Ok(Err(fault)) => fault,
                Err(_) => down("no answer in time"),
            };
            self.give_up(&connecting);
            return Err(fault);
        }
    }

    /// Returns the shared connection, made or being made, and whether this call began to make it. However many wait for
    /// it, it is made once.
    fn connecting(&self) -> (Connecting, bool) {
        let mut shared = self.lock();
        if let Some(connecting) = &*shared {
            return (connecting.clone(), false);
        }
        let client = self.client.clone();
        let connecting = async move { connect(&client, None).await }.boxed().shared();
        *shared = Some(connecting.clone());
        (connecting, true)
    }

    fn give_up(&self, failed: &Connecting) {
        let mut shared = self.lock();
        // Another may have connected anew meanwhile.
        if shared.as_ref().is_some_and(|now| now.ptr_eq(failed)) {
            *shared = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connecting>> {
        // Nothing panics half-way through a change, so what is behind a poisoned lock is whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call of a script.
struct Call<'a> {
    script: &'a Script,
    keys: Vec<&'a str>,
    arguments: Vec<&'a [u8]>,
}

impl Call<'_> {
    async fn run<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> ::redis::RedisResult<T> {
        let mut call = self.script.prepare_invoke();
        for key in &self.keys {
            call.key(*key);
        }
        for argument in &self.arguments {
            call.arg(*argument);
        }
        call.invoke_async(connection).await
    }
}

/// Connects. Answers are awaited for `patience` at most; `None` leaves that to the caller.
async fn connect(
    client: &Client,
    patience: Option<Duration>,
) -> Result<MultiplexedConnection, Error> {
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(TIMEOUT))
        .set_response_timeout(patience);
    let connecting = client.get_multiplexed_async_connection_with_config(&settings);
    match tokio::time::timeout(TIMEOUT, connecting).await {
        Ok(connected) => connected.map_err(down),
        Err(_) => Err(down("no connection in time")),
    }
}

fn down(fault: impl Display) -> Error {
    Error::new(Code::CacheDown, "the cache cannot be reached").with_cause(fault)
}

/// Returns milliseconds as Redis takes them: at least one, and no more than it can add to its clock.
fn milliseconds(time: Duration) -> u64 {
    const HUNDRED_YEARS: u64 = 100 * 365 * 86_400_000;
    u64::try_from(time.as_millis()).map_or(HUNDRED_YEARS, |ms| ms.clamp(1, HUNDRED_YEARS))
}
