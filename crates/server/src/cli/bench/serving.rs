//! What a server stands: questions a second with a scripted model and out of the semantic cache, logins a second, and
//! whether a flood of logins is felt elsewhere. The load comes from wrk, a process of its own, so that the processor time measured here is ours.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::audit::hex;
use engine::ports::{
    Allowance, Generation, GenerationLimits, Generator, ModelIdentity, SystemStore, TokenCounts,
};
use engine::prompt::Prompt;
use engine::{Code, Error};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Deserialize;
use serde_json::json;

use super::{Figure, failed, trail};
use crate::accounts::AccessTokens;
use crate::cli::output;
use crate::config::{EnvVars, Settings};
use crate::demo_company::{self, DemoOptions};
use crate::keys::Keys;
use crate::sealing::Sealer;
use crate::wire::{self, App};
use crate::{accounts, http};

/// Seconds of each measurement.
const SECONDS: u64 = 8;

const PASSWORD: &str = "four words without relation";

/// Where the system store and the cache are.
#[derive(Clone, Copy)]
struct Deployment<'a> {
    name: &'static str,
    cache: &'static str,
    database_url: Option<&'a str>,
    redis_url: Option<&'a str>,
    /// Two servers on one store have one.
    secret: &'a str,
}

/// Measures on SQLite, and on PostgreSQL if there is a server to measure on, with Redis if there is one.
pub async fn figures(
    folder: &Path,
    postgres: Option<&str>,
    redis: Option<&str>,
) -> Result<Vec<Figure>, Error> {
    let mut figures = Vec::new();
    let metrics = http::metrics::start()?;
    let file = folder.join("serving.db");
    demo_company::generate(
        &file,
        &DemoOptions {
            orders: 1_000,
            ..DemoOptions::default()
        },
        &mut |_, _| (),
    )?;
    let secret = hex(&wire::random_bytes::<32>());
    let embedded = Deployment {
        name: "SQLite",
        cache: "its own cache",
        database_url: None,
        redis_url: None,
        secret: &secret,
    };
    let shared = Deployment {
        name: "PostgreSQL",
        cache: if redis.is_some() {
            "Redis"
        } else {
            embedded.cache
        },
        database_url: postgres,
        redis_url: redis,
        ..embedded
    };
    for deployment in [embedded, shared] {
        let name = deployment.name;
        if name == shared.name && postgres.is_none() {
            figures.push(Figure::new(
                "questions on PostgreSQL",
                "-",
                "TEST_DATABASE_URL is not set",
            ));
            continue;
        }
        output::say(&format!("a server on {name}"));
        let folder = folder.join(name);
        let server = Server::start(&folder, &file, deployment, "off", metrics.clone()).await?;
        for clients in [1, 8, 32] {
            figures.push(server.questions(name, clients).await?);
        }
        if name == embedded.name {
            figures.extend(server.logins().await?);
        }
        // Before the trail grows by what the last measurement writes.
        let cached = folder.join("cached");
        let cached = Server::start(&cached, &file, deployment, "on", metrics.clone()).await?;
        for clients in [1, 32] {
            figures.push(cached.cached_questions(deployment, clients).await?);
        }
        drop(cached);
        figures.push(server.trail(name).await?);
    }
    Ok(figures)
}

/// A server in this process.
struct Server {
    address: SocketAddr,
    token: String,
    folder: std::path::PathBuf,
    settings: Settings,
    store: Arc<dyn SystemStore>,
    model: Arc<OneReply>,
    serving: tokio::task::JoinHandle<()>,
    sealing: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
        self.sealing.abort();
    }
}

impl Server {
    async fn start(
        folder: &Path,
        file: &Path,
        deployment: Deployment<'_>,
        semantic_cache: &str,
        metrics: PrometheusHandle,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(failed)?;
        let vars = EnvVars {
            data_dir: Some(folder.display().to_string()),
            database_url: deployment.database_url.map(str::to_owned),
            redis_url: deployment.redis_url.map(str::to_owned),
            // One question is asked again and again: with the cache, the model would be asked once.
            semantic_cache: Some(semantic_cache.into()),
            embedding_provider: Some("none".into()),
            target_db_source: Some(file.display().to_string()),
            init_admin_password: Some(PASSWORD.into()),
            jwt_secret: Some(deployment.secret.to_owned()),
            encryption_key: Some(deployment.secret.to_owned()),
            ..EnvVars::default()
        };
        let settings = Settings::read(&vars, None).map_err(|faults| {
            let fault = faults
                .first()
                .map(|fault| format!("{}: {}", fault.variable, fault.message));
            Error::new(Code::InvalidSetting, fault.unwrap_or_default())
        })?;
        let store: Arc<dyn SystemStore> = wire::open_store(&settings).await?;
        let golden_copy = wire::open_golden_copy(&settings, None, &|_| ())?;
        let model = Arc::new(OneReply::default());
        let mut app: App = wire::app(&settings, store, model.clone(), golden_copy)?;
        // One client tries as often as it can.
        let any_number = Allowance {
            burst: u32::MAX,
            per: Duration::from_secs(1),
        };
        app.accounts.tries_per_account = any_number;
        app.accounts.tries_per_address = any_number;
        app.questions = None;
        accounts::ensure_admin(&app.ports, &settings.auth).await?;
        let session = engine::accounts::logging_in::log_in(
            &app.ports,
            &app.accounts,
            settings.auth.admin_email.as_str(),
            PASSWORD,
            std::net::Ipv4Addr::LOCALHOST.into(),
        )
        .await?;
        let tokens = AccessTokens::open(&settings, &*app.ports.random)?;
        let now = app.ports.clock.now();
        // It outlives the measurements.
        let (user_id, until) = (session.actor.user_id, session.access_expires_at);
        let token = tokens.issue(user_id, &session.secret, now, until)?;
        let keys = Keys::open(&settings)?;
        let sealing =
            tokio::spawn(Sealer::new(&app.ports, &keys, &settings).run(std::future::pending()));
        let trail = Arc::clone(&app.ports.store);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = http::router(http::State::new(app, tokens, keys, &settings.auth, metrics));
        let serving = tokio::spawn(async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self {
            address,
            token,
            folder: folder.to_owned(),
            settings,
            store: trail,
            model,
            serving,
            sealing,
        })
    }

    async fn questions(&self, store: &str, clients: u32) -> Result<Figure, Error> {
        let asked = self.model.asked();
        let (load, spent) = self.asked(clients).await?;
        // Those on their way when the time was up were not counted.
        if ((self.model.asked() - asked) as f64) < load.requests {
            return Err(failed("the model was not asked each time"));
        }
        Ok(Figure::new(
            format!("questions on {store}, {clients} clients, scripted model"),
            format!("{:.0} /s", load.per_second()),
            load.times(spent),
        ))
    }

    async fn cached_questions(
        &self,
        deployment: Deployment<'_>,
        clients: u32,
    ) -> Result<Figure, Error> {
        let Deployment { name, cache, .. } = deployment;
        let (load, spent) = self.asked(clients).await?;
        let generated = self.model.asked();
        if generated != 1 {
            return Err(failed(format!("the model was asked {generated} times")));
        }
        Ok(Figure::new(
            format!("semantic cache hits on {name} and {cache}, {clients} clients"),
            format!("{:.0} /s", load.per_second()),
            load.times(spent),
        ))
    }

    /// Asks one question for a while; also returns the seconds of processor time it took in this process.
    async fn asked(&self, clients: u32) -> Result<(Load, f64), Error> {
        let body = json!({ "question": "How many customers do we have?" });
        let load = self.load(
            "/api/v1/questions",
            clients,
            Some((&body.to_string(), Some(&self.token))),
        )?;
        let before = processor_seconds();
        let load = finished(load).await?;
        let spent = processor_seconds() - before;
        load.must_be_good()?;
        Ok((load, spent))
    }

    async fn trail(&self, store: &str) -> Result<Figure, Error> {
        trail::figure(store, &self.folder, &self.settings, &self.store).await
    }

    async fn logins(&self) -> Result<Vec<Figure>, Error> {
        let bcrypt = bcrypt_per_second().await?;
        let quiet = finished(self.load(HEALTH, 1, None)?).await?;
        let body = json!({ "email": "admin@localhost", "password": PASSWORD });
        let flood = self.load("/api/v1/auth/login", 4, Some((&body.to_string(), None)))?;
        let beside = finished(self.load(HEALTH, 1, None)?).await?;
        let flood = finished(flood).await?;
        flood.must_be_good()?;
        let threads = accounts::BcryptPasswords::threads();
        let per_core = flood.per_second() / threads as f64;
        Ok(vec![
            Figure::new(
                "logins, per core that hashes",
                format!("{per_core:.2} /s"),
                format!(
                    "{:.2} times what bcrypt alone does there, {bcrypt:.2} /s; {threads} of {} cores hash",
                    per_core / bcrypt,
                    std::thread::available_parallelism().map_or(1, usize::from)
                ),
            ),
            Figure::new(
                "p95 of /health/live in a flood of logins",
                format!("{:.2} ms", beside.p95_us / 1e3),
                format!(
                    "{:.1} times the quiet server's, {:.2} ms",
                    beside.p95_us / quiet.p95_us,
                    quiet.p95_us / 1e3
                ),
            ),
        ])
    }

    /// Starts wrk; `post` is a body and, for some routes, a token.
    fn load(
        &self,
        path: &str,
        clients: u32,
        post: Option<(&str, Option<&str>)>,
    ) -> Result<Child, Error> {
        let mut script = String::from(DONE);
        if path == HEALTH {
            script.push_str(NOW_AND_THEN);
        }
        if let Some((body, token)) = post {
            script.push_str(&format!("wrk.method = 'POST'\nwrk.body = [[{body}]]\nwrk.headers['content-type'] = 'application/json'\n"));
            if let Some(token) = token {
                script.push_str(&format!(
                    "wrk.headers['authorization'] = 'Bearer {token}'\n"
                ));
            }
        }
        let file = self
            .folder
            .join(format!("load-{}-{clients}.lua", path.replace('/', "-")));
        std::fs::write(&file, script).map_err(failed)?;
        Command::new("wrk")
            .arg("--threads=1")
            .arg(format!("--connections={clients}"))
            .arg(format!("--duration={SECONDS}s"))
            .arg("--timeout=30s")
            .arg("--script")
            .arg(&file)
            .arg(format!("http://{}{path}", self.address))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|fault| {
                Error::new(
                    Code::InvalidSetting,
                    "cannot start wrk, which makes the load",
                )
                .with_hint("install it, on Debian with `sudo apt-get install wrk`")
                .with_cause(fault)
            })
    }
}

const HEALTH: &str = "/health/live";

/// Makes wrk look a hundred times a second, not as often as it can: what looks must not be the load itself.
const NOW_AND_THEN: &str = "function delay() return 10 end\n";

/// Makes wrk say what it measured in one line of JSON.
const DONE: &str = r#"
done = function(summary, latency)
  local errors = summary.errors
  print(string.format('{"requests":%d,"duration_us":%d,"p50_us":%d,"p95_us":%d,"bad":%d}', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(95), errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"#;

/// What wrk measured.
#[derive(Debug, Deserialize)]
struct Load {
    requests: f64,
    duration_us: f64,
    p50_us: f64,
    p95_us: f64,
    /// Requests that were not answered, or not with success.
    bad: f64,
}

impl Load {
    fn per_second(&self) -> f64 {
        (self.requests - self.bad) * 1e6 / self.duration_us
    }

    fn times(&self, processor_seconds: f64) -> String {
        format!(
            "p50 {:.1} ms, p95 {:.1} ms, {:.2} ms of processor time each",
            self.p50_us / 1e3,
            self.p95_us / 1e3,
            processor_seconds * 1e3 / self.requests
        )
    }

    fn must_be_good(&self) -> Result<(), Error> {
        if self.bad == 0.0 && self.requests > 0.0 {
            return Ok(());
        }
        let message = format!("{} of {} requests failed", self.bad, self.requests);
        Err(Error::new(Code::Internal, message))
    }
}

async fn finished(load: Child) -> Result<Load, Error> {
    let output = tokio::task::spawn_blocking(move || load.wait_with_output())
        .await
        .map_err(|fault| Error::new(Code::Internal, "wrk was not waited for").with_cause(fault))?
        .map_err(failed)?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| Error::new(Code::Internal, "wrk said nothing"))
}

/// What one core hashes when it does nothing else.
async fn bcrypt_per_second() -> Result<f64, Error> {
    let rate = tokio::task::spawn_blocking(|| {
        let hash = bcrypt::non_truncating_hash(PASSWORD, accounts::BCRYPT_COST)?;
        let (begun, mut count) = (Instant::now(), 0.0);
        while begun.elapsed() < Duration::from_secs(SECONDS / 2) {
            bcrypt::non_truncating_verify(PASSWORD, &hash)?;
            count += 1.0;
        }
        Ok::<_, bcrypt::BcryptError>(count / begun.elapsed().as_secs_f64())
    });
    rate.await
        .map_err(|fault| Error::new(Code::Internal, "hashing was interrupted").with_cause(fault))?
        .map_err(|fault| Error::new(Code::Internal, "hashing failed").with_cause(fault))
}

/// Returns the processor time of this process so far. Source: proc(5), fields 14 and 15 of `/proc/self/stat`, in
/// hundredths of a second on every Linux that Assay runs on.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|field| field.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// A model that always writes the same SQL, at once, and counts how often.
#[derive(Default)]
struct OneReply(AtomicU64);

impl OneReply {
    fn asked(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Generator for OneReply {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: "scripted".into(),
            hash: "scripted".into(),
            is_remote: false,
        }
    }

    async fn generate(&self, _: &Prompt, _: &GenerationLimits) -> Result<Generation, Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Generation {
            text: "SELECT count(*) FROM customers".into(),
            tokens: TokenCounts::default(),
            is_complete: true,
            likelihood: None,
        })
    }
}
