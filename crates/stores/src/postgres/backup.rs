//! Backups through `pg_dump` and `pg_restore` on the owner's connection. The rows are counted in the very snapshot that
//! is dumped, so a backup taken under load agrees with its manifest to the row.

use std::path::Path;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::audit::{self, Anchor, SealingKey};
use engine::backups::{Backup, Backups, VerifiedBackup};
use engine::{Code, Error};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::audit_logs::last_seal;
use super::client_tools::{ClientTools, server_version, with_database};
use super::faults::{down, is_forbidden};
use super::{PostgresSettings, PostgresStore, parse, pool};
use crate::backups::{BackupFolder, Contents, RowCounts, compare_rows, invalid, off_thread};

/// Backups of one database.
#[derive(Debug, Clone)]
pub struct PostgresBackups {
    settings: PostgresSettings,
    folder: BackupFolder,
}

impl PostgresBackups {
    /// Names the system store and the folder of its backups, of which `keep` stay.
    pub fn new(settings: PostgresSettings, folder: &Path, keep: usize) -> Self {
        Self {
            settings,
            folder: BackupFolder::new(folder, "postgresql", keep),
        }
    }

    /// The owner may read and replace everything; the application may not.
    fn owner_url(&self) -> &str {
        self.settings
            .migration_url
            .as_deref()
            .unwrap_or(&self.settings.url)
    }

    async fn dump(&self, tools: &ClientTools, file: &Path) -> Result<Contents, Error> {
        let mut connection = connect(self.owner_url()).await?;
        connection
            .execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(down)?;
        let snapshot: String = sqlx::query_scalar("SELECT pg_export_snapshot()")
            .fetch_one(&mut connection)
            .await
            .map_err(down)?;
        let contents = Contents {
            schema_version: schema_version(&mut connection).await?,
            row_counts: row_counts(&mut connection).await?,
            last_seal: last_seal(&mut connection).await?.as_ref().map(Anchor::of),
        };
        let (snapshot, file) = (
            format!("--snapshot={snapshot}"),
            format!("--file={}", file.display()),
        );
        // The transaction stays open as long as the snapshot is needed.
        tools
            .run(
                "pg_dump",
                self.owner_url(),
                &["--format=custom", &snapshot, &file],
            )
            .await?;
        connection.close().await.map_err(down)?;
        Ok(contents)
    }

    /// Restores into a database that holds nothing and reads all of it.
    async fn check(
        &self,
        backup: &Backup,
        file: &Path,
        scratch: &str,
        keys: &[SealingKey],
    ) -> Result<audit::Report, Error> {
        let owner_url = with_database(self.owner_url(), scratch);
        let mut connection = connect(&owner_url).await?;
        let tools = ClientTools::find(server_version(&connection)).await?;
        pg_restore(&tools, &owner_url, file).await?;
        compare_rows(backup, &row_counts(&mut connection).await?)?;
        connection.close().await.map_err(down)?;
        let settings = PostgresSettings {
            url: with_database(&self.settings.url, scratch),
            migration_url: Some(owner_url),
            ..self.settings.clone()
        };
        let store = PostgresStore::open(&settings).await?;
        let anchors: Vec<Anchor> = backup.last_seal.iter().cloned().collect();
        audit::verify(&store, keys, &anchors, &|_| ()).await
    }
}

#[async_trait]
impl Backups for PostgresBackups {
    async fn create(&self, at: DateTime<Utc>) -> Result<Backup, Error> {
        let connection = connect(self.owner_url()).await?;
        let tools = ClientTools::find(server_version(&connection)).await?;
        connection.close().await.map_err(down)?;
        let folder = self.folder.clone();
        let (lock, draft) = off_thread(move || {
            let lock = folder.lock()?;
            let draft = folder.draft(&lock)?;
            Ok((lock, draft))
        })
        .await?;
        let file = draft.path().join("store");
        let contents = self.dump(&tools, &file).await?;
        let folder = self.folder.clone();
        off_thread(move || folder.publish(&lock, &draft, &file, contents, at)).await
    }

    async fn list(&self) -> Result<Vec<Backup>, Error> {
        let folder = self.folder.clone();
        off_thread(move || folder.list()).await
    }

    async fn retain(&self) -> Result<(), Error> {
        let folder = self.folder.clone();
        off_thread(move || folder.retain(&folder.lock()?)).await
    }

    async fn verify(&self, name: &str, keys: &[SealingKey]) -> Result<VerifiedBackup, Error> {
        let (folder, name) = (self.folder.clone(), name.to_owned());
        let (backup, file) = off_thread(move || folder.intact(&name)).await?;
        let mut connection = connect(self.owner_url()).await?;
        drop_leftovers(&mut connection).await?;
        let scratch = create_scratch(&mut connection).await?;
        let checked = self.check(&backup, &file, &scratch, keys).await;
        drop_scratch(&mut connection, &scratch).await?;
        let report = checked?;
        match &report.fault {
            None => Ok(VerifiedBackup {
                backup,
                audit: report,
            }),
            Some(fault) => Err(invalid(format!("its audit trail does not fit: {fault}"))),
        }
    }

    async fn restore(&self, name: &str, replace: bool) -> Result<Backup, Error> {
        let (folder, name) = (self.folder.clone(), name.to_owned());
        let (backup, file) = off_thread(move || folder.intact(&name)).await?;
        let mut connection = connect(self.owner_url()).await?;
        if !replace && holds_data(&mut connection).await? {
            return Err(
                Error::new(Code::StoreNotEmpty, "the system store holds data")
                    .with_hint("`--force` replaces it; make a backup of it before"),
            );
        }
        let tools = ClientTools::find(server_version(&connection)).await?;
        connection.close().await.map_err(down)?;
        pg_restore(&tools, self.owner_url(), &file).await?;
        PostgresStore::migrate(&self.settings).await?;
        Ok(backup)
    }
}

/// Restores into a database, whole or not at all. Rights are not taken from the backup: a migration grants them after.
async fn pg_restore(tools: &ClientTools, url: &str, file: &Path) -> Result<(), Error> {
    let file = file.display().to_string();
    let args = [
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
        &file,
    ];
    tools.run("pg_restore", url, &args).await
}

async fn connect(url: &str) -> Result<PgConnection, Error> {
    let options = parse(url, "MIGRATION_DATABASE_URL")?;
    pool::connect(&options, "SET search_path TO public, pg_temp").await
}

async fn schema_version(connection: &mut PgConnection) -> Result<String, Error> {
    sqlx::query_scalar("SELECT coalesce(max(name), '') FROM public.schema_migrations")
        .fetch_one(connection)
        .await
        .map_err(down)
}

async fn row_counts(connection: &mut PgConnection) -> Result<RowCounts, Error> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, format('%I.%I', n.nspname, c.relname)
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind = 'r'",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(down)?;
    let mut counts = RowCounts::new();
    for (table, quoted) in tables {
        let count: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {quoted}")))
                .fetch_one(&mut *connection)
                .await
                .map_err(down)?;
        counts.insert(table, u64::try_from(count).unwrap_or(0));
    }
    Ok(counts)
}

/// Says whether someone has used the store: its first administrator is its first row.
async fn holds_data(connection: &mut PgConnection) -> Result<bool, Error> {
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass('public.users') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(down)?;
    if !is_there {
        return Ok(false);
    }
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM public.users) OR EXISTS (SELECT 1 FROM public.audit_logs)",
    )
    .fetch_one(connection)
    .await
    .map_err(down)
}

/// Makes an empty database to restore to; its name says since when it is there.
async fn create_scratch(connection: &mut PgConnection) -> Result<String, Error> {
    let name: String = sqlx::query_scalar(
        "SELECT format('assay_verify_%s_%s', extract(epoch FROM now())::bigint, substr(md5(random()::text), 1, 8))",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(down)?;
    let sql = format!("CREATE DATABASE {name} TEMPLATE template0");
    match connection.execute(AssertSqlSafe(sql)).await {
        Ok(_) => Ok(name),
        Err(fault) if is_forbidden(&fault) => Err(Error::new(
            Code::BackupFailed,
            "the owner of the system store may not create a database to restore the backup to",
        )
        .with_hint("allow it with ALTER ROLE ... CREATEDB, or name a role that may in MIGRATION_DATABASE_URL")),
        Err(fault) => Err(down(fault)),
    }
}

async fn drop_scratch(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    connection
        .execute(AssertSqlSafe(sql))
        .await
        .map(drop)
        .map_err(down)
}

/// Removes what verifications that were interrupted more than a day ago left behind.
async fn drop_leftovers(connection: &mut PgConnection) -> Result<(), Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT datname::text FROM pg_database
         WHERE datname ~ '^assay_verify_[0-9]+_[0-9a-f]{8}$' AND datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
           AND split_part(datname, '_', 3)::bigint < extract(epoch FROM now()) - 86400",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(down)?;
    for name in names {
        drop_scratch(connection, &name).await?;
    }
    Ok(())
}
