//! Quoted texts and numbers of the question that the SQL has nothing of.

use std::collections::BTreeSet;

use super::{folded, in_one_line};
use crate::checks::{Finding, FindingKind, Subject};
use crate::linking::words_of;

/// Number words, from two; `one` is said for many things.
const NUMBERS: [&str; 11] = [
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
];
/// What stands before a number that limits something.
const BEFORE: [&str; 8] = [
    "at least",
    "at most",
    "more than",
    "fewer than",
    "less than",
    "exactly",
    "top",
    "over",
];
/// What stands behind one.
const BEHIND: [&str; 4] = ["or more", "or fewer", "or less", "or above"];

/// Reports what the question gives and the SQL does not have. No rewrite: where it belongs is not known.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let sql = subject.statement.printed.text_of_all();
    let question = subject.evidence.question;
    let in_sql = folded(&sql);
    let mut say = |what: &str| {
        findings.push(Finding::new(
            FindingKind::LiteralMissing,
            format!("the question says {what}, and the SQL does not use it"),
            None,
        ));
    };
    let sql_words: BTreeSet<String> = words_of(&sql).into_iter().collect();
    for quoted in quoted(question) {
        let is_found = in_sql.contains(&folded(quoted).replace('\'', "''"))
            || words_of(quoted).iter().all(|word| sql_words.contains(word))
            || subject.evidence.stored.iter().any(|value| {
                folded(quoted).contains(&folded(&value.words))
                    && in_sql.contains(&folded(&value.value).replace('\'', "''"))
            });
        if !is_found {
            say(&format!("\"{}\"", in_one_line(quoted)));
        }
    }
    let used = numbers_in_sql(&sql);
    for (written, number) in numbers(question) {
        // `at least 3` is `> 2`, and 5 % may be 0.05.
        let is_near = |other: &f64| {
            [
                number,
                number - 1.0,
                number + 1.0,
                number / 100.0,
                number * 100.0,
            ]
            .iter()
            .any(|meant| (meant - other).abs() < 1e-9)
        };
        if !used.iter().any(is_near) {
            say(&written);
        }
    }
}

/// Returns what stands in quotes; an apostrophe inside a word is none.
fn quoted(question: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(at) = question[rest..].find(['\'', '"', '‘', '“', '`']) {
        let open = rest + at;
        let quote = question[open..].chars().next().unwrap_or('"');
        let begin = open + quote.len_utf8();
        rest = begin;
        let close = match quote {
            '‘' => '’',
            '“' => '”',
            other => other,
        };
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if is_word(question[..open].chars().next_back()) {
            continue;
        }
        let end = question[begin..]
            .match_indices(close)
            .map(|(at, _)| begin + at)
            .find(|&at| !is_word(question[at + close.len_utf8()..].chars().next()));
        if let Some(end) = end {
            let inner = question[begin..end].trim();
            if inner.contains(char::is_alphanumeric) && inner.chars().count() <= 80 {
                found.push(inner);
            }
            rest = end + close.len_utf8();
        }
    }
    found
}

/// Returns the numbers of a question that limit something, as written and as numbers. A number with letters behind it is
/// something else, and 0 and 1 have many other ways into SQL.
fn numbers(question: &str) -> Vec<(String, f64)> {
    let lower = question.to_lowercase();
    let mut found = Vec::new();
    let tokens: Vec<&str> = lower
        .split_whitespace()
        .map(|token| token.trim_matches(|c: char| !c.is_alphanumeric()))
        .collect();
    for (at, token) in tokens.iter().enumerate() {
        let digits = token.replace(',', "");
        let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let factor = match tokens.get(at + 1) {
            Some(&"thousand") => 1e3,
            Some(&"million") => 1e6,
            Some(&"billion") => 1e9,
            _ => 1.0,
        };
        if is_number && let Ok(number) = digits.parse::<f64>() {
            if number > 1.0 {
                found.push(((*token).to_owned(), number * factor));
            }
            continue;
        }
        let word = NUMBERS.iter().position(|word| word == token);
        let before = tokens[at.saturating_sub(2)..at].join(" ");
        let behind = tokens
            .iter()
            .skip(at + 1)
            .take(2)
            .copied()
            .collect::<Vec<_>>();
        let limits = BEFORE.iter().any(|phrase| before.ends_with(phrase))
            || BEHIND.contains(&behind.join(" ").as_str());
        if let Some(index) = word.filter(|_| limits) {
            found.push(((*token).to_owned(), (index + 2) as f64 * factor));
        }
    }
    found
}

/// Returns every number in SQL, those inside dates and names too.
fn numbers_in_sql(sql: &str) -> Vec<f64> {
    let mut found = Vec::new();
    for run in sql.split(|c: char| !c.is_ascii_digit() && c != '.') {
        let run = run.trim_matches('.');
        found.extend(run.parse::<f64>());
        found.extend(run.split('.').filter_map(|part| part.parse::<f64>().ok()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_quotes_is_found() {
        for (question, expected) in [
            ("Books by 'Ann Lee' or \"Bo\"?", vec!["Ann Lee", "Bo"]),
            ("The customer's and the shops' totals", vec![]),
            ("Drugs called ‘it’s fine’", vec!["it’s fine"]),
            ("An open 'quote", vec![]),
            ("Author '' and '?'", vec![]),
        ] {
            assert_eq!(quoted(question), expected, "{question}");
        }
    }

    #[test]
    fn numbers_that_limit_something_are_found() {
        for (question, expected) in [
            ("more than 1,500 pages in 2004?", vec![1500.0, 2004.0]),
            ("at least three of 5 million", vec![3.0, 5e6]),
            ("the two authors of 1 book, the 3rd and the 1990s", vec![]),
            ("two or more", vec![2.0]),
        ] {
            let found: Vec<f64> = numbers(question).into_iter().map(|(_, n)| n).collect();
            assert_eq!(found, expected, "{question}");
        }
    }
}
