//! Words that mean something by themselves.

/// Words that are no names, wherever they stand; and words of other databases, which are corrected or refused later.
const WORDS: &str = "all and as asc between binary by case cast collate cross current current_date current_time \
    current_timestamp day days desc distinct else end escape except exclude exists extract false filter \
    first following from full glob group groups having hour ilike in indexed inner intersect \
    interval is isnull join last left like limit match materialized minute month months natural \
    no nocase not notnull null nulls offset on or order others outer over partition \
    preceding range recursive regexp right row rowid rows second select then ties top true \
    unbounded union using values week when where window with year years";

/// Those of them that may stand where common table expressions are named.
const WORDS_OF_WITH: [&str; 6] = ["as", "materialized", "not", "recursive", "select", "with"];

/// Words that end the list of sources: after them nothing can be joined.
const ENDS_OF_SOURCES: [&str; 9] = [
    "where",
    "group",
    "having",
    "order",
    "limit",
    "window",
    "union",
    "intersect",
    "except",
];

pub(super) fn all() -> impl Iterator<Item = &'static str> {
    WORDS.split(' ')
}

pub(super) fn is_word(word: &str) -> bool {
    all().any(|one| one == word)
}

pub(super) fn begins_word(beginning: &str) -> bool {
    all().any(|word| word.starts_with(beginning))
}

pub(super) fn is_word_of_with(word: &str) -> bool {
    WORDS_OF_WITH.contains(&word)
}

pub(super) fn ends_sources(word: &str) -> bool {
    ENDS_OF_SOURCES.contains(&word)
}

/// Says whether a word, as far as it is written, can hardly become another than one that ends the sources.
pub(super) fn begins_end(beginning: &str) -> bool {
    beginning.len() > 1
        && ENDS_OF_SOURCES
            .iter()
            .any(|word| word.starts_with(beginning))
}
