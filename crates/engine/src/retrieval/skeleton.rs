//! What is left of a question without its subject: "How many orders are open?" and "How many customers are new?" are both
//! "how many _ are _". Questions with one skeleton tend to have SQL of one shape, whatever they are about.
//!
//! Source: Gao et al., "Text-to-SQL Empowered by Large Language Models: A Benchmark Evaluation" (DAIL-SQL),
//! arXiv 2308.15363, which chooses examples by the question with the words of the schema masked.

use crate::linking::{Lexicon, says_nothing, words_of};

/// What stands for words about the data.
const SUBJECT: &str = "_";

/// Orders questions with their cosines, the nearest first, by cosine and [`likeness`] of skeletons together.
pub(super) fn likest_first<'q, T>(
    asked: &str,
    near: impl Iterator<Item = (T, &'q str, f32)>,
    lexicon: &Lexicon,
) -> Vec<T> {
    let asked = skeleton(asked, lexicon);
    let mut found: Vec<(f32, T)> = near
        .map(|(item, question, cosine)| {
            (
                cosine + likeness(&asked, &skeleton(question, lexicon)),
                item,
            )
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, item)| item).collect()
}

/// Returns the words of a question, with one [`SUBJECT`] for each run of words that are names or samples of the data,
/// numbers, names of something, or in quotes.
fn skeleton(question: &str, lexicon: &Lexicon) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut quote = None;
    for (at, token) in question.split_whitespace().enumerate() {
        let opened = quote.or_else(|| token.chars().next().and_then(closing));
        let is_quoted = opened.is_some();
        quote = opened.filter(|&end| !token.trim_end_matches(['.', ',', '?', '!']).ends_with(end));
        let is_name = at > 0 && token.starts_with(char::is_uppercase);
        for word in words_of(token) {
            let is_subject = is_quoted
                || is_name
                || word.starts_with(|c: char| c.is_numeric())
                || (lexicon.has(&word) && !says_nothing(&word));
            if !is_subject {
                found.push(word);
            } else if found.last().is_none_or(|last| last != SUBJECT) {
                found.push(SUBJECT.to_owned());
            }
        }
    }
    found
}

/// Returns what ends what a character begins, if that is a quotation.
fn closing(quote: char) -> Option<char> {
    match quote {
        '"' | '\'' => Some(quote),
        '“' => Some('”'),
        '‘' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

/// Returns the share of words, 0.0 to 1.0, that two skeletons have in common in the same order.
fn likeness(one: &[String], other: &[String]) -> f32 {
    let mut lengths = vec![0_usize; other.len() + 1];
    for word in one {
        let mut before = 0;
        for (at, same) in other.iter().enumerate() {
            let above = lengths[at + 1];
            lengths[at + 1] = match word == same {
                true => before + 1,
                false => above.max(lengths[at]),
            };
            before = above;
        }
    }
    let both = (one.len() + other.len()).max(1);
    2.0 * lengths[other.len()] as f32 / both as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Visibility, VisibleSchema};
    use crate::schema::{Column, Schema, Table, TableKind};

    fn lexicon() -> Lexicon {
        let column = |name: &str| Column {
            name: name.into(),
            samples: vec!["Berlin".into()],
            ..Column::default()
        };
        let table = Table {
            name: "customers".into(),
            kind: TableKind::Table,
            columns: vec![column("city"), column("order_value")],
            primary_key: vec![],
            foreign_keys: vec![],
            row_count: None,
            ddl: String::new(),
            reads: vec![],
        };
        let schema = Schema {
            tables: vec![table],
        };
        Lexicon::of(&VisibleSchema::new(&schema, &Visibility::everything()))
    }

    fn check(question: &str, expected: &str) {
        assert_eq!(
            skeleton(question, &lexicon()).join(" "),
            expected,
            "{question}"
        );
    }

    #[test]
    fn the_subject_of_a_question_is_left_out() {
        check("How many customers are in Rome?", "how many _ are in _");
        check(
            "Which cities have an order value over 300.50?",
            "which _ have an _ over _",
        );
        check(
            "Who wrote \"the last word\", and when?",
            "who wrote _ and when",
        );
        check("who wrote “it” in berlin", "who wrote _ in _");
        check("", "");
    }

    #[test]
    fn likeness_counts_what_is_common_in_order() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let like = |one: &str, other: &str| likeness(&words(one), &words(other));
        assert_eq!(like("how many _", "how many _"), 1.0);
        assert_eq!(like("how many _ in _", "which _"), 2.0 / 7.0);
        assert_eq!(like("a b c", "c b a"), 2.0 / 6.0);
        assert_eq!(likeness(&[], &[]), 0.0);
    }

    #[test]
    fn one_shape_goes_before_one_subject() {
        let order = |near: &[(&'static str, f32)]| {
            let near = near
                .iter()
                .map(|&(question, cosine)| (question, question, cosine));
            let asked = "How many customers have an order in Oslo?";
            likest_first(asked, near, &lexicon())
        };
        let (list, count) = (
            "List the customers in Berlin",
            "How many cities have a value in Mexico?",
        );
        assert_eq!(order(&[(list, 0.8), (count, 0.6)]), [count, list]);
        // Of one shape, the nearer in meaning.
        let orders = "How many customers have an order in Rome?";
        assert_eq!(order(&[(orders, 0.9), (count, 0.6)]), [orders, count]);
    }
}
