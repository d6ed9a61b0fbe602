//! Keys in the result where the question asks for what they stand for.

use super::asked::{is_called, label_of};
use super::statement::{Core, JoinKind, Place};
use super::{Finding, FindingKind, Subject};
use crate::guard::quoted;
use crate::linking::words_of;
use crate::prompt::GeneratedSql;
use crate::schema::{Column, Table};

/// Reports columns of the result that are a key to a table, or its own key, where the question asks for "which <rows of
/// that table>" and says nothing of keys.
///
/// The rewrite puts the table's label in the key's place: the column itself where the table is in FROM, else a scalar
/// subquery. Neither changes which rows there are or how they are grouped and sorted, only how each is named; a table
/// without exactly one evident label is left alone.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let Some(core) = subject.statement.outermost() else {
        findings.extend(of_compound(subject));
        return;
    };
    if !core.is_certain || core.has_star || subject.asked.wants_a_key() {
        return;
    }
    let things = subject.asked.things();
    let is_who = subject
        .asked
        .words
        .first()
        .is_some_and(|word| word == "who");
    for (_, expr) in core.outputs() {
        let Some((source, column)) = core.column_of(expr) else {
            continue;
        };
        let joined = joined_by(core, source, column);
        let referred = referred(subject, core, source, column);
        let Some((meant, key)) =
            referred.or(joined.and_then(|at| Some((core.sources[at].table?, None))))
        else {
            continue;
        };
        let is_asked = things.iter().any(|noun| is_called(meant, noun))
            || (is_who && things.is_empty() && core.columns.len() == 1);
        let Some(label) = label_of(meant).filter(|_| is_asked) else {
            continue;
        };
        if is_key_of(meant, key, label)
            || is_named(subject, column, meant)
            || shows(core, meant, label)
        {
            continue;
        }
        let message = format!(
            "the result has {}.{}, a key; the question asks for {}, so show {}.{} instead",
            quoted(&core.sources[source].name),
            quoted(&column.name),
            meant.name,
            quoted(&meant.name),
            quoted(&label.name)
        );
        let text = match joined.filter(|&at| is_source_of(core, at, meant)) {
            Some(at) => format!("{}.{}", quoted(&core.sources[at].name), quoted(&label.name)),
            None => named(core, source, column, meant, label, key),
        };
        let span = subject.statement.printed.span(expr);
        let rewrite = span.map(|span| subject.statement.printed.with(&[(span, text)]));
        findings.push(Finding::new(
            FindingKind::KeyInsteadOfName,
            message,
            rewrite,
        ));
    }
}

/// Returns the source whose primary key a condition makes equal to the column, declared to be a reference or not.
fn joined_by(core: &Core<'_>, source: usize, column: &Column) -> Option<usize> {
    let is_it = |(at, own): (usize, &Column)| at == source && own.name == column.name;
    core.equalities.iter().find_map(|pair| {
        let (at, own) = match (is_it(pair.left), is_it(pair.right)) {
            (true, false) => pair.right,
            (false, true) => pair.left,
            _ => return None,
        };
        let key = &core.sources[at].table?.primary_key;
        let is_key = matches!(&key[..], [name] if name.eq_ignore_ascii_case(&own.name));
        (is_key && core.sources[at].kind == JoinKind::Inner).then_some(at)
    })
}

/// Says whether the label is the very column that identifies a row, so that the key shows it already.
fn is_key_of(meant: &Table, key: Option<&str>, label: &Column) -> bool {
    let own = meant.primary_key.first().map(String::as_str);
    key.or(own)
        .is_some_and(|name| name.eq_ignore_ascii_case(&label.name))
}

fn is_source_of(core: &Core<'_>, at: usize, table: &Table) -> bool {
    core.sources[at]
        .table
        .is_some_and(|own| own.name == table.name)
}

/// Reports a compound of keys. The rewrite shows the labels of the rows that have one of these keys: the parts are
/// compared by key as before, and a key stands for one row.
fn of_compound(subject: &Subject<'_>) -> Option<Finding> {
    let first = subject.statement.cores.first()?;
    let parts = || {
        let cores = subject.statement.cores.iter();
        cores.filter(|core| core.place == Place::Part)
    };
    let is_simple = |core: &Core<'_>| core.columns.len() == 1 && !core.has_star;
    if first.place != Place::Part
        || !subject.statement.is_plain_compound
        || !first.is_certain
        || !parts().all(is_simple)
        || subject.asked.wants_a_key()
    {
        return None;
    }
    let (_, expr) = first.outputs().next()?;
    let (source, column) = first.column_of(expr)?;
    let (meant, key) = referred(subject, first, source, column)?;
    let label = label_of(meant)?;
    let things = subject.asked.things();
    if !things.iter().any(|noun| is_called(meant, noun))
        || is_key_of(meant, key, label)
        || is_named(subject, column, meant)
    {
        return None;
    }
    let text = format!(
        "SELECT {} FROM {} WHERE {} IN ({})",
        quoted(&label.name),
        quoted(&meant.name),
        quoted(key.unwrap_or(&column.name)),
        subject.statement.printed.text_of_all()
    );
    Some(Finding::new(
        FindingKind::KeyInsteadOfName,
        format!(
            "the result has {}, a key; the question asks for {}, so show {}.{} instead",
            quoted(&column.name),
            meant.name,
            quoted(&meant.name),
            quoted(&label.name)
        ),
        Some(GeneratedSql::new(text)),
    ))
}

/// Returns the table whose rows a column identifies, with the column referred to; that of a foreign key before its own.
fn referred<'a>(
    subject: &Subject<'a>,
    core: &Core<'a>,
    source: usize,
    column: &Column,
) -> Option<(&'a Table, Option<&'a str>)> {
    let table = core.sources[source].table?;
    let is_it =
        |names: &[String]| matches!(names, [name] if name.eq_ignore_ascii_case(&column.name));
    let key = table.foreign_keys.iter().find(|key| is_it(&key.columns));
    if let Some(key) = key
        && let [referred] = &key.referenced[..]
    {
        let parent = subject.evidence.visible.table(&key.table)?;
        return Some((parent, Some(referred.as_str())));
    }
    is_it(&table.primary_key).then_some((table, None))
}

/// Says whether the question names the column itself, by a word that the table does not have in its name.
fn is_named(subject: &Subject<'_>, column: &Column, meant: &Table) -> bool {
    let own = words_of(&meant.name);
    words_of(&column.name)
        .iter()
        .filter(|word| !own.contains(word))
        .any(|word| subject.asked.words.contains(word))
}

/// Says whether the result has the label already.
fn shows(core: &Core<'_>, meant: &Table, label: &Column) -> bool {
    core.sources.iter().any(|source| source.is_starred)
        || core.outputs().any(|(_, expr)| {
            core.column_of(expr).is_some_and(|(source, column)| {
                column.name.eq_ignore_ascii_case(&label.name)
                    && core.sources[source]
                        .table
                        .is_some_and(|table| table.name == meant.name)
            })
        })
}

/// Writes the label of the row that the key of `source` identifies.
fn named(
    core: &Core<'_>,
    source: usize,
    column: &Column,
    meant: &Table,
    label: &Column,
    key: Option<&str>,
) -> String {
    let of = |alias: &str, column: &str| format!("{}.{}", quoted(alias), quoted(column));
    let Some(key) = key else {
        return of(&core.sources[source].name, &label.name);
    };
    let is_taken = |name: &str| {
        core.sources
            .iter()
            .any(|source| source.name.eq_ignore_ascii_case(name))
    };
    let mut alias = meant.name.clone();
    while is_taken(&alias) {
        alias.push_str("_named");
    }
    let renamed = if alias == meant.name {
        String::new()
    } else {
        format!(" AS {}", quoted(&alias))
    };
    format!(
        "(SELECT {} FROM {}{renamed} WHERE {} = {})",
        of(&alias, &label.name),
        quoted(&meant.name),
        of(&alias, key),
        of(&core.sources[source].name, &column.name)
    )
}
