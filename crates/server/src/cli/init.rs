//! `assay init`: everything that has to be there before the first question, each step once, however often it is run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use engine::accounts::UserFilter;
use engine::audit::AuditFilter;
use engine::ontology;
use engine::ports::{PageRequest, Ports, QueryFilter};
use engine::{Code, Error};

use super::output::CopyBar;
use super::steps::Steps;
use crate::config::{Settings, SystemStoreSettings, TargetSource};
use crate::keys::Keys;
use crate::{sealing, wire};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Import the business terms of this YAML file.
    #[arg(long, value_name = "FILE")]
    ontology: Option<PathBuf>,
    /// Only write fresh secrets for a deployment to this file; one that is there is not overwritten.
    #[arg(long, value_name = "FILE")]
    pub(super) write_env: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Does everything in order. What depends on a step that failed is not tried.
pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let mut steps = Steps::new(args.json);
    steps.take("environment", environment(settings));
    // One lock around all of it: whoever comes second finds everything done.
    let lock = match wire::lock_init(settings).await {
        Ok(lock) => {
            steps.take("connection", Ok(settings.system_store.to_string()));
            lock
        }
        Err(fault) => {
            steps.take("connection", Err(fault));
            return Ok(steps.finish());
        }
    };
    let migrated = migrate(settings).await;
    let is_migrated = steps.take("migrations", migrated).is_some();
    if is_migrated {
        let app = wire::open_store_alone(settings).await;
        if let Some(app) = steps.take_quietly("system store", app) {
            with_store(&args, settings, &app.ports, &mut steps).await;
        }
    }
    steps.take("golden copy", golden_copy(settings));
    steps.take("model", model(settings));
    drop(lock);
    Ok(steps.finish())
}

async fn with_store(args: &Args, settings: &Settings, ports: &Ports, steps: &mut Steps) {
    steps.take("administrator", administrator(settings, ports).await);
    if let Some(file) = &args.ontology {
        steps.take("ontology", import(settings, ports, file).await);
    }
    steps.take("keys", Keys::open(settings).map(|keys| keys.sealing.id()));
    steps.take("schema", read_everything(ports).await);
    sealing::seal_once(ports, settings).await;
    if let Some(backups) = wire::backups(settings) {
        let listed = backups.list().await;
        steps.take(
            "backups",
            listed.map(|backups| format!("{} there", backups.len())),
        );
    }
}

/// The settings were read without a fault, or this would not run; left is what they point at.
fn environment(settings: &Settings) -> Result<String, Error> {
    super::steps::writable("DATA_DIR", &settings.data_dir)?;
    if let Some(backups) = &settings.backups {
        super::steps::writable("BACKUP_DIR", &backups.folder)?;
    }
    if let SystemStoreSettings::Sqlite { path } = &settings.system_store {
        let folder = path.parent().unwrap_or(Path::new("."));
        super::steps::writable("SQLITE_DB_PATH", folder)?;
    }
    Ok(format!("data in {}", settings.data_dir.display()))
}

async fn migrate(settings: &Settings) -> Result<String, Error> {
    let pending = wire::migrations(settings).await?.pending;
    wire::open_store(settings).await?;
    Ok(match pending.len() {
        0 => "up to date".into(),
        1 => "1 applied".into(),
        count => format!("{count} applied"),
    })
}

async fn administrator(settings: &Settings, ports: &Ports) -> Result<String, Error> {
    let (id, password) = crate::accounts::ensure_admin(ports, &settings.auth).await?;
    if let Some(password) = password {
        return super::show_first_password(settings, &password);
    }
    let user = ports.store.user(id).await?;
    Ok(user.map_or_else(|| id.to_string(), |user| user.email))
}

async fn import(settings: &Settings, ports: &Ports, file: &Path) -> Result<String, Error> {
    let yaml = super::ontology::read(file)?;
    let (id, _) = crate::accounts::ensure_admin(ports, &settings.auth).await?;
    let done = ontology::import(ports, &wire::local_admin(id), &yaml).await?;
    Ok(format!(
        "{} terms created, {} changed, {} as they were",
        done.created, done.changed, done.unchanged
    ))
}

/// Reads from every table through the port: what the program wants of the schema is there.
async fn read_everything(ports: &Ports) -> Result<String, Error> {
    let store = &ports.store;
    let one = PageRequest::first(1);
    let users = store.users(&UserFilter::default(), one).await?;
    store.invitations(one).await?;
    if let Some(user) = users.items.first() {
        store.api_keys(user.id, one).await?;
    }
    store.queries(&QueryFilter::default(), one).await?;
    store.feedback(None, one).await?;
    store.policies(one).await?;
    store.terms(None, one).await?;
    store.configurations().await?;
    store.audit_entries(&AuditFilter::default(), one).await?;
    store.seals(0, 1).await?;
    Ok("every table answers".into())
}

fn golden_copy(settings: &Settings) -> Result<String, Error> {
    let bar = CopyBar::new();
    let copy = wire::open_golden_copy(settings, None, &|progress| bar.report(progress))?;
    let Some(copy) = copy else {
        return Ok(match settings.target.source {
            TargetSource::Disabled => "switched off by ENABLE_TARGET_DB".into(),
            _ => "no target; name one with TARGET_DATABASE_URL".into(),
        });
    };
    let is_demo = matches!(settings.target.source, TargetSource::Demo(_));
    let status = copy.status();
    let in_service = status.in_service.ok_or_else(|| {
        Error::new(
            Code::TargetDatabaseDown,
            "no copy of the target is in service",
        )
        .with_hint("make one with `assay target refresh`")
    })?;
    let name = if is_demo {
        "the demo company".into()
    } else {
        status.original.display().to_string()
    };
    Ok(format!(
        "{name}: {} tables and views, {} rows",
        in_service.tables, in_service.rows
    ))
}

fn model(settings: &Settings) -> Result<String, Error> {
    Ok(wire::generator(&settings.llm)?.identity().name)
}

/// Writes secrets that a deployment needs and nobody should have to invent. This runs before settings are read, since
/// with PostgreSQL they cannot be read without.
///
/// # Errors
///
/// [`Code::Conflict`] if the file is there: overwriting it would log everyone out and lose what is encrypted.
pub fn write_env(path: &Path) -> Result<ExitCode, Error> {
    let secret = || {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(wire::random_bytes::<48>())
    };
    let text = format!(
        "# Made by `assay init --write-env`. Keep a copy apart from the backups of the system store.\n\
         JWT_SECRET={}\nENCRYPTION_KEY={}\n",
        secret(),
        secret()
    );
    crate::accounts::create_private(path, &text)?;
    super::output::say(&format!(
        "JWT_SECRET and ENCRYPTION_KEY are in {}",
        path.display()
    ));
    Ok(ExitCode::SUCCESS)
}
