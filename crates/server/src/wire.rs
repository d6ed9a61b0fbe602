//! The composition root: the only file that names both a port and an implementation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::ask::{AskSettings, Asker};
use engine::policy::{Role, Visibility};
use engine::ports::{
    Clock, Generation, GenerationLimits, Generator, ModelIdentity, Ports, SystemStore,
};
use engine::ports::{TargetDatabase, TargetGeneration};
use engine::prompt::Prompt;
use engine::{Code, Error};
use stores::golden_copy::{
    GoldenCopy, GoldenCopySettings, OnProgress, copy_in_cache, prune_copies,
};
use stores::sqlite::SqliteStore;

use crate::config::{LlmProvider, LlmSettings, Settings, TargetSource};
use crate::demo_company;

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
    /// The golden copy behind the target port; `None` when there is no target.
    pub golden_copy: Option<Arc<GoldenCopy>>,
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
    let store = open_store(settings)?;
    let generator = generator(&settings.llm)?;
    let golden_copy = open_golden_copy(settings, file, progress)?;
    app(settings, store, generator, golden_copy)
}

/// Opens the system store and the target for SQL of one's own, which needs no model.
///
/// # Errors
///
/// The first part that cannot be opened.
pub fn open_without_model(
    settings: &Settings,
    file: Option<&Path>,
    progress: OnProgress<'_>,
) -> Result<App, Error> {
    let store = open_store(settings)?;
    let golden_copy = open_golden_copy(settings, file, progress)?;
    app(settings, store, Arc::new(NoGenerator), golden_copy)
}

/// Puts an app together from its parts.
///
/// # Errors
///
/// None today; a part that is configured wrongly will be told here.
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
    let instance: [u8; 8] = random_bytes();
    Ok(App {
        ports: Ports {
            store,
            target,
            generator,
            clock: Arc::new(SystemClock),
        },
        ask: AskSettings {
            send_values: settings.llm.send_values,
            query: settings.query,
            generation: settings.generation,
            instance_id: format!("{:016x}", u64::from_be_bytes(instance)),
            ..AskSettings::default()
        },
        golden_copy,
    })
}

/// Opens the system store, bringing it up to date.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub fn open_store(settings: &Settings) -> Result<Arc<dyn SystemStore>, Error> {
    Ok(Arc::new(SqliteStore::open(&settings.system_store)?))
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

/// Returns the asker of the command line: the local administrator, who sees everything.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub fn everything_for(user_id: i64) -> Asker {
    Asker {
        actor: engine::accounts::Actor {
            user_id,
            role: Role::Admin,
        },
        visibility: Visibility::everything(),
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
