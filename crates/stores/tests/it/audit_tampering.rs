//! What someone changes in the database past its triggers is named by `verify`. Written once, run on every
//! implementation that has a database to break into.

mod scene;

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use engine::audit::{AuditFilter, Fault, Report, Seal, SealingKey, verify};
use engine::ports::{PageRequest, SystemStore};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;
use sqlx::PgConnection;
use stores::sqlite::SqliteStore;

use self::scene::{Scene, at, sealing_key, text_of};
use crate::services;

/// Runs every test on each implementation. An opener returns a store of the test's own, someone who is in its database,
/// and what must live as long; or it says why there is none and returns `None`.
macro_rules! tampering {
    ($($name:ident: $open:expr;)*) => {$(
        mod $name {
            tampering! { @tests $open;
                an_untouched_trail_verifies
                a_changed_column_is_named
                a_changed_row_with_its_hash_recomputed_is_named
                a_recomputed_seal_is_named
                a_row_in_the_place_of_another_is_named
                a_removed_row_is_named
                a_removed_seal_is_named
                a_removed_tail_is_named_by_the_anchors
                a_late_row_is_named
                a_row_before_all_others_is_named
                a_backdated_row_is_named
                a_seal_that_does_not_follow_is_named
                a_rewritten_trail_is_named_by_the_anchors
                whatever_reads_differently_is_named
            }
        }
    )*};
    (@tests $open:expr; $($test:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            if let Some((store, intruder, _keep)) = $open.await {
                super::$test(super::Scene::new(store, intruder).await).await;
            }
        }
    )*};
}

tampering! {
    sqlite: super::sqlite();
    postgres: super::postgres();
}

/// Someone who writes to the database past its triggers and foreign keys, but lacks the sealing key.
#[async_trait]
trait Intruder: Send {
    /// Runs one statement.
    async fn run(&mut self, sql: &str);

    /// Writes bytes as a literal.
    fn bytes(&self, bytes: &[u8]) -> String;

    /// What an INSERT needs before VALUES to choose the identifier itself.
    fn choosing_id(&self) -> &'static str;
}

type Opened = (Arc<dyn SystemStore>, Box<dyn Intruder>, Box<dyn Any + Send>);

async fn sqlite() -> Option<Opened> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    let store = SqliteStore::open(&path).unwrap();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    for table in ["audit_logs", "audit_seals"] {
        for guarded in ["update", "delete", "replace"] {
            raw.execute_batch(&format!("DROP TRIGGER {table}_no_{guarded}"))
                .unwrap();
        }
    }
    Some((Arc::new(store), Box::new(InSqlite(raw)), Box::new(folder)))
}

struct InSqlite(rusqlite::Connection);

#[async_trait]
impl Intruder for InSqlite {
    async fn run(&mut self, sql: &str) {
        self.0.execute_batch(sql).unwrap();
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        format!("x'{}'", engine::audit::hex(bytes))
    }

    fn choosing_id(&self) -> &'static str {
        ""
    }
}

/// Someone with the rights of a superuser.
async fn postgres() -> Option<Opened> {
    let database = services::postgres().await?;
    let store = database.store().await;
    let mut raw = database.connect().await;
    let past_triggers = "
        SET session_replication_role TO replica;
        DROP TRIGGER audit_logs_append_only ON audit_logs;
        DROP TRIGGER audit_seals_append_only ON audit_seals;";
    services::execute(&mut raw, past_triggers).await.unwrap();
    Some((
        Arc::new(store),
        Box::new(InPostgres(raw)),
        Box::new(database),
    ))
}

struct InPostgres(PgConnection);

#[async_trait]
impl Intruder for InPostgres {
    async fn run(&mut self, sql: &str) {
        services::execute(&mut self.0, sql).await.unwrap();
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        format!("'\\x{}'", engine::audit::hex(bytes))
    }

    fn choosing_id(&self) -> &'static str {
        "OVERRIDING SYSTEM VALUE"
    }
}

async fn an_untouched_trail_verifies(scene: Scene) {
    let report = scene.verify(&scene.anchors).await;
    let expected = Report {
        sealed: 10,
        unsealed: 1,
        seals: 3,
        anchors: 3,
        fault: None,
    };
    assert_eq!(report, expected);
    let other = SealingKey::derive(b"another secret of 16 bytes");
    let report = verify(scene.store.as_ref(), &[other], &[], &|_| {}).await;
    let fault = report.unwrap().fault;
    assert_eq!(fault, Some(Fault::SealForged { seal: 1 }));
}

async fn a_changed_column_is_named(mut scene: Scene) {
    let row = scene.ids[5];
    let (canonical, hash) = (scene.intruder.bytes(b"{}"), scene.intruder.bytes(&[7; 32]));
    for change in [
        "user_id = NULL".to_owned(),
        "user_id = 999".into(),
        "action = 'login'".into(),
        "resource = 'user'".into(),
        "resource_id = 8".into(),
        "changes = '{}'".into(),
        "timestamp = '2027-01-15T08:00:00.000001Z'".into(),
        format!("canonical = {canonical}"),
        format!("hash = {hash}"),
    ] {
        scene
            .run(&format!("UPDATE audit_logs SET {change} WHERE id = {row}"))
            .await;
        let fault = scene.fault().await;
        assert_eq!(fault, Some(Fault::RowChanged { row }), "{change}");
        scene.restore(5).await;
        assert_eq!(scene.fault().await, None);
    }
}

async fn a_changed_row_with_its_hash_recomputed_is_named(mut scene: Scene) {
    scene.rewrite(5, "login").await;
    assert_eq!(scene.fault().await, Some(scene.second_block_changed()));
}

/// The intruder goes on to recompute the seal of the row, then that of the block after it. The signature is what they
/// cannot make.
async fn a_recomputed_seal_is_named(mut scene: Scene) {
    scene.rewrite(5, "login").await;
    let rows = scene.rows().await;
    let of_intruder = SealingKey::derive(b"the intruder's own secret");
    let second = Seal::close(Some(&scene.seals[0]), &rows[3..7], &of_intruder, at(20)).unwrap();
    let third = Seal::close(Some(&second), &rows[7..10], &of_intruder, at(30)).unwrap();
    let kept = Seal {
        signature: scene.seals[1].signature,
        key_id: scene.seals[1].key_id.clone(),
        ..second.clone()
    };
    let claimed = Seal {
        key_id: scene.seals[1].key_id.clone(),
        ..second.clone()
    };
    scene.replace_seal(&third).await;
    for forged in [kept, claimed, second] {
        scene.replace_seal(&forged).await;
        assert_eq!(scene.fault().await, Some(Fault::SealForged { seal: 2 }));
    }
}

async fn a_row_in_the_place_of_another_is_named(mut scene: Scene) {
    let (a, b) = (scene.ids[4], scene.ids[5]);
    let copied = "user_id, action, resource, resource_id, changes, timestamp, canonical, hash";
    let choosing_id = scene.intruder.choosing_id();
    scene
        .run(&format!("DELETE FROM audit_logs WHERE id = {a}"))
        .await;
    scene
        .run(&format!(
            "INSERT INTO audit_logs (id, {copied}) {choosing_id} SELECT {a}, {copied} FROM audit_logs WHERE id = {b}"
        ))
        .await;
    assert_eq!(scene.fault().await, Some(scene.second_block_changed()));
}

async fn a_removed_row_is_named(mut scene: Scene) {
    let [first_row, .., last_row] = scene.ids[3..7] else {
        unreachable!("the second block has four rows");
    };
    for index in [4, 3, 6] {
        let row = scene.ids[index];
        scene
            .run(&format!("DELETE FROM audit_logs WHERE id = {row}"))
            .await;
        let removed = Fault::RowsRemoved {
            seal: 2,
            first_row,
            last_row,
            missing: 1,
        };
        assert_eq!(scene.fault().await, Some(removed), "row {row}");
        scene.restore(index).await;
    }
    scene
        .run(&format!("DELETE FROM audit_logs WHERE id <= {last_row}"))
        .await;
    let fault = scene.fault().await;
    assert!(
        matches!(
            fault,
            Some(Fault::RowsRemoved {
                seal: 1,
                missing: 3,
                ..
            })
        ),
        "{fault:?}"
    );
}

async fn a_removed_seal_is_named(mut scene: Scene) {
    scene.run("DELETE FROM audit_seals WHERE number = 2").await;
    assert_eq!(scene.fault().await, Some(Fault::SealRemoved { seal: 2 }));
    scene.run("DELETE FROM audit_seals WHERE number = 1").await;
    assert_eq!(scene.fault().await, Some(Fault::SealRemoved { seal: 1 }));
}

/// A trail that ends earlier is a whole trail. Only what was noted outside the database knows that there was more.
async fn a_removed_tail_is_named_by_the_anchors(mut scene: Scene) {
    let last = scene.seals[1].last_row;
    scene.run("DELETE FROM audit_seals WHERE number > 2").await;
    scene
        .run(&format!("DELETE FROM audit_logs WHERE id > {last}"))
        .await;
    assert_eq!(scene.fault().await, None);
    let report = scene.verify(&scene.anchors).await;
    assert_eq!(report.fault, Some(Fault::TailRemoved { seal: 3 }));
    // What is recorded and sealed from then on does not hide it.
    scene.record(40).await;
    scene.seal(40).await;
    let report = scene.verify(&scene.anchors).await;
    assert_eq!(report.fault, Some(Fault::AnchorDiffers { seal: 3 }));
}

async fn a_late_row_is_named(mut scene: Scene) {
    scene.insert(scene.unused_id, 15).await;
    let [first_row, .., last_row] = scene.ids[3..7] else {
        unreachable!("the second block has four rows");
    };
    let inserted = Fault::RowsInserted {
        seal: 2,
        first_row,
        last_row,
        extra: 1,
    };
    assert_eq!(scene.fault().await, Some(inserted));
}

async fn a_row_before_all_others_is_named(mut scene: Scene) {
    for id in [0, -7] {
        scene.insert(id, 0).await;
        let fault = scene.fault().await;
        assert!(
            matches!(
                fault,
                Some(Fault::RowsInserted {
                    seal: 1,
                    extra: 1,
                    ..
                })
            ),
            "{fault:?}"
        );
        scene
            .run(&format!("DELETE FROM audit_logs WHERE id = {id}"))
            .await;
    }
}

/// A row added at the end is indistinguishable from an honest one, unless it claims to be older than what was closed
/// before it.
async fn a_backdated_row_is_named(mut scene: Scene) {
    let row = scene.ids[10] + 1;
    scene.insert(row, 30 - 16 * 60).await;
    assert_eq!(scene.fault().await, Some(Fault::RowBackdated { row }));
    scene.seal(50).await;
    assert_eq!(
        scene.fault().await,
        Some(Fault::RowBackdated { row }),
        "sealing it changes nothing"
    );
    scene
        .run(&format!("DELETE FROM audit_logs WHERE id = {row}"))
        .await;
    scene.run("DELETE FROM audit_seals WHERE number = 4").await;
    scene.insert(row, 30 - 14 * 60).await;
    assert_eq!(scene.fault().await, None, "clocks of replicas may differ");
}

/// Whoever has the key too still has to make every later seal anew.
async fn a_seal_that_does_not_follow_is_named(mut scene: Scene) {
    scene.rewrite(5, "login").await;
    let rows = scene.rows().await;
    let second = Seal::close(Some(&scene.seals[0]), &rows[3..7], &sealing_key(), at(20)).unwrap();
    scene.replace_seal(&second).await;
    assert_eq!(scene.fault().await, Some(Fault::SealUnlinked { seal: 3 }));
    let report = scene.verify(&scene.anchors).await;
    assert_eq!(report.fault, Some(Fault::AnchorDiffers { seal: 2 }));
}

async fn a_rewritten_trail_is_named_by_the_anchors(mut scene: Scene) {
    scene.rewrite(0, "login").await;
    let rows = scene.rows().await;
    let mut previous = None;
    for (block, seconds) in [(0..3, 10), (3..7, 20), (7..10, 30)] {
        let seal = Seal::close(previous.as_ref(), &rows[block], &sealing_key(), at(seconds));
        scene.replace_seal(seal.as_ref().unwrap()).await;
        previous = seal;
    }
    assert_eq!(scene.fault().await, None, "made with the key");
    let report = scene.verify(&scene.anchors[2..]).await;
    assert_eq!(report.fault, Some(Fault::AnchorDiffers { seal: 3 }));
}

async fn whatever_reads_differently_is_named(mut scene: Scene) {
    let text = "[a-z'\"\\\\ éß%]{0,12}";
    let changes = prop::collection::hash_map(text, any::<i32>(), 0..3);
    let tampering = (0_usize..10).prop_flat_map(move |index| {
        let literal = |text: String| format!("'{}'", text.replace('\'', "''"));
        let columns = prop_oneof![
            prop::option::of(-2_i64..20).prop_map(|id| {
                format!(
                    "user_id = {}",
                    id.map_or("NULL".into(), |id| id.to_string())
                )
            }),
            any::<i64>().prop_map(|id| format!("resource_id = {id}")),
            text.prop_map(move |text| format!("action = {}", literal(text))),
            text.prop_map(move |text| format!("resource = {}", literal(text))),
            changes.clone().prop_map(move |changes| {
                format!("changes = {}", literal(json!(changes).to_string()))
            }),
            (-100_i64..100).prop_map(move |seconds| {
                format!("timestamp = {}", literal(text_of(at(seconds))))
            }),
        ];
        (Just(index), columns)
    });
    let mut runner = TestRunner::default();
    for _ in 0..200 {
        let (index, change) = tampering.new_tree(&mut runner).unwrap().current();
        let row = scene.ids[index];
        scene
            .run(&format!("UPDATE audit_logs SET {change} WHERE id = {row}"))
            .await;
        let differs = scene.stored().await[index] != scene.entries[index];
        let expected = differs.then_some(Fault::RowChanged { row });
        assert_eq!(scene.fault().await, expected, "row {row}: {change}");
        scene.restore(index).await;
    }
    for bytes in [1, 31, 32, 33, 200] {
        for column in ["canonical", "hash"] {
            if column == "hash" && bytes != 32 {
                continue;
            }
            let value = scene.intruder.bytes(&vec![bytes; usize::from(bytes)]);
            let row = scene.ids[2];
            scene
                .run(&format!(
                    "UPDATE audit_logs SET {column} = {value} WHERE id = {row}"
                ))
                .await;
            assert_eq!(scene.fault().await, Some(Fault::RowChanged { row }));
            scene.restore(2).await;
        }
    }
    assert_eq!(scene.fault().await, None);
}

/// SQLite keeps in a text what PostgreSQL's types refuse.
#[tokio::test]
async fn a_text_that_no_entry_leaves_is_named() {
    let (store, intruder, _keep) = sqlite().await.unwrap();
    let mut scene = Scene::new(store, intruder).await;
    let row = scene.ids[5];
    for change in [
        "timestamp = 'yesterday'",
        "timestamp = '2027-01-15T08:00:14Z'",
        "action = CAST(x'ff' AS TEXT)",
        r#"changes = '{"question": "How many?", "seconds": 14}'"#,
        r#"changes = '{"question":"How much?","question":"How many?","seconds":14}'"#,
        "changes = 'null'",
    ] {
        scene
            .run(&format!("UPDATE audit_logs SET {change} WHERE id = {row}"))
            .await;
        assert_eq!(
            scene.fault().await,
            Some(Fault::RowChanged { row }),
            "{change}"
        );
        let listed = scene
            .store
            .audit_entries(&AuditFilter::default(), PageRequest::first(100))
            .await;
        assert_eq!(listed.unwrap().items.len(), 11, "{change}");
        scene.restore(5).await;
    }
    scene
        .run("UPDATE audit_seals SET sealed_at = 'yesterday' WHERE number = 2")
        .await;
    assert_eq!(scene.fault().await, Some(Fault::SealForged { seal: 2 }));
}
