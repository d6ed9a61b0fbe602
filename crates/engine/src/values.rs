//! Finds values of the data that a question mentions: which words may be a value, which stored value they match, and
//! which of many matches are told. Pure: what is stored is looked up through [`ValueLookup`], cut to what the actor may
//! see, so nothing hidden can influence what is found.

mod choosing;
mod fold;
mod spelling;
mod words;

pub use fold::{fold, key};
pub use spelling::{MAX_SLIP_CHARS, distance, slips, slips_allowed};
pub use words::{MAX_VALUE_CHARS, is_mentionable};

use choosing::{Found, choose};
use words::{Mention, Question};

use crate::error::Error;
use crate::policy::VisibleSchema;
use crate::ports::{StoredValue, ValueMatch};

/// Values told when the caller does not say how many.
pub const DEFAULT_LIMIT: usize = 8;

/// Candidates of one word that are tried inside longer mentions, the nearest first.
const MAX_SPELLINGS: usize = 4;

/// What is stored, as far as one actor may see it. No answer may depend on what is hidden.
pub trait ValueLookup {
    /// Returns every place of the values whose [`key`] is this.
    ///
    /// # Errors
    ///
    /// Whatever reading the index fails with.
    fn with_key(&mut self, key: &str) -> Result<Vec<ValuePlace>, Error>;

    /// Returns words of stored keys that may be this word, misspelt within what [`slips_allowed`] says of both;
    /// more of them do no harm.
    ///
    /// # Errors
    ///
    /// Whatever reading the index fails with.
    fn near(&mut self, word: &str) -> Result<Vec<String>, Error>;

    /// Returns the places of values whose key has these words and more, one after the other; `None` if there are more
    /// than `max` such values.
    ///
    /// # Errors
    ///
    /// Whatever reading the index fails with.
    fn containing(&mut self, words: &[&str], max: usize) -> Result<Option<Vec<ValuePlace>>, Error>;
}

/// A value in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePlace {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The value as stored.
    pub value: String,
    /// The rows that have it.
    pub rows: u64,
}

/// Returns the stored values that a question mentions, at most `limit`, the best first; always the same for the same
/// question, visible schema and data.
///
/// What stands in quotes comes first, then letter for letter before folded before misspelt before a part; a longer
/// mention takes the place of those inside it. A number is no mention, nor is a common word or a name of the schema,
/// unless it is quoted or written with a capital inside the sentence.
///
/// # Errors
///
/// Whatever `lookup` fails with.
pub fn find(
    question: &str,
    visible: &VisibleSchema,
    lookup: &mut dyn ValueLookup,
    limit: usize,
) -> Result<Vec<StoredValue>, Error> {
    let question = Question::read(question, visible);
    let spellings = spellings(&question, lookup)?;
    let mut found = Vec::new();
    for mention in question.mentions() {
        let places = lookup.with_key(&mention.key())?;
        let is_literal = !places.is_empty();
        for place in places {
            let matched = if mention.is_letter_for_letter(&place.value) {
                ValueMatch::Exact
            } else {
                ValueMatch::Folded
            };
            found.push(Found::new(&mention, matched, 0, place));
        }
        if !is_literal {
            misspelt(&mention, &spellings, lookup, &mut found)?;
        }
    }
    let mut chosen = choose(found, &question, limit);
    if chosen.len() < limit {
        let parts = parts(&question, &chosen, lookup)?;
        chosen.extend(choose(parts, &question, limit - chosen.len()));
    }
    Ok(chosen.into_iter().map(Found::into_value).collect())
}

/// What a word of the question may have been meant to be, with how far off it is.
type Spellings = Vec<Vec<(String, usize)>>;

fn spellings(question: &Question<'_>, lookup: &mut dyn ValueLookup) -> Result<Spellings, Error> {
    let mut spellings = Vec::new();
    for word in question.words() {
        if !word.may_be_misspelt() {
            spellings.push(Vec::new());
            continue;
        }
        let mut meant: Vec<(String, usize)> = spelling::endings(&word.folded)
            .into_iter()
            .map(|other| (other, 0))
            .collect();
        let allowed = slips_allowed(&word.folded);
        if allowed > 0 {
            for other in lookup.near(&word.folded)? {
                let slips = distance(&word.folded, &other, allowed.min(slips_allowed(&other)));
                if let Some(slips) = slips.filter(|&slips| slips > 0)
                    && !meant.iter().any(|(known, _)| *known == other)
                {
                    meant.push((other, slips));
                }
            }
        }
        meant.sort_by(|left, right| (left.1, &left.0).cmp(&(right.1, &right.0)));
        spellings.push(meant);
    }
    Ok(spellings)
}

/// Tries a mention with one of its words spelt otherwise, and a short one with two.
fn misspelt(
    mention: &Mention<'_>,
    spellings: &Spellings,
    lookup: &mut dyn ValueLookup,
    found: &mut Vec<Found>,
) -> Result<(), Error> {
    let words: Vec<&str> = mention.words().collect();
    let is_single = words.len() == 1;
    let meant = |index: usize| {
        let all = &spellings[mention.start() + index];
        // Alone, every spelling is looked up: what is hidden must not crowd out what is not.
        let most = if is_single { all.len() } else { MAX_SPELLINGS };
        &all[..all.len().min(most)]
    };
    let mut tried = Vec::new();
    for first in 0..words.len() {
        for (one, slips) in meant(first) {
            let mut changed = words.clone();
            changed[first] = one;
            tried.push((changed.join(" "), *slips));
            if words.len() > 3 {
                continue;
            }
            for second in first + 1..words.len() {
                for (other, more) in meant(second) {
                    let mut twice = changed.clone();
                    twice[second] = other;
                    tried.push((twice.join(" "), slips + more));
                }
            }
        }
    }
    for (key, slips) in tried {
        for place in lookup.with_key(&key)? {
            found.push(Found::new(mention, ValueMatch::Fuzzy, slips, place));
        }
    }
    Ok(())
}

/// Looks for values of which a name in the question is a part, such as the family name of a person.
fn parts(
    question: &Question<'_>,
    chosen: &[Found],
    lookup: &mut dyn ValueLookup,
) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    for mention in question.names() {
        if chosen.iter().any(|other| other.overlaps(&mention)) {
            continue;
        }
        let words: Vec<&str> = mention.words().collect();
        let places = lookup.containing(&words, choosing::MAX_PLACES)?;
        for place in places.unwrap_or_default() {
            found.push(Found::new(&mention, ValueMatch::Part, 0, place));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
