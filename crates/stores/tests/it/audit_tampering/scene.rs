//! A trail to break into, and the ways of doing so.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use engine::accounts::{Email, NewUser, UserId};
use engine::audit::{
    Anchor, AuditEntry, Fault, Hash, Report, Seal, SealingKey, StoredEntry, entry_hash, verify,
};
use engine::policy::Role;
use engine::ports::SystemStore;
use serde_json::json;

use super::Intruder;

/// Eleven entries, the first of them the creation of Ada: three, four and three closed by seals, one not yet closed.
pub struct Scene {
    pub store: Arc<dyn SystemStore>,
    pub intruder: Box<dyn Intruder>,
    ada: UserId,
    pub ids: Vec<i64>,
    /// In the second block; as if whoever drew it had been rolled back.
    pub unused_id: i64,
    pub entries: Vec<StoredEntry>,
    pub seals: Vec<Seal>,
    pub anchors: Vec<Anchor>,
}

impl Scene {
    pub async fn new(store: Arc<dyn SystemStore>, intruder: Box<dyn Intruder>) -> Self {
        let ada = NewUser {
            email: Email::parse("ada@example.org").unwrap(),
            password_hash: "hash".into(),
            full_name: "Ada".into(),
            role: Role::Admin,
        };
        let created = AuditEntry::new(at(0), None, "user_created", "user", json!({}));
        let ada = store.create_user(&ada, &created).await.unwrap();
        let mut scene = Self {
            store,
            intruder,
            ada,
            ids: Vec::new(),
            unused_id: 0,
            entries: Vec::new(),
            seals: Vec::new(),
            anchors: Vec::new(),
        };
        for seconds in [1, 2] {
            scene.record(seconds).await;
        }
        scene.seal(10).await;
        for seconds in 11..16 {
            scene.record(seconds).await;
        }
        scene.unused_id = scene.stored().await[4].record.id;
        scene
            .run(&format!(
                "DELETE FROM audit_logs WHERE id = {}",
                scene.unused_id
            ))
            .await;
        scene.seal(20).await;
        for seconds in 21..24 {
            scene.record(seconds).await;
        }
        scene.seal(30).await;
        scene.record(31).await;
        scene.entries = scene.stored().await;
        scene.ids = scene.entries.iter().map(|entry| entry.record.id).collect();
        scene.seals = scene.store.seals(0, 100).await.unwrap();
        scene.anchors = scene.seals.iter().map(Anchor::of).collect();
        scene
    }

    pub async fn record(&self, seconds: i64) {
        let changes = json!({ "question": "How many?", "seconds": seconds });
        let entry = AuditEntry::new(at(seconds), Some(self.ada), "query", "query", changes);
        self.store.record(&entry.about(7)).await.unwrap();
    }

    pub async fn seal(&self, seconds: i64) {
        let seal = self.store.seal(&sealing_key(), at(seconds)).await.unwrap();
        assert!(seal.is_some());
    }

    pub async fn run(&mut self, sql: &str) {
        self.intruder.run(sql).await;
    }

    pub async fn verify(&self, anchors: &[Anchor]) -> Report {
        verify(self.store.as_ref(), &[sealing_key()], anchors, &|_| {})
            .await
            .unwrap()
    }

    pub async fn fault(&self) -> Option<Fault> {
        self.verify(&[]).await.fault
    }

    pub fn second_block_changed(&self) -> Fault {
        Fault::BlockChanged {
            seal: 2,
            first_row: self.ids[3],
            last_row: self.ids[6],
        }
    }

    pub async fn stored(&self) -> Vec<StoredEntry> {
        self.store.stored_entries(i64::MIN, 100).await.unwrap()
    }

    pub async fn rows(&self) -> Vec<(i64, Hash)> {
        let rows = self.stored().await.into_iter();
        rows.map(|entry| (entry.record.id, entry.hash.try_into().unwrap()))
            .collect()
    }

    /// Puts a row back as it was.
    pub async fn restore(&mut self, index: usize) {
        let entry = self.entries[index].clone();
        self.put(&entry).await;
    }

    /// Changes the action of a row, its canonical bytes and its hash.
    pub async fn rewrite(&mut self, index: usize, action: &'static str) {
        let mut entry = self.entries[index].clone();
        let record = &mut entry.record;
        record.action = action.into();
        let mut forged = AuditEntry::new(
            record.timestamp,
            record.user_id,
            action,
            record.resource.clone().leak(),
            record.changes.clone(),
        );
        forged.resource_id = record.resource_id;
        entry.canonical = forged.canonical();
        entry.hash = entry_hash(&entry.canonical).to_vec();
        assert!(entry.is_consistent());
        self.put(&entry).await;
    }

    /// Inserts a row that agrees with its hash.
    pub async fn insert(&mut self, id: i64, seconds: i64) {
        let mut entry = self.entries[5].clone();
        entry.record.id = id;
        entry.record.timestamp = at(seconds);
        let forged = AuditEntry::new(
            at(seconds),
            entry.record.user_id,
            "query",
            "query",
            entry.record.changes.clone(),
        );
        entry.canonical = forged.about(7).canonical();
        entry.hash = entry_hash(&entry.canonical).to_vec();
        assert!(entry.is_consistent());
        self.put(&entry).await;
    }

    async fn put(&mut self, entry: &StoredEntry) {
        let record = &entry.record;
        let number = |number: Option<i64>| number.map_or("NULL".into(), |id| id.to_string());
        self.run(&format!("DELETE FROM audit_logs WHERE id = {}", record.id))
            .await;
        let insert = format!(
            "INSERT INTO audit_logs (id, user_id, action, resource, resource_id, changes, timestamp, canonical, hash) {}
             VALUES ({}, {}, '{}', '{}', {}, '{}', '{}', {}, {})",
            self.intruder.choosing_id(),
            record.id,
            number(record.user_id),
            record.action,
            record.resource,
            number(record.resource_id),
            record.changes,
            text_of(record.timestamp),
            self.intruder.bytes(&entry.canonical),
            self.intruder.bytes(&entry.hash),
        );
        self.run(&insert).await;
    }

    pub async fn replace_seal(&mut self, seal: &Seal) {
        let update = format!(
            "UPDATE audit_seals SET root = {}, previous = {}, key_id = '{}', signature = {} WHERE number = {}",
            self.intruder.bytes(&seal.root),
            self.intruder.bytes(&seal.previous),
            seal.key_id,
            self.intruder.bytes(&seal.signature),
            seal.number,
        );
        self.run(&update).await;
    }
}

pub fn sealing_key() -> SealingKey {
    SealingKey::derive(b"a secret of at least 16 bytes")
}

pub fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

pub fn text_of(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
