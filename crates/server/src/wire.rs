//! The composition root: the only file that names both a port and an implementation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::accounts::{AccountSettings, Actor};
use engine::ask::AskSettings;
use engine::policy::Role;
use engine::ports::{
    Allowance, AskPorts, Backups, Clock, Generation, GenerationLimits, Generator, ModelIdentity,
    Ports, Random, SystemStore,
};
use engine::ports::{TargetDatabase, TargetGeneration};
use engine::prompt::Prompt;
use engine::{Code, Error};
use stores::golden_copy::{
    GoldenCopy, GoldenCopySettings, OnProgress, copy_in_cache, prune_copies,
};
use stores::memory::MemoryRateLimits;
use stores::postgres::{PostgresBackups, PostgresSettings, PostgresStore};
use stores::sqlite::{SqliteBackups, SqliteStore};

use crate::accounts::BcryptPasswords;
use crate::config::{
    BackupSettings, LlmProvider, LlmSettings, PostgresDatabase, Settings, SystemStoreSettings,
    TargetSource,
};
use crate::{demo_company, mailer};

/// Copies of files asked by name that are kept.
const MAX_COPIES: usize = 16;
/// Bytes of those copies.
const MAX_COPIES_BYTES: u64 = 8 << 30;

/// The system clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The system's randomness.
pub struct SystemRandom;

impl Random for SystemRandom {
    fn bytes(&self) -> [u8; 32] {
        random_bytes()
    }
}

/// Returns bytes that nobody can guess.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    use rand::TryRngCore;
    let mut bytes = [0; N];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .expect("the system gives random bytes");
    bytes
}

/// Everything a command needs to answer questions.
#[derive(Clone)]
pub struct App {
    /// The ports that `engine` works on.
    pub ports: Ports,
    /// How questions are answered.
    pub ask: AskSettings,
    /// How accounts behave.
    pub accounts: AccountSettings,
    /// The golden copy behind the target port; `None` when there is no target.
    pub golden_copy: Option<Arc<GoldenCopy>>,
    /// How often one person may ask; `None` is as often as they like.
    pub questions: Option<Allowance>,
    /// Backups of the system store; `None` when no folder is set for them.
    pub backups: Option<Arc<dyn Backups>>,
}

/// Opens everything: the system store, the target (copying it if needed) and the generator, which starts its model at
/// the first question.
///
/// `file` is a database asked by name and wins over the configured target.
///
/// # Errors
///
/// The first part that cannot be opened, with what to do about it.
pub async fn open(
    settings: &Settings,
    file: Option<&Path>,
    progress: OnProgress<'_>,
) -> Result<App, Error> {
    let store = open_store(settings).await?;
    let generator = generator(&settings.llm)?;
    let golden_copy = open_golden_copy(settings, file, progress)?;
    app(settings, store, generator, golden_copy)
}

/// Opens the system store and the target for SQL of one's own, which needs no model.
///
/// # Errors
///
/// The first part that cannot be opened.
pub async fn open_without_model(
    settings: &Settings,
    file: Option<&Path>,
    progress: OnProgress<'_>,
) -> Result<App, Error> {
    let store = open_store(settings).await?;
    let golden_copy = open_golden_copy(settings, file, progress)?;
    app(settings, store, Arc::new(NoGenerator), golden_copy)
}

/// Opens the system store alone, for what touches neither data nor model.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn open_store_alone(settings: &Settings) -> Result<App, Error> {
    let store = open_store(settings).await?;
    app(settings, store, Arc::new(NoGenerator), None)
}

/// Puts an app together from its parts.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if letters cannot leave as configured.
pub fn app(
    settings: &Settings,
    store: Arc<dyn SystemStore>,
    generator: Arc<dyn Generator>,
    golden_copy: Option<Arc<GoldenCopy>>,
) -> Result<App, Error> {
    let target: Arc<dyn TargetDatabase> = match &golden_copy {
        Some(golden_copy) => golden_copy.clone(),
        None => Arc::new(NoTarget),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let instance: [u8; 8] = random_bytes();
    Ok(App {
        ports: Ports {
            asking: AskPorts {
                store: store.clone(),
                target,
                generator,
                clock: clock.clone(),
            },
            store,
            passwords: Arc::new(BcryptPasswords::new()),
            mailer: mailer::open(&settings.mail, clock.clone())?,
            rate_limits: Arc::new(MemoryRateLimits::default()),
            clock,
            random: Arc::new(SystemRandom),
        },
        ask: AskSettings {
            send_values: settings.llm.send_values,
            query: settings.query,
            generation: settings.generation,
            instance_id: format!("{:016x}", u64::from_be_bytes(instance)),
            ..AskSettings::default()
        },
        accounts: settings.auth.accounts.clone(),
        golden_copy,
        questions: settings.questions,
        backups: backups(settings),
    })
}

/// Opens the system store, bringing it up to date.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn open_store(settings: &Settings) -> Result<Arc<dyn SystemStore>, Error> {
    match &settings.system_store {
        SystemStoreSettings::Sqlite { path } => Ok(Arc::new(SqliteStore::open(path)?)),
        SystemStoreSettings::Postgres(postgres) => Ok(Arc::new(
            PostgresStore::open(&postgres_settings(postgres)).await?,
        )),
    }
}

/// Returns the backups of the system store; `None` when no folder is set.
pub fn backups(settings: &Settings) -> Option<Arc<dyn Backups>> {
    let BackupSettings { folder, keep, .. } = settings.backups.as_ref()?;
    match &settings.system_store {
        SystemStoreSettings::Sqlite { path } => {
            Some(Arc::new(SqliteBackups::new(path, folder, *keep)))
        }
        SystemStoreSettings::Postgres(postgres) => Some(Arc::new(PostgresBackups::new(
            postgres_settings(postgres),
            folder,
            *keep,
        ))),
    }
}

/// Migrations of the system store that are not as this program has them.
pub struct Migrations {
    /// Known here and not applied there.
    pub pending: Vec<String>,
    /// Applied there and not known here.
    pub unknown: Vec<String>,
}

/// Looks at the system store without changing it.
///
/// # Errors
///
/// [`Code::SystemStoreDown`], saying what keeps it from being read.
pub async fn migrations(settings: &Settings) -> Result<Migrations, Error> {
    Ok(match &settings.system_store {
        SystemStoreSettings::Sqlite { path } => {
            let found = stores::sqlite::diagnose(path)?;
            Migrations {
                pending: found.pending,
                unknown: found.unknown,
            }
        }
        SystemStoreSettings::Postgres(database) => {
            let found = stores::postgres::diagnose(&postgres_settings(database)).await?;
            Migrations {
                pending: found.pending,
                unknown: found.unknown,
            }
        }
    })
}

/// Held while a system store is initialised, so that it happens once at a time.
pub struct InitLock {
    _held: Box<dyn Send>,
}

impl InitLock {
    fn holding(held: impl Send + 'static) -> Self {
        Self {
            _held: Box::new(held),
        }
    }
}

/// Waits until nobody else initialises the system store.
///
/// # Errors
///
/// [`Code::SystemStoreDown`], [`Code::InvalidSetting`] if the folder of the file cannot be written.
pub async fn lock_init(settings: &Settings) -> Result<InitLock, Error> {
    match &settings.system_store {
        SystemStoreSettings::Sqlite { path } => {
            let path = path.with_extension("init-lock");
            let lock = {
                let path = path.clone();
                move || {
                    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
                    let file = std::fs::File::create(&path)?;
                    file.lock()?;
                    Ok(file)
                }
            };
            tokio::task::spawn_blocking(lock)
                .await
                .map_err(std::io::Error::other)
                .flatten()
                .map(InitLock::holding)
                .map_err(|fault| {
                    Error::new(
                        Code::InvalidSetting,
                        format!("cannot write `{}`", path.display()),
                    )
                    .with_hint("choose another folder with DATA_DIR or SQLITE_DB_PATH")
                    .with_cause(fault)
                })
        }
        SystemStoreSettings::Postgres(database) => {
            let lock = stores::postgres::lock_init(&postgres_settings(database)).await?;
            Ok(InitLock::holding(lock))
        }
    }
}

/// Names the server as its driver wants it named.
pub fn postgres_settings(database: &PostgresDatabase) -> PostgresSettings {
    PostgresSettings {
        url: database.url.clone(),
        migration_url: database.migration_url.clone(),
        max_connections: database.max_connections,
    }
}

/// Opens a store that is gone afterwards, for evaluations.
///
/// # Errors
///
/// [`Code::SystemStoreDown`] if SQLite has no memory for it.
pub fn store_in_memory() -> Result<Arc<dyn SystemStore>, Error> {
    Ok(Arc::new(SqliteStore::in_memory()?))
}

/// Brings the copy of the configured target, or of `file`, into service.
///
/// # Errors
///
/// As [`GoldenCopy::ensure`]; a target that was not found is `None`, not an error.
pub fn open_golden_copy(
    settings: &Settings,
    file: Option<&Path>,
    progress: OnProgress<'_>,
) -> Result<Option<Arc<GoldenCopy>>, Error> {
    let Some(golden_copy) = golden_copy(settings, file)? else {
        return Ok(None);
    };
    if let Err(fault) = golden_copy.ensure(progress) {
        // A generation from an earlier start stays in service when the original is damaged or gone now.
        if golden_copy.generation().is_err() {
            return Err(fault);
        }
        tracing::warn!(
            code = fault.code().as_str(),
            "the original cannot be copied, the previous copy stays in service: {fault}"
        );
    }
    if file.is_some() {
        prune_copies(&settings.target.copies, MAX_COPIES, MAX_COPIES_BYTES)?;
    }
    Ok(Some(golden_copy))
}

/// Returns the golden copy of the configured target, or of `file`, with nothing in service yet.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if the working copy cannot be where it is configured.
pub fn golden_copy(
    settings: &Settings,
    file: Option<&Path>,
) -> Result<Option<Arc<GoldenCopy>>, Error> {
    let clock = Arc::new(SystemClock);
    let copy_settings = match (file, &settings.target.source) {
        (Some(file), _) => copy_in_cache(&settings.target.copies, file, clock)?,
        (None, TargetSource::Disabled | TargetSource::NotFound) => return Ok(None),
        (None, TargetSource::File(path)) => {
            GoldenCopySettings::new(path.clone(), settings.target.working_copy.clone(), clock)
        }
        (None, TargetSource::Demo(path)) => {
            if !path.exists() {
                demo_company::generate(
                    path,
                    &demo_company::DemoOptions::default(),
                    &mut |_, _| (),
                )?;
            }
            GoldenCopySettings::new(path.clone(), settings.target.working_copy.clone(), clock)
        }
    };
    GoldenCopy::new(copy_settings).map(|golden_copy| Some(Arc::new(golden_copy)))
}

/// Opens the generator that is configured; a local one starts its worker at the first question.
///
/// # Errors
///
/// [`Code::ModelMissing`], [`Code::InvalidModel`], [`Code::InvalidSetting`].
pub fn generator(settings: &LlmSettings) -> Result<Arc<dyn Generator>, Error> {
    match &settings.provider {
        LlmProvider::Gguf { .. } => {
            gguf(settings).map(|generator| Arc::new(generator) as Arc<dyn Generator>)
        }
        LlmProvider::Remote {
            kind,
            base_url,
            model,
            api_key,
        } => remote(kind, base_url.as_deref(), model, api_key.as_deref()),
    }
}

/// Returns the file of the local model that is configured.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if no cache folder is known.
pub fn model_file(settings: &LlmSettings) -> Result<llm::pull::ChosenModel, Error> {
    let model = match &settings.provider {
        LlmProvider::Gguf { model, .. } => model.as_deref(),
        LlmProvider::Remote { .. } => None,
    };
    Ok(llm::pull::choose(
        model,
        &llm::pull::models_dir(&cache_dir(settings)?),
    ))
}

/// Returns the cache folder of models and prefix states.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if none is known.
pub fn cache_dir(settings: &LlmSettings) -> Result<PathBuf, Error> {
    settings.cache_dir.clone().ok_or_else(|| {
        Error::new(
            Code::InvalidSetting,
            "there is no home folder to keep models in",
        )
        .with_hint("set ASSAY_CACHE_DIR to a folder")
    })
}

/// Opens the local model, with everything that the benchmark asks of it besides the port.
///
/// # Errors
///
/// [`Code::ModelMissing`], [`Code::InvalidModel`], [`Code::InvalidSetting`].
#[cfg(feature = "gguf")]
pub fn gguf(settings: &LlmSettings) -> Result<llm::gguf::GgufGenerator, Error> {
    let file = model_file(settings)?;
    let mut gguf = llm::gguf::GgufSettings::new(file.path);
    gguf.pinned_sha256 = file.pinned_sha256;
    gguf.state_dir = Some(cache_dir(settings)?.join("prefix-states"));
    if let LlmProvider::Gguf {
        threads,
        context_tokens,
        ..
    } = &settings.provider
    {
        gguf.threads = *threads;
        gguf.context_tokens = *context_tokens;
    }
    llm::gguf::GgufGenerator::open(gguf)
}

#[cfg(not(feature = "gguf"))]
fn gguf(_: &LlmSettings) -> Result<NoGenerator, Error> {
    Err(Error::new(
        Code::ModelMissing,
        "this program was built without the local model",
    )
    .with_hint("build it with the feature `gguf`, or set LLM_PROVIDER"))
}

fn remote(
    kind: &str,
    base_url: Option<&str>,
    model: &str,
    api_key: Option<&str>,
) -> Result<Arc<dyn Generator>, Error> {
    use llm::remote::{ApiKey, Provider, RemoteGenerator, RemoteSettings};
    let provider = if kind == "anthropic" {
        Provider::Anthropic
    } else {
        Provider::OpenAi
    };
    let mut remote = RemoteSettings::new(provider, model);
    remote.base_url = base_url.map(str::to_owned);
    remote.api_key = api_key.map(ApiKey::new);
    Ok(Arc::new(RemoteGenerator::new(remote)?))
}

/// Returns the actor of the command line: whoever may start the program on this machine administers it.
pub fn local_admin(user_id: i64) -> Actor {
    Actor {
        user_id,
        role: Role::Admin,
    }
}

/// Stands where no target is.
struct NoTarget;

#[async_trait]
impl TargetDatabase for NoTarget {
    async fn current(&self) -> Result<Arc<dyn TargetGeneration>, Error> {
        Err(
            Error::new(Code::TargetDisabled, "there is no target database to ask")
                .with_hint("name one with TARGET_DATABASE_URL or `--db FILE`"),
        )
    }
}

/// Stands where no model is needed.
struct NoGenerator;

#[async_trait]
impl Generator for NoGenerator {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: "none".into(),
            hash: String::new(),
            is_remote: false,
        }
    }

    async fn generate(&self, _: &Prompt, _: &GenerationLimits) -> Result<Generation, Error> {
        Err(Error::new(
            Code::ModelMissing,
            "no language model is open here",
        ))
    }
}
