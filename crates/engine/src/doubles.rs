//! Stand-ins for ports in the tests of this crate. The real ones have suites of their own.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Code, Error};
use crate::linking::words_of;
use crate::ports::{
    Cache, Collection, EmbeddedDocument, Embedder, EmbedderIdentity, Embedding, IndexManifest,
    Neighbour, SearchResult, VectorSearch, VectorStore,
};

/// Texts that share words are near.
#[derive(Default)]
pub struct WordEmbedder {
    /// Names the model.
    pub hash: String,
    /// Texts embedded so far.
    pub embedded: AtomicU64,
    /// Fails.
    pub is_broken: bool,
}

impl WordEmbedder {
    pub fn new(hash: &str) -> Self {
        Self {
            hash: hash.into(),
            ..Self::default()
        }
    }

    pub fn embedded(&self) -> u64 {
        self.embedded.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Embedder for WordEmbedder {
    fn identity(&self) -> EmbedderIdentity {
        EmbedderIdentity {
            name: "words".into(),
            hash: self.hash.clone(),
            is_remote: false,
        }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Error> {
        if self.is_broken {
            return Err(Error::new(Code::EmbedderFailed, "the model broke"));
        }
        self.embedded
            .fetch_add(texts.len() as u64, Ordering::Relaxed);
        let embed = |text: &String| {
            let mut vector = vec![0.001_f32; 64];
            for word in words_of(text) {
                let hash = blake3::hash(word.as_bytes());
                vector[usize::from(hash.as_bytes()[0]) % 64] += 1.0;
            }
            Embedding::normalised(vector)
        };
        texts.iter().map(embed).collect()
    }
}

/// Holds collections in memory.
#[derive(Default)]
pub struct Vectors {
    collections: Mutex<HashMap<Collection, (IndexManifest, Vec<EmbeddedDocument>)>>,
    /// Cannot be reached.
    pub is_down: AtomicBool,
}

impl Vectors {
    fn check(&self) -> Result<(), Error> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(Error::new(Code::VectorStoreDown, "nobody answers"));
        }
        Ok(())
    }
}

#[async_trait]
impl VectorStore for Vectors {
    async fn manifest(&self, collection: Collection) -> Result<Option<IndexManifest>, Error> {
        self.check()?;
        let collections = self.collections.lock().expect("no test panics with it");
        Ok(collections
            .get(&collection)
            .map(|(manifest, _)| manifest.clone()))
    }

    async fn documents(&self, collection: Collection) -> Result<Vec<EmbeddedDocument>, Error> {
        self.check()?;
        let collections = self.collections.lock().expect("no test panics with it");
        let found = collections.get(&collection);
        Ok(found
            .map(|(_, documents)| documents.clone())
            .unwrap_or_default())
    }

    async fn replace(
        &self,
        collection: Collection,
        documents: &[EmbeddedDocument],
        manifest: &IndexManifest,
        on_written: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(), Error> {
        self.check()?;
        let mut collections = self.collections.lock().expect("no test panics with it");
        collections.insert(collection, (manifest.clone(), documents.to_vec()));
        on_written(documents.len());
        Ok(())
    }

    async fn search_many(
        &self,
        embedder_hash: &str,
        searches: &[VectorSearch],
    ) -> Result<Vec<SearchResult>, Error> {
        self.check()?;
        let collections = self.collections.lock().expect("no test panics with it");
        let search = |search: &VectorSearch| {
            let Some((manifest, documents)) = collections.get(&search.collection) else {
                return SearchResult::default();
            };
            let mut neighbours: Vec<Neighbour> = documents
                .iter()
                .filter(|_| manifest.embedder_hash == embedder_hash)
                .map(|one| Neighbour {
                    document: one.document.clone(),
                    similarity: one.embedding.cosine(&search.near),
                })
                .collect();
            neighbours.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
            neighbours.truncate(search.limit);
            SearchResult {
                manifest: Some(manifest.clone()),
                neighbours,
            }
        };
        Ok(searches.iter().map(search).collect())
    }

    async fn ping(&self) -> Result<(), Error> {
        self.check()
    }
}

/// Members of groups with their values, those put last first.
type Groups = HashMap<String, Vec<(String, Vec<u8>)>>;

/// Remembers everything until it is told otherwise.
#[derive(Default)]
pub struct Remembers {
    values: Mutex<HashMap<String, Vec<u8>>>,
    groups: Mutex<Groups>,
    withheld: Mutex<HashMap<String, Vec<u8>>>,
}

impl Remembers {
    /// Hides what is remembered until somebody looks whether something is absent.
    pub fn withhold(&self) {
        *self.withheld() = std::mem::take(&mut *self.values());
    }

    /// Changes what is remembered behind everyone's back.
    pub fn rewrite(&self, from: &str, to: &str) {
        for value in self.values().values_mut() {
            *value = String::from_utf8_lossy(value)
                .replace(from, to)
                .into_bytes();
        }
    }

    fn values(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.values.lock().expect("no test panics with it")
    }
    fn withheld(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.withheld.lock().expect("no test panics with it")
    }
    fn groups(&self) -> std::sync::MutexGuard<'_, Groups> {
        self.groups.lock().expect("no test panics with it")
    }
}

#[async_trait]
impl Cache for Remembers {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.values().get(key).cloned())
    }
    async fn put(&self, key: &str, value: &[u8], _: Duration) -> Result<(), Error> {
        self.values().insert(key.into(), value.into());
        Ok(())
    }
    async fn put_if_absent(&self, key: &str, value: &[u8], _: Duration) -> Result<bool, Error> {
        let mut values = self.values();
        values.extend(self.withheld().drain());
        let is_absent = !values.contains_key(key);
        if is_absent {
            values.insert(key.into(), value.into());
        }
        Ok(is_absent)
    }
    async fn remove(&self, key: &str) -> Result<(), Error> {
        self.values().remove(key);
        Ok(())
    }
    async fn remove_if(&self, key: &str, value: &[u8]) -> Result<bool, Error> {
        let mut values = self.values();
        let is_it = values.get(key).is_some_and(|there| there == value);
        if is_it {
            values.remove(key);
        }
        Ok(is_it)
    }
    async fn hold(&self, _: &str, _: &[u8], _: Duration) -> Result<(), Error> {
        Ok(())
    }
    async fn wait_until_absent(&self, _: &str, _: Duration) -> Result<(), Error> {
        Ok(())
    }
    async fn put_member(
        &self,
        group: &str,
        member: &str,
        value: &[u8],
        _: Duration,
        _: usize,
    ) -> Result<(), Error> {
        let mut groups = self.groups();
        let members = groups.entry(group.into()).or_default();
        members.retain(|(name, _)| name != member);
        members.insert(0, (member.into(), value.into()));
        Ok(())
    }
    async fn members(&self, group: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        Ok(self.groups().get(group).cloned().unwrap_or_default())
    }
    async fn remove_member(&self, group: &str, member: &str) -> Result<(), Error> {
        if let Some(members) = self.groups().get_mut(group) {
            members.retain(|(name, _)| name != member);
        }
        Ok(())
    }
    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}
