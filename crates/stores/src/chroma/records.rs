//! How documents and generations are written down in Chroma.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use engine::ports::{Document, EmbeddedDocument, IndexManifest};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Of a document: its generation. Of a collection: the one in service.
const GENERATION: &str = "generation";
/// When its generation was begun, in seconds since 1970.
const BEGUN: &str = "generation_begun";
const MANIFEST: &str = "manifest";
const DIMENSION: &str = "dimension";
const DOCUMENTS: &str = "documents";
/// Before a caller's key that has a meaning to us or to Chroma.
const ESCAPE: &str = "assay:key:";

/// Names the documents of one replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation(String);

impl Generation {
    /// Makes a name that nobody else makes; older ones sort first.
    pub fn new(begun: DateTime<Utc>, random: [u8; 32]) -> Self {
        let random = &blake3::Hash::from_bytes(random).to_hex()[..16];
        Self(format!("{:013}-{random}", begun.timestamp_millis().max(0)))
    }

    fn begun_seconds(&self) -> i64 {
        let millis = self.0.split('-').next().and_then(|text| text.parse().ok());
        millis.map_or(0, |millis: i64| millis / 1_000)
    }

    /// Returns the identifier under which a document of this generation is stored.
    fn stored_id(&self, id: &str) -> String {
        format!("{}:{id}", self.0)
    }

    /// Returns the identifier of a document; `None` if it is of another generation.
    pub fn document_id<'a>(&self, stored: &'a str) -> Option<&'a str> {
        stored.strip_prefix(&self.0)?.strip_prefix(':')
    }
}

/// What a collection's metadata say.
#[derive(Debug, Clone, PartialEq)]
pub struct Pointer {
    /// In service.
    pub generation: Generation,
    /// Of its vectors; 0 if there are none.
    pub dimension: usize,
    /// How many there are.
    pub documents: usize,
    /// What they were made from.
    pub manifest: IndexManifest,
}

impl Pointer {
    /// Reads a pointer; `None` if the metadata hold none.
    pub fn read(metadata: &Map<String, Value>) -> Option<Self> {
        let number = |key: &str| usize::try_from(metadata.get(key)?.as_u64()?).ok();
        Some(Self {
            generation: Generation(metadata.get(GENERATION)?.as_str()?.to_owned()),
            dimension: number(DIMENSION)?,
            documents: number(DOCUMENTS)?,
            manifest: serde_json::from_str(metadata.get(MANIFEST)?.as_str()?).ok()?,
        })
    }

    /// Returns the metadata of a collection that points here.
    pub fn write(&self) -> Value {
        json!({
            GENERATION: self.generation.0,
            DIMENSION: self.dimension,
            DOCUMENTS: self.documents,
            MANIFEST: json!(self.manifest).to_string(),
        })
    }
}

/// Selects the documents of a generation.
pub fn of_generation(generation: &Generation) -> Value {
    json!({ GENERATION: generation.0 })
}

/// Selects the documents of a generation that have a value under a key.
pub fn of_generation_with(generation: &Generation, (key, value): &(String, String)) -> Value {
    let mut only = Map::new();
    only.insert(stored_key(key), json!(value));
    json!({ "$and": [of_generation(generation), only] })
}

/// Selects the documents of generations that were begun before a time, but for one.
pub fn begun_before(time: DateTime<Utc>, except: &Generation) -> Value {
    json!({ "$and": [{ BEGUN: { "$lt": time.timestamp() } }, { GENERATION: { "$ne": except.0 } }] })
}

/// The body of a request that writes documents.
#[derive(Serialize)]
pub struct Upsert<'a> {
    ids: Vec<String>,
    embeddings: Vec<StoredVector<'a>>,
    documents: Vec<&'a str>,
    metadatas: Vec<Map<String, Value>>,
}

/// A vector as text of a third the size, where the server reads it.
#[derive(Serialize)]
#[serde(untagged)]
enum StoredVector<'a> {
    Base64(String),
    Numbers(&'a [f32]),
}

/// Returns the body of a request that writes documents of a generation.
pub fn upsert<'a>(
    generation: &Generation,
    documents: &'a [EmbeddedDocument],
    as_base64: bool,
) -> Upsert<'a> {
    let vector = |document: &'a EmbeddedDocument| {
        let numbers = document.embedding.as_slice();
        if as_base64 {
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
            StoredVector::Base64(BASE64_STANDARD.encode(bytes))
        } else {
            StoredVector::Numbers(numbers)
        }
    };
    let documents_of = |document: &'a EmbeddedDocument| &document.document;
    Upsert {
        ids: documents
            .iter()
            .map(|document| generation.stored_id(&document.document.id))
            .collect(),
        embeddings: documents.iter().map(vector).collect(),
        documents: documents
            .iter()
            .map(documents_of)
            .map(|document| document.text.as_str())
            .collect(),
        metadatas: documents
            .iter()
            .map(documents_of)
            .map(|document| stored_metadata(generation, &document.metadata))
            .collect(),
    }
}

/// Returns a document as it was given; `None` if it is of another generation, or half gone.
pub fn document(
    generation: &Generation,
    stored_id: &str,
    text: Option<String>,
    metadata: Option<Map<String, Value>>,
) -> Option<Document> {
    Some(Document {
        id: generation.document_id(stored_id)?.to_owned(),
        text: text?,
        metadata: given_metadata(metadata?),
    })
}

fn stored_metadata(
    generation: &Generation,
    given: &BTreeMap<String, String>,
) -> Map<String, Value> {
    let mut stored = Map::new();
    stored.insert(GENERATION.into(), json!(generation.0));
    stored.insert(BEGUN.into(), json!(generation.begun_seconds()));
    for (key, value) in given {
        stored.insert(stored_key(key), json!(value));
    }
    stored
}

fn given_metadata(stored: Map<String, Value>) -> BTreeMap<String, String> {
    stored
        .into_iter()
        .filter(|(key, _)| key != GENERATION && key != BEGUN)
        .filter_map(|(key, value)| {
            let Value::String(value) = value else {
                return None;
            };
            let given = key.strip_prefix(ESCAPE).map(str::to_owned);
            Some((given.unwrap_or(key), value))
        })
        .collect()
}

/// Chroma refuses empty keys and those that begin like its operators, and drops those that begin with its own name.
fn stored_key(key: &str) -> String {
    let is_taken = key == GENERATION
        || key == BEGUN
        || key.is_empty()
        || ["#", "$", "chroma:", ESCAPE]
            .iter()
            .any(|prefix| key.starts_with(prefix));
    if is_taken {
        format!("{ESCAPE}{key}")
    } else {
        key.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            "(generation|generation_begun|manifest|assay:key:|chroma:|#|\\$and)?[a-z]?",
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn metadata_come_back_as_they_went_in(given in prop::collection::btree_map(key(), any::<String>(), 0..8)) {
            let generation = Generation::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap(), [7; 32]);
            let stored = stored_metadata(&generation, &given);
            prop_assert_eq!(&stored[GENERATION], &json!(generation.0));
            prop_assert_eq!(&stored[BEGUN], &json!(1_800_000_000));
            prop_assert_eq!(given_metadata(stored), given);
        }

        #[test]
        fn an_identifier_comes_back_from_its_own_generation_only(id in any::<String>()) {
            let time = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
            let (one, other) = (Generation::new(time, [1; 32]), Generation::new(time, [2; 32]));
            let stored = one.stored_id(&id);
            prop_assert_eq!(one.document_id(&stored), Some(id.as_str()));
            prop_assert_eq!(other.document_id(&stored), None);
        }
    }
}
