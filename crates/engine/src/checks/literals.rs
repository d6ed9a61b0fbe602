//! Texts that a condition compares a column with, held against the question and the data.

mod comparisons;
mod keys;
mod missing;

pub(super) use comparisons::{Comparison, Operation, comparisons, is_category, written};

use sqlite3_parser::ast::Expr;

use super::asked::Asked;
use super::joins::without_conditions;
use super::statement::{conjuncts, plain};
use super::{Finding, FindingKind, Subject};
use crate::linking::{likeness, says_nothing, words_of};
use crate::schema::Column;

/// What replaces which tokens.
type Edit = (std::ops::Range<usize>, String);

/// Categories that a message lists at most.
const MAX_LISTED: usize = 8;

/// Reports literals that are not stored, that nobody asked for, and those of the question that are missing.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let comparisons = comparisons(&subject.statement);
    let support = Support::of(subject, &comparisons);
    let mut edits = Vec::new();
    let first = findings.len();
    for comparison in &comparisons {
        let unlike = keys::compared_with_a_name(subject, comparison)
            .or_else(|| not_stored(subject, comparison));
        if let Some((message, edit)) = unlike {
            edits.extend(edit);
            findings.push(Finding::new(FindingKind::LiteralNotStored, message, None));
        }
    }
    // All at once: in a list of two, each alone may leave the result as empty as it was.
    if !edits.is_empty() {
        findings[first].rewrite = Some(subject.statement.printed.with(&edits));
    }
    let is_clean = findings.len() == first;
    for comparison in &comparisons {
        if is_clean && !support.supports(subject, comparison) {
            findings.push(invented(subject, comparison, &support));
        }
    }
    missing::check(subject, findings);
}

/// Reports a literal that the column does not have, where all that it has is known, or the very value of the question
/// was found in it in another spelling.
///
/// The rewrite takes the one value that is meant for certain: the same but for case and endings, the only one that has
/// all the words of the literal in a row, or the one that was found for the same words of the question. As it stands,
/// the condition can never be true.
fn not_stored(
    subject: &Subject<'_>,
    comparison: &Comparison<'_>,
) -> Option<(String, Option<Edit>)> {
    if !matches!(comparison.operation, Operation::Equal | Operation::In) {
        return None;
    }
    let (table, column) = (comparison.table, comparison.column);
    let literal = comparison.text.as_str();
    let is_same = |other: &str| {
        other == literal || (comparison.ignores_case && folded(other) == folded(literal))
    };
    let (candidates, listed): (Vec<&str>, bool) = if is_category(column) {
        (column.samples.iter().map(String::as_str).collect(), true)
    } else {
        let values = subject.evidence.stored.iter().filter(|value| {
            value.table.eq_ignore_ascii_case(&table.name)
                && value.column.eq_ignore_ascii_case(&column.name)
        });
        (values.map(|value| value.value.as_str()).collect(), false)
    };
    if candidates
        .iter()
        .any(|value| is_same(&in_one_line(value)) || is_same(value))
    {
        return None;
    }
    let meant = only(&candidates, |value| folded(value) == folded(literal))
        .or_else(|| only(&candidates, |value| words_of(value) == words_of(literal)))
        .or_else(|| only(&candidates, |value| listed && has_words(value, literal)))
        .or_else(|| {
            let mut spelt = subject.evidence.stored.iter().filter(|value| {
                value.table.eq_ignore_ascii_case(&table.name)
                    && value.column.eq_ignore_ascii_case(&column.name)
                    && value.matched <= crate::ports::ValueMatch::Fuzzy
                    && folded(&value.words) == folded(literal)
            });
            match (spelt.next(), spelt.next()) {
                (Some(value), None) => Some(value.value.as_str()),
                _ => None,
            }
        });
    if meant.is_none() && !listed {
        return None;
    }
    let place = format!("{}.{}", table.name, column.name);
    let message = match meant {
        Some(value) => format!(
            "{place} never is {}; write {}",
            written(literal),
            written(value)
        ),
        None => {
            let values: Vec<String> = candidates
                .iter()
                .take(MAX_LISTED)
                .map(|value| written(value))
                .collect();
            let more = if candidates.len() > MAX_LISTED {
                ", ..."
            } else {
                ""
            };
            format!(
                "{place} never is {}; it is one of {}{more}",
                written(literal),
                values.join(", ")
            )
        }
    };
    let edit = meant.and_then(|value| {
        let span = subject.statement.printed.span(comparison.literal)?;
        Some((span, written(value)))
    });
    Some((message, edit))
}

/// Reports a literal that nothing supports.
///
/// The rewrite drops the condition, only if it is one of several that AND joins in a WHERE, and only if every word of
/// the question is explained without it: then no word is left that it could stand for.
fn invented(subject: &Subject<'_>, comparison: &Comparison<'_>, support: &Support) -> Finding {
    let message = format!(
        "nothing in the question says that {}.{} should be {}; leave the condition out unless the question means it",
        comparison.table.name,
        comparison.column.name,
        written(&comparison.text)
    );
    let core = &subject.statement.cores[comparison.core];
    let is_one_of_several = core.where_clause.is_some_and(|clause| {
        let all = conjuncts(clause);
        let is_it = |other: &&Expr<'_>| std::ptr::eq(plain(other), plain(comparison.condition));
        all.len() > 1 && all.iter().any(is_it)
    });
    let is_list = matches!(comparison.condition, Expr::InList { .. });
    let rewrite = (is_one_of_several && !is_list && !support.has_unexplained)
        .then(|| without_conditions(subject, core, &[comparison.condition]))
        .flatten()
        .map(|edit| subject.statement.printed.with(&[edit]));
    Finding::new(FindingKind::InventedLiteral, message, rewrite)
}

/// Says whether a word of the question is neither a name nor a value, found in the data or written in the SQL.
fn has_unexplained(subject: &Subject<'_>, comparisons: &[Comparison<'_>]) -> bool {
    let sources = subject
        .statement
        .cores
        .iter()
        .flat_map(|core| &core.sources);
    let tables = sources.filter_map(|source| source.table);
    let written: Vec<String> = comparisons
        .iter()
        .flat_map(|comparison| words_of(&comparison.text))
        .collect();
    subject
        .asked
        .unexplained(tables, subject.evidence.stored)
        .iter()
        .any(|word| !written.iter().any(|own| likeness(word, own) > 0.0))
}

/// What a literal can come from.
struct Support {
    words: Vec<String>,
    text: String,
    has_unexplained: bool,
}

impl Support {
    fn of(subject: &Subject<'_>, comparisons: &[Comparison<'_>]) -> Self {
        let text = format!("{} {}", subject.evidence.question, subject.evidence.note);
        let words = Asked::of(&text).words;
        Self {
            words: words
                .into_iter()
                .filter(|word| !says_nothing(word))
                .collect(),
            text: folded(&text),
            has_unexplained: has_unexplained(subject, comparisons),
        }
    }

    fn supports(&self, subject: &Subject<'_>, comparison: &Comparison<'_>) -> bool {
        let text = comparison.text.trim_matches(['%', '_', ' ']);
        // Dates and numbers are for the question's own numbers to miss; short ones and capitals are codes.
        let is_code = text.chars().count() <= 3
            || !text.contains(char::is_alphabetic)
            || (text.chars().count() <= 6 && !text.contains(char::is_lowercase));
        if is_code || is_truth(text) || self.text.contains(&folded(text)) {
            return true;
        }
        let is_told = subject.evidence.stored.iter().any(|value| {
            let value = folded(&value.value);
            value == folded(text) || value.contains(&folded(text))
        });
        let shares_a_word = words_of(text)
            .iter()
            .any(|word| self.words.iter().any(|asked| likeness(asked, word) > 0.0));
        // A value that exists may be what a word means that no name explains: `refunded` for `sent back`.
        let may_be_meant = self.has_unexplained
            && is_category(comparison.column)
            && comparison
                .column
                .samples
                .iter()
                .any(|value| folded(value) == folded(text));
        is_told || shares_a_word || may_be_meant
    }
}

/// Words for yes, no and the sexes, which a question says in words of its own.
fn is_truth(text: &str) -> bool {
    const WORDS: [&str; 14] = [
        "true", "false", "yes", "no", "male", "female", "man", "woman", "active", "inactive",
        "none", "null", "enabled", "disabled",
    ];
    WORDS.contains(&folded(text).as_str())
}

fn only<'v>(values: &[&'v str], is_it: impl Fn(&str) -> bool) -> Option<&'v str> {
    let mut found = values.iter().filter(|value| is_it(value));
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Says whether a value has all words of the literal, one after the other.
fn has_words(value: &str, literal: &str) -> bool {
    let (value, literal) = (words_of(value), words_of(literal));
    !literal.is_empty() && value.windows(literal.len()).any(|part| part == literal)
}

fn folded(text: &str) -> String {
    in_one_line(text).to_lowercase()
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Says whether every value of a text column is known.
fn knows_all(column: &Column) -> bool {
    let is_measured = column.is_unique.is_some() && column.distinct.is_some();
    let is_whole = column
        .samples
        .iter()
        .all(|sample| !sample.ends_with(['…', '\u{fffd}']));
    is_measured
        && is_whole
        && column
            .distinct
            .is_some_and(|count| count <= column.samples.len() as u64)
}
