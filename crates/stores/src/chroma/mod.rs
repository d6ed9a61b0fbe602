//! Vectors in Chroma, over its HTTP API v2. Each collection of the design is one collection there, under its own name.
//!
//! A collection is replaced in *generations*. Each replacement writes its documents beside those in service, under
//! identifiers and with metadata that name their generation, and then points at them with one update of the collection's
//! metadata. Searches see the generation that is pointed at, look again afterwards whether it still is, and begin anew
//! if not; so a generation may be deleted as soon as it is out of service.

mod client;
mod records;
mod search;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use engine::ports::{
    Clock, Collection, EmbeddedDocument, IndexManifest, Random, SearchResult, VectorSearch,
    VectorStore,
};
use engine::{Code, Error};

use crate::vectors;
use client::{Client, StoredCollection};
use records::{Generation, Pointer};

/// Documents in one request at most. Chroma takes more, but answers no search meanwhile.
const BATCH_DOCUMENTS: usize = 250;
/// Bytes of vectors and texts in one request at most, unless one document alone is larger.
const BATCH_BYTES: usize = 4 << 20;
/// A replacement that takes longer than this is given up.
const REPLACING_AT_MOST: Duration = Duration::from_secs(30 * 60);
/// A generation that was begun this long ago and is not in service was given up. Longer than any replacement takes, by
/// more than clocks of replicas differ.
const ABANDONED_AFTER: TimeDelta = TimeDelta::hours(1);

/// How to reach Chroma.
#[derive(Debug, Clone)]
pub struct ChromaSettings {
    /// Scheme, host and port, as in `http://localhost:8000`.
    pub url: String,
    /// The tenant; made when it is missing.
    pub tenant: String,
    /// Its database; made when it is missing.
    pub database: String,
    /// For servers that want one.
    pub token: Option<ChromaToken>,
    /// Wait for a connection.
    pub connect_timeout: Duration,
    /// Wait for a whole search, or for any small question.
    pub search_timeout: Duration,
    /// Wait for one request that reads or writes many documents.
    pub batch_timeout: Duration,
}

impl ChromaSettings {
    /// The defaults: Chroma's own tenant and database, a second to connect, two to search, a minute for a batch.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            tenant: "default_tenant".into(),
            database: "default_database".into(),
            token: None,
            connect_timeout: Duration::from_secs(1),
            search_timeout: Duration::from_secs(2),
            batch_timeout: Duration::from_secs(60),
        }
    }
}

/// A token that does not print.
#[derive(Clone)]
pub struct ChromaToken(String);

impl ChromaToken {
    /// Takes a token; white space around it is dropped.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self(token.as_ref().trim().to_owned())
    }
}

impl fmt::Debug for ChromaToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Vectors in Chroma.
pub struct ChromaVectors {
    client: Client,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl ChromaVectors {
    /// Prepares to use Chroma; asks it nothing yet, so that it may be down.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the URL or the token cannot be used.
    pub fn open(
        settings: ChromaSettings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(settings)?,
            clock,
            random,
        })
    }

    /// Returns a collection and what it points at.
    async fn pointed(
        &self,
        collection: Collection,
    ) -> Result<Option<(StoredCollection, Pointer)>, Error> {
        let stored = self.client.collection(collection.as_str()).await?;
        Ok(stored.and_then(|stored| {
            let pointer = Pointer::read(stored.metadata.as_ref()?)?;
            Some((stored, pointer))
        }))
    }

    /// Returns a collection that takes vectors of this dimension.
    async fn collection_for(
        &self,
        collection: Collection,
        dimension: usize,
    ) -> Result<StoredCollection, Error> {
        let name = collection.as_str();
        let stored = self.client.get_or_create(name).await?;
        if dimension == 0 || stored.dimension.is_none_or(|stored| stored == dimension) {
            return Ok(stored);
        }
        // A collection keeps the dimension of its first vector, so another model's vectors need a new one. What the
        // old one holds is of no use to whoever has the new model.
        tracing::info!(
            collection = name,
            "vectors have another dimension now: the collection is made anew"
        );
        self.client.delete_collection(name).await?;
        self.client.get_or_create(name).await
    }

    /// Writes a generation and puts it in service; returns the one that it takes the place of.
    async fn put(
        &self,
        collection: Collection,
        documents: &[EmbeddedDocument],
        manifest: &IndexManifest,
        on_written: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(StoredCollection, Generation, Option<Generation>), Error> {
        let dimension = vectors::check(documents)?;
        let stored = self.collection_for(collection, dimension).await?;
        let limits = self.client.limits().await?;
        let generation = Generation::new(self.clock.now(), self.random.bytes());
        let batch_documents = limits.max_batch_size.clamp(1, BATCH_DOCUMENTS);
        let mut written = 0;
        while written < documents.len() {
            let batch = batch(&documents[written..], batch_documents);
            let body = records::upsert(&generation, batch, limits.supports_base64_encoding);
            self.client.upsert(&stored.id, &body).await?;
            written += batch.len();
            on_written(written);
        }
        // Read as late as can be, so that of two replacements at once the second deletes what the first wrote.
        let replaced = self.pointed(collection).await?;
        let pointer = Pointer {
            generation: generation.clone(),
            dimension,
            documents: documents.len(),
            manifest: manifest.clone(),
        };
        // Invariant: the one request that changes what searches see, sent when all of the generation is there.
        self.client
            .update_metadata(&stored.id, &pointer.write())
            .await?;
        let replaced = replaced.map(|(_, pointer)| pointer.generation);
        Ok((stored, generation, replaced))
    }

    /// Deletes the generation that just went out of service, and those that were given up while they were written. Any
    /// other may be one that another replica is writing.
    async fn clean(
        &self,
        stored: &StoredCollection,
        in_service: &Generation,
        replaced: Option<Generation>,
    ) -> Result<(), Error> {
        if let Some(replaced) = replaced {
            let of_replaced = records::of_generation(&replaced);
            self.client.delete_where(&stored.id, &of_replaced).await?;
        }
        let abandoned = records::begun_before(self.clock.now() - ABANDONED_AFTER, in_service);
        self.client.delete_where(&stored.id, &abandoned).await
    }
}

#[async_trait]
impl VectorStore for ChromaVectors {
    async fn manifest(&self, collection: Collection) -> Result<Option<IndexManifest>, Error> {
        let pointed = self.pointed(collection).await?;
        Ok(pointed.map(|(_, pointer)| pointer.manifest))
    }

    async fn documents(&self, collection: Collection) -> Result<Vec<EmbeddedDocument>, Error> {
        self.documents_in_service(collection).await
    }

    async fn replace(
        &self,
        collection: Collection,
        documents: &[EmbeddedDocument],
        manifest: &IndexManifest,
        on_written: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(), Error> {
        let putting = self.put(collection, documents, manifest, on_written);
        let (stored, in_service, replaced) = tokio::time::timeout(REPLACING_AT_MOST, putting)
            .await
            .unwrap_or_else(|_| {
                Err(Error::new(
                    Code::VectorStoreDown,
                    "Chroma takes too long to write a collection",
                ))
            })?;
        if let Err(fault) = self.clean(&stored, &in_service, replaced).await {
            // What is left is seen by no search, and goes with a later replacement.
            tracing::warn!(
                collection = collection.as_str(),
                cause = fault.cause(),
                "old vectors cannot be deleted: {fault}"
            );
        }
        Ok(())
    }

    async fn search_many(
        &self,
        embedder_hash: &str,
        searches: &[VectorSearch],
    ) -> Result<Vec<SearchResult>, Error> {
        let searching = self.search_all(embedder_hash, searches);
        tokio::time::timeout(self.client.settings().search_timeout, searching)
            .await
            .unwrap_or_else(|_| Err(self.client.too_slow()))
    }

    async fn ping(&self) -> Result<(), Error> {
        self.client.heartbeat().await
    }
}

/// Returns as many of the first documents as fit one request, one at least.
fn batch(documents: &[EmbeddedDocument], documents_at_most: usize) -> &[EmbeddedDocument] {
    let mut bytes = 0;
    let fitting = documents
        .iter()
        .take(documents_at_most)
        .take_while(|document| {
            bytes += document.embedding.as_slice().len() * 6 + document.document.text.len();
            bytes <= BATCH_BYTES
        })
        .count();
    &documents[..fitting.max(1)]
}
