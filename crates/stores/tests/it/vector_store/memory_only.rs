//! What only the snapshot files of the store in this process can go through.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use engine::Code;
use engine::ports::{Collection, VectorStore};
use stores::memory::MemoryVectors;

use super::{Numbers, PLACE, manifest, put};

async fn written() -> (tempfile::TempDir, MemoryVectors) {
    let folder = tempfile::tempdir().unwrap();
    // The folder of the snapshots is made, and those above it.
    let store = MemoryVectors::open(&folder.path().join("data/vectors"));
    put(&store, &Numbers::from(31).documents(20, 4, "text"), "all").await;
    (folder, store)
}

fn snapshot(folder: &Path) -> std::path::PathBuf {
    folder.join("data/vectors/table_schemas.vectors")
}

#[tokio::test]
async fn a_snapshot_belongs_to_its_owner_alone() {
    let (folder, _store) = written().await;
    let names: Vec<_> = fs::read_dir(folder.path().join("data/vectors"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    for entry in &names {
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
    assert_eq!(names.len(), 2, "the snapshot and its lock");
}

#[tokio::test]
async fn a_damaged_snapshot_is_an_empty_collection_until_the_next_replacement() {
    let (folder, store) = written().await;
    let path = snapshot(folder.path());
    let whole = fs::read(&path).unwrap();
    let mut damages = vec![vec![], b"something else".to_vec()];
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        damages.extend([whole[..at].to_vec(), flipped]);
    }
    for damaged in damages {
        fs::write(&path, damaged).unwrap();
        let reopened = MemoryVectors::open(path.parent().unwrap());
        assert_eq!(reopened.manifest(PLACE).await.unwrap(), None);
        assert!(reopened.documents(PLACE).await.unwrap().is_empty());
    }
    put(&store, &Numbers::from(31).documents(7, 4, "text"), "new").await;
    let reopened = MemoryVectors::open(path.parent().unwrap());
    assert_eq!(
        reopened.manifest(PLACE).await.unwrap(),
        Some(manifest("new", 7))
    );
}

#[tokio::test]
async fn a_snapshot_under_the_name_of_another_collection_is_ignored() {
    let (folder, _store) = written().await;
    let path = snapshot(folder.path());
    fs::copy(&path, path.with_file_name("business_terms.vectors")).unwrap();
    let reopened = MemoryVectors::open(path.parent().unwrap());
    let other = reopened.manifest(Collection::BusinessTerms).await.unwrap();
    assert_eq!(other, None);
    assert!(reopened.manifest(PLACE).await.unwrap().is_some());
}

#[tokio::test]
async fn a_replacement_that_cannot_be_written_changes_nothing() {
    let (folder, store) = written().await;
    // A folder in the place of the file that is written first stops everybody, root too.
    fs::create_dir(snapshot(folder.path()).with_extension("tmp")).unwrap();
    let failed = store
        .replace(PLACE, &[], &manifest("new", 0), &|_| ())
        .await
        .unwrap_err();
    assert_eq!(failed.code(), Code::VectorStoreDown);
    assert!(failed.hint().is_some());
    let told = store.manifest(PLACE).await.unwrap();
    assert_eq!(told, Some(manifest("all", 20)));
}
