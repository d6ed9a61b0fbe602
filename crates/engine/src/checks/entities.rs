//! Tables that the question names by their whole name and the statement does not read.

use std::collections::BTreeSet;

use super::{Finding, FindingKind, Subject};
use crate::linking::{likeness, says_nothing, words_of};
use crate::schema::Table;

/// Reports a table that the question names, unless something that is read stands for it: a foreign key to it, a view
/// over it, or a table or column with a name like its own. No rewrite: how it is joined decides what is counted.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let sources = subject
        .statement
        .cores
        .iter()
        .flat_map(|core| &core.sources);
    let read: Vec<&Table> = sources.filter_map(|source| source.table).collect();
    if read.is_empty() {
        return;
    }
    let known: BTreeSet<String> = read
        .iter()
        .flat_map(|table| {
            let columns = table
                .columns
                .iter()
                .flat_map(|column| words_of(&column.name));
            words_of(&table.name).into_iter().chain(columns)
        })
        .collect();
    let is_known = |word: &String| known.iter().any(|own| likeness(word, own) > 0.0);
    let visible = subject.evidence.visible;
    for table in visible.tables() {
        let name = words_of(&table.name);
        let is_named = !name.is_empty()
            && name.iter().any(|word| !says_nothing(word))
            && subject
                .asked
                .words
                .windows(name.len())
                .any(|part| part == name);
        if is_named && !stands_for(&read, table) && !name.iter().all(is_known) {
            findings.push(Finding::new(
                FindingKind::TableNotRead,
                format!(
                    "the question names {0}, and the SQL does not read it; join {0} if its rows decide the answer",
                    table.name
                ),
                None,
            ));
        }
    }
}

/// Says whether one of these tables is this one, refers to it, or is a view over it.
fn stands_for(read: &[&Table], table: &Table) -> bool {
    let is_it = |name: &String| name.eq_ignore_ascii_case(&table.name);
    read.iter().any(|own| {
        is_it(&own.name)
            || own.reads.iter().any(|column| is_it(&column.table))
            || own.foreign_keys.iter().any(|key| is_it(&key.table))
    })
}
