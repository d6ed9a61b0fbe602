//! Which of many matches are told.

use std::cmp::Reverse;

use super::ValuePlace;
use super::words::{Mention, Question};
use crate::ports::{StoredValue, ValueMatch};

/// Places told of one mention, however often it stands in the question.
pub(super) const MAX_PLACES: usize = 3;

/// A place that matches a mention.
pub(super) struct Found {
    start: usize,
    end: usize,
    is_quoted: bool,
    key: String,
    words: String,
    matched: ValueMatch,
    slips: usize,
    place: ValuePlace,
}

impl Found {
    pub fn new(
        mention: &Mention<'_>,
        matched: ValueMatch,
        slips: usize,
        place: ValuePlace,
    ) -> Self {
        Self {
            start: mention.start(),
            end: mention.end(),
            is_quoted: mention.is_quoted(),
            key: mention.key(),
            words: mention.text().to_owned(),
            matched,
            slips,
            place,
        }
    }

    pub fn overlaps(&self, mention: &Mention<'_>) -> bool {
        self.start < mention.end() && mention.start() < self.end
    }

    pub fn into_value(self) -> StoredValue {
        StoredValue {
            table: self.place.table,
            column: self.place.column,
            value: self.place.value,
            rows: self.place.rows,
            words: self.words,
            matched: self.matched,
        }
    }

    fn len(&self) -> usize {
        self.end - self.start
    }

    fn is_same_mention(&self, other: &Self) -> bool {
        (self.start, self.end) == (other.start, other.end)
    }

    /// Says whether the other one explains the same words better: more of them, or as many with fewer slips.
    fn is_outdone_by(&self, other: &Self) -> bool {
        if self.is_same_mention(other) {
            return self.matched >= ValueMatch::Fuzzy
                && (other.matched, other.slips) < (self.matched, self.slips);
        }
        let overlap = self.start < other.end && other.start < self.end;
        let is_inside = other.start <= self.start && self.end <= other.end;
        overlap && (is_inside || other.len() > self.len())
    }
}

/// Returns the best of what was found, at most `limit`.
pub(super) fn choose(mut found: Vec<Found>, question: &Question<'_>, limit: usize) -> Vec<Found> {
    let named = |one: &Found| question.names_in_it(&one.place.table, &one.place.column);
    // The longest first, so that what is kept can outdo what comes later.
    found.sort_by_cached_key(|one| {
        (
            Reverse(one.len()),
            one.matched,
            one.slips,
            one.start,
            Reverse(named(one)),
            Reverse(one.place.rows),
            one.place.table.clone(),
            one.place.column.clone(),
            one.place.value.clone(),
        )
    });
    let mut kept: Vec<Found> = Vec::new();
    for one in found {
        let is_outdone = kept.iter().any(|other| one.is_outdone_by(other));
        let is_known = kept.iter().any(|other| other.place == one.place);
        let places = kept.iter().filter(|other| other.key == one.key).count();
        if !is_outdone && !is_known && places < MAX_PLACES {
            kept.push(one);
        }
    }
    // Stable, so that within these the order from above holds.
    kept.sort_by_key(|one| (!one.is_quoted, one.matched, Reverse(one.len()), one.start));
    kept.truncate(limit);
    kept
}
