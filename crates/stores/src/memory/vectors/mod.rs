//! Vectors in this process, searched exactly: each search looks at every vector of its collection. With a folder, each
//! collection is also a snapshot file there, and the file is the truth: whoever else replaces it is noticed.

mod scan;
mod snapshot;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use engine::ports::{
    Collection, Document, EmbeddedDocument, Embedding, IndexManifest, Neighbour, SearchResult,
    VectorSearch, VectorStore,
};
use engine::{Code, Error};

use crate::vectors;
use snapshot::Stamp;

/// Vectors in memory.
pub struct MemoryVectors {
    shelves: Arc<[Shelf; Collection::ALL.len()]>,
}

/// The place of one collection.
struct Shelf {
    /// `None` without a folder.
    file: Option<PathBuf>,
    collection: Collection,
    in_service: RwLock<InService>,
    /// Held while the collection is replaced.
    replacing: Mutex<()>,
}

#[derive(Clone, Default)]
struct InService {
    index: Option<Arc<Index>>,
    /// Of the snapshot file that the index stands for; `None` if there was none.
    stamp: Option<Stamp>,
}

/// A collection as it is searched.
#[derive(Debug, PartialEq)]
struct Index {
    manifest: IndexManifest,
    /// By ascending identifier.
    documents: Vec<Document>,
    /// Numbers of one vector.
    dimension: usize,
    /// The vectors of the documents, one behind the other.
    vectors: Vec<f32>,
}

impl MemoryVectors {
    /// Makes a store that forgets everything when it is dropped.
    pub fn in_memory() -> Self {
        Self::with_files(|_| None)
    }

    /// Makes a store that keeps snapshots in a folder, which is made when the first is written. A snapshot that cannot
    /// be read is as if there were none.
    pub fn open(folder: &Path) -> Self {
        Self::with_files(|collection| Some(folder.join(format!("{}.vectors", collection.as_str()))))
    }

    fn with_files(file: impl Fn(Collection) -> Option<PathBuf>) -> Self {
        let shelf = |collection| Shelf {
            file: file(collection),
            collection,
            in_service: RwLock::default(),
            replacing: Mutex::default(),
        };
        Self {
            shelves: Arc::new(Collection::ALL.map(shelf)),
        }
    }

    /// Does work that reads a disk or many numbers where it holds up nobody else.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[Shelf]) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shelves = self.shelves.clone();
        tokio::task::spawn_blocking(move || work(shelves.as_slice()))
            .await
            .unwrap_or_else(|fault| {
                Err(Error::new(Code::Internal, "a search of vectors broke off").with_cause(fault))
            })
    }
}

#[async_trait]
impl VectorStore for MemoryVectors {
    async fn manifest(&self, collection: Collection) -> Result<Option<IndexManifest>, Error> {
        self.work(move |shelves| {
            let index = shelf(shelves, collection).index();
            Ok(index.map(|index| index.manifest.clone()))
        })
        .await
    }

    async fn documents(&self, collection: Collection) -> Result<Vec<EmbeddedDocument>, Error> {
        self.work(move |shelves| {
            let index = shelf(shelves, collection).index();
            Ok(index.map_or_else(Vec::new, |index| index.embedded_documents()))
        })
        .await
    }

    async fn replace(
        &self,
        collection: Collection,
        documents: &[EmbeddedDocument],
        manifest: &IndexManifest,
        on_written: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(), Error> {
        let index = Index::new(documents, manifest)?;
        // Of a replacement that is given up, as its future is dropped, nothing is seen any more.
        let wanted = Arc::new(());
        let is_wanted = Arc::downgrade(&wanted);
        self.work(move |shelves| {
            shelf(shelves, collection).replace(index, &|| is_wanted.strong_count() > 0)
        })
        .await?;
        drop(wanted);
        on_written(documents.len());
        Ok(())
    }

    async fn search_many(
        &self,
        embedder_hash: &str,
        searches: &[VectorSearch],
    ) -> Result<Vec<SearchResult>, Error> {
        let (embedder_hash, searches) = (embedder_hash.to_owned(), searches.to_vec());
        self.work(move |shelves| {
            searches
                .iter()
                .map(|search| shelf(shelves, search.collection).search(&embedder_hash, search))
                .collect()
        })
        .await
    }

    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn shelf(shelves: &[Shelf], collection: Collection) -> &Shelf {
    shelves
        .iter()
        .find(|shelf| shelf.collection == collection)
        .expect("every collection has its shelf")
}

impl Shelf {
    /// Returns what is in service, after a look at the file.
    fn index(&self) -> Option<Arc<Index>> {
        let held = self.held();
        let Some(file) = &self.file else {
            return held.index;
        };
        let stamp = Stamp::of(file);
        if stamp == held.stamp {
            return held.index;
        }
        let read = match snapshot::read(file, self.collection) {
            Ok(None) => InService::default(),
            Ok(Some((index, stamp))) => InService {
                index: Some(Arc::new(index)),
                stamp: Some(stamp),
            },
            Err(fault) => {
                tracing::warn!(
                    collection = self.collection.as_str(),
                    "the vectors at {} cannot be used and are made anew: {fault}",
                    file.display()
                );
                InService { index: None, stamp }
            }
        };
        let index = read.index.clone();
        self.put(read);
        index
    }

    /// Puts an index in service, on disk first, unless it is not wanted any more.
    fn replace(&self, index: Index, is_wanted: &dyn Fn() -> bool) -> Result<(), Error> {
        let _replacing = self
            .replacing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut stamp = None;
        if let Some(file) = &self.file {
            let written = self.lock_file(file).and_then(|_locked| {
                stamp = snapshot::write(file, self.collection, &index, is_wanted)?;
                Ok(())
            });
            written.map_err(|fault| {
                Error::new(
                    Code::VectorStoreDown,
                    format!("the vectors cannot be written to `{}`", file.display()),
                )
                .with_hint("the folder `vectors` of DATA_DIR must be writable and have room")
                .with_cause(fault)
            })?;
            if stamp.is_none() {
                return Ok(());
            }
        } else if !is_wanted() {
            return Ok(());
        }
        self.put(InService {
            index: Some(Arc::new(index)),
            stamp,
        });
        Ok(())
    }

    /// Keeps other processes from writing the same file; held until the file is closed.
    fn lock_file(&self, file: &Path) -> std::io::Result<File> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let lock = snapshot::create_private(&file.with_extension("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn search(&self, embedder_hash: &str, search: &VectorSearch) -> Result<SearchResult, Error> {
        let Some(index) = self.index() else {
            return Ok(SearchResult::default());
        };
        let neighbours = if index.manifest.embedder_hash == embedder_hash {
            index.search(search)?
        } else {
            Vec::new()
        };
        Ok(SearchResult {
            manifest: Some(index.manifest.clone()),
            neighbours,
        })
    }

    fn held(&self) -> InService {
        self.in_service
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn put(&self, new: InService) {
        *self
            .in_service
            .write()
            .unwrap_or_else(PoisonError::into_inner) = new;
    }
}

impl Index {
    fn new(documents: &[EmbeddedDocument], manifest: &IndexManifest) -> Result<Self, Error> {
        let dimension = vectors::check(documents)?;
        let mut sorted: Vec<_> = documents.iter().collect();
        sorted.sort_by(|a, b| a.document.id.cmp(&b.document.id));
        let mut vectors = Vec::with_capacity(documents.len() * dimension);
        for document in &sorted {
            vectors.extend_from_slice(document.embedding.as_slice());
        }
        Ok(Self {
            manifest: manifest.clone(),
            documents: sorted
                .into_iter()
                .map(|document| document.document.clone())
                .collect(),
            dimension,
            vectors,
        })
    }

    fn vector(&self, document: usize) -> &[f32] {
        &self.vectors[document * self.dimension..][..self.dimension]
    }

    fn embedded_documents(&self) -> Vec<EmbeddedDocument> {
        let embedded = self.documents.iter().enumerate().map(|(at, document)| {
            Some(EmbeddedDocument {
                document: document.clone(),
                embedding: Embedding::stored(self.vector(at).to_vec())?,
            })
        });
        embedded.flatten().collect()
    }

    fn search(&self, search: &VectorSearch) -> Result<Vec<Neighbour>, Error> {
        let near = search.near.as_slice();
        if self.documents.is_empty() {
            return Ok(Vec::new());
        }
        if near.len() != self.dimension {
            return Err(vectors::dimensions_differ(near.len(), self.dimension));
        }
        let fits = |document: &Document| {
            search
                .only
                .as_ref()
                .is_none_or(|(key, value)| document.metadata.get(key) == Some(value))
        };
        let candidates = (0..self.documents.len())
            .filter(|at| fits(&self.documents[*at]))
            .map(|at| (scan::dot(near, self.vector(at)), at));
        let nearest = scan::nearest(candidates, search.limit);
        Ok(nearest
            .into_iter()
            .map(|(similarity, at)| Neighbour {
                document: self.documents[at].clone(),
                similarity: similarity.clamp(-1.0, 1.0),
            })
            .collect())
    }
}
