//! A system store with a folder of backups beside it.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::DateTime;
use engine::accounts::{Email, NewUser};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::ports::{Backups, SystemStore};
use serde_json::json;
use stores::postgres::{PostgresBackups, PostgresSettings, PostgresStore};
use stores::sqlite::{SqliteBackups, SqliteStore};
use tempfile::TempDir;

use crate::services::{self, PostgresFixture};

/// Backups that are kept.
pub const KEEP: usize = 3;

/// An open store.
pub struct Scene {
    pub store: Arc<dyn SystemStore>,
    pub backups: Arc<dyn Backups>,
    place: Place,
}

/// A store that no process uses.
pub struct Closed {
    pub backups: Arc<dyn Backups>,
    place: Place,
}

/// Where a store is and where its backups go.
struct Place {
    folder: Arc<TempDir>,
    store: Where,
}

enum Where {
    Sqlite(PathBuf),
    Postgres(PostgresFixture),
}

impl Scene {
    pub async fn sqlite() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = Where::Sqlite(folder.path().join("system.db"));
        Place { folder, store }.open().await
    }

    /// Returns a store in a database of its own, if there is a server to make one on.
    pub async fn postgres() -> Option<Self> {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let store = Where::Postgres(services::empty_postgres().await?);
        Some(Place { folder, store }.open().await)
    }

    pub fn folder(&self) -> PathBuf {
        self.place.backups_folder()
    }

    pub async fn add_user(&self, email: &str) {
        let user = NewUser {
            email: Email::parse(email).unwrap(),
            password_hash: "$2b$12$".into(),
            full_name: "Someone".into(),
            role: Role::Viewer,
        };
        self.store.create_user(&user, &entry()).await.unwrap();
    }

    pub async fn has_user(&self, email: &str) -> bool {
        self.store.user_by_email(email).await.unwrap().is_some()
    }

    pub async fn entries(&self, count: usize) {
        for _ in 0..count {
            self.store.record(&entry()).await.unwrap();
        }
    }

    /// Closes the store.
    pub async fn closed(self) -> Closed {
        let Self {
            store,
            backups,
            place,
        } = self;
        drop(store);
        Closed { backups, place }
    }
}

impl Closed {
    /// Opens the store.
    pub async fn opened(self) -> Scene {
        self.place.open().await
    }

    /// Returns a store that was never used, with the same folder of backups.
    pub async fn empty_twin(&self) -> Closed {
        let store = match &self.place.store {
            Where::Sqlite(path) => Where::Sqlite(path.with_file_name("twin.db")),
            Where::Postgres(_) => Where::Postgres(services::empty_postgres().await.unwrap()),
        };
        let place = Place {
            folder: self.place.folder.clone(),
            store,
        };
        Closed {
            backups: place.backups(),
            place,
        }
    }
}

impl Place {
    fn backups_folder(&self) -> PathBuf {
        self.folder.path().join("backups")
    }

    fn backups(&self) -> Arc<dyn Backups> {
        match &self.store {
            Where::Sqlite(path) => Arc::new(SqliteBackups::new(path, &self.backups_folder(), KEEP)),
            Where::Postgres(database) => {
                let settings = PostgresSettings::new(database.url());
                Arc::new(PostgresBackups::new(settings, &self.backups_folder(), KEEP))
            }
        }
    }

    async fn open(self) -> Scene {
        let store: Arc<dyn SystemStore> = match &self.store {
            Where::Sqlite(path) => Arc::new(SqliteStore::open(path).unwrap()),
            Where::Postgres(database) => {
                let settings = PostgresSettings::new(database.url());
                Arc::new(PostgresStore::open(&settings).await.unwrap())
            }
        };
        Scene {
            store,
            backups: self.backups(),
            place: self,
        }
    }
}

pub fn entry() -> AuditEntry {
    let at = DateTime::from_timestamp(1_795_348_800, 0).unwrap();
    AuditEntry::new(
        at,
        None,
        "tested",
        "test",
        json!({ "text": "something that takes room" }),
    )
}
