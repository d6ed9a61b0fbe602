//! `assay doctor`: every part checked, each with a tick or a cross and what to do. Looking changes nothing in the system
//! store, so that a broken deployment can be looked at as it is.

use std::process::ExitCode;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use engine::ports::{Clock, GenerationLimits, Generator};
use engine::prompt::Prompt;
use engine::{Code, Error};
use stores::postgres::{self, ClientTools, PostgresStore};
use stores::redis::{RedisServer, RedisSettings};

use super::output::CopyBar;
use super::steps::{Steps, writable};
use crate::config::{LlmProvider, PostgresDatabase, Settings, SystemStoreSettings};
use crate::wire::{self, SystemClock};

/// Sessions and leases of several replicas are compared with one another's clocks.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(5);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also let the model write a few words, which takes some seconds.
    #[arg(long)]
    generate: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let mut steps = Steps::new(args.json);
    let folder = settings.data_dir.as_path();
    let found = folder.display().to_string();
    steps.take("data folder", writable("DATA_DIR", folder).map(|()| found));
    match &settings.system_store {
        SystemStoreSettings::Sqlite { path } => {
            let found = migrations(settings).await.map(|found| match path.exists() {
                true => found,
                false => format!("{}, made at the first start", settings.system_store),
            });
            steps.take("system store", found);
        }
        SystemStoreSettings::Postgres(database) => {
            on_postgres(settings, database, &mut steps).await;
        }
    }
    if let Some(redis) = &settings.redis {
        steps.take("redis", cache(redis).await);
    }
    if let Some(backups) = &settings.backups {
        let found = backups.folder.display().to_string();
        let result = writable("BACKUP_DIR", &backups.folder).map(|()| found);
        steps.take("backup folder", result);
    }
    steps.take("target", target(settings));
    let generator = model(settings);
    let found = generator.as_ref().map(|(_, found)| found.clone());
    steps.take("model", found.map_err(Clone::clone));
    steps.take("embedding model", embedding_model(settings));
    if args.generate
        && let Ok((generator, _)) = &generator
    {
        steps.take("generation", generation(generator.as_ref()).await);
    }
    Ok(steps.finish())
}

async fn on_postgres(settings: &Settings, database: &PostgresDatabase, steps: &mut Steps) {
    let database = wire::postgres_settings(database);
    let Some(found) = steps.take_quietly("system store", postgres::diagnose(&database).await)
    else {
        return;
    };
    let migrated = migrations(settings).await;
    let is_current = steps.take("system store", migrated).is_some();
    steps.take("clock", clock(found.now, SystemClock.now()));
    if settings.backups.is_some() {
        let tools = ClientTools::find(found.server_version).await;
        let tools = tools.map(|tools| {
            format!(
                "version {} for a server of {}",
                tools.version, found.server_version
            )
        });
        steps.take("pg_dump", tools);
    }
    // Opening the store migrates it; with nothing pending that is no change.
    if is_current {
        steps.take("audit trail", protection(&database).await);
    }
}

async fn migrations(settings: &Settings) -> Result<String, Error> {
    let store = &settings.system_store;
    let found = wire::migrations(settings).await?;
    if let Some(name) = found.unknown.first() {
        return Err(Error::new(
            Code::SystemStoreMismatch,
            format!("{store} has the migration `{name}`, which this program does not know"),
        )
        .with_hint("it was used by a newer version; run that version"));
    }
    if let Some(name) = found.altered.first() {
        return Err(Error::new(
            Code::SystemStoreMismatch,
            format!("the migration `{name}` of {store} has another text than this program's"),
        )
        .with_hint("it was made by a development version; back it up and run that version, or begin anew with another DATA_DIR or DATABASE_URL"));
    }
    let is_new = matches!(store, SystemStoreSettings::Sqlite { path } if !path.exists());
    if !found.pending.is_empty() && !is_new {
        return Err(Error::new(
            Code::SystemStoreDown,
            format!(
                "{store} lacks {} migrations, beginning with `{}`",
                found.pending.len(),
                found.pending[0]
            ),
        )
        .with_hint("apply them with `assay init` or `assay migrate`"));
    }
    Ok(format!("{store}, up to date"))
}

fn clock(theirs: DateTime<Utc>, ours: DateTime<Utc>) -> Result<String, Error> {
    let skew = (theirs - ours).abs();
    if skew <= MAX_CLOCK_SKEW {
        return Ok("agrees with PostgreSQL's".into());
    }
    Err(Error::new(
        Code::SystemStoreDown,
        format!(
            "this machine's clock and PostgreSQL's are {} s apart",
            skew.num_seconds()
        ),
    )
    .with_hint("set both by a time server (NTP)"))
}

/// Says how well the audit trail is protected from Assay itself; less than all of it is no fault, but worth knowing.
async fn protection(database: &postgres::PostgresSettings) -> Result<String, Error> {
    let store = PostgresStore::open(database).await?;
    Ok(store.protection().await?.summary())
}

/// Says what holds the cache, rate limits and jobs; one that drops waiting jobs is no fault, but worth knowing.
async fn cache(settings: &RedisSettings) -> Result<String, Error> {
    let found = RedisServer::new(settings)?.diagnose().await;
    let found = found.map_err(|fault| {
        fault.with_hint("look at REDIS_URL and REDIS_PASSWORD; without it each process has its own cache, rate limits and jobs")
    })?;
    let version = &found.version;
    if found.may_lose_jobs() {
        let eviction = &found.eviction;
        return Ok(format!(
            "version {version}; when full it evicts anything ({eviction}), waiting jobs too: better noeviction or volatile-lru"
        ));
    }
    Ok(format!("version {version}"))
}

fn target(settings: &Settings) -> Result<String, Error> {
    let bar = CopyBar::new();
    match wire::open_golden_copy(settings, None, &|progress| bar.report(progress))? {
        None => Ok("none configured; `assay ask --db FILE` works on any SQLite file".into()),
        Some(golden_copy) => {
            let status = golden_copy.status();
            let holds = status.in_service.map_or_else(String::new, |copy| {
                format!(
                    ": {} tables and views, {} rows, data as of {}",
                    copy.tables, copy.rows, copy.data_as_of
                )
            });
            Ok(format!("{}{holds}", status.original.display()))
        }
    }
}

fn model(settings: &Settings) -> Result<(std::sync::Arc<dyn Generator>, String), Error> {
    let generator = wire::generator(&settings.llm)?;
    let name = generator.identity().name;
    let found = match &settings.llm.provider {
        LlmProvider::Gguf { .. } => format!(
            "{name}, local: {}",
            wire::model_file(&settings.llm)?.path.display()
        ),
        LlmProvider::Remote { kind, .. } => {
            format!(
                "{name} by {kind}, told these values of the data: {}",
                settings.llm.send_values.as_str()
            )
        }
    };
    Ok((generator, found))
}

/// Without one, questions are answered all the same.
fn embedding_model(settings: &Settings) -> Result<String, Error> {
    Ok(match wire::embedder(settings)? {
        Some(embedder) => {
            let identity = embedder.identity();
            let place = if identity.is_remote {
                "remote"
            } else {
                "local"
            };
            format!("{}, {place}", identity.name)
        }
        None => "none: words are matched by their letters; `assay model pull` fetches one".into(),
    })
}

async fn generation(generator: &dyn Generator) -> Result<String, Error> {
    let prompt = Prompt {
        system: "You write SQLite queries. Answer with one SQL query only.".into(),
        schema: "CREATE TABLE numbers (n INTEGER);\n\n".into(),
        tail: "Question: How many numbers are there?\n".into(),
    };
    let limits = GenerationLimits {
        max_tokens: 40,
        timeout: Duration::from_secs(120),
        names: None,
        ahead: None,
    };
    let started = std::time::Instant::now();
    let reply = generator.generate(&prompt, &limits).await?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(format!(
        "{} tokens in {seconds:.1} s, its start included",
        reply.tokens.generated
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_seconds_either_way_and_no_more() {
        let theirs = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for seconds in [-5, 0, 5] {
            let ours = theirs + TimeDelta::seconds(seconds);
            assert!(clock(theirs, ours).is_ok(), "{seconds}");
        }
        for seconds in [-90, 6] {
            let error = clock(theirs, theirs + TimeDelta::seconds(seconds)).unwrap_err();
            let apart = format!("{} s apart", seconds.abs());
            assert!(error.message().contains(&apart), "{error}");
            assert!(error.hint().unwrap().contains("NTP"));
        }
    }
}
