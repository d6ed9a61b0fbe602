//! Keeps terms from those who may not see what the terms are about.

use super::mentions::{places_of, words};
use crate::accounts::Actor;
use crate::error::Error;
use crate::policy::{Visibility, VisibleSchema};
use crate::ports::AskPorts;
use crate::schema::Schema;

/// The names of the tables and columns that someone may not see, to be looked for in prose.
///
/// Prose is no SQL: which column a word means cannot be resolved. So a text that has a hidden name as whole words is
/// taken to mean it, unless a table that may be seen has a column of that name too; then only a text that also names the
/// table that hides it. This keeps back more than it must, never less.
#[derive(Debug, Default)]
pub struct HiddenNames {
    names: Vec<Vec<String>>,
    /// Columns whose name may be seen elsewhere, with their table.
    columns: Vec<(Vec<String>, Vec<String>)>,
}

impl HiddenNames {
    /// Returns what a schema has and its visible part has not.
    pub fn between(schema: &Schema, visible: &VisibleSchema) -> Self {
        let mut hidden = Self::default();
        let is_visible = |column: &str| {
            let mut tables = visible.tables().iter();
            tables.any(|table| table.column(column).is_some())
        };
        for table in &schema.tables {
            let shown = visible.table(&table.name);
            if shown.is_none() {
                hidden.names.push(words(&table.name));
            }
            for column in &table.columns {
                if shown.is_some_and(|shown| shown.column(&column.name).is_some()) {
                    continue;
                }
                if is_visible(&column.name) {
                    let place = (words(&table.name), words(&column.name));
                    hidden.columns.push(place);
                } else {
                    hidden.names.push(words(&column.name));
                }
            }
        }
        hidden
    }

    /// Returns what is hidden from an actor, as far as it is known: without a target, what policies name.
    ///
    /// # Errors
    ///
    /// [`crate::Code::SystemStoreDown`].
    pub async fn from(ports: &AskPorts, actor: &Actor) -> Result<Self, Error> {
        let visibility = ports.store.visibility(actor.role).await?;
        if visibility == Visibility::everything() {
            return Ok(Self::default());
        }
        let mut hidden = Self::default();
        if let Ok(target) = ports.target.current().await {
            let schema = target.schema();
            hidden = Self::between(schema, &ports.known.visible(schema, &visibility));
        } else {
            for name in visibility.hidden_names() {
                hidden.names.push(match name.rsplit_once('.') {
                    Some((_, column)) => words(column),
                    None => words(name),
                });
            }
        }
        Ok(hidden)
    }

    /// Says whether any of these texts, which belong together, names something hidden.
    pub fn are_in<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> bool {
        if self.names.is_empty() && self.columns.is_empty() {
            return false;
        }
        let texts: Vec<Vec<String>> = texts.into_iter().map(words).collect();
        let holds = |name: &Vec<String>| texts.iter().any(|text| !places_of(text, name).is_empty());
        self.names.iter().any(holds)
            || self
                .columns
                .iter()
                .any(|(table, column)| holds(table) && holds(column))
    }
}
