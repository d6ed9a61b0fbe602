//! The shape of a result: how many rows and which columns the question asks for. Only what its words leave no doubt
//! about; a false alarm costs an answer that was right.

use sqlite3_parser::ast::Expr;

use super::asked::is_called;
use super::statement::{Aggregate, Core, inside, parts, plain};
use super::{Finding, FindingKind, Subject};
use crate::linking::words_of;
use crate::result::{ResultSet, Value};

/// Words that ask for a row of each of several things.
const EACH: [&str; 14] = [
    "each",
    "per",
    "every",
    "by",
    "for all",
    "respectively",
    "in which",
    "and",
    "grouped",
    "across",
    "both",
    "or",
    "all the",
    "along with",
];
/// Words that ask for one thing out of many.
const SUPERLATIVES: [&str; 20] = [
    "most", "least", "highest", "lowest", "largest", "smallest", "biggest", "oldest", "youngest",
    "longest", "shortest", "greatest", "fewest", "latest", "earliest", "newest", "best", "worst",
    "cheapest", "heaviest",
];
/// Words that ask for rows in an order, so that sorting is not picking.
const SORTING: [&str; 12] = [
    "order",
    "ordered",
    "sort",
    "sorted",
    "descending",
    "ascending",
    "rank",
    "ranked",
    "ranking",
    "from",
    "list",
    "first",
];

/// Reports a statement whose result cannot have the shape that is asked for.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(core) = subject.statement.outermost() else {
        return;
    };
    findings.extend(count(subject, core));
    findings.extend(limit(subject, core));
    findings.extend(names(subject, core));
}

/// Reports rows that have another shape than is asked for.
pub(super) fn check_rows(subject: &Subject<'_>, rows: &ResultSet, findings: &mut Vec<Finding>) {
    let mut say = |message: String| {
        findings.push(Finding::new(FindingKind::Shape, message, None));
    };
    if asks_for_one_number(subject) {
        let is_text = matches!(&rows.rows[..], [row] if row.iter().all(|value| matches!(value, Value::Text(_))));
        if rows.rows.len() > 1 {
            say(format!(
                "the question asks for one number, and there are {} rows",
                rows.rows.len()
            ));
        } else if is_text {
            say("the question asks for a number, and the result is a text".to_owned());
        }
    }
    if let Some(most) = most_rows(subject)
        && (rows.rows.len() as u64 > most || rows.truncated)
    {
        say(format!(
            "the question asks for {most}, and there are {} rows",
            rows.rows.len()
        ));
    }
}

/// Reports groups where one number is asked for.
///
/// Where the groups are the very things that are counted (`how many countries have ..`, grouped by country), the rewrite
/// counts them: the statement has one row for each, and nothing else was asked of it.
fn count(subject: &Subject<'_>, core: &Core<'_>) -> Option<Finding> {
    if !asks_for_one_number(subject) || core.limit.is_some() {
        return None;
    }
    let columns: Vec<&Expr<'_>> = core.outputs().map(|(_, expr)| expr).collect();
    if let [group] = core.group_by {
        let counts = |expr: &&Expr<'_>| {
            Aggregate::of(plain(expr)).is_some_and(|call| call.function == "count")
        };
        let (source, column) = core.column_of(group)?;
        let table = core.sources[source].table?;
        let is_key =
            table.primary_key.len() == 1 && column.name.eq_ignore_ascii_case(&table.primary_key[0]);
        let counted = subject.asked.counted();
        let is_counted = counted.iter().any(|noun| {
            words_of(&column.name)
                .last()
                .is_some_and(|last| last == noun)
                || (is_key && is_called(table, noun))
        });
        let rewrite =
            (is_counted && core.having.is_some() && columns.iter().any(counts)).then(|| {
                crate::prompt::GeneratedSql::new(format!(
                    "SELECT count(*) FROM ({})",
                    subject.statement.printed.text_of_all()
                ))
            });
        return Some(Finding::new(
            FindingKind::Shape,
            format!(
                "the question asks for one number, and there is a row for each {}; count them without GROUP BY or count \
                 the groups",
                column.name
            ),
            rewrite,
        ));
    }
    let is_text = |expr: &&Expr<'_>| {
        core.column_of(expr).is_some_and(|(_, column)| {
            let declared = column.declared_type.to_ascii_uppercase();
            declared.contains("CHAR") || declared.contains("TEXT")
        })
    };
    let is_listed = !columns.is_empty()
        && columns.len() == core.columns.len()
        && core.group_by.is_empty()
        && columns.iter().all(is_text);
    is_listed.then(|| {
        Finding::new(
            FindingKind::Shape,
            "the question asks how many, and the result lists them; count them".to_owned(),
            None,
        )
    })
}

/// Reports a sorted result that is not cut to the rows that are asked for. The rewrite adds the LIMIT: the order says
/// already which rows come first, and the question says how many.
fn limit(subject: &Subject<'_>, core: &Core<'_>) -> Option<Finding> {
    if core.limit.is_some() || core.order_by.is_empty() {
        return None;
    }
    let most = most_rows(subject).or_else(|| asks_for_the_best(subject).then_some(1))?;
    let has_window = core.expressions().any(|(_, expr)| match expr {
        Expr::FunctionCall { filter_over, .. } | Expr::FunctionCallStar { filter_over, .. } => {
            filter_over
                .as_ref()
                .is_some_and(|tail| tail.over_clause.is_some())
        }
        _ => false,
    });
    // Another query in WHERE or HAVING may pick the rows already.
    let picks = core
        .where_clause
        .into_iter()
        .chain(core.having)
        .flat_map(inside)
        .any(|expr| !parts(expr).1.is_empty());
    if has_window || picks {
        return None;
    }
    let text = format!("{} LIMIT {most}", subject.statement.printed.text_of_all());
    Some(Finding::new(
        FindingKind::Shape,
        format!("the question asks for {most} and all rows are sorted; add LIMIT {most}"),
        Some(crate::prompt::GeneratedSql::new(text)),
    ))
}

/// Reports a result of numbers only where names are asked for.
fn names(subject: &Subject<'_>, core: &Core<'_>) -> Option<Finding> {
    const ASKING: [&str; 8] = [
        "what are the names",
        "what is the name",
        "list the names",
        "show the names",
        "find the names",
        "find the name",
        "give the names",
        "return the names",
    ];
    if !subject.asked.says_any(&ASKING) || core.columns.is_empty() {
        return None;
    }
    let is_number = |expr: &Expr<'_>| {
        let is_counted = Aggregate::of(plain(expr)).is_some_and(|call| {
            matches!(call.function.as_str(), "count" | "sum" | "avg" | "total")
        });
        is_counted
            || core.column_of(expr).is_some_and(|(_, column)| {
                let declared = column.declared_type.to_ascii_uppercase();
                let is_declared = ["INT", "REAL", "FLOA", "DOUB", "NUM", "DEC"]
                    .iter()
                    .any(|kind| declared.contains(kind));
                is_declared
                    && column
                        .samples
                        .iter()
                        .all(|sample| sample.parse::<f64>().is_ok())
            })
    };
    let all = core.outputs().map(|(_, expr)| expr);
    let is_all_numbers =
        core.outputs().count() == core.columns.len() && all.into_iter().all(is_number);
    is_all_numbers.then(|| {
        Finding::new(
            FindingKind::Shape,
            "the question asks for names, and the result has numbers only".to_owned(),
            None,
        )
    })
}

/// Says whether the question asks for a single count: it begins with `how many` and asks for nothing else.
fn asks_for_one_number(subject: &Subject<'_>) -> bool {
    let words = &subject.asked.words;
    words.len() > 2 && words[0] == "how" && words[1] == "many" && !subject.asked.says_any(&EACH)
}

/// Returns how many rows the question asks for at most: `top 5`, `the 3 oldest`.
fn most_rows(subject: &Subject<'_>) -> Option<u64> {
    if subject
        .asked
        .says_any(&["each", "per", "every", "percent", "and"])
        || subject.evidence.question.contains('%')
    {
        return None;
    }
    subject.asked.words.windows(2).find_map(|pair| {
        let number = |word: &str| number(word).filter(|n| (1..=1000).contains(n));
        match (pair[0].as_str(), pair[1].as_str()) {
            ("top", count) => number(count),
            (count, best) if SUPERLATIVES.contains(&best) => number(count),
            _ => None,
        }
    })
}

fn number(word: &str) -> Option<u64> {
    const WORDS: [&str; 10] = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    ];
    word.parse().ok().or_else(|| {
        let at = WORDS.iter().position(|known| *known == word)?;
        Some(at as u64 + 1)
    })
}

/// Says whether the question asks for the one thing that has the most of something.
fn asks_for_the_best(subject: &Subject<'_>) -> bool {
    let asked = &subject.asked;
    let begins = asked
        .words
        .first()
        .is_some_and(|word| ["which", "what", "who", "find"].contains(&word.as_str()));
    let is_superlative = asked
        .words
        .windows(2)
        .any(|pair| SUPERLATIVES.contains(&pair[1].as_str()) && pair[0] == "the");
    let things = asked.things();
    begins
        && is_superlative
        && !asked.says_any(&EACH)
        && !asked.has_any(&SORTING)
        && !asked.says_any(&["at least", "at most", "are", "were", "have", "names"])
        && things.first().is_some_and(|noun| asked.says(noun))
        && things.iter().all(|noun| !asked.is_plural(noun))
}
