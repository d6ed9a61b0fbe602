//! What a question asks for, as far as its words tell without doubt.

use std::collections::BTreeSet;

use crate::linking::{likeness, says_nothing, words_of};
use crate::ports::StoredValue;
use crate::schema::Table;

/// The words of a question, in order, in small letters and without plural endings.
pub(super) struct Asked {
    pub(super) words: Vec<String>,
    /// As written, in small letters, one for each of `words`: `is` and `does` lose nothing.
    text: String,
}

/// Words that begin what is asked for.
const ASKING: [&str; 10] = [
    "which", "what", "list", "show", "find", "give", "return", "display", "tell", "name",
];
/// Words between asking and the thing asked for.
const BETWEEN: [&str; 26] = [
    "the",
    "a",
    "an",
    "all",
    "every",
    "each",
    "different",
    "distinct",
    "unique",
    "top",
    "is",
    "are",
    "was",
    "were",
    "me",
    "us",
    "name",
    "of",
    "full",
    "list",
    "for",
    "first",
    "last",
    "title",
    "and",
    "these",
];
/// Words that end it.
const ENDING: [&str; 47] = [
    "a", "an", "the", "who", "that", "which", "whose", "where", "when", "with", "without", "in",
    "on", "at", "by", "for", "from", "to", "and", "or", "have", "has", "had", "having", "is",
    "are", "was", "were", "do", "doe", "does", "did", "ha", "wa", "can", "sold", "made", "used",
    "per", "of", "along", "together", "as", "not", "than", "sorted", "ordered",
];
/// Words that say that a key is wanted, not what it stands for.
const KEY_WORDS: [&str; 14] = [
    "id",
    "ids",
    "code",
    "key",
    "number",
    "no",
    "nr",
    "identifier",
    "identification",
    "isbn",
    "reference",
    "serial",
    "uid",
    "num",
];

impl Asked {
    pub(super) fn of(question: &str) -> Self {
        let text = question.to_lowercase().replace(['’', '`'], "'");
        Self {
            words: words_of(question),
            text,
        }
    }

    /// Says whether one of these words is in the question.
    pub(super) fn has_any(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    /// Says whether these words stand in the question as they are, one after the other.
    pub(super) fn says(&self, phrase: &str) -> bool {
        let is_end = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
        self.text.match_indices(phrase).any(|(at, _)| {
            is_end(self.text[..at].chars().next_back())
                && is_end(self.text[at + phrase.len()..].chars().next())
        })
    }

    pub(super) fn says_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.says(phrase))
    }

    /// Says whether a key as such is asked for.
    pub(super) fn wants_a_key(&self) -> bool {
        self.has_any(&KEY_WORDS)
    }

    /// Says whether a word of the question is like a word of a name, as the linker compares them.
    pub(super) fn touches(&self, word: &str) -> bool {
        self.words
            .iter()
            .filter(|own| own.chars().count() > 1 && !says_nothing(own))
            .any(|own| likeness(own, word) > 0.0)
    }

    /// Returns the nouns that are asked for first: the last word of "which <words> have" and the like, singular.
    pub(super) fn things(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for (at, _) in self
            .words
            .iter()
            .enumerate()
            .filter(|(_, word)| ASKING.contains(&word.as_str()))
        {
            if let Some(noun) = self.noun_after(at + 1) {
                found.push(noun);
            }
        }
        found
    }

    /// Returns the nouns that are counted: the last word of "how many <words>", "number of <words>".
    pub(super) fn counted(&self) -> Vec<&str> {
        let mut found = Vec::new();
        for (at, pair) in self.words.windows(2).enumerate() {
            let is_counting = matches!(
                (pair[0].as_str(), pair[1].as_str()),
                ("how", "many") | ("number" | "count", "of")
            );
            if is_counting && let Some(noun) = self.noun_after(at + 2) {
                found.push(noun);
            }
        }
        found
    }

    /// Says whether a word stands in the question in the plural.
    pub(super) fn is_plural(&self, word: &str) -> bool {
        let endings = [format!("{word}s"), format!("{word}es")];
        let of_y = word.strip_suffix('y').map(|stem| format!("{stem}ies"));
        endings.iter().chain(&of_y).any(|plural| self.says(plural))
    }

    fn noun_after(&self, start: usize) -> Option<&str> {
        let rest = &self.words[start.min(self.words.len())..];
        let skipped = rest
            .iter()
            .take_while(|word| BETWEEN.contains(&word.as_str()) || word.parse::<u64>().is_ok())
            .count();
        let mut noun = None;
        for word in rest[skipped..].iter().take(4) {
            if ENDING.contains(&word.as_str()) {
                break;
            }
            noun = Some(word.as_str());
            // What follows a plural is no part of the noun: `customers placed orders`.
            if self.is_plural(word) {
                break;
            }
        }
        noun
    }

    /// Returns the words that nothing explains: no name in `tables`, no value told, and none of the words that hold a
    /// question together or compare.
    pub(super) fn unexplained<'t>(
        &self,
        tables: impl Iterator<Item = &'t Table>,
        stored: &[StoredValue],
    ) -> Vec<&str> {
        let mut known: BTreeSet<String> = BTreeSet::new();
        for table in tables {
            known.extend(words_of(&table.name));
            for column in &table.columns {
                known.extend(words_of(&column.name));
            }
        }
        for value in stored {
            known.extend(words_of(&value.value));
            known.extend(words_of(&value.words));
        }
        self.words
            .iter()
            .map(String::as_str)
            .filter(|word| word.chars().count() > 1 && word.parse::<f64>().is_err())
            .filter(|word| !says_nothing(word) && !holds_together(word))
            .filter(|word| !known.iter().any(|own| likeness(word, own) > 0.0))
            .collect()
    }
}

/// Words that ask, order, compare or count, and say nothing of what a row must have.
fn holds_together(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "above",
        "begin",
        "id",
        "ids",
        "include",
        "including",
        "letter",
        "string",
        "substring",
        "word",
        "after",
        "also",
        "alphabetical",
        "alphabetically",
        "among",
        "ascending",
        "avg",
        "before",
        "below",
        "between",
        "bottom",
        "but",
        "can",
        "descending",
        "detail",
        "different",
        "display",
        "distinct",
        "down",
        "during",
        "either",
        "equal",
        "every",
        "exactly",
        "fewest",
        "first",
        "greatest",
        "group",
        "grouped",
        "higher",
        "highest",
        "information",
        "last",
        "largest",
        "larger",
        "latest",
        "longest",
        "lower",
        "lowest",
        "max",
        "mean",
        "min",
        "name",
        "names",
        "newest",
        "old",
        "older",
        "oldest",
        "one",
        "only",
        "order",
        "ordered",
        "other",
        "over",
        "overall",
        "per",
        "respectively",
        "result",
        "shortest",
        "smaller",
        "smallest",
        "sort",
        "sorted",
        "sum",
        "three",
        "top",
        "two",
        "under",
        "unique",
        "up",
        "value",
        "you",
        "young",
        "younger",
        "youngest",
        "record",
        "entry",
        "if",
        "so",
        "its",
        "they",
        "them",
        "he",
        "she",
        "whom",
        "year",
        "ha",
        "wa",
        "list",
        "say",
        "could",
        "would",
        "like",
        "want",
        "need",
        "get",
        "know",
        "see",
        "i",
        "my",
        "us",
        "greater",
        "bigger",
        "biggest",
        "best",
        "worst",
        "earliest",
        "recent",
        "recently",
        "currently",
        "now",
        "named",
        "called",
        "about",
        "into",
        "both",
        "same",
        "respective",
        "corresponding",
        "along",
        "together",
        "order",
        "starting",
        "ending",
        "containing",
        "contain",
        "start",
        "end",
    ];
    WORDS.contains(&word)
}

/// Returns the words of a table's name that tell it from others: not generic, and in none of `others`.
pub(super) fn telling_words(table: &Table, others: &[&Table]) -> Vec<String> {
    const GENERIC: [&str; 12] = [
        "tbl", "table", "ref", "dim", "fact", "in", "of", "the", "data", "info", "detail", "record",
    ];
    let taken: BTreeSet<String> = others
        .iter()
        .flat_map(|other| words_of(&other.name))
        .collect();
    words_of(&table.name)
        .into_iter()
        .filter(|word| !GENERIC.contains(&word.as_str()) && word.chars().count() > 1)
        .filter(|word| !taken.contains(word))
        .collect()
}

/// Returns the one column by which a person would name a row of the table: `name`, `title`, `<table>_name` and the like,
/// text, and each value in one row or nearly. `None` if there is no such column, or several.
pub(super) fn label_of(table: &Table) -> Option<&crate::schema::Column> {
    let is_text = |declared: &str| {
        let declared = declared.to_ascii_uppercase();
        ["CHAR", "TEXT", "CLOB", "STRING"]
            .iter()
            .any(|kind| declared.contains(kind))
            || declared.is_empty()
    };
    let is_nearly_unique = |column: &crate::schema::Column| match (column.distinct, table.row_count)
    {
        _ if column.declared_unique || column.is_unique == Some(true) => true,
        (Some(distinct), Some(rows)) if rows > 0 => distinct as f64 >= 0.8 * rows as f64,
        _ => true,
    };
    /// Names that are a part of one, or another's.
    const IN_PART: [&str; 18] = [
        "first", "last", "middle", "given", "family", "nick", "user", "file", "contact", "city",
        "country", "street", "state", "login", "column", "parent", "old", "maiden",
    ];
    let own = words_of(&table.name);
    let last = own.last().cloned().unwrap_or_default();
    let rank = |name: &str| -> Option<usize> {
        let words = words_of(name);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let joined: String = words.concat();
        match words[..] {
            ["name"] => Some(0),
            // A column called like its table: `genre` of `genres`.
            _ if words == own => Some(0),
            [.., _, "name"]
                if words[..words.len() - 1]
                    .iter()
                    .all(|word| own.iter().any(|own| own == word)) =>
            {
                Some(0)
            }
            _ if joined == format!("{last}name") => Some(0),
            ["title" | "label"] => Some(1),
            [ref before @ .., "title" | "label"]
                if before.iter().all(|word| own.iter().any(|own| own == word)) =>
            {
                Some(1)
            }
            [ref before @ .., "name"] if !before.iter().any(|word| IN_PART.contains(word)) => {
                Some(2)
            }
            ["description"] => Some(3),
            [ref before @ .., "description"]
                if before.iter().all(|word| own.iter().any(|own| own == word)) =>
            {
                Some(3)
            }
            _ => None,
        }
    };
    let ranked: Vec<_> = table
        .columns
        .iter()
        .filter(|column| is_text(&column.declared_type))
        .filter_map(|column| Some((rank(&column.name)?, column)))
        .collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min()?;
    let mut of_best = ranked.iter().filter(|(rank, _)| *rank == best);
    match (of_best.next(), of_best.next()) {
        (Some((_, column)), None) if is_nearly_unique(column) => Some(column),
        _ => None,
    }
}

/// Says whether a noun of the question means the rows of a table: it is the last word of the table's name.
pub(super) fn is_called(table: &Table, noun: &str) -> bool {
    words_of(&table.name)
        .last()
        .is_some_and(|last| last == noun)
}
