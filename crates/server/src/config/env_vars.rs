//! Every variable, once: the command line, the environment, `.env` and the documentation all come from here.

use clap::Args;

use super::telemetry::TraceVars;

/// The text of each variable as given; a flag wins over the environment, the environment over `.env`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings (also environment variables, also in .env)")]
pub struct EnvVars {
    /// Folder for everything Assay writes.
    #[arg(long, env = "DATA_DIR", global = true, hide_short_help = true)]
    pub data_dir: Option<String>,

    /// System store: `postgresql://user:password@host:5432/database` or `sqlite:////absolute.db`; wins over the parts below. Also as DATABASE_URL_FILE.
    #[arg(
        long,
        env = "DATABASE_URL",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub database_url: Option<String>,

    /// File that holds DATABASE_URL.
    #[arg(long, env = "DATABASE_URL_FILE", global = true, hide = true)]
    pub database_url_file: Option<String>,

    /// The owner's connection to PostgreSQL, for migrations and backups; DATABASE_URL. Also as MIGRATION_DATABASE_URL_FILE.
    #[arg(
        long,
        env = "MIGRATION_DATABASE_URL",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub migration_database_url: Option<String>,

    /// File that holds MIGRATION_DATABASE_URL.
    #[arg(long, env = "MIGRATION_DATABASE_URL_FILE", global = true, hide = true)]
    pub migration_database_url_file: Option<String>,

    /// Kind of system store: `postgresql` or `sqlite`; `postgresql` if any POSTGRES_* is set.
    #[arg(long, env = "DB_TYPE", global = true, hide_short_help = true)]
    pub db_type: Option<String>,

    /// Server of the system store; `localhost`.
    #[arg(long, env = "POSTGRES_HOST", global = true, hide_short_help = true)]
    pub postgres_host: Option<String>,

    /// Its port; 5432.
    #[arg(long, env = "POSTGRES_PORT", global = true, hide_short_help = true)]
    pub postgres_port: Option<String>,

    /// The user to connect as; `postgres`.
    #[arg(long, env = "POSTGRES_USER", global = true, hide_short_help = true)]
    pub postgres_user: Option<String>,

    /// That user's password. Also as POSTGRES_PASSWORD_FILE.
    #[arg(
        long,
        env = "POSTGRES_PASSWORD",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub postgres_password: Option<String>,

    /// File that holds POSTGRES_PASSWORD.
    #[arg(long, env = "POSTGRES_PASSWORD_FILE", global = true, hide = true)]
    pub postgres_password_file: Option<String>,

    /// The database; `vanna_db`.
    #[arg(long, env = "POSTGRES_DB", global = true, hide_short_help = true)]
    pub postgres_db: Option<String>,

    /// Connections to PostgreSQL that one process opens at most; 20.
    #[arg(
        long,
        env = "DATABASE_MAX_CONNECTIONS",
        global = true,
        hide_short_help = true
    )]
    pub database_max_connections: Option<String>,

    /// File of the system store; `system.db` in DATA_DIR.
    #[arg(long, env = "SQLITE_DB_PATH", global = true, hide_short_help = true)]
    pub sqlite_db_path: Option<String>,

    /// `true`: a target must be there. `false`: run without one. Unset: use one if it is found.
    #[arg(long, env = "ENABLE_TARGET_DB", global = true, hide_short_help = true)]
    pub enable_target_db: Option<String>,

    /// The original, as `sqlite:////absolute.db`, `sqlite:///relative.db` or a path.
    #[arg(
        long,
        env = "TARGET_DATABASE_URL",
        global = true,
        hide_short_help = true
    )]
    pub target_database_url: Option<String>,

    /// The original as a path; `./mydb.db` if there is one.
    #[arg(long, env = "TARGET_DB_SOURCE", global = true, hide_short_help = true)]
    pub target_db_source: Option<String>,

    /// The working copy; `target/vanna_db.db` in DATA_DIR.
    #[arg(long, env = "TARGET_DB_PATH", global = true, hide_short_help = true)]
    pub target_db_path: Option<String>,

    /// With no original: generate the demo company and use it as the original.
    #[arg(long, env = "SEED_DEMO_DATA", global = true, hide_short_help = true)]
    pub seed_demo_data: Option<String>,

    /// Language model: `gguf` (local), `openai` (any compatible server), `anthropic`.
    #[arg(long, env = "LLM_PROVIDER", global = true, hide_short_help = true)]
    pub llm_provider: Option<String>,

    /// Base URL of a remote model's server.
    #[arg(long, env = "LLM_BASE_URL", global = true, hide_short_help = true)]
    pub llm_base_url: Option<String>,

    /// A remote model's name; for `gguf` the name of a pinned model or the path of a file.
    #[arg(long, env = "LLM_MODEL", global = true, hide_short_help = true)]
    pub llm_model: Option<String>,

    /// Key of a remote model; also as LLM_API_KEY_FILE.
    #[arg(
        long,
        env = "LLM_API_KEY",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub llm_api_key: Option<String>,

    /// File that holds LLM_API_KEY.
    #[arg(long, env = "LLM_API_KEY_FILE", global = true, hide = true)]
    pub llm_api_key_file: Option<String>,

    /// How an `openai` server is told a grammar, so that the last repair names only what is there: `none`, `llama.cpp`, `vllm`.
    #[arg(long, env = "LLM_GRAMMAR", global = true, hide_short_help = true)]
    pub llm_grammar: Option<String>,

    /// What a remote model may see of the data: `none`, `samples`, `all`.
    #[arg(long, env = "LLM_SEND_VALUES", global = true, hide_short_help = true)]
    pub llm_send_values: Option<String>,

    /// Statements drawn beside the first one, 0 to 8; a remote model is asked for all of them in one request.
    #[arg(long, env = "LLM_CANDIDATES", global = true, hide_short_help = true)]
    pub llm_candidates: Option<String>,

    /// When statements are drawn beside the first one: `always`, or on a `doubt` only. Default: always by a local model.
    #[arg(long, env = "LLM_DRAW", global = true, hide_short_help = true)]
    pub llm_draw: Option<String>,

    /// Percent of confidence below which a viewer is asked back instead of answered, 0 to 100; 0 answers whatever runs.
    #[arg(
        long,
        env = "MIN_CONFIDENCE_VIEWER",
        global = true,
        hide_short_help = true
    )]
    pub min_confidence_viewer: Option<String>,

    /// The same for analysts.
    #[arg(
        long,
        env = "MIN_CONFIDENCE_ANALYST",
        global = true,
        hide_short_help = true
    )]
    pub min_confidence_analyst: Option<String>,

    /// The same for administrators.
    #[arg(
        long,
        env = "MIN_CONFIDENCE_ADMIN",
        global = true,
        hide_short_help = true
    )]
    pub min_confidence_admin: Option<String>,

    /// Threads of the local model; one for each physical core.
    #[arg(long, env = "LLM_THREADS", global = true, hide_short_help = true)]
    pub llm_threads: Option<String>,

    /// Tokens of prompt and reply together that the local model holds; 8192.
    #[arg(
        long,
        env = "LLM_CONTEXT_TOKENS",
        global = true,
        hide_short_help = true
    )]
    pub llm_context_tokens: Option<String>,

    /// Embedding model: `gguf` (local), `openai` (any compatible server), `none`; the local one if it is installed.
    #[arg(
        long,
        env = "EMBEDDING_PROVIDER",
        global = true,
        hide_short_help = true
    )]
    pub embedding_provider: Option<String>,

    /// A remote embedding model's name; for `gguf` the name of a pinned model or the path of a file.
    #[arg(long, env = "EMBEDDING_MODEL", global = true, hide_short_help = true)]
    pub embedding_model: Option<String>,

    /// Base URL of a remote embedding model's server.
    #[arg(
        long,
        env = "EMBEDDING_BASE_URL",
        global = true,
        hide_short_help = true
    )]
    pub embedding_base_url: Option<String>,

    /// Key of a remote embedding model; also as EMBEDDING_API_KEY_FILE.
    #[arg(
        long,
        env = "EMBEDDING_API_KEY",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub embedding_api_key: Option<String>,

    /// File that holds EMBEDDING_API_KEY.
    #[arg(long, env = "EMBEDDING_API_KEY_FILE", global = true, hide = true)]
    pub embedding_api_key_file: Option<String>,

    /// Folder for model files and prefix states; the user's cache folder.
    #[arg(long, env = "ASSAY_CACHE_DIR", global = true, hide_short_help = true)]
    pub assay_cache_dir: Option<String>,

    /// E-mail address of the first administrator; `admin@localhost`.
    #[arg(long, env = "INIT_ADMIN_EMAIL", global = true, hide_short_help = true)]
    pub init_admin_email: Option<String>,

    /// Other name of INIT_ADMIN_EMAIL.
    #[arg(long, env = "INIT_ADMIN_USERNAME", global = true, hide = true)]
    pub init_admin_username: Option<String>,

    /// Password of the first administrator; a random one, shown once. Also as INIT_ADMIN_PASSWORD_FILE.
    #[arg(
        long,
        env = "INIT_ADMIN_PASSWORD",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub init_admin_password: Option<String>,

    /// File that holds INIT_ADMIN_PASSWORD.
    #[arg(long, env = "INIT_ADMIN_PASSWORD_FILE", global = true, hide = true)]
    pub init_admin_password_file: Option<String>,

    /// Signs sessions, at least 32 bytes; generated once into DATA_DIR with SQLite, needed with PostgreSQL. Also as JWT_SECRET_FILE.
    #[arg(
        long,
        env = "JWT_SECRET",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub jwt_secret: Option<String>,

    /// File that holds JWT_SECRET.
    #[arg(long, env = "JWT_SECRET_FILE", global = true, hide = true)]
    pub jwt_secret_file: Option<String>,

    /// Encrypts secret settings and signs the audit trail, at least 32 characters; generated once into DATA_DIR with SQLite, needed with PostgreSQL. Also as ENCRYPTION_KEY_FILE.
    #[arg(
        long,
        env = "ENCRYPTION_KEY",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub encryption_key: Option<String>,

    /// File that holds ENCRYPTION_KEY.
    #[arg(long, env = "ENCRYPTION_KEY_FILE", global = true, hide = true)]
    pub encryption_key_file: Option<String>,

    /// Earlier values of ENCRYPTION_KEY, separated by commas, that still decrypt and verify. Also as ENCRYPTION_KEY_PREVIOUS_FILE.
    #[arg(
        long,
        env = "ENCRYPTION_KEY_PREVIOUS",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub encryption_key_previous: Option<String>,

    /// File that holds ENCRYPTION_KEY_PREVIOUS.
    #[arg(long, env = "ENCRYPTION_KEY_PREVIOUS_FILE", global = true, hide = true)]
    pub encryption_key_previous_file: Option<String>,

    /// Folder for backups of the system store, none of which are made without it, and for the heads of the audit trail.
    #[arg(long, env = "BACKUP_DIR", global = true, hide_short_help = true)]
    pub backup_dir: Option<String>,

    /// Backups that are kept; 30.
    #[arg(
        long,
        env = "BACKUP_RETENTION_COUNT",
        global = true,
        hide_short_help = true
    )]
    pub backup_retention_count: Option<String>,

    /// When a server makes a backup: a cron pattern in UTC, or `off`; `0 1 * * *` (every night).
    #[arg(long, env = "BACKUP_SCHEDULE", global = true, hide_short_help = true)]
    pub backup_schedule: Option<String>,

    /// Address and port for metrics, open to whoever reaches it; without it they are at /metrics, for administrators.
    #[arg(long, env = "METRICS_LISTEN", global = true, hide_short_help = true)]
    pub metrics_listen: Option<String>,

    /// Form of the log: `text` or `json`.
    #[arg(long, env = "LOG_FORMAT", global = true, hide_short_help = true)]
    pub log_format: Option<String>,

    /// Where traces go.
    #[command(flatten)]
    pub traces: TraceVars,

    /// Chroma, the vector store; without it vectors are searched in the process.
    #[arg(long, env = "CHROMA_HOST", global = true, hide_short_help = true)]
    pub chroma_host: Option<String>,

    /// Its port; 8000.
    #[arg(long, env = "CHROMA_PORT", global = true, hide_short_help = true)]
    pub chroma_port: Option<String>,

    /// `true`: speak TLS with it; `false`.
    #[arg(long, env = "CHROMA_SSL", global = true, hide_short_help = true)]
    pub chroma_ssl: Option<String>,

    /// The tenant there, made when it is missing; `default_tenant`.
    #[arg(long, env = "CHROMA_TENANT", global = true, hide_short_help = true)]
    pub chroma_tenant: Option<String>,

    /// The database there, made when it is missing; `default_database`.
    #[arg(long, env = "CHROMA_DATABASE", global = true, hide_short_help = true)]
    pub chroma_database: Option<String>,

    /// Token for a Chroma that wants one; also as CHROMA_TOKEN_FILE.
    #[arg(
        long,
        env = "CHROMA_TOKEN",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub chroma_token: Option<String>,

    /// File that holds CHROMA_TOKEN.
    #[arg(long, env = "CHROMA_TOKEN_FILE", global = true, hide = true)]
    pub chroma_token_file: Option<String>,

    /// `false`: leave the index of schema, terms and verified queries to `assay index`; `true` brings it up to date at start and when something changed.
    #[arg(long, env = "AUTO_TRAIN_CHROMA", global = true, hide_short_help = true)]
    pub auto_train_chroma: Option<String>,

    /// `false`: have every answer generated anew; `true` reuses SQL of verified queries and of questions asked before.
    #[arg(long, env = "SEMANTIC_CACHE", global = true, hide_short_help = true)]
    pub semantic_cache: Option<String>,

    /// Redis that replicas share for the cache, rate limits and jobs: redis://host:6379/0, or rediss:// for TLS; without it each process has its own.
    #[arg(
        long,
        env = "REDIS_URL",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub redis_url: Option<String>,

    /// Password of Redis; wins over that of REDIS_URL. Also as REDIS_PASSWORD_FILE.
    #[arg(
        long,
        env = "REDIS_PASSWORD",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub redis_password: Option<String>,

    /// File that holds REDIS_PASSWORD.
    #[arg(long, env = "REDIS_PASSWORD_FILE", global = true, hide = true)]
    pub redis_password_file: Option<String>,

    /// Address and port to serve on; `127.0.0.1:8000`.
    #[arg(long, env = "LISTEN", global = true, hide_short_help = true)]
    pub listen: Option<String>,

    /// Questions and statements that one person may send in a minute; 0, the default, is without a limit.
    #[arg(
        long,
        env = "QUESTIONS_PER_MINUTE",
        global = true,
        hide_short_help = true
    )]
    pub questions_per_minute: Option<String>,

    /// Seconds that one statement may take; 30.
    #[arg(
        long,
        env = "QUERY_TIMEOUT_SECONDS",
        global = true,
        hide_short_help = true
    )]
    pub query_timeout_seconds: Option<String>,

    /// Rows that one answer may have; 10000.
    #[arg(long, env = "QUERY_MAX_ROWS", global = true, hide_short_help = true)]
    pub query_max_rows: Option<String>,

    /// Rows that an export may have; 1000000.
    #[arg(long, env = "EXPORT_MAX_ROWS", global = true, hide_short_help = true)]
    pub export_max_rows: Option<String>,

    /// Seconds that the statement of an export may take; 300.
    #[arg(
        long,
        env = "EXPORT_TIMEOUT_SECONDS",
        global = true,
        hide_short_help = true
    )]
    pub export_timeout_seconds: Option<String>,

    /// Seconds that one generation may take, waiting included; 300.
    #[arg(
        long,
        env = "GENERATION_TIMEOUT_SECONDS",
        global = true,
        hide_short_help = true
    )]
    pub generation_timeout_seconds: Option<String>,

    // Accounts, sessions and letters.
    /// Earlier values of JWT_SECRET, separated by commas, that are still believed. Also as JWT_SECRET_PREVIOUS_FILE.
    #[arg(
        long,
        env = "JWT_SECRET_PREVIOUS",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub jwt_secret_previous: Option<String>,

    /// File that holds JWT_SECRET_PREVIOUS.
    #[arg(long, env = "JWT_SECRET_PREVIOUS_FILE", global = true, hide = true)]
    pub jwt_secret_previous_file: Option<String>,

    /// Who may make an account: `closed`, `invite` or `open`; `closed`.
    #[arg(long, env = "REGISTRATION", global = true, hide_short_help = true)]
    pub registration: Option<String>,

    /// Where people reach Assay; links in letters begin with it, and https makes cookies secure.
    #[arg(long, env = "PUBLIC_URL", global = true, hide_short_help = true)]
    pub public_url: Option<String>,

    /// Networks of proxies whose X-Forwarded-For is believed, separated by commas; none.
    #[arg(long, env = "TRUSTED_PROXIES", global = true, hide_short_help = true)]
    pub trusted_proxies: Option<String>,

    /// Origins of other sites whose pages may ask through `<assay-ask>`, separated by commas; none.
    #[arg(long, env = "EMBED_ORIGINS", global = true, hide_short_help = true)]
    pub embed_origins: Option<String>,

    /// How long an access token is good without a refresh; 15m.
    #[arg(
        long,
        env = "ACCESS_TOKEN_LIFETIME",
        global = true,
        hide_short_help = true
    )]
    pub access_token_lifetime: Option<String>,

    /// How long a session lives without a refresh; 14d.
    #[arg(
        long,
        env = "REFRESH_TOKEN_LIFETIME",
        global = true,
        hide_short_help = true
    )]
    pub refresh_token_lifetime: Option<String>,

    /// How long a session lives at most; 90d.
    #[arg(long, env = "SESSION_LIFETIME", global = true, hide_short_help = true)]
    pub session_lifetime: Option<String>,

    /// How long the link of a reset letter is good; 1h.
    #[arg(
        long,
        env = "PASSWORD_RESET_LIFETIME",
        global = true,
        hide_short_help = true
    )]
    pub password_reset_lifetime: Option<String>,

    /// How long an invitation is good; 7d.
    #[arg(
        long,
        env = "INVITATION_LIFETIME",
        global = true,
        hide_short_help = true
    )]
    pub invitation_lifetime: Option<String>,

    /// Wrong passwords that one account may be tried with in 15 minutes; 10.
    #[arg(
        long,
        env = "LOGIN_TRIES_PER_ACCOUNT",
        global = true,
        hide_short_help = true
    )]
    pub login_tries_per_account: Option<String>,

    /// Logins that one network address may try in 15 minutes; 100.
    #[arg(
        long,
        env = "LOGIN_TRIES_PER_ADDRESS",
        global = true,
        hide_short_help = true
    )]
    pub login_tries_per_address: Option<String>,

    /// Mail server as smtps://user:password@host; letters go to the outbox without one. Also as SMTP_URL_FILE.
    #[arg(
        long,
        env = "SMTP_URL",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub smtp_url: Option<String>,

    /// File that holds SMTP_URL.
    #[arg(long, env = "SMTP_URL_FILE", global = true, hide = true)]
    pub smtp_url_file: Option<String>,

    /// Name of the mail server, instead of SMTP_URL.
    #[arg(long, env = "SMTP_HOST", global = true, hide_short_help = true)]
    pub smtp_host: Option<String>,

    /// Port of the mail server; the usual one for SMTP_TLS.
    #[arg(long, env = "SMTP_PORT", global = true, hide_short_help = true)]
    pub smtp_port: Option<String>,

    /// User at the mail server.
    #[arg(long, env = "SMTP_USER", global = true, hide_short_help = true)]
    pub smtp_user: Option<String>,

    /// Password at the mail server. Also as SMTP_PASSWORD_FILE.
    #[arg(
        long,
        env = "SMTP_PASSWORD",
        global = true,
        hide_short_help = true,
        hide_env_values = true
    )]
    pub smtp_password: Option<String>,

    /// File that holds SMTP_PASSWORD.
    #[arg(long, env = "SMTP_PASSWORD_FILE", global = true, hide = true)]
    pub smtp_password_file: Option<String>,

    /// From whom letters are: Assay <assay@example.org>.
    #[arg(long, env = "SMTP_FROM", global = true, hide_short_help = true)]
    pub smtp_from: Option<String>,

    /// Protection of the connection: `implicit`, `starttls` or `none`; `starttls`.
    #[arg(long, env = "SMTP_TLS", global = true, hide_short_help = true)]
    pub smtp_tls: Option<String>,
}
