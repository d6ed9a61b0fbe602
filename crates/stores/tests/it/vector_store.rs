//! The suite of the VectorStore port. It states the contract once and runs on every implementation.

mod chroma_only;
mod content;
mod memory_only;
mod replacing;
mod searching;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use chrono::{DateTime, Utc};
use engine::ports::{
    Clock, Collection, Document, EmbeddedDocument, Embedding, IndexManifest, Random, SearchResult,
    VectorSearch, VectorStore,
};
use stores::chroma::{ChromaSettings, ChromaVectors};
use stores::memory::MemoryVectors;

use crate::services;

/// Runs every test on each implementation. An opener returns a store of the test's own, or says why there is none and
/// returns `None`.
macro_rules! suite {
    ($($name:ident: $open:expr;)*) => {$(
        mod $name {
            suite! { @tests $open;
                searching {
                    neighbours_are_those_of_brute_force
                    ten_thousand_documents_are_searched
                    only_documents_with_the_value_are_found
                    a_limit_of_nothing_finds_nothing_and_one_of_everything_all
                    equally_near_documents_come_by_identifier
                    a_collection_that_is_not_there_has_neither_manifest_nor_neighbours
                    an_empty_collection_has_a_manifest_and_no_neighbours
                    another_embedder_finds_nothing_but_hears_the_manifest
                    a_vector_of_another_dimension_is_refused
                    several_collections_are_searched_in_one_call
                    collections_do_not_mix
                }
                content {
                    documents_come_back_as_they_went_in
                    any_text_is_a_value_and_a_key
                    identifiers_occur_once
                    vectors_of_one_collection_have_one_dimension
                    what_was_written_survives_reopening
                }
                replacing {
                    a_replacement_replaces_everything
                    another_dimension_takes_the_place_of_the_old_one
                    progress_is_told_up_to_the_end
                    a_refused_replacement_changes_nothing
                    an_interrupted_replacement_is_not_seen
                    searches_never_see_a_mixture
                    of_two_replacements_at_once_one_wins_wholly
                }
            }
        }
    )*};
    (@tests $open:expr; $($module:ident { $($test:ident)* })*) => {$($(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            if let Some(opened) = $open {
                super::$module::$test(opened).await;
            }
        }
    )*)*};
}

suite! {
    memory: super::Opened::in_memory();
    file: super::Opened::in_a_folder();
    chroma: super::Opened::in_chroma();
}

/// A store under test.
pub struct Opened {
    pub store: Arc<dyn VectorStore>,
    /// Opens what another process would find; `None` if that is nothing.
    reopen: Option<Box<dyn Fn() -> Arc<dyn VectorStore> + Send + Sync>>,
}

impl Opened {
    fn in_memory() -> Option<Self> {
        Some(Self {
            store: Arc::new(MemoryVectors::in_memory()),
            reopen: None,
        })
    }

    fn in_a_folder() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        Some(Self {
            store: Arc::new(MemoryVectors::open(folder.path())),
            reopen: Some(Box::new(move || {
                Arc::new(MemoryVectors::open(folder.path()))
            })),
        })
    }

    fn in_chroma() -> Option<Self> {
        let settings = services::chroma()?;
        Some(Self {
            store: chroma(&settings),
            reopen: Some(Box::new(move || chroma(&settings))),
        })
    }
}

fn chroma(settings: &ChromaSettings) -> Arc<ChromaVectors> {
    chroma_at(settings, Arc::new(TestClock::default()))
}

fn chroma_at(settings: &ChromaSettings, clock: Arc<TestClock>) -> Arc<ChromaVectors> {
    Arc::new(ChromaVectors::open(settings.clone(), clock, Arc::new(Counted)).unwrap())
}

/// A clock that stands still until it is moved.
pub struct TestClock(AtomicI64);

impl Default for TestClock {
    fn default() -> Self {
        Self(AtomicI64::new(1_800_000_000))
    }
}

impl TestClock {
    fn go_on(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.load(Ordering::Relaxed), 0).unwrap()
    }
}

/// Bytes that are others each time.
struct Counted;

impl Random for Counted {
    fn bytes(&self) -> [u8; 32] {
        static NUMBERS: [AtomicU8; 2] = [AtomicU8::new(0), AtomicU8::new(0)];
        let low = NUMBERS[0].fetch_add(1, Ordering::Relaxed);
        let high = if low == u8::MAX {
            NUMBERS[1].fetch_add(1, Ordering::Relaxed)
        } else {
            NUMBERS[1].load(Ordering::Relaxed)
        };
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&[high, low]);
        bytes
    }
}

/// Numbers that look random and are the same in every run.
pub struct Numbers(u64);

impl Numbers {
    pub fn from(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> f32 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn vector(&mut self, dimension: usize) -> Embedding {
        Embedding::normalised((0..dimension).map(|_| self.next()).collect()).unwrap()
    }

    /// Returns documents named by their number whose text is `text`.
    pub fn documents(
        &mut self,
        count: usize,
        dimension: usize,
        text: &str,
    ) -> Vec<EmbeddedDocument> {
        (0..count)
            .map(|number| document(&format!("{number:05}"), text, self.vector(dimension)))
            .collect()
    }
}

pub fn document(id: &str, text: &str, embedding: Embedding) -> EmbeddedDocument {
    EmbeddedDocument {
        document: Document {
            id: id.into(),
            text: text.into(),
            metadata: [("table".to_owned(), "orders".to_owned())].into(),
        },
        embedding,
    }
}

pub fn vector(numbers: &[f32]) -> Embedding {
    Embedding::normalised(numbers.to_vec()).unwrap()
}

pub fn manifest(source: &str, documents: usize) -> IndexManifest {
    IndexManifest {
        embedder_hash: "embedder".into(),
        source: source.into(),
        documents: documents as u64,
        indexed_at: DateTime::from_timestamp_millis(1_800_000_000_123).unwrap(),
    }
}

pub const PLACE: Collection = Collection::TableSchemas;

/// Replaces the collection that most tests use.
pub async fn put(store: &dyn VectorStore, documents: &[EmbeddedDocument], source: &str) {
    let manifest = manifest(source, documents.len());
    store
        .replace(PLACE, documents, &manifest, &|_| ())
        .await
        .unwrap();
}

pub fn near(embedding: Embedding, limit: usize) -> VectorSearch {
    VectorSearch {
        collection: PLACE,
        near: embedding,
        only: None,
        limit,
    }
}

/// Searches the collection that most tests use.
pub async fn search(store: &dyn VectorStore, search: VectorSearch) -> SearchResult {
    let mut results = store.search_many("embedder", &[search]).await.unwrap();
    assert_eq!(results.len(), 1);
    results.remove(0)
}

pub fn ids(result: &SearchResult) -> Vec<&str> {
    let neighbours = result.neighbours.iter();
    neighbours
        .map(|neighbour| neighbour.document.id.as_str())
        .collect()
}
