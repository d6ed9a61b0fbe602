//! What is known of the data, put where it is found by meaning: tables, columns and relationships, business terms and
//! verified queries become documents, documents become vectors, vectors become the three collections of the design (which
//! calls this training).
//!
//! An index holds names and people's words, never a value of the data. It is made of the whole schema, whoever may see
//! which part: what a finder may not see is left out when it is read ([`crate::retrieval`]), and no document's vector
//! depends on a name that its finder may not see.

mod work;

pub use work::IndexWork;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::linking::words_of;
use crate::ontology::BusinessTerm;
use crate::ports::{
    Clock, Collection, Document, EmbeddedDocument, Embedder, Embedding, IndexManifest, VectorStore,
};
use crate::schema::{Column, Schema, Table, TableKind};

/// Changes whenever documents are written otherwise, so that an index made before counts as stale.
const VERSION: &str = "1";
/// Texts embedded in one call.
const BATCH: usize = 64;

/// A question with SQL that somebody approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The identifier of the verified query.
    pub id: i64,
    /// The question.
    pub question: String,
    /// The SQL.
    pub sql: String,
}

/// What a collection is made from, and the fingerprint by which a change shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which collection.
    pub collection: Collection,
    /// Stays the same as long as the documents do.
    pub fingerprint: String,
    /// The documents.
    pub documents: Vec<Document>,
}

impl Source {
    fn new(collection: Collection, documents: Vec<Document>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut put = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        put(VERSION);
        for document in &documents {
            put(&document.id);
            put(&document.text);
            for (key, value) in &document.metadata {
                put(key);
                put(value);
            }
        }
        Self {
            collection,
            fingerprint: hasher.finalize().to_hex()[..32].to_owned(),
            documents,
        }
    }

    /// Tables, columns and relationships: one document for each.
    pub fn of_schema(schema: &Schema) -> Self {
        let mut documents = Vec::new();
        for table in &schema.tables {
            documents.push(document(
                &format!("table:{}", table.name),
                &in_words(&table.name),
                [("kind", "table"), ("table", &table.name)],
            ));
            for column in &table.columns {
                documents.push(document(
                    &format!("column:{}.{}", table.name, column.name),
                    &column_in_words(table, column),
                    [
                        ("kind", "column"),
                        ("table", &table.name),
                        ("column", &column.name),
                    ],
                ));
            }
            for key in &table.foreign_keys {
                documents.push(document(
                    &format!("key:{}.{}>{}", table.name, key.columns.join(","), key.table),
                    &format!("{} of {}", in_words(&table.name), in_words(&key.table)),
                    [
                        ("kind", "relationship"),
                        ("table", &table.name),
                        ("columns", &key.columns.join("\n")),
                        ("other", &key.table),
                    ],
                ));
            }
        }
        Self::new(Collection::TableSchemas, unique(documents))
    }

    /// Business terms, each with its synonyms and meaning.
    pub fn of_terms(terms: &[BusinessTerm]) -> Self {
        let documents = terms.iter().map(|term| {
            let mut text = term.term_name.clone();
            for synonym in &term.synonyms {
                text.push_str(", ");
                text.push_str(synonym);
            }
            text.push_str(": ");
            text.push_str(&term.description);
            let id = term.id.to_string();
            document(&format!("term:{id}"), &text, [("id", id.as_str())])
        });
        Self::new(Collection::BusinessTerms, documents.collect())
    }

    /// Verified queries, found by their question.
    pub fn of_examples(examples: &[Example]) -> Self {
        let documents = examples.iter().map(|example| {
            let id = example.id.to_string();
            document(
                &format!("query:{id}"),
                &example.question,
                [("id", id.as_str()), ("sql", &example.sql)],
            )
        });
        Self::new(Collection::SampleQueries, documents.collect())
    }
}

fn document<const N: usize>(id: &str, text: &str, metadata: [(&str, &str); N]) -> Document {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Document {
        id: bounded(id),
        text: text.to_owned(),
        metadata: metadata.into_iter().map(owned).collect::<BTreeMap<_, _>>(),
    }
}

/// Identifiers have at most 512 bytes; names of the data may be longer.
fn bounded(id: &str) -> String {
    if id.len() <= 512 {
        return id.to_owned();
    }
    let head: String = id.chars().take(100).collect();
    format!("{head}#{}", &blake3::hash(id.as_bytes()).to_hex()[..32])
}

/// Two keys over the same columns are one relationship.
fn unique(documents: Vec<Document>) -> Vec<Document> {
    let mut seen = std::collections::HashSet::new();
    documents
        .into_iter()
        .filter(|document| seen.insert(document.id.clone()))
        .collect()
}

fn in_words(name: &str) -> String {
    words_of(name).join(" ")
}

fn column_in_words(table: &Table, column: &Column) -> String {
    let of = match table.kind {
        TableKind::View => "in",
        TableKind::Table | TableKind::Virtual => "of",
    };
    format!("{} {of} {}", in_words(&column.name), in_words(&table.name))
}

/// How a collection stands to what it was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// Made from what is there now, by the model in use.
    Fresh,
    /// Made from what was there before, or by another model.
    Stale,
    /// Not made.
    Missing,
}

impl IndexState {
    /// Compares a collection with what it would be made from now.
    pub fn of(manifest: Option<&IndexManifest>, fingerprint: &str, embedder_hash: &str) -> Self {
        match manifest {
            None => IndexState::Missing,
            Some(manifest)
                if manifest.source == fingerprint && manifest.embedder_hash == embedder_hash =>
            {
                IndexState::Fresh
            }
            Some(_) => IndexState::Stale,
        }
    }
}

/// How one collection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CollectionStatus {
    /// Which.
    pub collection: Collection,
    /// How it stands to what it was made from.
    pub state: IndexState,
    /// What it was made from.
    pub manifest: Option<IndexManifest>,
    /// The documents it would have now.
    pub documents: u64,
}

/// What became of one collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Indexed {
    /// Which.
    pub collection: Collection,
    /// It was fresh, and nothing was done.
    pub was_fresh: bool,
    /// Its documents.
    pub documents: u64,
    /// Documents whose text had to be embedded.
    pub embedded: u64,
}

/// What an index is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexStage {
    /// Texts become vectors.
    Embedding,
    /// Vectors are written.
    Writing,
}

/// Hears how far an index is: collection, stage, documents done, documents in all. Must not block.
pub type OnIndexed<'a> = &'a (dyn Fn(Collection, IndexStage, u64, u64) + Send + Sync);

/// Says how each collection stands to its source.
///
/// # Errors
///
/// [`crate::Code::VectorStoreDown`].
pub async fn status(
    vectors: &dyn VectorStore,
    embedder_hash: &str,
    sources: &[Source],
) -> Result<Vec<CollectionStatus>, Error> {
    let mut found = Vec::with_capacity(sources.len());
    for source in sources {
        let manifest = vectors.manifest(source.collection).await?;
        found.push(CollectionStatus {
            collection: source.collection,
            state: IndexState::of(manifest.as_ref(), &source.fingerprint, embedder_hash),
            manifest,
            documents: source.documents.len() as u64,
        });
    }
    Ok(found)
}

/// Makes one collection anew, unless it is fresh; only texts that are not in it already are embedded. With `force` it is
/// made anew in any case, and everything is embedded.
///
/// # Errors
///
/// [`crate::Code::VectorStoreDown`], or what the embedder fails with; the collection then stays what it was.
pub async fn index(
    vectors: &dyn VectorStore,
    embedder: &dyn Embedder,
    clock: &dyn Clock,
    source: &Source,
    force: bool,
    on_indexed: OnIndexed<'_>,
) -> Result<Indexed, Error> {
    let collection = source.collection;
    let embedder_hash = embedder.identity().hash;
    let manifest = vectors.manifest(collection).await?;
    let state = IndexState::of(manifest.as_ref(), &source.fingerprint, &embedder_hash);
    let documents = source.documents.len() as u64;
    if state == IndexState::Fresh && !force {
        return Ok(Indexed {
            collection,
            was_fresh: true,
            documents,
            embedded: 0,
        });
    }
    // A text has one vector, wherever it stands.
    let mut known: HashMap<String, Embedding> = HashMap::new();
    if !force && manifest.is_some_and(|manifest| manifest.embedder_hash == embedder_hash) {
        for one in vectors.documents(collection).await? {
            known.insert(one.document.text, one.embedding);
        }
    }
    let mut unknown: Vec<String> = Vec::new();
    let mut listed = std::collections::HashSet::new();
    for document in &source.documents {
        if !known.contains_key(&document.text) && listed.insert(document.text.as_str()) {
            unknown.push(document.text.clone());
        }
    }
    let mut embedded = 0;
    for batch in unknown.chunks(BATCH) {
        on_indexed(
            collection,
            IndexStage::Embedding,
            embedded,
            unknown.len() as u64,
        );
        let embeddings = embedder.embed(batch).await?;
        known.extend(batch.iter().cloned().zip(embeddings));
        embedded += batch.len() as u64;
    }
    let to_write: Vec<EmbeddedDocument> = source
        .documents
        .iter()
        .filter_map(|document| {
            Some(EmbeddedDocument {
                document: document.clone(),
                embedding: known.get(&document.text)?.clone(),
            })
        })
        .collect();
    let manifest = IndexManifest {
        embedder_hash,
        source: source.fingerprint.clone(),
        documents,
        indexed_at: clock.now(),
    };
    let on_written =
        |written: usize| on_indexed(collection, IndexStage::Writing, written as u64, documents);
    vectors
        .replace(collection, &to_write, &manifest, &on_written)
        .await?;
    Ok(Indexed {
        collection,
        was_fresh: false,
        documents,
        embedded,
    })
}

#[cfg(test)]
mod tests;
