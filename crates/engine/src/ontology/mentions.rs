//! Finds the terms that a question mentions.

use super::{BusinessTerm, fold};

/// Returns the terms that the question mentions by name or synonym, as whole words without regard to case, the longest
/// mention first.
///
/// A mention inside a longer one does not count: who asks for net revenue did not ask for revenue. A plural in the
/// question is a mention of the singular.
pub fn mentioned<'t>(question: &str, terms: &'t [BusinessTerm]) -> Vec<&'t BusinessTerm> {
    let asked = words(question);
    let mut mentions: Vec<Mention> = Vec::new();
    for (term, business_term) in terms.iter().enumerate() {
        for name in std::iter::once(&business_term.term_name).chain(&business_term.synonyms) {
            let name = words(name);
            for start in places_of(&asked, &name) {
                mentions.push(Mention {
                    term,
                    start,
                    end: start + name.len(),
                });
            }
        }
    }
    mentions.sort_by_key(|mention| {
        (
            std::cmp::Reverse(mention.len()),
            mention.start,
            mention.term,
        )
    });
    let mut kept: Vec<Mention> = Vec::new();
    for mention in mentions {
        let is_known = kept.iter().any(|other| other.term == mention.term);
        let is_inside = kept
            .iter()
            .any(|other| other.overlaps(&mention) && other.len() > mention.len());
        if !is_known && !is_inside {
            kept.push(mention);
        }
    }
    kept.into_iter()
        .map(|mention| &terms[mention.term])
        .collect()
}

/// Which term stands at which words of the question.
struct Mention {
    term: usize,
    start: usize,
    end: usize,
}

impl Mention {
    fn len(&self) -> usize {
        self.end - self.start
    }

    fn overlaps(&self, other: &Mention) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Returns where in a text the words of a name stand, each as it is or in its plural.
pub(super) fn places_of(text: &[String], name: &[String]) -> Vec<usize> {
    if name.is_empty() {
        return Vec::new();
    }
    text.windows(name.len())
        .enumerate()
        .filter(|(_, window)| {
            window
                .iter()
                .zip(name)
                .all(|(word, wanted)| means(word, wanted))
        })
        .map(|(start, _)| start)
        .collect()
}

/// Says whether a word of a text is the wanted one or its English plural. Not the other way round: `news` is no
/// `new`.
fn means(word: &str, wanted: &str) -> bool {
    if word == wanted {
        return true;
    }
    let is_long_enough = wanted.chars().count() >= 3;
    is_long_enough
        && match wanted.strip_suffix('y') {
            Some(stem) if word.strip_prefix(stem) == Some("ies") => true,
            _ => matches!(word.strip_prefix(wanted), Some("s" | "es")),
        }
}

/// Splits text into words, folded. In scripts that write no spaces every character is a word.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in fold(text).chars().chain([' ']) {
        let stands_alone = is_written_without_spaces(c);
        if (stands_alone || !is_part_of_word(c)) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if stands_alone {
            words.push(c.to_string());
        } else if is_part_of_word(c) {
            word.push(c);
        }
    }
    words
}

/// Letters, digits and the marks that are written over letters.
fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

/// Thai, Lao, Khmer, Kana and Han.
fn is_written_without_spaces(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}
