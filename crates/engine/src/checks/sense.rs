//! What SQLite takes without a word and nobody means.

use sqlite3_parser::ast::{Expr, OneSelect, ResultColumn, SortOrder};

use super::statement::{Clause, Core, JoinKind, Place, conjuncts, inside, parts, plain};
use super::{Finding, FindingKind, Subject};
use crate::guard::{decode, one_way};
use crate::linking::words_of;

/// Reports subqueries that give an outer column, tables tied to nothing, and the wrong end of an order.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for core in &subject.statement.cores {
        for (_, expr) in core.expressions() {
            findings.extend(outer_column(subject, core, expr));
        }
        findings.extend(unjoined(core));
    }
    findings.extend(wrong_order(subject));
}

/// Reports `x IN (SELECT x FROM t)` where `t` has no `x`: SQLite takes the `x` of the query around it, and the condition
/// says only whether `t` has rows.
///
/// The rewrite joins the one table that has the column and that one foreign key ties to `t`; there is no other way to
/// read it.
fn outer_column(subject: &Subject<'_>, core: &Core<'_>, expr: &Expr<'_>) -> Option<Finding> {
    let Expr::InSelect { rhs, .. } = expr else {
        return None;
    };
    let OneSelect::Select {
        columns: [ResultColumn::Expr(output, _)],
        from: Some(from),
        ..
    } = &rhs.body.select
    else {
        return None;
    };
    let Expr::Id(name) = plain(output) else {
        return None;
    };
    // A column of the subquery would be known to its own core, not to this one.
    core.column_of(output)?;
    let name = decode(name.0);
    let inner = subject
        .statement
        .cores
        .iter()
        .find(|inner| inner.from.is_some_and(|own| std::ptr::eq(own, from)))?;
    let own: Vec<(String, String)> = inner
        .sources
        .iter()
        .filter_map(|source| Some((source.name.clone(), source.table?.name.clone())))
        .collect();
    let tables: Vec<&str> = own.iter().map(|(_, table)| table.as_str()).collect();
    let message = format!(
        "{} have no column {name}, so the subquery gives that of the query around it; join the table that has it",
        tables.join(" and ")
    );
    let is_taken = |name: &str| {
        inner
            .sources
            .iter()
            .any(|source| source.name.eq_ignore_ascii_case(name))
    };
    let printed = &subject.statement.printed;
    let is_plain = own.len() == inner.sources.len() && rhs.body.compounds.is_none();
    let rewrite = one_way(&name, &name, &own, &is_taken, subject.evidence.visible)
        .filter(|_| is_plain)
        .and_then(|join| {
            let from = printed.span(from)?;
            let edits = [
                (printed.span(output)?, join.right),
                (from.end..from.end, join.join),
            ];
            Some(printed.with(&edits))
        });
    Some(Finding::new(FindingKind::OuterColumn, message, rewrite))
}

/// Reports a table that no condition ties to another, so that each of its rows stands beside each of theirs. No rewrite:
/// how it should be tied is not known.
fn unjoined(core: &Core<'_>) -> Option<Finding> {
    let is_table = |at: usize| {
        let source = &core.sources[at];
        source.table.is_some() && source.kind == JoinKind::Inner && !source.is_nested
    };
    if !core.is_certain || core.sources.len() < 2 || !(0..core.sources.len()).all(is_table) {
        return None;
    }
    let mut tied = vec![false; core.sources.len()];
    for (clause, root) in &core.roots {
        if !matches!(clause, Clause::On(_) | Clause::Where) {
            continue;
        }
        for condition in conjuncts(root) {
            let exprs = inside(condition);
            // What a subquery compares may tie tables, and which is not looked at.
            if exprs.iter().any(|expr| !parts(expr).1.is_empty()) {
                return None;
            }
            let mut named: Vec<usize> = exprs
                .iter()
                .filter_map(|expr| core.uses.iter().find(|used| std::ptr::eq(used.expr, *expr)))
                .map(|used| used.source)
                .collect();
            named.dedup();
            if named.len() > 1 {
                named.iter().for_each(|&at| tied[at] = true);
            }
        }
    }
    for pair in &core.equalities {
        if pair.left.0 != pair.right.0 {
            tied[pair.left.0] = true;
            tied[pair.right.0] = true;
        }
    }
    // A few rows set beside others on purpose are values; a table is one only if it has a single row.
    let alone = (0..tied.len()).find(|&at| {
        let rows = core.sources[at].table.and_then(|table| table.row_count);
        !tied[at] && rows != Some(1)
    })?;
    Some(Finding::new(
        FindingKind::UnjoinedTable,
        format!(
            "{} is in FROM and no condition ties it to another table; join it by its key or leave it out",
            core.sources[alone].name
        ),
        None,
    ))
}

/// Reports the oldest of an order by year of birth that begins with the latest, and the like.
///
/// The rewrite turns the direction. It is made only where the question has one such word and there is one term, and only
/// for ages and births, whose direction cannot be meant otherwise.
fn wrong_order(subject: &Subject<'_>) -> Option<Finding> {
    let core = subject.statement.outermost()?;
    let [term] = core.order_by else {
        return None;
    };
    core.limit?;
    let (_, column) = core.column_of(&term.expr)?;
    let asked = &subject.asked;
    let is_old = match (asked.says("oldest"), asked.says("youngest")) {
        (true, false) => true,
        (false, true) => false,
        _ => return None,
    };
    let words = words_of(&column.name);
    let has = |names: &[&str]| words.iter().any(|word| names.contains(&word.as_str()));
    let is_birth = has(&["birth", "birthday", "birthdate", "birthyear", "born", "dob"]);
    if core.place != Place::Outermost || is_birth == has(&["age"]) {
        return None;
    }
    let is_descending = term.order == Some(SortOrder::Desc);
    // The oldest have the highest age and the lowest year of birth.
    if is_descending == (is_old != is_birth) {
        return None;
    }
    let printed = &subject.statement.printed;
    let span = printed.span(&term.expr)?;
    let whole = printed.span(term)?;
    let direction = if is_descending { "ASC" } else { "DESC" };
    let word = if is_old { "oldest" } else { "youngest" };
    let text = format!("{} {direction}", printed.text_of(span));
    Some(Finding::new(
        FindingKind::WrongOrder,
        format!(
            "the {word} come first if {} is sorted {direction}",
            column.name
        ),
        (term.nulls.is_none()).then(|| printed.with(&[(whole, text)])),
    ))
}
