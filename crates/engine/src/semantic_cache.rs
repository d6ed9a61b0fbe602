//! Reuse of the SQL of a question that was asked before in other words, and by whom does not matter: SQL is kept, never
//! rows, and every reuse passes the guard and runs again.
//!
//! What is reused stays within one [`Scope`]: whoever sees other tables, works with other terms, verified queries, model
//! or prompt, has another. Within a scope two questions share SQL only if [`meaning()`] finds them the same; questions that
//! are merely near serve as examples in the prompt.

mod meaning;

pub use meaning::{meaning, normalised, speaks_of_relative_time};

use std::time::Duration;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::confidence::Judged;
use crate::error::Error;
use crate::ports::{Cache, Embedding};
use crate::question::Question;

/// How long SQL is remembered after it was last used.
const TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Questions of one scope that are kept to be found by nearness.
const MAX_NEIGHBOURS: usize = 256;
/// How long others wait for the one who generates the SQL of a question they ask too: longer than a small machine takes.
pub const MAX_WAIT: Duration = Duration::from_secs(120);
/// How long a claim outlives whoever had it.
const CLAIM_TTL: Duration = Duration::from_secs(8);

/// Within which SQL may be reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope(String);

/// What makes a scope. Two questions with equal parts would have the same prompt but for their own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeParts<'a> {
    /// [`crate::policy::VisibleSchema::hash`], which holds the schema's fingerprint too.
    pub visible_schema: &'a str,
    /// The version of the business terms.
    pub terms: &'a str,
    /// The version of the verified queries.
    pub verified_queries: &'a str,
    /// The version of the prompt.
    pub prompt: &'a str,
    /// The hash that names the model.
    pub model: &'a str,
    /// What else shapes the SQL: settings of linking, of repairs, of what the model may see.
    pub options: &'a str,
    /// The day, when the question speaks of relative time.
    pub today: Option<NaiveDate>,
    /// The question is a follow-up that was made to stand alone. Who types the same text asks something else.
    pub is_follow_up: bool,
}

impl Scope {
    /// Makes the scope of these parts: BLAKE3 over each with its length.
    pub fn of(parts: &ScopeParts<'_>) -> Self {
        let today = parts.today.map(|day| day.to_string()).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        for part in [
            parts.visible_schema,
            parts.terms,
            parts.verified_queries,
            parts.prompt,
            parts.model,
            parts.options,
            &today,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        if parts.is_follow_up {
            hasher.update(b"follow-up");
        }
        Self(hasher.finalize().to_hex()[..32].to_owned())
    }
}

/// Where the SQL of one question is, in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    scope: String,
    meaning: String,
    normalised: String,
}

impl Place {
    /// Returns the place of a question that stands alone.
    pub fn of(scope: &Scope, question: &Question) -> Self {
        let meaning = blake3::hash(meaning(question.as_str()).as_bytes());
        Self {
            scope: scope.0.clone(),
            meaning: meaning.to_hex()[..32].to_owned(),
            normalised: normalised(question.as_str()),
        }
    }

    fn sql_key(&self) -> String {
        format!("sql:{}:{}", self.scope, self.meaning)
    }

    fn claim_key(&self) -> String {
        format!("claim:{}:{}", self.scope, self.meaning)
    }

    fn rejected_key(&self) -> String {
        format!("rejected:{}:{}", self.scope, self.meaning)
    }

    fn group(&self) -> String {
        format!("near:{}", self.scope)
    }
}

/// SQL that answered a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    question: String,
    sql: String,
    judged: Judged,
}

/// A question asked before with its vector, to be found by nearness. The vector is cut to bytes: 384 of them say as much
/// about nearness as 384 floats, in a quarter of the room.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Neighbour {
    question: String,
    sql: String,
    vector: Vec<i8>,
}

/// SQL found for a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The SQL; guarded and run again like any other.
    pub sql: String,
    /// What was found out about it when it was generated.
    pub judged: Judged,
    /// The question was the same but for case and punctuation; `false` if it was put otherwise.
    pub is_exact: bool,
}

/// Finds the SQL of a question.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn look_up(cache: &dyn Cache, place: &Place) -> Result<Option<Hit>, Error> {
    let Some(bytes) = cache.get(&place.sql_key()).await? else {
        return Ok(None);
    };
    // What cannot be read was written by another version.
    let Ok(found) = serde_json::from_slice::<Remembered>(&bytes) else {
        return Ok(None);
    };
    Ok(Some(Hit {
        sql: found.sql,
        judged: found.judged,
        is_exact: normalised(&found.question) == place.normalised,
    }))
}

/// Remembers the SQL that answered a question, unless somebody rated the same SQL badly. What is suspicious is no example
/// to other questions.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn remember(
    cache: &dyn Cache,
    place: &Place,
    question: &Question,
    (sql, judged): (&str, &Judged),
    query_id: i64,
    embedding: Option<&Embedding>,
) -> Result<(), Error> {
    if cache.get(&place.rejected_key()).await?.as_deref() == Some(digest(sql).as_bytes()) {
        return Ok(());
    }
    let remembered = Remembered {
        question: question.as_str().to_owned(),
        sql: sql.to_owned(),
        judged: judged.clone(),
    };
    cache.put(&place.sql_key(), &json(&remembered), TTL).await?;
    note_use(cache, place, query_id).await?;
    if let Some(embedding) = embedding
        && judged.doubts.is_empty()
    {
        let neighbour = Neighbour {
            question: remembered.question,
            sql: remembered.sql,
            vector: quantised(embedding),
        };
        let group = place.group();
        cache
            .put_member(
                &group,
                &place.meaning,
                &json(&neighbour),
                TTL,
                MAX_NEIGHBOURS,
            )
            .await?;
    }
    Ok(())
}

/// Notes that an answer came from this place, so that a bad rating of the answer finds it.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn note_use(cache: &dyn Cache, place: &Place, query_id: i64) -> Result<(), Error> {
    let value = format!("{}:{}", place.scope, place.meaning);
    cache
        .put(&answer_key(query_id), value.as_bytes(), TTL)
        .await
}

/// Forgets the SQL of one place; what did not pass the guard or did not run any more.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn forget(cache: &dyn Cache, place: &Place) -> Result<(), Error> {
    cache.remove(&place.sql_key()).await?;
    cache.remove_member(&place.group(), &place.meaning).await
}

/// Forgets the SQL behind an answer that was rated badly, and remembers not to keep the same SQL for it again.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn reject(cache: &dyn Cache, query_id: i64) -> Result<(), Error> {
    let Some(value) = cache.get(&answer_key(query_id)).await? else {
        return Ok(());
    };
    let Some((scope, meaning)) = std::str::from_utf8(&value)
        .ok()
        .and_then(|v| v.split_once(':'))
    else {
        return Ok(());
    };
    let place = Place {
        scope: scope.to_owned(),
        meaning: meaning.to_owned(),
        normalised: String::new(),
    };
    if let Some(hit) = look_up(cache, &place).await? {
        let digest = digest(&hit.sql);
        cache
            .put(&place.rejected_key(), digest.as_bytes(), TTL)
            .await?;
    }
    forget(cache, &place).await
}

/// Returns questions of the same scope that are near in meaning with their SQL, the nearest first: examples, not answers.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn near(
    cache: &dyn Cache,
    place: &Place,
    embedding: &Embedding,
    least_similarity: f32,
    limit: usize,
) -> Result<Vec<(String, String)>, Error> {
    let members = cache.members(&place.group()).await?;
    let mut near: Vec<(f32, Neighbour)> = members
        .iter()
        .filter(|(meaning, _)| *meaning != place.meaning)
        .filter_map(|(_, bytes)| serde_json::from_slice::<Neighbour>(bytes).ok())
        .map(|neighbour| (similarity(embedding, &neighbour.vector), neighbour))
        .filter(|(similarity, _)| *similarity >= least_similarity)
        .collect();
    near.sort_by(|(a, one), (b, other)| {
        b.total_cmp(a)
            .then_with(|| one.question.cmp(&other.question))
    });
    let near = near.into_iter().take(limit);
    Ok(near.map(|(_, one)| (one.question, one.sql)).collect())
}

/// Says who generates the SQL of a question that several ask at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// This one does; the others wait until [`release`].
    Mine,
    /// Another did, or was waited for long enough: look again.
    Another,
}

/// Claims a question, or waits for who has it: at most [`MAX_WAIT`]. `token` is unique to the question's `queries` row.
/// Who has it does the work beside [`hold`]; the claim of one that died expires soon.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn claim(cache: &dyn Cache, place: &Place, token: &str) -> Result<Claim, Error> {
    let key = place.claim_key();
    if cache
        .put_if_absent(&key, token.as_bytes(), CLAIM_TTL)
        .await?
    {
        return Ok(Claim::Mine);
    }
    cache.wait_until_absent(&key, MAX_WAIT).await?;
    Ok(Claim::Another)
}

/// Keeps a claim for as long as this is awaited. Returns if it was lost.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn hold(cache: &dyn Cache, place: &Place, token: &str) -> Result<(), Error> {
    let key = place.claim_key();
    cache.hold(&key, token.as_bytes(), CLAIM_TTL).await
}

/// Gives a claim back.
///
/// # Errors
///
/// [`crate::Code::CacheDown`].
pub async fn release(cache: &dyn Cache, place: &Place, token: &str) -> Result<(), Error> {
    let key = place.claim_key();
    cache.remove_if(&key, token.as_bytes()).await.map(drop)
}

fn answer_key(query_id: i64) -> String {
    format!("sql-of:{query_id}")
}

fn digest(sql: &str) -> String {
    blake3::hash(sql.as_bytes()).to_hex().to_string()
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers are JSON")
}

/// Scales each number to a byte. The components of a unit vector of a few hundred dimensions are small, so the largest
/// of them sets the scale.
fn quantised(embedding: &Embedding) -> Vec<i8> {
    let largest = embedding
        .as_slice()
        .iter()
        .fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
    let to_byte = |x: &f32| (x / largest * 127.0).round() as i8;
    embedding.as_slice().iter().map(to_byte).collect()
}

fn similarity(embedding: &Embedding, vector: &[i8]) -> f32 {
    let vector: Vec<f32> = vector.iter().map(|&byte| f32::from(byte)).collect();
    Embedding::normalised(vector).map_or(0.0, |other| embedding.cosine(&other))
}

#[cfg(test)]
mod tests;
