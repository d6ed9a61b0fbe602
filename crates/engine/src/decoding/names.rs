//! What may be named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::policy::VisibleSchema;
use crate::schema::TableKind;

/// The tables and columns that a statement may name, in small letters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Names {
    tables: BTreeMap<String, BTreeSet<String>>,
    /// The columns of all tables.
    columns: BTreeSet<String>,
}

impl Names {
    /// Returns the names of a schema, hidden ones left out as they are there.
    pub fn of(visible: &VisibleSchema) -> Arc<Self> {
        let tables = visible.tables().iter().map(|table| {
            let columns = table.columns.iter().map(|column| column.name.as_str());
            // A full-text index has a column of its own name, and one of how well a row matches.
            let own = [table.name.as_str(), "rank"];
            let own = own.into_iter().filter(|_| table.kind == TableKind::Virtual);
            (table.name.as_str(), columns.chain(own).collect())
        });
        Arc::new(Self::new(tables))
    }

    /// Takes tables with their columns.
    pub fn new<'t>(tables: impl IntoIterator<Item = (&'t str, Vec<&'t str>)>) -> Self {
        let tables = tables.into_iter().map(|(name, columns)| {
            let columns = columns.into_iter().map(str::to_lowercase);
            (name.to_lowercase(), columns.collect())
        });
        let tables: BTreeMap<String, BTreeSet<String>> = tables.collect();
        Self {
            columns: tables.values().flatten().cloned().collect(),
            tables,
        }
    }

    /// Returns every name, each once.
    pub(super) fn all(&self) -> BTreeSet<&str> {
        let all = self.tables.keys().chain(&self.columns);
        all.map(String::as_str).collect()
    }

    /// Returns the columns of a table.
    pub(super) fn table(&self, name: &str) -> Option<&BTreeSet<String>> {
        self.tables.get(name)
    }

    /// Says whether any table has this column.
    pub(super) fn has_column(&self, name: &str) -> bool {
        self.columns.contains(name)
    }

    /// Says whether any table has all these columns, and others that fit.
    pub(super) fn has_table_with(
        &self,
        named: &[&str],
        fits: impl Fn(&BTreeSet<String>) -> bool,
    ) -> bool {
        self.tables
            .values()
            .any(|columns| named.iter().all(|column| columns.contains(*column)) && fits(columns))
    }

    /// Says whether the name of any column begins like this.
    pub(super) fn begins_column(&self, beginning: &str) -> bool {
        begins(&self.columns, beginning)
    }

    /// Says whether the name of any table begins like this.
    pub(super) fn begins_table(&self, beginning: &str) -> bool {
        let mut after = self.tables.range(beginning.to_owned()..);
        after
            .next()
            .is_some_and(|(name, _)| name.starts_with(beginning))
    }
}

/// Says whether any of these names begins like this.
pub(super) fn begins(names: &BTreeSet<String>, beginning: &str) -> bool {
    let mut after = names.range(beginning.to_owned()..);
    after.next().is_some_and(|name| name.starts_with(beginning))
}
