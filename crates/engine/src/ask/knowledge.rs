//! What is found out for a question before the model is asked, and the prompt that comes of it.

use std::sync::Arc;

use super::{Asked, Sight, Trace, following, values_allowed};
use crate::error::Error;
use crate::guard::guard;
use crate::indexing::Example;
use crate::known::{KnownTerms, KnownVerified};
use crate::linking::rank_tables;
use crate::ontology::{BusinessTerm, HiddenNames, mentioned};
use crate::policy::{VisibleSchema, quote_identifier};
use crate::ports::{QueryLimits, StoredValue, TargetGeneration, ValueIndexState, ValueMatch};
use crate::prompt::{self, GeneratedSql, Prompt, SendValues};
use crate::question::{Question, UsedQuery};
use crate::retrieval::{Degradation, Retrieved, Wanted, retrieve};
use crate::semantic_cache::{self, Place};
use crate::values::DEFAULT_LIMIT;

/// Terms that only meaning, not a word, brought in, at most.
const MAX_NEAR_TERMS: usize = 3;
/// Questions asked before that serve as examples, at most, and how near they must be.
const MAX_EARLIER: usize = 1;
const LEAST_NEAR: f32 = 0.8;

/// What people have said about the data.
pub(super) struct Said {
    pub(super) terms: Arc<KnownTerms>,
    pub(super) verified: Arc<KnownVerified>,
}

/// Writes the prompt of the first attempt.
pub(super) async fn first_prompt(
    asked: &Asked<'_>,
    sight: &Sight,
    said: &Said,
    place: Option<&Place>,
    trace: &mut Trace,
) -> Prompt {
    let Asked {
        ports,
        settings,
        question,
        ..
    } = asked;
    let Sight { target, visible } = sight;
    let values = values_allowed(&*ports.generator, settings, trace);
    let hidden = HiddenNames::between(target.schema(), visible);
    let stored = stored_values(asked, sight, trace).await;
    let is_wide = !prompt::fits_whole(visible, values);
    let found = look_up(asked, sight, said, is_wide, place).await;
    trace.degraded.extend(found.degraded);
    trace.embedding = found.embedding;

    let mut told = mentioned(question.as_str(), &said.terms.items);
    for id in found.terms.into_iter().take(MAX_NEAR_TERMS) {
        let near = said.terms.items.iter().find(|term| term.id == id);
        told.extend(near.filter(|near| told.iter().all(|term| term.id != near.id)));
    }
    told.retain(|term| !hidden.are_in(term.texts()));

    let examples: Vec<&Example> = found
        .examples
        .iter()
        .filter_map(|&index| said.verified.examples.get(index))
        .filter(|example| {
            let query = said
                .verified
                .items
                .iter()
                .find(|query| query.id == example.id);
            query.is_some_and(|query| {
                query.serving(visible).is_some() && !hidden.are_in([query.question.as_str()])
            })
        })
        .collect();
    let earlier = match (place, &trace.embedding) {
        // A follow-up is shown the question before, which would be the nearest.
        (Some(place), Some(embedding))
            if settings.linking.examples && asked.follow_up.is_none() =>
        {
            // Without the cache there is no example, and the answer says so already.
            semantic_cache::near(&*ports.cache, place, embedding, LEAST_NEAR, MAX_EARLIER)
                .await
                .unwrap_or_default()
        }
        _ => Vec::new(),
    };

    let mut clues = found.clues;
    clues.named = named(&stored, &told, &examples, said, visible);
    let ranking = if is_wide {
        rank_tables(question.as_str(), visible, visible.lexicon(), &clues)
    } else {
        Vec::new()
    };
    let first = prompt::first(question, visible, values, &ranking);
    // The other formats tell values.
    let first = match is_wide || values == SendValues::None {
        true => first,
        false => prompt::in_format(first, visible, settings.schema_format),
    };
    let first = following::told(asked, first);
    let first = if values == SendValues::All {
        prompt::with_values(first, &written_otherwise(&stored)).0
    } else {
        first
    };
    let (first, terms) = prompt::with_terms(first, &told);
    let earlier: Vec<(&str, &str)> = earlier
        .iter()
        .map(|(question, sql)| (question.as_str(), sql.as_str()))
        .collect();
    let first = prompt::with_earlier(first, &earlier);
    let pairs: Vec<(&str, &str)> = examples
        .iter()
        .map(|example| (example.question.as_str(), example.sql.as_str()))
        .collect();
    let (first, used) = prompt::with_examples(first, &pairs);
    // What people have written supports what stands in the SQL, though the question does not say it.
    let written = told.iter().flat_map(|term| term.texts());
    let shown = pairs.iter().map(|(_, sql)| *sql);
    trace.note = written.chain(shown).collect::<Vec<_>>().join("\n");
    trace.terms = terms;
    trace.values = stored;
    trace.verified = examples[..used.min(examples.len())]
        .iter()
        .map(|example| UsedQuery {
            id: example.id,
            question: example.question.clone(),
        })
        .collect();
    first
}

async fn look_up(
    asked: &Asked<'_>,
    sight: &Sight,
    said: &Said,
    is_wide: bool,
    place: Option<&Place>,
) -> Retrieved {
    let Asked {
        ports,
        settings,
        question,
        ..
    } = asked;
    if !settings.linking.meaning {
        return Retrieved::default();
    }
    let tables = is_wide.then(|| ports.known.schema_source(sight.target.schema()));
    let examples = &said.verified.examples;
    let has_examples = settings.linking.examples && !examples.is_empty();
    let wanted = Wanted {
        tables: tables.as_deref(),
        examples: has_examples.then_some((&said.verified.source, examples.as_slice())),
        terms: (!said.terms.items.is_empty()).then_some(&said.terms.source),
        embedding: place.is_some(),
    };
    let embedder = ports.embedder.as_deref();
    retrieve(embedder, &*ports.vectors, question, &sight.visible, &wanted).await
}

/// Finds the values that the question mentions; without them it goes on.
async fn stored_values(asked: &Asked<'_>, sight: &Sight, trace: &mut Trace) -> Vec<StoredValue> {
    if !asked.settings.linking.values {
        return Vec::new();
    }
    let Sight { target, visible } = sight;
    match target
        .find_values(asked.question.as_str(), visible, DEFAULT_LIMIT)
        .await
    {
        Ok(found) => {
            if matches!(
                found.index,
                ValueIndexState::Building | ValueIndexState::Missing
            ) {
                trace.degraded.push(Degradation {
                    part: "values",
                    code: "values_not_indexed",
                    message: "the values of the data are not indexed yet: none was looked up"
                        .into(),
                });
            }
            found.values
        }
        Err(fault) => {
            trace.degraded.push(Degradation::because(
                "values",
                &fault,
                "the values of the data could not be looked up",
            ));
            Vec::new()
        }
    }
}

/// Returns the values that stand in the data otherwise than in the question. One that stands there letter for letter is
/// known to the model already; told with its column, it is rather put where that column is not.
fn written_otherwise(stored: &[StoredValue]) -> Vec<StoredValue> {
    let otherwise = stored
        .iter()
        .filter(|value| value.matched != ValueMatch::Exact);
    otherwise.cloned().collect()
}

/// Returns the tables that values, terms and examples speak of.
fn named(
    stored: &[StoredValue],
    told: &[&BusinessTerm],
    examples: &[&Example],
    said: &Said,
    visible: &Arc<VisibleSchema>,
) -> Vec<String> {
    let mut names: Vec<String> = stored.iter().map(|value| value.table.clone()).collect();
    for term in told {
        let source = term.data_source.as_deref().unwrap_or_default();
        let words = source.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        names.extend(
            words
                .filter_map(|word| visible.table(word))
                .map(|table| table.name.clone()),
        );
    }
    for example in examples.iter().take(2) {
        let query = said
            .verified
            .items
            .iter()
            .find(|query| query.id == example.id);
        if let Some(guarded) = query.and_then(|query| query.serving(visible)) {
            names.extend(guarded.tables().iter().cloned());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Writes the bare prompt, with three rows of each table.
pub(super) async fn plain_prompt(
    target: &dyn TargetGeneration,
    question: &Question,
    visible: &Arc<VisibleSchema>,
    values: SendValues,
) -> Result<Prompt, Error> {
    let limits = QueryLimits {
        max_rows: 3,
        ..QueryLimits::default()
    };
    let mut rows = Vec::new();
    for table in visible.tables() {
        let sql = format!("SELECT * FROM {} LIMIT 3", quote_identifier(&table.name));
        let guarded = guard(&GeneratedSql::new(sql), visible)?;
        let mut sample = target.query(&guarded, &limits).await?;
        if values == SendValues::None {
            sample.rows.clear();
        }
        rows.push(sample);
    }
    Ok(prompt::plain(question, visible, &rows))
}
