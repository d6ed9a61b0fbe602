//! What is looked up for a question before the model is asked: tables near in meaning, terms, verified queries and stored
//! values. Whatever cannot be looked up is done without, and the answer says so.
//!
//! Invariant: nothing leaves here that names what the actor may not see.

mod skeleton;

use serde::Serialize;
use utoipa::ToSchema;

use self::skeleton::likest_first;
use crate::error::{Code, Error};
use crate::indexing::{Example, IndexState, Source};
use crate::linking::Clues;
use crate::policy::VisibleSchema;
use crate::ports::{Collection, Embedder, Embedding, SearchResult, VectorSearch, VectorStore};
use crate::question::Question;

/// Documents of tables, columns and relationships fetched for a question.
const NEAR_DOCUMENTS: usize = 120;
/// Verified queries and terms fetched for a question.
const NEAR_OTHERS: usize = 12;
/// From this cosine on a verified query is like the question. Sentence vectors of one topic mostly reach it.
const LEAST_LIKE: f32 = 0.5;

/// Something that an answer had to do without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Degradation {
    /// What was missing: `vector_store`, `embedder`, `index`, `cache`, `values`.
    pub part: &'static str,
    /// Why, as a stable code.
    pub code: &'static str,
    /// What it means for the answer.
    pub message: String,
}

impl Degradation {
    /// Says that a part failed.
    pub fn because(part: &'static str, fault: &Error, message: impl Into<String>) -> Self {
        Self {
            part,
            code: fault.code().as_str(),
            message: message.into(),
        }
    }
}

/// What was found by meaning.
#[derive(Debug, Clone, Default)]
pub struct Retrieved {
    /// The vector of the question, if there was an embedder.
    pub embedding: Option<Embedding>,
    /// Tables near in meaning.
    pub clues: Clues,
    /// Verified queries like the question in meaning and in form, the likest first, as indices of what was given.
    pub examples: Vec<usize>,
    /// Identifiers of terms near in meaning, the nearest first.
    pub terms: Vec<i64>,
    /// What had to be done without.
    pub degraded: Vec<Degradation>,
}

/// What a question needs to be looked up.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Tables; the schema is too large to show whole.
    pub tables: Option<&'a Source>,
    /// Verified queries; there are some.
    pub examples: Option<(&'a Source, &'a [Example])>,
    /// Terms; there are some.
    pub terms: Option<&'a Source>,
    /// The vector of the question, for the semantic cache.
    pub embedding: bool,
}

/// Looks up what is wanted, in one call of the embedder and one of the vector store.
pub async fn retrieve(
    embedder: Option<&dyn Embedder>,
    vectors: &dyn VectorStore,
    question: &Question,
    visible: &VisibleSchema,
    wanted: &Wanted<'_>,
) -> Retrieved {
    let mut found = Retrieved::default();
    let sources: Vec<&Source> = wanted
        .tables
        .into_iter()
        .chain(wanted.examples.map(|(source, _)| source))
        .chain(wanted.terms)
        .collect();
    if sources.is_empty() && !wanted.embedding {
        return found;
    }
    let Some(embedder) = embedder else {
        // With nothing to find, nothing is missing.
        if !sources.is_empty() {
            found.degraded.push(Degradation {
                part: "embedder",
                code: Code::ModelMissing.as_str(),
                message: "no embedding model is installed: looked up by words alone".into(),
            });
        }
        return found;
    };
    let near = match embed(embedder, question).await {
        Ok(near) => near,
        Err(fault) => {
            if !sources.is_empty() {
                found.degraded.push(Degradation::because(
                    "embedder",
                    &fault,
                    "the embedding model failed: looked up by words alone",
                ));
            }
            return found;
        }
    };
    found.embedding = Some(near.clone());
    if sources.is_empty() {
        return found;
    }
    let searches: Vec<VectorSearch> = sources
        .iter()
        .map(|source| VectorSearch {
            collection: source.collection,
            near: near.clone(),
            only: None,
            limit: match source.collection {
                Collection::TableSchemas => NEAR_DOCUMENTS,
                Collection::SampleQueries | Collection::BusinessTerms => NEAR_OTHERS,
            },
        })
        .collect();
    let hash = embedder.identity().hash;
    let results = match vectors.search_many(&hash, &searches).await {
        Ok(results) => results,
        Err(fault) => {
            found.degraded.push(Degradation::because(
                "vector_store",
                &fault,
                "the vector store cannot be reached: looked up by words alone",
            ));
            return found;
        }
    };
    for (source, result) in sources.iter().zip(results) {
        let state = IndexState::of(result.manifest.as_ref(), &source.fingerprint, &hash);
        if let Some(degradation) = of_index(source.collection, state) {
            found.degraded.push(degradation);
        }
        match source.collection {
            Collection::TableSchemas => found.clues.near = tables(&result, visible),
            Collection::SampleQueries => {
                let examples = wanted.examples.map_or(&[][..], |(_, examples)| examples);
                let near = ids(&result).filter_map(|(id, cosine)| {
                    let index = examples.iter().position(|example| example.id == id)?;
                    Some((index, examples[index].question.as_str(), cosine))
                });
                found.examples = likest_first(question.as_str(), near, visible.lexicon());
            }
            Collection::BusinessTerms => found.terms = ids(&result).map(|(id, _)| id).collect(),
        }
    }
    found
}

async fn embed(embedder: &dyn Embedder, question: &Question) -> Result<Embedding, Error> {
    let embeddings = embedder.embed(&[question.as_str().to_owned()]).await?;
    embeddings.into_iter().next().ok_or_else(|| {
        Error::new(
            Code::EmbedderFailed,
            "the embedding model returned no vector",
        )
    })
}

fn of_index(collection: Collection, state: IndexState) -> Option<Degradation> {
    let name = collection.as_str();
    let (code, message) = match state {
        IndexState::Fresh => return None,
        IndexState::Stale => (
            "index_stale",
            format!("the index `{name}` is older than what it was made from"),
        ),
        IndexState::Missing => (
            "index_missing",
            format!("the index `{name}` has not been made: looked up by words alone"),
        ),
    };
    Some(Degradation {
        part: "index",
        code,
        message,
    })
}

/// Returns the tables of what was found, as far as the very thing that was found may be seen.
fn tables(result: &SearchResult, visible: &VisibleSchema) -> Vec<(String, f32)> {
    let mut near = Vec::new();
    for neighbour in &result.neighbours {
        let metadata = &neighbour.document.metadata;
        let Some(name) = metadata.get("table") else {
            continue;
        };
        let Some(table) = visible.table(name) else {
            continue;
        };
        let is_visible = match metadata.get("kind").map(String::as_str) {
            Some("table") => true,
            Some("column") => metadata
                .get("column")
                .is_some_and(|column| table.column(column).is_some()),
            Some("relationship") => metadata.get("columns").is_some_and(|columns| {
                table.foreign_keys.iter().any(|key| {
                    key.columns.join("\n") == *columns && metadata.get("other") == Some(&key.table)
                })
            }),
            _ => false,
        };
        if is_visible {
            near.push((table.name.clone(), neighbour.similarity));
        }
    }
    near
}

/// Returns the identifiers of what is like the question, with its cosine.
fn ids(result: &SearchResult) -> impl Iterator<Item = (i64, f32)> {
    result
        .neighbours
        .iter()
        .filter(|neighbour| neighbour.similarity >= LEAST_LIKE)
        .filter_map(|neighbour| {
            let id = neighbour.document.metadata.get("id")?.parse().ok()?;
            Some((id, neighbour.similarity))
        })
}

#[cfg(test)]
mod tests;
