//! The composition root: with the files below it the only one that names both a port and an implementation.

mod models;
mod shared;

pub use models::*;
use shared::{in_process, redis, traced};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::accounts::{AccountSettings, Actor};
use engine::ask::{AskSettings, Deciding};
use engine::indexing::IndexWork;
use engine::jobs::{Job, JobPorts, JobWork, OnJobProgress};
use engine::policy::{Role, Visibility, VisibleSchema};
use engine::ports::{
    Allowance, AskPorts, Backups, Clock, Generator, Ports, Random, SystemStore, ValueIndexState,
    VectorStore,
};
use engine::ports::{QueryLimits, TargetDatabase, TargetGeneration};
use engine::verified_queries::ReverifyWork;
use engine::{Code, Error};
use stores::chroma::{ChromaSettings, ChromaToken, ChromaVectors};
use stores::golden_copy::{
    GoldenCopy, GoldenCopySettings, OnProgress, copy_in_cache, prune_copies,
};
use stores::memory::MemoryVectors;
use stores::postgres::{PostgresBackups, PostgresSettings, PostgresStore};
use stores::sqlite::{SqliteBackups, SqliteStore};
use stores::target::values::ValueIndexLimits;

use crate::accounts::BcryptPasswords;
use crate::config::{
    BackupSettings, PostgresDatabase, Settings, SystemStoreSettings, TargetSource, VectorSettings,
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
    /// Bounds on the statement of an export.
    pub export: QueryLimits,
    /// The folder in which files without a name hold an export until it is sent: on a disk, where the folder of the
    /// system's temporary files may be memory.
    pub scratch: PathBuf,
    /// How accounts behave.
    pub accounts: AccountSettings,
    /// The golden copy behind the target port; `None` when there is no target.
    pub golden_copy: Option<Arc<GoldenCopy>>,
    /// How often one person may ask; `None` is as often as they like.
    pub questions: Option<Allowance>,
    /// Backups of the system store; `None` when no folder is set for them.
    pub backups: Option<Arc<dyn Backups>>,
    /// What jobs work on.
    pub work: JobPorts,
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
    app(settings, store, no_generator(), golden_copy)
}

/// Opens the system store alone, for what touches neither data nor model.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn open_store_alone(settings: &Settings) -> Result<App, Error> {
    let store = open_store(settings).await?;
    app(settings, store, no_generator(), None)
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
    let instance_id = format!("{:016x}", u64::from_be_bytes(instance));
    let shared = match &settings.redis {
        Some(redis) => self::redis(redis, &instance_id, clock.clone())?,
        None => in_process(&instance_id, clock.clone()),
    };
    let ports = Ports {
        asking: AskPorts {
            store: store.clone(),
            target,
            generator,
            cache: shared.cache.clone(),
            vectors: self::vectors(settings)?,
            embedder: embedder(settings)?,
            known: Arc::default(),
            clock: clock.clone(),
        },
        store,
        passwords: Arc::new(BcryptPasswords::new()),
        mailer: mailer::open(&settings.mail, clock.clone())?,
        rate_limits: shared.rate_limits,
        cache: shared.cache,
        jobs: shared.jobs,
        clock,
        random: Arc::new(SystemRandom),
    };
    let backups = backups(settings);
    let (ports, backups) = match settings.traces {
        Some(_) => traced(ports, backups),
        None => (ports, backups),
    };
    let has_target = golden_copy.is_some();
    let work = JobPorts {
        store: ports.store.clone(),
        clock: ports.clock.clone(),
        backups: backups.clone(),
        old_copies: golden_copy
            .clone()
            .map(|copy| Arc::new(OldCopies(copy)) as Arc<dyn JobWork>),
        keeps_index: settings.keeps_index,
        index: ports.asking.embedder.clone().map(|embedder| {
            Arc::new(IndexWork::new(ports.asking.clone(), embedder)) as Arc<dyn JobWork>
        }),
        reverify: has_target.then(|| Arc::new(ReverifyWork(ports.clone())) as Arc<dyn JobWork>),
    };
    Ok(App {
        ports,
        ask: AskSettings {
            send_values: settings.llm.send_values,
            query: settings.query,
            generation: settings.generation.clone(),
            instance_id,
            reuse: settings.reuses_sql,
            deciding: Deciding {
                candidates: settings.llm.candidates,
                always: settings.llm.draws_always,
                ..Deciding::default()
            },
            thresholds: settings.llm.thresholds,
            ..AskSettings::default()
        },
        export: settings.export,
        scratch: settings.data_dir.clone(),
        accounts: settings.auth.accounts.clone(),
        golden_copy,
        questions: settings.questions,
        backups,
        work,
    })
}

/// Deletes old generations of the copy.
struct OldCopies(Arc<GoldenCopy>);

#[async_trait]
impl JobWork for OldCopies {
    async fn run(&self, _: &Job, _: &dyn OnJobProgress) -> Result<Option<String>, Error> {
        let golden_copy = self.0.clone();
        tokio::task::spawn_blocking(move || golden_copy.retain())
            .await
            .map_err(|fault| Error::new(Code::Internal, "the work was lost").with_cause(fault))??;
        Ok(None)
    }
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

/// Opens the store of vectors; Chroma may be down.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if the address or the token of Chroma cannot be used.
pub fn vectors(settings: &Settings) -> Result<Arc<dyn VectorStore>, Error> {
    match &settings.vectors {
        VectorSettings::Memory { folder } => Ok(Arc::new(MemoryVectors::open(folder))),
        VectorSettings::Chroma {
            url,
            tenant,
            database,
            token,
        } => {
            let mut chroma = ChromaSettings::new(url);
            chroma.token = token.as_ref().map(ChromaToken::new);
            if let Some(tenant) = tenant {
                chroma.tenant.clone_from(tenant);
            }
            if let Some(database) = database {
                chroma.database.clone_from(database);
            }
            let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
            Ok(Arc::new(ChromaVectors::open(chroma, clock, random)?))
        }
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
    /// Applied there with another text.
    pub altered: Vec<String>,
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
                altered: found.altered,
            }
        }
        SystemStoreSettings::Postgres(database) => {
            let found = stores::postgres::diagnose(&postgres_settings(database)).await?;
            Migrations {
                pending: found.pending,
                unknown: found.unknown,
                altered: found.altered,
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
    let copy_settings = GoldenCopySettings {
        value_index: Some(ValueIndexLimits::default()),
        ..copy_settings
    };
    GoldenCopy::new(copy_settings).map(|golden_copy| Some(Arc::new(golden_copy)))
}

/// Waits until the values of the copy in service are indexed, or until `at_most` has passed. A server answers without
/// them meanwhile; who asks one question would never have them.
pub async fn values_indexed(target: &dyn TargetDatabase, at_most: Duration) {
    let until = tokio::time::Instant::now() + at_most;
    while tokio::time::Instant::now() < until {
        let Ok(generation) = target.current().await else {
            return;
        };
        let visible = VisibleSchema::new(generation.schema(), &Visibility::everything());
        match generation.find_values("", &visible, 1).await {
            Ok(found) if found.index == ValueIndexState::Building => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            _ => return,
        }
    }
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

#[cfg(test)]
mod tests;
