//! What is known about the data in words: vectors of texts, where they are searched, and values found in the data.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Code, Error};
use crate::schema::ColumnRef;

/// Turns texts into vectors.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Returns which model this is. Vectors of different models are never compared.
    fn identity(&self) -> EmbedderIdentity;

    /// Returns one vector for each text, in order; the same text always gives the same vector.
    ///
    /// # Errors
    ///
    /// [`Code::EmbedderFailed`], [`Code::ModelMissing`] if there is no model.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Error>;
}

/// Names an embedding model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmbedderIdentity {
    /// The name as a person would say it.
    pub name: String,
    /// The hash of the model file, or of provider and model name for a remote one.
    pub hash: String,
    /// The texts leave this machine.
    pub is_remote: bool,
}

/// A vector of length 1, so that the cosine of two is their dot product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Scales a vector to length 1.
    ///
    /// # Errors
    ///
    /// [`Code::EmbedderFailed`] if it is empty, has length 0, or holds what is not a number.
    pub fn normalised(mut vector: Vec<f32>) -> Result<Self, Error> {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if !length.is_finite() || length <= f32::MIN_POSITIVE {
            return Err(Error::new(
                Code::EmbedderFailed,
                "the embedding model returned a vector without a direction",
            ));
        }
        vector.iter_mut().for_each(|x| *x /= length);
        Ok(Self(vector))
    }

    /// Takes a vector that was scaled before, number for number; `None` if its length is not 1.
    pub fn stored(vector: Vec<f32>) -> Option<Self> {
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        ((length - 1.0).abs() < 1e-3).then_some(Self(vector))
    }

    /// Returns the numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// Returns the cosine of the angle to another vector, from -1.0 to 1.0; 0.0 if their dimensions differ.
    pub fn cosine(&self, other: &Self) -> f32 {
        if self.0.len() != other.0.len() {
            return 0.0;
        }
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Where vectors are searched

/// Holds the three collections of the design and finds what is near in meaning. What it holds is derived and can be made
/// anew at any time; it is no place for anything else.
///
/// Every method fails with [`Code::VectorStoreDown`] when the store cannot be reached or gives no usable reply.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Says what the collection in service was made from; `None` if nothing is.
    async fn manifest(&self, collection: Collection) -> Result<Option<IndexManifest>, Error>;

    /// Returns every document of the collection in service with its vector, by ascending identifier, so that what has
    /// not changed need not be embedded again.
    async fn documents(&self, collection: Collection) -> Result<Vec<EmbeddedDocument>, Error>;

    /// Replaces the whole collection. A search sees all that was there before or all that is there now, never a mixture
    /// of both, also if this is interrupted. Of two at once, one wins wholly. `on_written` hears how many documents are
    /// written so far.
    ///
    /// # Errors
    ///
    /// Also [`Code::Internal`] if two documents have one identifier or their vectors differ in dimension.
    async fn replace(
        &self,
        collection: Collection,
        documents: &[EmbeddedDocument],
        manifest: &IndexManifest,
        on_written: &(dyn Fn(usize) + Send + Sync),
    ) -> Result<(), Error>;

    /// Searches several collections in one call, each for the documents nearest to a vector, the nearest first; equally
    /// near ones by identifier. A collection that is not there, or whose manifest names another embedder than
    /// `embedder_hash`, is searched for nothing: vectors are never mixed.
    async fn search_many(
        &self,
        embedder_hash: &str,
        searches: &[VectorSearch],
    ) -> Result<Vec<SearchResult>, Error>;

    /// Says whether the store can be reached.
    async fn ping(&self) -> Result<(), Error>;
}

/// The collections of the design.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Collection {
    /// Tables, columns and relationships of the target.
    TableSchemas,
    /// Verified queries.
    SampleQueries,
    /// Business terms.
    BusinessTerms,
}

impl Collection {
    /// All of them.
    pub const ALL: [Collection; 3] = [
        Collection::TableSchemas,
        Collection::SampleQueries,
        Collection::BusinessTerms,
    ];

    /// Returns the name as stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Collection::TableSchemas => "table_schemas",
            Collection::SampleQueries => "sample_queries",
            Collection::BusinessTerms => "business_terms",
        }
    }
}

/// What a collection was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexManifest {
    /// The hash of the model that made its vectors.
    pub embedder_hash: String,
    /// The fingerprint of what was indexed: while it stays the same, so would the documents.
    pub source: String,
    /// The documents.
    pub documents: u64,
    /// When it was made, in whole milliseconds.
    pub indexed_at: DateTime<Utc>,
}

/// A text that can be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Unique within its collection, at most 512 bytes.
    pub id: String,
    /// What was embedded.
    pub text: String,
    /// What a finder needs to know, such as table and column; flat.
    pub metadata: BTreeMap<String, String>,
}

/// A document with its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedDocument {
    /// The document.
    pub document: Document,
    /// The vector of its text.
    pub embedding: Embedding,
}

/// One search.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSearch {
    /// Where.
    pub collection: Collection,
    /// Near to what.
    pub near: Embedding,
    /// Only documents whose metadata has this value under this key.
    pub only: Option<(String, String)>,
    /// Documents at most.
    pub limit: usize,
}

/// What one search found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchResult {
    /// What the collection searched was made from; `None` if there was nothing to search.
    pub manifest: Option<IndexManifest>,
    /// The nearest first.
    pub neighbours: Vec<Neighbour>,
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// The document.
    pub document: Document,
    /// The cosine, from -1.0 to 1.0; exact stores and approximate ones agree to three places.
    pub similarity: f32,
}

// ---------------------------------------------------------------------------------------------------------------------
// Values in the data

/// A stored value that a question mentions.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StoredValue {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The value as stored; untrusted.
    pub value: String,
    /// The rows of the table that have it.
    pub rows: u64,
    /// The words of the question that it matches.
    pub words: String,
    /// How well.
    pub matched: ValueMatch,
}

/// How a stored value matches words of a question; the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueMatch {
    /// Letter for letter.
    Exact,
    /// But for case, accents and white space.
    Folded,
    /// But for a slip of spelling or an ending.
    Fuzzy,
    /// The words, written as a name is, are a part of the value.
    Part,
}

/// What was found of a question's values, and in how much of the data was looked.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FoundValues {
    /// The values, the best first.
    pub values: Vec<StoredValue>,
    /// What was looked in.
    pub index: ValueIndexState,
    /// Visible columns of which, for their size, not every value could be found.
    #[schema(value_type = Vec<Object>)]
    pub left_out: Vec<ColumnRef>,
}

impl FoundValues {
    /// Nothing was looked in.
    pub fn without_index(index: ValueIndexState) -> Self {
        Self {
            values: Vec::new(),
            index,
            left_out: Vec::new(),
        }
    }
}

/// How much of the values there is to look in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueIndexState {
    /// All that can be mentioned.
    Complete,
    /// All but some values of large columns.
    Bounded,
    /// Nothing yet; the index is being built.
    Building,
    /// Nothing: there is no index, or it could not be built.
    Missing,
}
