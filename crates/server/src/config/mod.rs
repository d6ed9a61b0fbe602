//! Settings: read once at start, every fault reported at once with its variable's name.

mod auth;
mod backups;
mod embedding;
mod env_vars;
mod faults;
mod keys;
mod mail;
mod network;
mod redis;
mod system_store;
mod target;
mod telemetry;
mod vectors;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::ask::Thresholds;
use engine::ports::{Allowance, GenerationLimits, QueryLimits, Sampling};
use engine::prompt::SendValues;
use llm::remote::Grammar;
use stores::redis::RedisSettings;

pub use auth::AuthSettings;
pub use backups::{BackupSchedule, BackupSettings};
pub use embedding::EmbeddingSettings;
pub use env_vars::EnvVars;
pub use faults::Fault;
use faults::{Faults, given, given_path};
pub use keys::KeySettings;
pub use mail::{MailSettings, SmtpServer, SmtpTls};
pub use network::Network;
pub use system_store::{PostgresDatabase, SystemStoreSettings};
pub use target::TargetSource;
pub use telemetry::TraceSettings;
pub use vectors::VectorSettings;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder for everything Assay writes.
    pub data_dir: PathBuf,
    /// Users, questions, audit trail.
    pub system_store: SystemStoreSettings,
    /// What replicas share for the cache, rate limits and jobs; `None` when each process has its own.
    pub redis: Option<RedisSettings>,
    /// Backups of the system store; `None` when no folder is set.
    pub backups: Option<BackupSettings>,
    /// The business data.
    pub target: TargetSettings,
    /// Where vectors are searched.
    pub vectors: VectorSettings,
    /// The language model.
    pub llm: LlmSettings,
    /// The embedding model.
    pub embedding: EmbeddingSettings,
    /// Accounts, sessions and the first administrator.
    pub auth: AuthSettings,
    /// How letters leave.
    pub mail: MailSettings,
    /// Encrypt secret settings and sign the audit trail.
    pub keys: KeySettings,
    /// Folder of the file that heads of the audit trail are noted in: that of the backups, else that of the data.
    pub anchor_folder: PathBuf,
    /// Where to serve.
    pub listen: SocketAddr,
    /// Where to serve metrics to anyone; `None` is at the main address, to administrators.
    pub metrics_listen: Option<SocketAddr>,
    /// Where traces go; `None` when nothing is traced.
    pub traces: Option<TraceSettings>,
    /// The index is brought up to date at start and when something changed.
    pub keeps_index: bool,
    /// SQL of verified queries and of questions asked before is reused.
    pub reuses_sql: bool,
    /// How often one person may ask; `None` is as often as they like.
    pub questions: Option<Allowance>,
    /// Bounds on one statement.
    pub query: QueryLimits,
    /// Bounds on the statement of an export.
    pub export: QueryLimits,
    /// Bounds on one generation.
    pub generation: GenerationLimits,
}

/// The business data.
#[derive(Debug, Clone)]
pub struct TargetSettings {
    /// Where it comes from.
    pub source: TargetSource,
    /// Where the copy in service can be opened.
    pub working_copy: PathBuf,
    /// Copies of files asked by name.
    pub copies: PathBuf,
}

/// The language model.
#[derive(Debug, Clone)]
pub struct LlmSettings {
    /// Which.
    pub provider: LlmProvider,
    /// The cache folder of models and prefix states; `None` when no home folder is known.
    pub cache_dir: Option<PathBuf>,
    /// What a remote model may see of the data.
    pub send_values: SendValues,
    /// Statements drawn beside the first one.
    pub candidates: u32,
    /// They are drawn for every question, and not only when the first one leaves a doubt.
    pub draws_always: bool,
    /// How sure an answer must be.
    pub thresholds: Thresholds,
}

/// Which language model.
#[derive(Clone)]
pub enum LlmProvider {
    /// A local file.
    Gguf {
        /// A pinned model's name or a path; `None` is the default model.
        model: Option<String>,
        /// Threads; `None` is one for each physical core.
        threads: Option<u32>,
        /// Tokens of prompt and reply together.
        context_tokens: u32,
    },
    /// A server.
    Remote {
        /// `openai` or `anthropic`.
        kind: String,
        /// Its base URL; `None` is the provider's own.
        base_url: Option<String>,
        /// The model's name.
        model: String,
        /// The key.
        api_key: Option<String>,
        /// Whether and how it can be held to names.
        grammar: Grammar,
    },
}

/// Keys are never printed.
impl std::fmt::Debug for LlmProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LlmProvider::Gguf { model, .. } => write!(f, "gguf {model:?}"),
            LlmProvider::Remote {
                kind,
                base_url,
                model,
                ..
            } => write!(f, "{kind} {base_url:?} {model}"),
        }
    }
}

impl Settings {
    /// Reads all variables; `default_data_dir` serves when DATA_DIR is unset.
    ///
    /// # Errors
    ///
    /// Every fault there is.
    pub fn read(vars: &EnvVars, default_data_dir: Option<&Path>) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let data_dir = given_path(vars.data_dir.as_ref())
            .or_else(|| default_data_dir.map(Path::to_owned))
            .or_else(platform_data_dir)
            .unwrap_or_else(|| {
                faults.add(
                    "DATA_DIR",
                    "there is no home folder to choose a default in; name a folder",
                );
                PathBuf::new()
            });
        let system_store = system_store::read(vars, &data_dir, &mut faults);
        let listen = address("LISTEN", vars.listen.as_ref(), &mut faults)
            .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8000)));
        let auth = auth::read(vars, listen, &mut faults);
        let keys = keys::read(vars, &mut faults);
        if system_store.is_postgres() {
            needed_with_postgres("JWT_SECRET", auth.jwt_secret.is_some(), &mut faults);
            needed_with_postgres("ENCRYPTION_KEY", keys.current.is_some(), &mut faults);
        }
        log_format(vars, &mut faults);
        let settings = Self {
            system_store,
            redis: redis::read(vars, &mut faults),
            backups: backups::read(vars, &mut faults),
            target: target::read(vars, &data_dir, &mut faults),
            vectors: vectors::read(vars, &data_dir, &mut faults),
            llm: llm(vars, &mut faults),
            embedding: embedding::read(vars, &mut faults),
            auth,
            mail: mail::read(vars, &data_dir, &mut faults),
            keys,
            anchor_folder: given_path(vars.backup_dir.as_ref()).unwrap_or_else(|| data_dir.clone()),
            listen,
            metrics_listen: address("METRICS_LISTEN", vars.metrics_listen.as_ref(), &mut faults),
            traces: telemetry::read(vars, &mut faults),
            keeps_index: faults
                .switch("AUTO_TRAIN_CHROMA", vars.auto_train_chroma.as_ref())
                .unwrap_or(true),
            reuses_sql: faults
                .switch("SEMANTIC_CACHE", vars.semantic_cache.as_ref())
                .unwrap_or(true),
            questions: questions(vars, &mut faults),
            query: QueryLimits {
                timeout: Duration::from_secs(faults.number(
                    "QUERY_TIMEOUT_SECONDS",
                    vars.query_timeout_seconds.as_ref(),
                    30,
                    1..=3_600,
                )),
                max_rows: usize::try_from(faults.number(
                    "QUERY_MAX_ROWS",
                    vars.query_max_rows.as_ref(),
                    10_000,
                    1..=10_000_000,
                ))
                .unwrap_or(usize::MAX),
                ..QueryLimits::default()
            },
            export: QueryLimits {
                timeout: Duration::from_secs(faults.number(
                    "EXPORT_TIMEOUT_SECONDS",
                    vars.export_timeout_seconds.as_ref(),
                    300,
                    1..=86_400,
                )),
                max_rows: usize::try_from(faults.number(
                    "EXPORT_MAX_ROWS",
                    vars.export_max_rows.as_ref(),
                    1_000_000,
                    1..=1_000_000_000,
                ))
                .unwrap_or(usize::MAX),
                // Rows are written one by one; the disk is the bound.
                max_bytes: usize::MAX,
            },
            generation: GenerationLimits {
                timeout: Duration::from_secs(faults.number(
                    "GENERATION_TIMEOUT_SECONDS",
                    vars.generation_timeout_seconds.as_ref(),
                    300,
                    1..=3_600,
                )),
                ..GenerationLimits::default()
            },
            data_dir,
        };
        if faults.0.is_empty() {
            Ok(settings)
        } else {
            Err(faults.0)
        }
    }
}

fn llm(vars: &EnvVars, faults: &mut Faults) -> LlmSettings {
    let model = given(vars.llm_model.as_ref()).map(str::to_owned);
    let api_key = faults.secret(
        "LLM_API_KEY",
        vars.llm_api_key.as_ref(),
        vars.llm_api_key_file.as_ref(),
    );
    let provider = match given(vars.llm_provider.as_ref())
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        None | Some("gguf") => {
            let threads = faults.number("LLM_THREADS", vars.llm_threads.as_ref(), 0, 0..=512);
            let tokens = faults.number(
                "LLM_CONTEXT_TOKENS",
                vars.llm_context_tokens.as_ref(),
                8_192,
                1_024..=131_072,
            );
            LlmProvider::Gguf {
                model,
                threads: u32::try_from(threads).ok().filter(|threads| *threads > 0),
                context_tokens: u32::try_from(tokens).unwrap_or(8_192),
            }
        }
        Some(kind @ ("openai" | "anthropic")) => LlmProvider::Remote {
            kind: kind.to_owned(),
            base_url: given(vars.llm_base_url.as_ref()).map(str::to_owned),
            model: model.unwrap_or_else(|| {
                faults.add(
                    "LLM_MODEL",
                    format!("LLM_PROVIDER is `{kind}`; name the model it should use"),
                );
                String::new()
            }),
            api_key,
            grammar: grammar(kind, vars, faults),
        },
        Some(other) => {
            faults.add(
                "LLM_PROVIDER",
                format!("`{other}` is not known; use `gguf`, `openai` or `anthropic`"),
            );
            LlmProvider::Gguf {
                model: None,
                threads: None,
                context_tokens: 8_192,
            }
        }
    };
    let send_values = match given(vars.llm_send_values.as_ref()) {
        None => SendValues::None,
        Some(text) => SendValues::parse(text).unwrap_or_else(|| {
            faults.add(
                "LLM_SEND_VALUES",
                format!("`{text}` is not `none`, `samples` or `all`"),
            );
            SendValues::None
        }),
    };
    // A local model draws along what it wrote. A remote one is paid by the token.
    let is_local = matches!(provider, LlmProvider::Gguf { .. });
    let draws_always = match given(vars.llm_draw.as_ref()) {
        None => is_local,
        Some("always") => true,
        Some("doubt") => false,
        Some(other) => {
            let instead = format!("`{other}` is not `always` or `doubt`");
            faults.add("LLM_DRAW", instead);
            is_local
        }
    };
    LlmSettings {
        provider,
        cache_dir: llm::pull::cache_dir(|name| match name {
            "ASSAY_CACHE_DIR" => vars.assay_cache_dir.clone().map(Into::into),
            other => std::env::var_os(other),
        }),
        send_values,
        candidates: faults.number(
            "LLM_CANDIDATES",
            vars.llm_candidates.as_ref(),
            3,
            0..=u64::from(Sampling::COUNT_AT_MOST),
        ) as u32,
        draws_always,
        thresholds: thresholds(vars, faults),
    }
}

fn grammar(kind: &str, vars: &EnvVars, faults: &mut Faults) -> Grammar {
    let grammar = match given(vars.llm_grammar.as_ref()) {
        None | Some("none") => Grammar::None,
        Some("llama.cpp") => Grammar::LlamaCpp,
        Some("vllm") => Grammar::Vllm,
        Some(other) => {
            let instead = format!("`{other}` is not `none`, `llama.cpp` or `vllm`");
            faults.add("LLM_GRAMMAR", instead);
            Grammar::None
        }
    };
    if grammar != Grammar::None && kind != "openai" {
        faults.add(
            "LLM_GRAMMAR",
            format!("LLM_PROVIDER is `{kind}`, which takes no grammar; leave it out"),
        );
    }
    grammar
}

fn thresholds(vars: &EnvVars, faults: &mut Faults) -> Thresholds {
    let mut share = |variable, percent: Option<&String>| {
        faults.number(variable, percent, 0, 0..=100) as f64 / 100.0
    };
    Thresholds {
        viewer: share("MIN_CONFIDENCE_VIEWER", vars.min_confidence_viewer.as_ref()),
        analyst: share(
            "MIN_CONFIDENCE_ANALYST",
            vars.min_confidence_analyst.as_ref(),
        ),
        admin: share("MIN_CONFIDENCE_ADMIN", vars.min_confidence_admin.as_ref()),
    }
}

/// Replicas share a PostgreSQL store, so a secret that each makes for itself would not be the same on all of them.
fn needed_with_postgres(variable: &'static str, is_given: bool, faults: &mut Faults) {
    // A secret whose file cannot be read has its fault already.
    if !is_given && !faults.0.iter().any(|fault| fault.variable == variable) {
        faults.add(
            variable,
            "with PostgreSQL it must be given; `assay init --write-env FILE` writes it to a file for you",
        );
    }
}

fn questions(vars: &EnvVars, faults: &mut Faults) -> Option<Allowance> {
    let burst = faults.number(
        "QUESTIONS_PER_MINUTE",
        vars.questions_per_minute.as_ref(),
        0,
        0..=1_000_000,
    );
    let burst = u32::try_from(burst).ok().filter(|burst| *burst > 0)?;
    Some(Allowance {
        burst,
        per: Duration::from_secs(60),
    })
}

fn log_format(vars: &EnvVars, faults: &mut Faults) {
    if let Some(text) = given(vars.log_format.as_ref())
        && !matches!(text, "text" | "json")
    {
        faults.add(
            "LOG_FORMAT",
            format!("`{text}` is neither `text` nor `json`"),
        );
    }
}

fn address(
    variable: &'static str,
    text: Option<&String>,
    faults: &mut Faults,
) -> Option<SocketAddr> {
    let text = given(text)?;
    let address = text.parse().ok();
    if address.is_none() {
        faults.add(
            variable,
            format!("`{text}` is not an address and port such as 127.0.0.1:8000"),
        );
    }
    address
}

/// Returns the user's data folder, by the XDG base directory specification.
fn platform_data_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|folder| folder.join("assay"))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod reading_tests {
    use super::*;

    fn vars(change: impl FnOnce(&mut EnvVars)) -> EnvVars {
        let mut vars = EnvVars {
            data_dir: Some("/data".into()),
            ..EnvVars::default()
        };
        change(&mut vars);
        vars
    }

    #[test]
    fn nothing_configured_is_a_whole_system() {
        let settings = Settings::read(&vars(|_| ()), None).unwrap();
        let path = PathBuf::from("/data/system.db");
        assert_eq!(settings.system_store, SystemStoreSettings::Sqlite { path });
        assert_eq!(
            settings.target.working_copy,
            Path::new("/data/target/vanna_db.db")
        );
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8000");
        assert!(matches!(
            settings.llm.provider,
            LlmProvider::Gguf { model: None, .. }
        ));
    }

    #[test]
    fn all_faults_are_reported_at_once_and_an_empty_value_is_an_unset_one() {
        let faults = Settings::read(
            &vars(|vars| {
                vars.listen = Some("nowhere".into());
                vars.llm_provider = Some("openai".into());
                vars.llm_send_values = Some("some".into());
                vars.enable_target_db = Some("maybe".into());
                vars.query_max_rows = Some("0".into());
                vars.jwt_secret = Some("short".into());
                vars.db_type = Some("postgresql".into());
                vars.postgres_port = Some("many".into());
                vars.encryption_key = Some("".into());
                vars.backup_schedule = Some("tonight".into());
                vars.database_url = Some(" ".into());
            }),
            None,
        )
        .unwrap_err();
        let mut names: Vec<_> = faults.iter().map(|fault| fault.variable).collect();
        names.sort_unstable();
        let expected = [
            "BACKUP_SCHEDULE",
            "ENABLE_TARGET_DB",
            "ENCRYPTION_KEY",
            "JWT_SECRET",
            "LISTEN",
            "LLM_MODEL",
            "LLM_SEND_VALUES",
            "POSTGRES_PORT",
            "QUERY_MAX_ROWS",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_secret_may_stand_in_a_file_and_is_never_printed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "sk-very-secret\n").unwrap();
        let settings = Settings::read(
            &vars(|vars| {
                vars.llm_provider = Some("openai".into());
                vars.llm_model = Some("m".into());
                vars.llm_api_key_file = Some(file.path().display().to_string());
            }),
            None,
        )
        .unwrap();
        let LlmProvider::Remote { api_key, .. } = &settings.llm.provider else {
            panic!("a remote provider");
        };
        assert_eq!(api_key.as_deref(), Some("sk-very-secret"));
        assert!(!format!("{settings:?}").contains("sk-very-secret"));
    }
}
