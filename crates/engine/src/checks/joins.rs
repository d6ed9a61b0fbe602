//! Joins of which nothing is used, and joins that make an aggregate count a row several times.

use std::ops::Range;

use sqlite3_parser::ast::{Expr, JoinConstraint};
use sqlite3_parser::lexer::sql::TokenType;

use super::asked::{is_called, telling_words};
use super::statement::{
    Aggregate, Clause, Core, Equality, JoinKind, Place, conjuncts, inside, is_key, is_never_null,
};
use super::{Finding, FindingKind, Subject};
use crate::guard::quoted;
use crate::linking::words_of;
use crate::prompt::GeneratedSql;
use crate::schema::{ForeignKey, Table};

/// Words after which a question says what the rows must have, in words that no name may explain.
const REQUIRING: [&str; 13] = [
    "who", "that", "whose", "have", "has", "had", "having", "with", "without", "any", "ever",
    "never", "at least",
];

/// Reports tables that are joined by a foreign key and of which nothing else is used.
///
/// The parent of a row that must have one adds nothing and takes nothing away: dropping it keeps the rows. A child
/// repeats the rows of its parent and drops those without one; that is what was asked only if some word of the question
/// means the child, so it is dropped if none does: no word of its name, of its own columns or of its values, and
/// nothing else that could (`customers who bought something` may well mean orders).
pub(super) fn check_unused(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for core in &subject.statement.cores {
        if !core.is_certain || core.has_star {
            continue;
        }
        for unused in 0..core.sources.len() {
            for other in 0..core.sources.len() {
                let found = (unused != other)
                    .then(|| unused_join(subject, core, unused, other))
                    .flatten();
                if let Some(finding) = found {
                    findings.push(finding);
                    break;
                }
            }
        }
    }
}

fn unused_join(
    subject: &Subject<'_>,
    core: &Core<'_>,
    unused: usize,
    other: usize,
) -> Option<Finding> {
    let source = &core.sources[unused];
    let table = source.table?;
    let other_table = core.sources[other].table?;
    if source.is_nested || source.is_starred || core.sources[other].kind != JoinKind::Inner {
        return None;
    }
    let as_parent = core.key_between(other, unused);
    let as_child = core.key_between(unused, other);
    let key = as_parent.or(as_child)?;
    let joining: Vec<&Equality<'_>> = core
        .equalities
        .iter()
        .filter(|pair| joins_by(pair, key, (unused, other), as_parent.is_some()))
        .collect();
    let is_used = core
        .uses
        .iter()
        .filter(|used| used.source == unused)
        .any(|used| {
            !joining.iter().any(|pair| {
                pair.expr
                    .is_some_and(|expr| inside(expr).iter().any(|e| std::ptr::eq(*e, used.expr)))
            })
        });
    if is_used {
        return None;
    }
    let others: Vec<&Table> = core
        .sources
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != unused)
        .filter_map(|(_, source)| source.table)
        .collect();
    let telling = telling_words(table, &others);
    if telling.iter().any(|word| subject.asked.touches(word)) {
        return None;
    }
    let is_harmless = if as_parent.is_some() {
        let referenced: Vec<&str> = key.referenced.iter().map(String::as_str).collect();
        let is_kept = key
            .columns
            .iter()
            .all(|name| other_table.column(name).is_some_and(is_never_null));
        if !is_key(table, &referenced) || !(is_kept || source.kind == JoinKind::Left) {
            return None;
        }
        true
    } else {
        if telling.is_empty() || is_meant(subject, table, &others) || core.place == Place::Inner {
            return None;
        }
        let all = subject
            .statement
            .cores
            .iter()
            .flat_map(|core| &core.sources);
        let tables = all
            .filter_map(|source| source.table)
            .filter(|other| other.name != table.name);
        let is_explained = subject
            .asked
            .unexplained(tables, subject.evidence.stored)
            .is_empty();
        // Rows of the child are what an aggregate counts, unless no word is left that could ask for it.
        let is_counted = core.aggregates().next().is_some();
        if is_counted && (!is_explained || !core.group_by.is_empty()) {
            return None;
        }
        is_explained || !subject.asked.says_any(&REQUIRING)
    };
    let rewrite = is_harmless
        .then(|| without(subject, core, unused, &joining))
        .flatten();
    if as_parent.is_some() && rewrite.is_none() {
        return None;
    }
    let name = &table.name;
    let message = if as_parent.is_some() {
        format!("{name} is joined and nothing of it is used; leave it out")
    } else {
        format!(
            "{name} is joined and nothing of it is used, so rows of {} are repeated or dropped; leave it out unless \
             the question means it",
            other_table.name
        )
    };
    Some(Finding::new(FindingKind::UnusedJoin, message, rewrite))
}

/// Says whether an equality is one of those that join two sources by a key.
fn joins_by(
    pair: &Equality<'_>,
    key: &ForeignKey,
    (unused, other): (usize, usize),
    is_parent: bool,
) -> bool {
    let (child, parent) = if is_parent {
        (other, unused)
    } else {
        (unused, other)
    };
    key.columns
        .iter()
        .zip(&key.referenced)
        .any(|(own, referred)| {
            let is = |(source, column): (usize, &crate::schema::Column), at: usize, name: &str| {
                source == at && column.name.eq_ignore_ascii_case(name)
            };
            (is(pair.left, child, own) && is(pair.right, parent, referred))
                || (is(pair.right, child, own) && is(pair.left, parent, referred))
        })
}

/// Says whether the question may mean a table although it does not name it: by a column that only it has, or a value.
fn is_meant(subject: &Subject<'_>, table: &Table, others: &[&Table]) -> bool {
    let known: Vec<String> = others
        .iter()
        .flat_map(|other| {
            let columns = other
                .columns
                .iter()
                .flat_map(|column| words_of(&column.name));
            columns.chain(words_of(&other.name))
        })
        .collect();
    let by_column = table
        .columns
        .iter()
        .flat_map(|column| words_of(&column.name))
        .filter(|word| !known.contains(word) && word != "id")
        .any(|word| subject.asked.touches(&word));
    let by_value = subject
        .evidence
        .stored
        .iter()
        .any(|value| value.table.eq_ignore_ascii_case(&table.name));
    by_column || by_value
}

/// Prints the statement without one source and the conditions that join it. `None` if its place in the FROM clause does
/// not allow it.
fn without(
    subject: &Subject<'_>,
    core: &Core<'_>,
    unused: usize,
    joining: &[&Equality<'_>],
) -> Option<GeneratedSql> {
    let printed = &subject.statement.printed;
    let from = core.from?;
    let joins = from.joins.as_deref().unwrap_or_default();
    let source = &core.sources[unused];
    let number = source.join.unwrap_or(0);
    let join = joins.get(number)?;
    let is_joining = |expr: &Expr<'_>| {
        joining
            .iter()
            .any(|pair| pair.expr.is_some_and(|own| std::ptr::eq(own, expr)))
    };
    match &join.constraint {
        None => {}
        Some(JoinConstraint::On(condition)) if conjuncts(condition).into_iter().all(is_joining) => {
        }
        Some(JoinConstraint::Using(names))
            if names.len() == joining.iter().filter(|pair| pair.expr.is_none()).count() => {}
        Some(_) => return None,
    }
    // Every condition goes with the join that is left out, or stands in WHERE.
    let is_reachable = |pair: &&&Equality<'_>| {
        matches!(pair.clause, Clause::Where) || pair.clause == Clause::On(number)
    };
    if !joining.iter().all(|pair| is_reachable(&pair)) {
        return None;
    }
    let mut edits = Vec::new();
    let join_span = printed.span(join)?;
    if source.join.is_some() {
        edits.push((join_span, String::new()));
    } else {
        let is_left = core
            .sources
            .iter()
            .any(|other| other.join == Some(0) && other.kind == JoinKind::Left);
        if is_left || core.sources.iter().any(|other| other.is_nested) {
            return None;
        }
        let table = printed.span(&join.table)?;
        let first = printed.span(from.select?)?;
        edits.push((first.start..table.start, String::new()));
        edits.push((table.end..join_span.end, String::new()));
    }
    let in_where: Vec<&Expr<'_>> = joining
        .iter()
        .filter(|pair| pair.clause == Clause::Where)
        .filter_map(|pair| pair.expr)
        .collect();
    if !in_where.is_empty() {
        edits.push(without_conditions(subject, core, &in_where)?);
    }
    Some(printed.with(&edits))
}

/// Returns the edit that takes some of the conditions that AND joins out of WHERE.
pub(super) fn without_conditions(
    subject: &Subject<'_>,
    core: &Core<'_>,
    dropped: &[&Expr<'_>],
) -> Option<(Range<usize>, String)> {
    let printed = &subject.statement.printed;
    let clause = core.where_clause?;
    let whole = printed.span(clause)?;
    let mut kept = Vec::new();
    for condition in conjuncts(clause) {
        if !dropped.iter().any(|other| std::ptr::eq(*other, condition)) {
            kept.push(printed.text_of(printed.span(condition)?));
        }
    }
    if !kept.is_empty() {
        return Some((whole, kept.join(" AND ")));
    }
    let keyword = whole.start.checked_sub(1)?;
    printed
        .is(keyword, TokenType::TK_WHERE)
        .then_some((keyword..whole.end, String::new()))
}

/// Reports aggregates over columns of a table whose rows a join repeats.
///
/// Only `count(key)` has a certain correction, and only where the question counts rows of that very table:
/// `count(DISTINCT key)` counts each once. For sums and averages there is none: an average over visits weighs a patient
/// by visits, which may be what is meant.
pub(super) fn check_fan_out(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for core in subject
        .statement
        .cores
        .iter()
        .filter(|core| core.is_certain)
    {
        for call in core.aggregates() {
            findings.extend(fan_out(subject, core, &call));
        }
    }
}

fn fan_out(subject: &Subject<'_>, core: &Core<'_>, call: &Aggregate<'_>) -> Option<Finding> {
    let argument = call.argument.filter(|_| !call.is_distinct)?;
    if !matches!(call.function.as_str(), "sum" | "avg" | "total" | "count") {
        return None;
    }
    let mut used = inside(argument)
        .into_iter()
        .filter_map(|expr| core.uses.iter().find(|used| std::ptr::eq(used.expr, expr)));
    let first = used.next()?;
    if used.any(|other| other.source != first.source) {
        return None;
    }
    let repeated = core.sources[first.source].table?;
    let (child, key) = (0..core.sources.len()).find_map(|child| {
        let key = core.key_between(child, first.source)?;
        is_many(core, child, key).then_some((core.sources[child].table?, key))
    })?;
    // Who asks for the sales of cars takes the cost of the car with each sale.
    let is_asked_for = telling_words(child, &[repeated])
        .iter()
        .any(|word| subject.asked.touches(word));
    if call.function != "count" && is_asked_for {
        return None;
    }
    let is_grouped_by_it = core.group_by.iter().any(|expr| {
        core.column_of(expr)
            .is_some_and(|(at, _)| at == first.source)
    });
    let mut rewrite = None;
    if call.function == "count" {
        let counted = subject.asked.counted();
        let is_counted = counted.iter().any(|noun| is_called(repeated, noun))
            && !counted.iter().any(|noun| is_called(child, noun));
        if !is_counted || is_grouped_by_it {
            return None;
        }
        let is_its_key = core
            .column_of(argument)
            .is_some_and(|(_, column)| is_key(repeated, &[&column.name]));
        let span = subject.statement.printed.span(argument);
        if let Some(span) = span.filter(|_| is_its_key) {
            let edit = (span.start..span.start, "DISTINCT".to_owned());
            rewrite = Some(subject.statement.printed.with(&[edit]));
        }
    }
    let message = format!(
        "{} is taken over {}, whose rows are repeated for each row of {} joined by {}; take it before the join or count \
         distinct keys",
        call.function.to_uppercase(),
        repeated.name,
        child.name,
        quoted(&key.columns.join(", "))
    );
    Some(Finding::new(FindingKind::FanOut, message, rewrite))
}

/// Says whether several rows of a child may stand beside one row of its parent.
fn is_many(core: &Core<'_>, child: usize, key: &ForeignKey) -> bool {
    let Some(table) = core.sources[child].table else {
        return false;
    };
    // A column that must equal a constant or another table's column no longer tells rows apart.
    let mut fixed: Vec<&str> = key.columns.iter().map(String::as_str).collect();
    for pair in &core.equalities {
        for (source, column) in [pair.left, pair.right] {
            if source == child {
                fixed.push(&column.name);
            }
        }
    }
    for (clause, expr) in &core.roots {
        if !matches!(clause, Clause::On(_) | Clause::Where) {
            continue;
        }
        for condition in conjuncts(expr) {
            if let Expr::Binary(left, sqlite3_parser::ast::Operator::Equals, right) = condition
                && let Some((source, column)) = core.column_of(left)
                && source == child
                && matches!(&**right, Expr::Literal(_))
            {
                fixed.push(&column.name);
            }
        }
    }
    let grouped: Vec<&str> = core
        .group_by
        .iter()
        .filter_map(|expr| core.column_of(expr))
        .filter(|(source, _)| *source == child)
        .map(|(_, column)| column.name.as_str())
        .collect();
    !is_key(table, &fixed) && !is_key(table, &grouped)
}
