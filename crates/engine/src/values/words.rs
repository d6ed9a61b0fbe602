//! The words of a question and which runs of them may be a value.

use std::collections::HashSet;

use super::fold::{fold, key};
use crate::policy::VisibleSchema;

/// The longest value that is looked for, in characters.
pub const MAX_VALUE_CHARS: usize = 80;

/// Words of one mention at most.
const MAX_WORDS: usize = 6;
/// Characters of one mention at most, in scripts that write no spaces.
const MAX_UNSPACED: usize = 16;
/// Words of a question that are looked at.
const MAX_QUESTION_WORDS: usize = 300;

/// Words that hold a question together and are seldom meant as a value. Folded.
const COMMON: &[&str] = &[
    "a",
    "about",
    "above",
    "after",
    "all",
    "also",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "average",
    "avg",
    "be",
    "been",
    "before",
    "below",
    "best",
    "between",
    "both",
    "but",
    "by",
    "can",
    "compare",
    "count",
    "did",
    "different",
    "distinct",
    "do",
    "does",
    "during",
    "each",
    "ever",
    "every",
    "fewer",
    "fewest",
    "find",
    "first",
    "for",
    "from",
    "get",
    "give",
    "group",
    "had",
    "has",
    "have",
    "he",
    "her",
    "highest",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "largest",
    "last",
    "least",
    "less",
    "list",
    "lowest",
    "made",
    "make",
    "many",
    "max",
    "maximum",
    "me",
    "mean",
    "median",
    "min",
    "minimum",
    "month",
    "more",
    "most",
    "much",
    "my",
    "name",
    "names",
    "no",
    "not",
    "number",
    "numbers",
    "of",
    "on",
    "one",
    "only",
    "or",
    "order",
    "other",
    "our",
    "out",
    "over",
    "per",
    "percent",
    "percentage",
    "please",
    "recent",
    "same",
    "she",
    "should",
    "show",
    "since",
    "smallest",
    "so",
    "some",
    "sum",
    "tell",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "through",
    "to",
    "today",
    "top",
    "total",
    "under",
    "until",
    "up",
    "us",
    "was",
    "we",
    "week",
    "were",
    "what",
    "when",
    "where",
    "which",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "within",
    "without",
    "worst",
    "year",
    "yesterday",
    "you",
    "your",
];

/// Says whether a stored value can be mentioned at all: not too long, and with a letter in it. Dates, numbers and
/// punctuation have none.
pub fn is_mentionable(value: &str) -> bool {
    value.chars().nth(MAX_VALUE_CHARS).is_none() && value.chars().any(char::is_alphabetic)
}

/// A word of a question.
pub(super) struct Word {
    start: usize,
    end: usize,
    /// As it is looked up.
    pub folded: String,
    /// Inside these quotes, of all.
    quote: Option<usize>,
    /// Begins with a capital and does not begin the sentence.
    is_capitalised: bool,
    /// Holds the sentence together, or names a table or column.
    is_common: bool,
    /// One character of a script without spaces.
    stands_alone: bool,
}

impl Word {
    fn is_marked(&self) -> bool {
        self.quote.is_some() || self.is_capitalised
    }

    fn is_number(&self) -> bool {
        !self.folded.chars().any(char::is_alphabetic)
    }

    /// Says whether it makes sense to look for other spellings.
    pub fn may_be_misspelt(&self) -> bool {
        !self.is_number() && !self.stands_alone && (self.is_marked() || !self.is_common)
    }
}

/// A question taken apart.
pub(super) struct Question<'q> {
    text: &'q str,
    words: Vec<Word>,
    /// The words of it and their singulars, for names of tables and columns.
    asked: HashSet<String>,
}

impl<'q> Question<'q> {
    pub fn read(text: &'q str, visible: &VisibleSchema) -> Self {
        let mut words: Vec<Word> = Vec::new();
        let quotes = quotes(text);
        let mut begins_sentence = true;
        let mut last_end = 0;
        for (start, end) in spans(text).take(MAX_QUESTION_WORDS) {
            let between = &text[last_end..start];
            begins_sentence |=
                between.contains(['.', '?', '!', ':']) && between.ends_with(char::is_whitespace);
            last_end = end;
            let as_written = &text[start..end];
            let folded = fold(as_written);
            if folded.is_empty() {
                continue;
            }
            words.push(Word {
                start,
                end,
                quote: quotes
                    .iter()
                    .position(|&(open, close)| open <= start && end <= close),
                is_capitalised: !begins_sentence && as_written.starts_with(char::is_uppercase),
                is_common: COMMON.binary_search(&folded.as_str()).is_ok(),
                stands_alone: as_written.chars().all(is_written_without_spaces),
                folded,
            });
            begins_sentence = false;
        }
        let asked: Vec<String> = words.iter().map(|word| singular(&word.folded)).collect();
        for name in schema_names(visible) {
            for (start, window) in asked.windows(name.len().max(1)).enumerate() {
                if window == name {
                    let named = &mut words[start..start + name.len()];
                    named.iter_mut().for_each(|word| word.is_common = true);
                }
            }
        }
        let asked = asked.into_iter().collect();
        Self { text, words, asked }
    }

    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// Says how many of two names, a table's and its column's, the question has in full.
    pub fn names_in_it(&self, table: &str, column: &str) -> usize {
        [table, column]
            .into_iter()
            .filter(|name| {
                let words = name_words(name);
                !words.is_empty() && words.iter().all(|word| self.asked.contains(word))
            })
            .count()
    }

    /// Returns every run of words that may be a value, in order of the question, the longest first.
    pub fn mentions(&self) -> Vec<Mention<'_>> {
        self.runs_of_words()
            .filter(Mention::may_be_a_value)
            .collect()
    }

    /// Returns the runs of words that are written as names are or stand in quotes, whole: no part of a longer one.
    pub fn names(&self) -> Vec<Mention<'_>> {
        let all: Vec<Mention<'_>> = self
            .runs_of_words()
            .filter(|mention| {
                mention.slice().iter().all(Word::is_marked)
                    && mention
                        .slice()
                        .iter()
                        .any(|word| !word.is_number() && word.folded.chars().count() >= 3)
                    && !mention
                        .slice()
                        .iter()
                        .all(|word| word.is_common && word.quote.is_none())
            })
            .collect();
        let is_whole = |mention: &&Mention<'_>| {
            !all.iter().any(|other| {
                other.start <= mention.start
                    && mention.end <= other.end
                    && other.len() > mention.len()
            })
        };
        all.iter().filter(is_whole).copied().collect()
    }

    fn runs_of_words(&self) -> impl Iterator<Item = Mention<'_>> {
        (0..self.words.len()).flat_map(move |start| {
            let longest = (start + MAX_UNSPACED).min(self.words.len());
            (start + 1..=longest)
                .rev()
                .filter_map(move |end| self.run_of_words(start, end))
        })
    }

    fn run_of_words(&self, start: usize, end: usize) -> Option<Mention<'_>> {
        let words = &self.words[start..end];
        let is_one_run = words.iter().all(|word| word.quote == words[0].quote);
        let is_short = words.len() <= MAX_WORDS || words.iter().all(|word| word.stands_alone);
        (is_one_run && is_short).then_some(Mention {
            question: self.text,
            words: &self.words,
            start,
            end,
        })
    }
}

/// Some words of a question, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Mention<'q> {
    question: &'q str,
    words: &'q [Word],
    start: usize,
    end: usize,
}

impl<'q> Mention<'q> {
    pub fn start(&self) -> usize {
        self.start
    }

    pub fn end(&self) -> usize {
        self.end
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn words(&self) -> impl Iterator<Item = &'q str> {
        self.words[self.start..self.end]
            .iter()
            .map(|word| word.folded.as_str())
    }

    /// Returns what is looked up.
    pub fn key(&self) -> String {
        // Folding may take a word apart.
        key(&self.words().collect::<Vec<_>>().join(" "))
    }

    /// Returns the words as they were written.
    pub fn text(&self) -> &'q str {
        &self.question[self.words[self.start].start..self.words[self.end - 1].end]
    }

    pub fn is_quoted(&self) -> bool {
        self.slice().iter().all(|word| word.quote.is_some())
    }

    /// Says whether the question has this value with every letter and sign of it.
    pub fn is_letter_for_letter(&self, value: &str) -> bool {
        self.text() == value
            || self.question[self.words[self.start].start..]
                .strip_prefix(value)
                .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    }

    fn slice(&self) -> &'q [Word] {
        &self.words[self.start..self.end]
    }

    fn may_be_a_value(&self) -> bool {
        let words = self.slice();
        if self.is_quoted() {
            return true;
        }
        if words.iter().all(Word::is_number) {
            return false;
        }
        // `in` and `id` are values of somebody, but not here; a lone letter is one of a sentence's own.
        let says_something = |word: &Word| word.is_marked() || !word.is_common;
        let letters: usize = words.iter().map(|word| word.folded.chars().count()).sum();
        words.iter().any(says_something)
            && (letters >= 2 || words[0].stands_alone || words[0].is_capitalised)
    }
}

/// Returns the names of visible tables and columns, each as its words without plural endings.
fn schema_names(visible: &VisibleSchema) -> HashSet<Vec<String>> {
    let mut names = HashSet::new();
    for table in visible.tables() {
        names.insert(name_words(&table.name));
        names.extend(table.columns.iter().map(|column| name_words(&column.name)));
    }
    names.remove(&Vec::new());
    names
}

/// Takes a name in `snake_case` or `CamelCase` apart.
fn name_words(name: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut before_is_lower = false;
    for c in name.chars() {
        if c.is_uppercase() && before_is_lower {
            spaced.push(' ');
        }
        before_is_lower = c.is_lowercase();
        spaced.push(if c == '_' { ' ' } else { c });
    }
    key(&spaced)
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(singular)
        .collect()
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) if stem.len() > 1 => return format!("{stem}y"),
        _ => {}
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with('s') => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Returns where the words of a text are. In scripts that write no spaces every character is a word.
pub(super) fn spans(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (start, first) = chars.next()?;
            if is_written_without_spaces(first) && first.is_alphanumeric() {
                return Some((start, start + first.len_utf8()));
            }
            if !is_part_of_word(first) {
                continue;
            }
            let mut end = start + first.len_utf8();
            while let Some(&(at, next)) = chars.peek() {
                if !is_part_of_word(next) || is_written_without_spaces(next) {
                    break;
                }
                end = at + next.len_utf8();
                chars.next();
            }
            return Some((start, end));
        }
    })
}

/// Letters, digits and the marks that are written over letters.
fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

/// Kana and Han.
fn is_written_without_spaces(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Returns the insides of quotes. An apostrophe inside a word opens none and closes none.
fn quotes(text: &str) -> Vec<(usize, usize)> {
    let closing = |open: char| match open {
        '"' => Some("\""),
        '\'' => Some("'"),
        '`' => Some("`"),
        '“' | '„' => Some("”“"),
        '‘' => Some("’"),
        '«' => Some("»"),
        _ => None,
    };
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let is_letter = |index: Option<usize>| {
        index
            .and_then(|index| chars.get(index))
            .is_some_and(|(_, c)| c.is_alphanumeric())
    };
    let mut found = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        let (at, open) = chars[index];
        let opens = closing(open).filter(|_| !is_letter(index.checked_sub(1)));
        let close = opens.and_then(|closing| {
            (index + 1..chars.len())
                .find(|&end| closing.contains(chars[end].1) && !is_letter(Some(end + 1)))
        });
        match close {
            Some(close) => {
                found.push((at + open.len_utf8(), chars[close].0));
                index = close + 1;
            }
            None => index += 1,
        }
    }
    found
}
