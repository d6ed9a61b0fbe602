//! A replacement is seen wholly or not at all.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use engine::Code;
use engine::ports::{EmbeddedDocument, SearchResult, VectorStore};

use super::{Numbers, Opened, PLACE, document, ids, manifest, near, put, search, vector};

const DIMENSION: usize = 6;

/// Returns documents that say of which version they are; no two versions have as many.
fn version(number: usize) -> (String, Vec<EmbeddedDocument>) {
    let name = format!("version {number}");
    let documents = Numbers::from(21).documents(520 + number, DIMENSION, &name);
    (name, documents)
}

/// Asserts that all that was found is of the version that the manifest names.
fn assert_one_version(result: &SearchResult) {
    let manifest = result.manifest.as_ref().unwrap();
    for neighbour in &result.neighbours {
        assert_eq!(neighbour.document.text, manifest.source);
    }
    assert_eq!(result.neighbours.len(), 20);
}

/// Returns the version in service, after asserting that it is there wholly.
async fn whole_version(store: &dyn VectorStore) -> String {
    let result = search(store, near(vector(&[1.0; DIMENSION]), 20)).await;
    assert_one_version(&result);
    let told = result.manifest.unwrap();
    let documents = store.documents(PLACE).await.unwrap();
    assert_eq!(documents.len() as u64, told.documents);
    let is_of_version = |document: &EmbeddedDocument| document.document.text == told.source;
    assert!(documents.iter().all(is_of_version));
    told.source
}

pub async fn a_replacement_replaces_everything(opened: Opened) {
    for number in 0..4 {
        let (name, documents) = version(number);
        put(&*opened.store, &documents, &name).await;
        assert_eq!(whole_version(&*opened.store).await, name);
    }
    put(
        &*opened.store,
        &[document("z", "last", vector(&[1.0; DIMENSION]))],
        "last",
    )
    .await;
    let result = search(&*opened.store, near(vector(&[1.0; DIMENSION]), 20)).await;
    assert_eq!(ids(&result), ["z"]);
}

pub async fn another_dimension_takes_the_place_of_the_old_one(opened: Opened) {
    for dimension in [4, 9, 2] {
        let documents = Numbers::from(22).documents(30, dimension, "text");
        put(&*opened.store, &documents, "all").await;
        let result = search(&*opened.store, near(vector(&vec![1.0; dimension]), 40)).await;
        assert_eq!(result.neighbours.len(), 30);
    }
}

pub async fn progress_is_told_up_to_the_end(opened: Opened) {
    let (name, documents) = version(0);
    let told = Mutex::new(vec![]);
    let listen = |written| told.lock().unwrap().push(written);
    let manifest = manifest(&name, documents.len());
    opened
        .store
        .replace(PLACE, &documents, &manifest, &listen)
        .await
        .unwrap();
    let told = told.into_inner().unwrap();
    assert!(told.is_sorted());
    assert_eq!(told.last(), Some(&documents.len()));
}

pub async fn a_refused_replacement_changes_nothing(opened: Opened) {
    let (name, documents) = version(0);
    put(&*opened.store, &documents, &name).await;
    let mut wrong = version(1).1;
    wrong[500].document.id = wrong[3].document.id.clone();
    let refused = opened
        .store
        .replace(PLACE, &wrong, &manifest("wrong", 521), &|_| ())
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Internal);
    assert_eq!(whole_version(&*opened.store).await, name);
}

/// Polls a future a few times and drops it if that was not enough.
async fn poll_at_most<F: Future>(future: F, mut polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Wherever it is given up, from before its first step to after its last.
pub async fn an_interrupted_replacement_is_not_seen(opened: Opened) {
    let (mut in_service, documents) = version(0);
    put(&*opened.store, &documents, &in_service).await;
    let (mut interruptions, mut polls) = (0, 0);
    loop {
        let (name, documents) = version(1 + polls);
        let manifest = manifest(&name, documents.len());
        let all_written = AtomicBool::new(false);
        let listen = |written| {
            all_written.fetch_or(written == documents.len(), Ordering::Relaxed);
        };
        let replacing = opened.store.replace(PLACE, &documents, &manifest, &listen);
        let is_done = poll_at_most(replacing, polls).await.is_some();
        let found = whole_version(&*opened.store).await;
        if is_done || found == name {
            assert!(all_written.into_inner() || !is_done);
            assert_eq!(found, name);
        } else {
            assert_eq!(found, in_service);
            interruptions += 1;
        }
        if is_done {
            break;
        }
        in_service = found;
        polls += 1;
    }
    assert!(interruptions > 0);
    // What was given up half-way is in nobody's way.
    let (name, documents) = version(900);
    put(&*opened.store, &documents, &name).await;
    assert_eq!(whole_version(&*opened.store).await, name);
}

pub async fn searches_never_see_a_mixture(opened: Opened) {
    let (name, documents) = version(0);
    put(&*opened.store, &documents, &name).await;
    let is_over = AtomicBool::new(false);
    let searching = async {
        let (mut numbers, mut seen) = (Numbers::from(23), vec![]);
        while !is_over.load(Ordering::Relaxed) {
            let result = search(&*opened.store, near(numbers.vector(DIMENSION), 20)).await;
            assert_one_version(&result);
            seen.push(result.manifest.unwrap().source);
        }
        seen.dedup();
        seen
    };
    let replacing = async {
        for number in 1..=8 {
            let (name, documents) = version(number);
            put(&*opened.store, &documents, &name).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (seen, ()) = tokio::join!(searching, replacing);
    let mut ordered = seen.clone();
    ordered.sort();
    assert_eq!(seen, ordered, "no version comes back");
}

pub async fn of_two_replacements_at_once_one_wins_wholly(opened: Opened) {
    for round in 0..3 {
        let versions: Vec<_> = (0..3).map(|number| version(round * 3 + number)).collect();
        let replacing = versions
            .iter()
            .map(|(name, documents)| put(&*opened.store, documents, name));
        futures::future::join_all(replacing).await;
        let winner = whole_version(&*opened.store).await;
        assert!(versions.iter().any(|(name, _)| *name == winner));
    }
}
