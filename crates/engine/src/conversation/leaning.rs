//! Whether a question leans on the one before, judged by its words and the names of the schema alone (English).
//!
//! An ellipsis begins like one ("and", "only", "by month", "what about"), says "instead", has a pronoun whose noun is
//! not in the question, or is too short to ask for anything. A question with a table of its own and none of these stands
//! alone. The two mistakes are not equal: a question taken to lean that does not is shown a query too many; one taken to
//! stand alone that does not is answered wrongly. So what only begins like an ellipsis leans, unless it is a whole
//! question. The phrases in `corpus/conversation` hold the rules to this.

mod words;

use std::collections::HashSet;

use crate::linking::words_of;
use crate::policy::VisibleSchema;
use words::{
    ARRANGES, BEGINS, CHANGES, EXPLETIVES, FRAGMENTS, NEUTRAL, POINTS, PREPOSITIONS, SOFT, TIMES,
    is_empty, is_generic, is_imperative,
};

/// Longer questions say all that they need.
const MAX_WORDS: usize = 40;
/// At most so many words are a fragment, or a question that asks for nothing by itself.
const MAX_FRAGMENT: usize = 4;
const MAX_SHORT: usize = 6;

/// Says whether a question needs the one before it to be understood.
pub fn leans(question: &str, visible: &VisibleSchema) -> bool {
    let asked = Asked {
        words: words(question),
        names: Names::of(visible),
    };
    asked.words.len() <= MAX_WORDS && asked.leans_from(0)
}

struct Word {
    /// In lower case, without a genitive ending.
    text: String,
    is_capital: bool,
    is_number: bool,
    /// A comma, a bracket or the end of a sentence stands before it.
    begins_clause: bool,
}

fn words(question: &str) -> Vec<Word> {
    let mut begins_clause = true;
    let mut words = Vec::new();
    for piece in question.split_whitespace() {
        let opens = piece.starts_with(['(', '"', '\u{201c}']);
        let bare = piece.trim_matches(|c: char| !(c.is_alphanumeric() || c == '%'));
        let ends = piece.ends_with([',', ';', ':', '.', '?', '!', ')']);
        let text = bare.to_lowercase().replace('\u{2019}', "'");
        let text = text.strip_suffix("'s").unwrap_or(&text);
        let text = text.strip_suffix('\'').unwrap_or(text);
        if text.is_empty() {
            begins_clause |= !piece.is_empty();
            continue;
        }
        words.push(Word {
            text: text.to_owned(),
            is_capital: bare.starts_with(char::is_uppercase),
            is_number: bare.contains(|c: char| c.is_ascii_digit()),
            begins_clause: begins_clause || opens,
        });
        begins_clause = ends;
    }
    words
}

/// The words of the names that may be seen.
struct Names {
    tables: HashSet<String>,
    columns: HashSet<String>,
}

impl Names {
    fn of(visible: &VisibleSchema) -> Self {
        let mut names = Self {
            tables: HashSet::new(),
            columns: HashSet::new(),
        };
        for table in visible.tables() {
            let of_table = words_of(&table.name);
            let is_all = of_table.len() == 1;
            let told = |word: &String| is_all || !is_generic(word);
            names.tables.extend(of_table.into_iter().filter(told));
            for column in &table.columns {
                let words = words_of(&column.name).into_iter();
                names.columns.extend(words.filter(|word| !is_generic(word)));
            }
        }
        names
    }

    fn is_table(&self, word: &str) -> bool {
        !is_empty(word) && words_of(word).iter().any(|word| knows(&self.tables, word))
    }

    fn is_column(&self, word: &str) -> bool {
        !is_empty(word) && words_of(word).iter().any(|word| knows(&self.columns, word))
    }
}

/// A name is known by its beginning too: `cust`.
fn knows(names: &HashSet<String>, word: &str) -> bool {
    let is_like = |name: &String| {
        let shorter = name.len().min(word.len());
        shorter >= 4 && (name.starts_with(word) || word.starts_with(name.as_str()))
    };
    !is_generic(word) && (names.contains(word) || names.iter().any(is_like))
}

struct Asked {
    words: Vec<Word>,
    names: Names,
}

impl Asked {
    fn leans_from(&self, from: usize) -> bool {
        if from >= self.words.len() {
            return from > 0;
        }
        for neutral in NEUTRAL {
            if self.begins(from, neutral) && from + neutral.len() < self.words.len() {
                return self.leans_from(from + neutral.len());
            }
        }
        let first = self.words[from].text.as_str();
        if BEGINS.iter().any(|begin| self.begins(from, begin)) {
            return true;
        }
        if SOFT.contains(&first) {
            // "Now show me all suppliers" is a whole question, "now by month" is none.
            return !self.is_whole(from + 1) || self.leans_from(from + 1);
        }
        if FRAGMENTS.contains(&first) && !self.asks(from) {
            return true;
        }
        if CHANGES.contains(&first) && !self.begins(from, &["add", "up"]) {
            return true;
        }
        if ARRANGES.contains(&first)
            && self
                .word(from + 1)
                .is_some_and(|next| POINTS.contains(&next))
        {
            return true;
        }
        if matches!(first, "show" | "give" | "list" | "display") {
            let whom = usize::from(matches!(self.word(from + 1), Some("me" | "us")));
            let rest = from + 1 + whom;
            let begins = BEGINS.iter().any(|begin| self.begins(rest, begin));
            let picks = matches!(self.word(rest), Some("only" | "just"));
            if begins || (picks && !self.has_table(rest)) {
                return true;
            }
        }
        self.ends_like_one(from) || self.points_back(from) || self.asks_for_nothing(from)
    }

    fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(|word| word.text.as_str())
    }

    fn begins(&self, from: usize, phrase: &[&str]) -> bool {
        let mut each = phrase.iter().enumerate();
        each.all(|(offset, word)| self.word(from + offset) == Some(word))
    }

    fn has_table(&self, from: usize) -> bool {
        self.words[from.min(self.words.len())..]
            .iter()
            .any(|word| self.names.is_table(&word.text))
    }

    fn has_name(&self, from: usize) -> bool {
        let rest = &self.words[from.min(self.words.len())..];
        let mut each = rest.iter().map(|word| word.text.as_str());
        each.any(|word| self.names.is_table(word) || self.names.is_column(word))
    }

    /// Says whether this is a question or a wish with a verb of its own, and names something to ask for.
    fn is_whole(&self, from: usize) -> bool {
        self.asks(from) && self.has_name(from)
    }

    /// Says whether a question or a wish begins here or after a comma. "Who" and "which" also begin what only describes.
    fn asks(&self, from: usize) -> bool {
        (from..self.words.len()).any(|at| {
            let word = &self.words[at];
            let begins = at == from || word.begins_clause;
            let follows_preposition = at > from
                && PREPOSITIONS.contains(&self.words[at - 1].text.as_str())
                && (at - 1 == from || self.words[at - 1].begins_clause);
            match word.text.as_str() {
                "what" | "how" | "why" => true,
                "which" | "who" | "whose" | "whom" | "when" | "where" => {
                    begins || follows_preposition
                }
                "is" | "are" | "was" | "were" | "do" | "does" | "did" | "has" | "have" | "had"
                | "can" => begins,
                word => begins && is_imperative(word),
            }
        })
    }

    /// "... instead", "... as well", "Germany only".
    fn ends_like_one(&self, from: usize) -> bool {
        let last = self.words.len() - 1;
        let is_instead =
            |at: usize| self.word(at) == Some("instead") && self.word(at + 1) != Some("of");
        let please = usize::from(last > from && self.word(last) == Some("please"));
        let last = last - please;
        (from..=last).any(is_instead)
            || matches!(self.word(last), Some("too" | "either"))
            || (last > from && self.begins(last - 1, &["as", "well"]))
            || (self.word(last) == Some("only") && !self.asks(from) && !self.has_table(from))
    }

    /// A pronoun whose noun is not in the question.
    fn points_back(&self, from: usize) -> bool {
        let is_expletive = |at: usize| {
            EXPLETIVES.iter().any(|(before, after)| {
                self.begins(at + 1, after)
                    && at
                        .checked_sub(before.len())
                        .is_some_and(|start| self.begins(start, before))
            })
        };
        (from..self.words.len()).any(|at| match self.words[at].text.as_str() {
            "they" => !self.has_group(from, self.before_fronted(from, at)),
            "them" | "their" | "theirs" | "ones" => !self.has_group(from, at),
            "those" | "these" => self
                .names_nothing_said(from, at)
                .unwrap_or_else(|| !self.has_group(from, at)),
            "it" | "he" | "she" => {
                !is_expletive(at) && !self.has_thing(from, self.before_fronted(from, at))
            }
            "its" | "him" | "her" | "his" | "hers" => !self.has_thing(from, at),
            "this" => self
                .names_nothing_said(from, at)
                .unwrap_or_else(|| !self.has_thing(from, at)),
            // After a noun it begins what describes the noun.
            "that" if at == from || self.words[at].begins_clause || self.takes_object(at - 1) => {
                self.names_nothing_said(from, at)
                    .unwrap_or_else(|| !self.has_thing(from, at))
            }
            "one" => {
                at > from
                    && (matches!(
                        self.words[at - 1].text.as_str(),
                        "which" | "that" | "this" | "last" | "first" | "other"
                    ) || self.words[at - 1].text.ends_with("est"))
                    && !self.has_group(from, at)
            }
            "else" | "rest" | "others" => at <= from + 2 && !self.has_name(from),
            "other" => at <= from + 1 && !self.has_name(from),
            _ => false,
        })
    }

    /// Returns where what "they" may be ends, for a subject at `at`. In "how many orders did they place" the orders are
    /// what is asked for, and somebody else placed them.
    fn before_fronted(&self, from: usize, at: usize) -> usize {
        let is_auxiliary = |place: usize| {
            matches!(
                self.words[place].text.as_str(),
                "do" | "does" | "did" | "have" | "has" | "had" | "can" | "could"
            )
        };
        if at == from || !is_auxiliary(at - 1) {
            return at;
        }
        for place in (from..at - 1).rev() {
            if matches!(self.words[place].text.as_str(), "how" | "which" | "what") {
                return place;
            }
            if is_auxiliary(place) || self.words[place].begins_clause {
                break;
            }
        }
        at
    }

    fn takes_object(&self, at: usize) -> bool {
        let word = self.words[at].text.as_str();
        PREPOSITIONS.contains(&word)
            || ARRANGES.contains(&word)
            || is_imperative(word)
            || matches!(
                word,
                "than" | "is" | "was" | "do" | "does" | "did" | "and" | "make" | "about"
            )
    }

    /// For "those orders": whether the orders are new to this question. `None` where no noun follows.
    fn names_nothing_said(&self, from: usize, at: usize) -> Option<bool> {
        let next = self.words.get(at + 1).filter(|next| !next.begins_clause)?;
        let noun = next.text.as_str();
        if is_empty(noun) || next.is_number {
            return None;
        }
        if TIMES.contains(&noun) {
            return Some(false);
        }
        let said = words_of(noun);
        let before = &self.words[from..at];
        Some(before.iter().all(|word| words_of(&word.text) != said))
    }

    /// Says whether something that "they" may be stands before `at`.
    fn has_group(&self, from: usize, at: usize) -> bool {
        (from..at).any(|place| {
            let word = &self.words[place];
            let text = word.text.as_str();
            let is_plural = text.len() > 3
                && text.ends_with('s')
                && !text.ends_with("ss")
                && !word.is_capital
                && !is_empty(text)
                && !self.names.is_column(text);
            self.names.is_table(text)
                || is_plural
                || matches!(
                    text,
                    "people" | "staff" | "everyone" | "anyone" | "everybody"
                )
                || (text == "who" && at - place > 3)
        })
    }

    /// Says whether something that "it" or "she" may be stands before `at`.
    fn has_thing(&self, from: usize, at: usize) -> bool {
        (from..at).any(|place| {
            let word = &self.words[place];
            // By its whole name: "manages" is no manager.
            let said = words_of(&word.text);
            let is_name = |word: &String| {
                self.names.tables.contains(word) || self.names.columns.contains(word)
            };
            (!is_empty(&word.text) && said.iter().any(is_name))
                || (word.is_capital && !word.begins_clause)
        })
    }

    /// A few words that name neither table nor column and have no verb of their own.
    fn asks_for_nothing(&self, from: usize) -> bool {
        let words = &self.words[from..];
        if self.has_name(from) {
            return false;
        }
        if !self.asks(from) {
            return words.len() <= MAX_FRAGMENT;
        }
        let is_own = |at: usize| {
            let word = &self.words[at];
            let follows_preposition =
                at > from && PREPOSITIONS.contains(&self.words[at - 1].text.as_str());
            !(is_empty(&word.text)
                || word.is_number
                || (word.is_capital && at > from)
                || follows_preposition
                || words_of(&word.text).iter().all(|word| is_generic(word)))
        };
        words.len() <= MAX_SHORT && !(from..self.words.len()).any(is_own)
    }
}

#[cfg(test)]
mod tests;
