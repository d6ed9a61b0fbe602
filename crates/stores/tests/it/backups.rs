//! What the port promises about backups, on both kinds of system store.

mod scene;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use engine::Code;
use engine::audit::{Anchor, SealingKey};

use scene::Scene;

macro_rules! suite {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Scene::sqlite().await).await;
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(scene) = super::Scene::postgres().await {
                    super::$name(scene).await;
                }
            })*
        }
    };
}

suite! {
    a_backup_comes_back_as_it_was
    a_backup_taken_under_load_verifies
    a_store_that_holds_data_is_replaced_only_on_request
    a_truncated_or_changed_backup_is_refused
    a_half_written_backup_is_neither_listed_nor_counted
    exactly_as_many_as_asked_for_are_kept
    another_key_does_not_verify
    a_name_from_outside_is_no_path
}

fn key() -> SealingKey {
    SealingKey::derive(b"a secret of more than sixteen bytes")
}

fn noon() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

async fn a_backup_comes_back_as_it_was(scene: Scene) {
    scene.add_user("ada@example.com").await;
    scene.entries(20).await;
    let seal = scene.store.seal(&key(), noon()).await.unwrap().unwrap();
    let made = scene.backups.create(noon()).await.unwrap();
    assert_eq!(made.name, "assay-20261122T120000Z-0000");
    assert_eq!(made.row_counts["users"], 1);
    assert_eq!(made.row_counts["audit_logs"], 21);
    assert_eq!(made.last_seal, Some(Anchor::of(&seal)));
    assert_eq!(
        scene.backups.list().await.unwrap(),
        std::slice::from_ref(&made)
    );

    let verified = scene.backups.verify(&made.name, &[key()]).await.unwrap();
    assert_eq!((verified.audit.sealed, verified.audit.unsealed), (21, 0));
    assert_eq!(verified.audit.anchors, 1);

    scene.add_user("grace@example.com").await;
    scene.entries(5).await;
    let scene = scene.closed().await;
    assert_eq!(scene.backups.restore(&made.name, true).await.unwrap(), made);
    let scene = scene.opened().await;
    assert!(scene.has_user("ada@example.com").await);
    assert!(!scene.has_user("grace@example.com").await);
    let entries = scene.store.stored_entries(0, 100).await.unwrap();
    assert_eq!(entries.len(), 21);
    // The restored store works: identifiers go on, the trail can be sealed.
    scene.add_user("grace@example.com").await;
    assert!(scene.store.seal(&key(), noon()).await.unwrap().is_some());
}

async fn a_backup_taken_under_load_verifies(scene: Scene) {
    scene.entries(50).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (store, is_over) = (scene.store.clone(), is_over.clone());
            tokio::spawn(async move {
                while !is_over.load(Ordering::Relaxed) {
                    store.record(&scene::entry()).await.unwrap();
                }
            })
        })
        .collect();
    let sealer = tokio::spawn({
        let (store, is_over) = (scene.store.clone(), is_over.clone());
        async move {
            while !is_over.load(Ordering::Relaxed) {
                store.seal(&key(), noon()).await.unwrap();
            }
        }
    });
    let mut backups = Vec::new();
    for _ in 0..3 {
        backups.push(scene.backups.create(noon()).await.unwrap());
    }
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    sealer.await.unwrap();
    for backup in backups {
        let verified = scene.backups.verify(&backup.name, &[key()]).await.unwrap();
        let read = verified.audit.sealed + verified.audit.unsealed;
        assert_eq!(read, backup.row_counts["audit_logs"]);
    }
}

async fn a_store_that_holds_data_is_replaced_only_on_request(scene: Scene) {
    scene.add_user("ada@example.com").await;
    let made = scene.backups.create(noon()).await.unwrap();
    let scene = scene.closed().await;
    let refused = scene.backups.restore(&made.name, false).await.unwrap_err();
    assert_eq!(refused.code(), Code::StoreNotEmpty);

    let empty = scene.empty_twin().await;
    empty.backups.restore(&made.name, false).await.unwrap();
    assert!(empty.opened().await.has_user("ada@example.com").await);
}

async fn a_truncated_or_changed_backup_is_refused(scene: Scene) {
    scene.entries(100).await;
    let made = scene.backups.create(noon()).await.unwrap();
    let file = scene.folder().join(format!("{}.backup", made.name));
    let bytes = std::fs::read(&file).unwrap();
    let scene = scene.closed().await;
    let refuses = async |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        for refused in [
            scene
                .backups
                .verify(&made.name, &[key()])
                .await
                .unwrap_err(),
            scene.backups.restore(&made.name, true).await.unwrap_err(),
        ] {
            assert_eq!(refused.code(), Code::InvalidBackup, "{refused}");
        }
    };
    refuses(&bytes[..bytes.len() - 1]).await;
    refuses(&[]).await;
    assert_eq!(scene.backups.list().await.unwrap(), []);
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    refuses(&changed).await;
    std::fs::write(&file, &bytes).unwrap();
    scene.backups.verify(&made.name, &[key()]).await.unwrap();
}

async fn a_half_written_backup_is_neither_listed_nor_counted(scene: Scene) {
    let whole = scene.backups.create(noon()).await.unwrap();
    let (folder, name) = (scene.folder(), &whole.name);
    // A process that was killed leaves its private folder, or a file without its manifest.
    std::fs::create_dir(folder.join(".partial-killed")).unwrap();
    std::fs::write(folder.join(".partial-killed/store"), "half").unwrap();
    std::fs::write(folder.join("assay-20261122T120000Z-0001.backup"), "half").unwrap();
    std::fs::write(
        folder.join("assay-20261122T120000Z-0002.json"),
        "{\"format\":",
    )
    .unwrap();
    std::fs::copy(
        folder.join(format!("{name}.json")),
        folder.join("assay-20990101T000000Z-0000.json"),
    )
    .unwrap();
    let names = async || -> Vec<String> {
        let backups = scene.backups.list().await.unwrap();
        backups.into_iter().map(|backup| backup.name).collect()
    };
    assert_eq!(names().await, [name.as_str()]);
    // Three are kept; what is not whole takes the place of none.
    for minute in 1..=2 {
        let at = noon() + TimeDelta::minutes(minute);
        scene.backups.create(at).await.unwrap();
    }
    assert_eq!(names().await.len(), 3);
    assert_eq!(names().await.last(), Some(name));
    assert!(!folder.join(".partial-killed").exists());
}

async fn exactly_as_many_as_asked_for_are_kept(scene: Scene) {
    let mut made = Vec::new();
    for second in [0, 0, 1, 2, 2] {
        let at = noon() + TimeDelta::seconds(second);
        made.push(scene.backups.create(at).await.unwrap());
        let kept: Vec<_> = made.iter().rev().take(scene::KEEP).cloned().collect();
        assert_eq!(scene.backups.list().await.unwrap(), kept);
    }
    scene.backups.retain().await.unwrap();
    let files = std::fs::read_dir(scene.folder()).unwrap().count();
    assert_eq!(files, 2 * scene::KEEP + 1, "two files each, and the lock");
}

async fn another_key_does_not_verify(scene: Scene) {
    scene.entries(3).await;
    scene.store.seal(&key(), noon()).await.unwrap();
    let made = scene.backups.create(noon()).await.unwrap();
    let other = SealingKey::derive(b"another secret of sixteen bytes");
    let refused = scene
        .backups
        .verify(&made.name, &[other])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidBackup);
}

async fn a_name_from_outside_is_no_path(scene: Scene) {
    scene.backups.create(noon()).await.unwrap();
    for name in [
        "",
        "../backups/x",
        "/etc/passwd",
        "assay-20261122T120000Z-0001",
    ] {
        let refused = scene.backups.verify(name, &[key()]).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_use_is_not_replaced() {
    let scene = Scene::sqlite().await;
    scene.add_user("ada@example.com").await;
    let made = scene.backups.create(noon()).await.unwrap();
    let refused = scene.backups.restore(&made.name, true).await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    assert!(scene.has_user("ada@example.com").await);
}
