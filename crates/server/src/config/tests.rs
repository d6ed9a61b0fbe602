//! The design's own example blocks, as they stand there, and what is documented.

use clap::{CommandFactory, FromArgMatches};

use super::*;
use crate::cli::Cli;

const DEVELOPMENT: &str = "
# System Database
DB_TYPE=postgresql
POSTGRES_HOST=localhost
POSTGRES_PORT=5432
POSTGRES_USER=postgres
POSTGRES_PASSWORD=development_password
POSTGRES_DB=vanna_db

# Target Database (optional)
ENABLE_TARGET_DB=false
TARGET_DATABASE_URL=
TARGET_DB_PATH=/app/data/vanna_db.db
";

const STAGING: &str = "
# System Database
DB_TYPE=postgresql
POSTGRES_HOST=postgres.staging.internal
POSTGRES_PORT=5432
POSTGRES_USER=vanna_user
POSTGRES_PASSWORD=${POSTGRES_PASSWORD}  # From secrets
POSTGRES_DB=vanna_staging

# Target Database (enabled)
ENABLE_TARGET_DB=true
TARGET_DATABASE_URL=sqlite:////data/analytics.db
TARGET_DB_PATH=/app/data/vanna_db.db
";

const PRODUCTION: &str = "
# System Database
DB_TYPE=postgresql
POSTGRES_HOST=postgres.prod.internal
POSTGRES_PORT=5432
POSTGRES_USER=vanna_prod
POSTGRES_PASSWORD=${POSTGRES_PASSWORD}  # From AWS Secrets Manager
POSTGRES_DB=vanna_prod

# Target Database (enabled with backup)
ENABLE_TARGET_DB=true
TARGET_DATABASE_URL=sqlite:////mnt/data/analytics.db
TARGET_DB_PATH=/app/data/vanna_db.db

# Initialization
SEED_DEMO_DATA=false  # No test data in prod
BACKUP_DIR=/backups/vanna
BACKUP_RETENTION_COUNT=30
";

const FOUR_COMPONENTS: &str = "
# System Database (PostgreSQL)
DATABASE_URL=postgresql://postgres:password@postgres:5432/vanna_db
POSTGRES_PASSWORD=secure_password

# Target Database (SQLite - read-only)
TARGET_DATABASE_URL=sqlite:////data/target.db
# Note: Mounted as read-only volume in docker-compose

# Feature Flags
SEED_DEMO_DATA=false              # In production, must be false
ENABLE_TARGET_DB=true             # Expect Target DB to exist

# ChromaDB
CHROMA_HOST=chroma
CHROMA_PORT=8000
AUTO_TRAIN_CHROMA=true            # Auto-train on startup

# Redis
REDIS_URL=redis://:password@redis:6379/0
REDIS_PASSWORD=secure_password
";

/// Reads a block as `.env` does, gives each line as the flag of its variable, and reads the settings. `secrets` adds
/// what no example shows and every PostgreSQL deployment needs.
fn settings_of(block: &str, secrets: &[&str]) -> Result<Settings, Vec<Fault>> {
    let flags = dotenvy::from_read_iter(block.as_bytes())
        .map(|line| line.unwrap())
        .map(|(name, value)| format!("--{}={value}", name.to_lowercase().replace('_', "-")));
    let command = ["assay", "--data-dir=/app/data"]
        .into_iter()
        .chain(secrets.iter().copied())
        .map(str::to_owned)
        .chain(flags)
        .chain(["serve".to_owned()]);
    // What this machine has set must not be read.
    let matches = Cli::command()
        .mut_args(|arg| arg.env(None))
        .get_matches_from(command);
    Settings::read(&EnvVars::from_arg_matches(&matches).unwrap(), None)
}

const SECRETS: [&str; 2] = [
    "--jwt-secret=0123456789abcdef0123456789abcdef",
    "--encryption-key=fedcba9876543210fedcba9876543210",
];

/// Returns the faults' variables; the examples name files that this machine does not have.
fn faults_of(block: &str, secrets: &[&str]) -> Vec<&'static str> {
    match settings_of(block, secrets) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|fault| fault.variable).collect(),
    }
}

/// Reads a block whose original is put where this machine has one.
fn with_original(block: &str, original: &str) -> (Settings, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(block.contains(original));
    let block = block.replace(original, &file.path().display().to_string());
    (settings_of(&block, &SECRETS).unwrap(), file)
}

fn url_of(settings: &Settings) -> &str {
    match &settings.system_store {
        SystemStoreSettings::Postgres(database) => &database.url,
        SystemStoreSettings::Sqlite { .. } => panic!("PostgreSQL"),
    }
}

#[test]
fn the_designs_development_example_starts() {
    let settings = settings_of(DEVELOPMENT, &SECRETS).unwrap();
    assert_eq!(
        url_of(&settings),
        "postgresql://postgres:development_password@localhost:5432/vanna_db"
    );
    assert_eq!(settings.target.source, TargetSource::Disabled);
    assert_eq!(
        settings.target.working_copy,
        Path::new("/app/data/vanna_db.db")
    );
    assert!(settings.backups.is_none());
}

#[test]
fn the_designs_staging_example_starts() {
    let (settings, original) = with_original(STAGING, "/data/analytics.db");
    // Nothing is set for `${POSTGRES_PASSWORD}` here, and an empty value is an unset one.
    assert_eq!(
        url_of(&settings),
        "postgresql://vanna_user@postgres.staging.internal:5432/vanna_staging"
    );
    assert_eq!(
        settings.target.source,
        TargetSource::File(original.path().into())
    );
}

#[test]
fn the_designs_production_example_starts() {
    let (settings, _original) = with_original(PRODUCTION, "/mnt/data/analytics.db");
    assert_eq!(
        url_of(&settings),
        "postgresql://vanna_prod@postgres.prod.internal:5432/vanna_prod"
    );
    let backups = settings.backups.unwrap();
    assert_eq!(backups.folder, Path::new("/backups/vanna"));
    assert_eq!(backups.keep, 30);
}

#[test]
fn the_designs_four_component_example_starts() {
    let (settings, _original) = with_original(FOUR_COMPONENTS, "/data/target.db");
    assert_eq!(
        url_of(&settings),
        "postgresql://postgres:password@postgres:5432/vanna_db"
    );
    assert!(
        matches!(&settings.vectors, VectorSettings::Chroma { url, .. } if url == "http://chroma:8000")
    );
    assert!(settings.keeps_index);
    let redis = settings.redis.unwrap();
    assert_eq!(redis.url, "redis://:password@redis:6379/0");
    assert_eq!(redis.password.as_deref(), Some("secure_password"));
}

#[test]
fn verbatim_the_examples_lack_their_files_and_secrets_and_nothing_else() {
    assert_eq!(faults_of(DEVELOPMENT, &SECRETS), [] as [&str; 0]);
    for block in [STAGING, PRODUCTION, FOUR_COMPONENTS] {
        assert_eq!(faults_of(block, &SECRETS), ["TARGET_DATABASE_URL"]);
    }
    assert_eq!(
        faults_of(DEVELOPMENT, &[]),
        ["JWT_SECRET", "ENCRYPTION_KEY"]
    );
    let faults = settings_of(DEVELOPMENT, &[]).unwrap_err();
    assert!(faults[0].message.contains("assay init --write-env FILE"));
}

#[test]
fn every_variable_is_documented_and_every_documented_one_is_there() {
    let documentation = include_str!("../../../../docs/configuration.md");
    let example = include_str!("../../../../.env.example");
    let command = Cli::command();
    let names: Vec<String> = command
        .get_arguments()
        .filter_map(|arg| arg.get_env())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    for name in &names {
        // The section about secrets says that each may stand in a file.
        let name = name.strip_suffix("_FILE").unwrap_or(name);
        assert!(documentation.contains(&format!("`{name}`")), "{name}");
    }
    for line in example.lines().filter_map(|line| line.strip_prefix('#')) {
        if let Some((name, _)) = line.split_once('=') {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }
}
