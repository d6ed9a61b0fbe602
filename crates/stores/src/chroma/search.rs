//! Searching and reading the generation in service, whatever is replaced meanwhile.

use std::collections::BTreeMap;

use engine::Error;
use engine::ports::{
    Collection, EmbeddedDocument, Embedding, Neighbour, SearchResult, VectorSearch,
};
use futures::future::try_join_all;

use super::ChromaVectors;
use super::client::{Found, StoredCollection};
use super::records::{self, Pointer};
use crate::vectors;

/// Beginnings of a search or reading at most; each but the last ended with a generation that went out of service.
const ATTEMPTS: usize = 5;
/// Results asked for beyond the limit, which show whether documents at the limit are equally near.
const MARGIN: usize = 32;
/// Distances closer than this may be equal.
const EQUALLY_NEAR: f32 = 1e-6;
/// Results asked for at most to order documents that are equally near.
const RESULTS_AT_MOST: usize = 4_096;

type Pointed = Option<(StoredCollection, Pointer)>;

impl ChromaVectors {
    pub(super) async fn search_all(
        &self,
        embedder_hash: &str,
        searches: &[VectorSearch],
    ) -> Result<Vec<SearchResult>, Error> {
        let mut collections: Vec<_> = searches.iter().map(|search| search.collection).collect();
        collections.sort_unstable();
        collections.dedup();
        let mut attempt = 1;
        loop {
            let pointed = self.all_pointed(&collections).await?;
            let found = try_join_all(searches.iter().map(|search| {
                let pointed = pointed.get(&search.collection).and_then(Option::as_ref);
                self.search(embedder_hash, search, pointed)
            }))
            .await;
            let is_last = attempt == ATTEMPTS;
            // A generation that is in service after the search was whole all through it. A fault may come of its
            // deletion, too.
            match found {
                Ok(results) if self.still_point(&pointed).await? => return Ok(results),
                Err(fault) if is_last || self.still_point(&pointed).await? => return Err(fault),
                _ if is_last => return Err(self.client.too_slow()),
                _ => attempt += 1,
            }
        }
    }

    /// Returns every document in service with its vector, by ascending identifier.
    pub(super) async fn documents_in_service(
        &self,
        collection: Collection,
    ) -> Result<Vec<EmbeddedDocument>, Error> {
        for _ in 0..ATTEMPTS {
            let Some((stored, pointer)) = self.pointed(collection).await? else {
                return Ok(Vec::new());
            };
            let selected = records::of_generation(&pointer.generation);
            let read = self.client.read(&stored.id, &selected).await;
            let now = self.pointed(collection).await?;
            if now.is_none_or(|(_, now)| now.generation != pointer.generation) {
                continue;
            }
            let mut documents: Vec<_> = read?
                .into_iter()
                .flatten()
                .flat_map(|page| {
                    let texts = page.documents.into_iter().flatten();
                    let metadatas = page.metadatas.into_iter().flatten();
                    let embeddings = page.embeddings.into_iter().flatten();
                    page.ids
                        .into_iter()
                        .zip(texts)
                        .zip(metadatas)
                        .zip(embeddings)
                })
                .filter_map(|(((id, text), metadata), embedding)| {
                    Some(EmbeddedDocument {
                        document: records::document(&pointer.generation, &id, text, metadata)?,
                        embedding: Embedding::stored(embedding)?,
                    })
                })
                .collect();
            documents.sort_by(|a, b| a.document.id.cmp(&b.document.id));
            return Ok(documents);
        }
        Err(self.client.too_slow())
    }

    async fn all_pointed(
        &self,
        collections: &[Collection],
    ) -> Result<BTreeMap<Collection, Pointed>, Error> {
        let pointed = collections.iter().map(|collection| async move {
            Ok::<_, Error>((*collection, self.pointed(*collection).await?))
        });
        Ok(try_join_all(pointed).await?.into_iter().collect())
    }

    /// Says whether every collection points where it did.
    async fn still_point(&self, before: &BTreeMap<Collection, Pointed>) -> Result<bool, Error> {
        let collections: Vec<_> = before.keys().copied().collect();
        let now = self.all_pointed(&collections).await?;
        let generation = |pointed: &Pointed| {
            pointed
                .as_ref()
                .map(|(_, pointer)| pointer.generation.clone())
        };
        Ok(before
            .values()
            .map(generation)
            .eq(now.values().map(generation)))
    }

    async fn search(
        &self,
        embedder_hash: &str,
        search: &VectorSearch,
        pointed: Option<&(StoredCollection, Pointer)>,
    ) -> Result<SearchResult, Error> {
        let Some((stored, pointer)) = pointed else {
            return Ok(SearchResult::default());
        };
        let has_nothing = pointer.manifest.embedder_hash != embedder_hash || pointer.documents == 0;
        let neighbours = if has_nothing {
            Vec::new()
        } else if search.near.as_slice().len() != pointer.dimension {
            return Err(vectors::dimensions_differ(
                search.near.as_slice().len(),
                pointer.dimension,
            ));
        } else if search.limit == 0 {
            Vec::new()
        } else {
            self.nearest(stored, pointer, search).await?
        };
        Ok(SearchResult {
            manifest: Some(pointer.manifest.clone()),
            neighbours,
        })
    }

    /// Asks for more than the limit, until it is plain which of those equally near at the limit come first.
    async fn nearest(
        &self,
        stored: &StoredCollection,
        pointer: &Pointer,
        search: &VectorSearch,
    ) -> Result<Vec<Neighbour>, Error> {
        let limit = search.limit.min(pointer.documents);
        let near = search.near.as_slice();
        let mut selected = search
            .only
            .as_ref()
            .map(|only| records::of_generation_with(&pointer.generation, only));
        // Chroma lists all that a filter selects before it searches, so the filter on the generation is left out where
        // the nearest of all generations hold enough of the one in service.
        let mut results = if selected.is_some() { limit } else { limit * 2 } + MARGIN;
        loop {
            let found = self
                .client
                .query(&stored.id, near, results, selected.as_ref())
                .await?;
            let Some(found) = found else {
                return Ok(Vec::new());
            };
            let returned = found.ids.first().map_or(0, Vec::len);
            let mut neighbours = neighbours(found, pointer);
            let is_enough = search.only.is_some() || neighbours.len() >= limit;
            if !is_enough && selected.is_none() {
                selected = Some(records::of_generation(&pointer.generation));
                results = limit + MARGIN;
                continue;
            }
            let at_limit = neighbours.get(limit - 1).map(|last| last.similarity);
            let beyond = neighbours.last().map(|last| last.similarity);
            let may_tie = at_limit
                .zip(beyond)
                .is_some_and(|(at_limit, beyond)| at_limit - beyond < EQUALLY_NEAR);
            if may_tie && returned == results && results < RESULTS_AT_MOST.max(limit) {
                results *= 4;
                continue;
            }
            neighbours.truncate(limit);
            return Ok(neighbours);
        }
    }
}

/// Returns what was found of the generation in service, in order.
fn neighbours(found: Found, pointer: &Pointer) -> Vec<Neighbour> {
    let texts = found.documents.into_iter().flatten();
    let metadatas = found.metadatas.into_iter().flatten();
    let distances = found.distances.into_iter().flatten();
    let ids = found.ids.into_iter().flatten();
    let mut neighbours: Vec<_> = ids
        .zip(texts)
        .zip(metadatas)
        .zip(distances)
        .filter_map(|(((id, text), metadata), distance)| {
            Some(Neighbour {
                document: records::document(&pointer.generation, &id, text, metadata)?,
                similarity: (1.0 - distance?).clamp(-1.0, 1.0),
            })
        })
        .collect();
    neighbours.sort_by(|a, b| {
        let nearer = b.similarity.total_cmp(&a.similarity);
        nearer.then_with(|| a.document.id.cmp(&b.document.id))
    });
    neighbours
}
