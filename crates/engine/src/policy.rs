//! Roles and visibility: what an actor may name. [`VisibleSchema`] is the only source of names from the moment a
//! question is accepted; the prompt, the guard and the engine's authorizer all read this one object.

mod acts;

pub use acts::{ListedPolicy, create, delete, list};

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::linking::Lexicon;
use crate::ontology::HiddenNames;
use crate::prompt::SendValues;
use crate::schema::{Schema, Table, TableKind};

/// What a person may do. Ordered: each role may do all that the one before may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Asks questions and sees own history.
    Viewer,
    /// Also runs own SQL.
    Analyst,
    /// Also administers.
    Admin,
}

impl Role {
    /// Returns the role as stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Analyst => "analyst",
            Role::Admin => "admin",
        }
    }

    /// Returns the role of this stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Role::Viewer, Role::Analyst, Role::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

/// A rule that hides a table or a column from a role and every role below it. What no policy hides is visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPolicy {
    /// The highest role that it is hidden from.
    pub role: Role,
    /// The table or view.
    pub table_name: String,
    /// The column; `None` hides the whole table.
    pub column_name: Option<String>,
}

/// A policy as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Policy {
    /// The identifier.
    pub id: i64,
    /// The highest role that it is hidden from.
    pub role: Role,
    /// The table or view.
    pub table_name: String,
    /// The column; null hides the whole table.
    pub column_name: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Policy {
    /// Returns the name that it hides, as [`Visibility::hiding`] takes it.
    pub fn hidden_name(&self) -> String {
        match &self.column_name {
            Some(column) => format!("{}.{column}", self.table_name),
            None => self.table_name.clone(),
        }
    }
}

/// What is hidden from someone: whole tables (`"people"`) and single columns (`"people.salary"`), in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visibility {
    hidden: BTreeSet<String>,
}

impl Visibility {
    /// Nothing is hidden.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Hides the tables (`"people"`) and columns (`"people.salary"`) named.
    pub fn hiding<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        Self {
            hidden: names
                .into_iter()
                .map(|name| name.as_ref().to_ascii_lowercase())
                .collect(),
        }
    }

    /// Returns the names that are hidden, in lower case: `people`, `people.salary`.
    pub fn hidden_names(&self) -> impl Iterator<Item = &str> {
        self.hidden.iter().map(String::as_str)
    }

    fn hides_table(&self, table: &str) -> bool {
        self.hidden.contains(&table.to_ascii_lowercase())
    }

    fn hides_column(&self, table: &str, column: &str) -> bool {
        self.hides_table(table)
            || self
                .hidden
                .contains(&format!("{table}.{column}").to_ascii_lowercase())
    }
}

/// The part of a schema that one actor may name.
///
/// A view that reads anything hidden is hidden itself: SQLite reports the reader of a base column by a name that a
/// common table expression can forge (`WITH pub AS (SELECT salary FROM people) SELECT * FROM pub`), so "reached
/// through a view" can never be a reason to allow.
#[derive(Debug, Clone)]
pub struct VisibleSchema {
    tables: Vec<Table>,
    by_name: HashMap<String, usize>,
    partly_hidden: BTreeSet<String>,
    hash: String,
    schema_fingerprint: String,
    texts: [OnceLock<String>; 3],
    lexicon: OnceLock<Lexicon>,
}

impl VisibleSchema {
    /// Cuts `schema` down to what `visibility` leaves.
    pub fn new(schema: &Schema, visibility: &Visibility) -> Arc<Self> {
        let mut partly_hidden = BTreeSet::new();
        let mut tables: Vec<Table> = Vec::new();
        for table in &schema.tables {
            let reads_hidden = table
                .reads
                .iter()
                .any(|read| visibility.hides_column(&read.table, &read.column));
            if reads_hidden || visibility.hides_table(&table.name) {
                continue;
            }
            let mut visible = table.clone();
            visible
                .columns
                .retain(|column| !visibility.hides_column(&table.name, &column.name));
            if visible.columns.is_empty() {
                continue;
            }
            if visible.columns.len() < table.columns.len() {
                partly_hidden.insert(table.name.to_ascii_lowercase());
            }
            tables.push(visible);
        }
        let names: BTreeSet<String> = tables
            .iter()
            .map(|table| table.name.to_ascii_lowercase())
            .collect();
        for table in &mut tables {
            let own = table.clone();
            table.foreign_keys.retain(|key| {
                names.contains(&key.table.to_ascii_lowercase())
                    && key
                        .columns
                        .iter()
                        .all(|column| own.column(column).is_some())
                    && key
                        .referenced
                        .iter()
                        .all(|column| !visibility.hides_column(&key.table, column))
            });
            table.primary_key.retain(|name| own.column(name).is_some());
            // Stored DDL may name what is hidden in a reference, a check or a comment. A visible view reads nothing
            // hidden, so its text may stay.
            if visibility != &Visibility::everything() && table.kind != TableKind::View {
                table.ddl = ddl_of(table);
            }
        }
        let by_name = tables
            .iter()
            .enumerate()
            .map(|(index, table)| (table.name.to_ascii_lowercase(), index))
            .collect();
        let mut hasher = blake3::Hasher::new();
        for table in &tables {
            hasher.update(table.name.as_bytes());
            hasher.update(b"(");
            for column in &table.columns {
                hasher.update(column.name.as_bytes());
                hasher.update(b",");
            }
            hasher.update(b")");
        }
        let schema_fingerprint = schema.fingerprint();
        hasher.update(schema_fingerprint.as_bytes());
        let mut visible = Self {
            tables,
            by_name,
            partly_hidden,
            hash: hasher.finalize().to_hex().to_string(),
            schema_fingerprint,
            texts: Default::default(),
            lexicon: OnceLock::new(),
        };
        if visibility != &Visibility::everything() {
            let hidden = HiddenNames::between(schema, &visible);
            let columns = visible
                .tables
                .iter_mut()
                .flat_map(|table| &mut table.columns);
            for column in columns {
                column.description = column
                    .description
                    .take()
                    .filter(|text| !hidden.are_in([text.as_str()]));
            }
        }
        Arc::new(visible)
    }

    /// Returns every table and view that may be named, each with its visible columns only.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Returns the table or view of this name if it may be named; names compare without regard to ASCII case.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.by_name
            .get(&name.to_ascii_lowercase())
            .map(|&index| &self.tables[index])
    }

    /// Says whether this column of this table may be read.
    ///
    /// An empty `column` asks about the table as such, as SQLite does for `count(*)`. A rowid is readable under its
    /// three names only where the whole table is visible, because it may be the key that is hidden.
    pub fn may_read(&self, table: &str, column: &str) -> bool {
        let Some(found) = self.table(table) else {
            return false;
        };
        if column.is_empty() || found.column(column).is_some() {
            return true;
        }
        // A full-text table has columns that it does not list: one of its own name, for MATCH, `rank` or `docid`.
        // What they say depends on all listed ones.
        let unlisted: &[&str] = if found.kind == TableKind::Virtual {
            &["rowid", "oid", "_rowid_", "rank", "docid", &found.name]
        } else {
            &["rowid", "oid", "_rowid_"]
        };
        unlisted
            .iter()
            .any(|name| name.eq_ignore_ascii_case(column))
            && !self.has_hidden_columns(table)
    }

    /// Says whether some columns of this visible table are hidden, so that `*` means less than SQLite would read.
    pub fn has_hidden_columns(&self, table: &str) -> bool {
        self.partly_hidden.contains(&table.to_ascii_lowercase())
    }

    /// Returns the BLAKE3 hash, in hex, of everything that may be named; two actors with the same hash see the same.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns [`Schema::fingerprint`] of the whole schema that this is a part of.
    pub fn schema_fingerprint(&self) -> &str {
        &self.schema_fingerprint
    }

    /// Returns the words of its names, weighed.
    pub fn lexicon(&self) -> &Lexicon {
        self.lexicon.get_or_init(|| Lexicon::of(self))
    }

    /// Returns what `write` writes, which depends on nothing but this schema and `values`; it is written once.
    pub(crate) fn text(&self, values: SendValues, write: impl FnOnce() -> String) -> &str {
        self.texts[values as usize].get_or_init(write)
    }
}

/// Writes `name` as an SQL identifier, quoted so that any name is safe.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Writes a CREATE statement from the visible columns alone, for a table whose stored DDL would name what is hidden.
fn ddl_of(table: &Table) -> String {
    let mut parts: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let mut part = quote_identifier(&column.name);
            if !column.declared_type.is_empty() {
                part.push(' ');
                part.push_str(&column.declared_type);
            }
            if column.not_null {
                part.push_str(" NOT NULL");
            }
            part
        })
        .collect();
    let list = |names: &[String]| {
        names
            .iter()
            .map(|name| quote_identifier(name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !table.primary_key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", list(&table.primary_key)));
    }
    for key in table.foreign_keys.iter().filter(|key| !key.inferred) {
        parts.push(format!(
            "FOREIGN KEY ({}) REFERENCES {} ({})",
            list(&key.columns),
            quote_identifier(&key.table),
            list(&key.referenced)
        ));
    }
    format!(
        "CREATE TABLE {} ({})",
        quote_identifier(&table.name),
        parts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, ColumnRef, ForeignKey, TableKind};

    fn table(name: &str, columns: &[&str]) -> Table {
        Table {
            name: name.into(),
            kind: TableKind::Table,
            columns: columns
                .iter()
                .map(|name| Column {
                    name: (*name).into(),
                    ..Column::default()
                })
                .collect(),
            primary_key: vec![columns[0].into()],
            foreign_keys: vec![],
            row_count: Some(1),
            ddl: format!("CREATE TABLE {name} ({})", columns.join(", ")),
            reads: vec![],
        }
    }

    fn company() -> Schema {
        let mut view = table("directory", &["name", "salary"]);
        view.kind = TableKind::View;
        view.reads = ["name", "salary"]
            .map(|column| ColumnRef {
                table: "people".into(),
                column: column.into(),
            })
            .to_vec();
        let mut people = table("people", &["id", "name", "salary", "team_id"]);
        people.foreign_keys = vec![ForeignKey {
            columns: vec!["team_id".into()],
            table: "teams".into(),
            referenced: vec!["id".into()],
            inferred: false,
        }];
        Schema {
            tables: vec![people, table("teams", &["id", "name"]), view],
        }
    }

    #[test]
    fn hidden_columns_leave_no_trace() {
        let visible = VisibleSchema::new(&company(), &Visibility::hiding(["People.Salary"]));
        assert!(visible.may_read("PEOPLE", "name"));
        assert!(!visible.may_read("people", "salary"));
        assert!(!format!("{:?}", visible.tables()).contains("salary"));
    }

    #[test]
    fn a_view_over_a_hidden_column_is_hidden() {
        let visible = VisibleSchema::new(&company(), &Visibility::hiding(["people.salary"]));
        assert!(visible.table("directory").is_none());
        let all = VisibleSchema::new(&company(), &Visibility::everything());
        assert!(all.table("directory").is_some());
    }

    #[test]
    fn a_key_to_a_hidden_table_is_not_named() {
        let visible = VisibleSchema::new(&company(), &Visibility::hiding(["teams"]));
        assert!(
            visible
                .table("people")
                .is_some_and(|people| people.foreign_keys.is_empty())
        );
        assert!(!format!("{:?}", visible.tables()).contains("teams"));
    }

    #[test]
    fn different_views_of_one_schema_have_different_hashes() {
        let all = VisibleSchema::new(&company(), &Visibility::everything());
        let some = VisibleSchema::new(&company(), &Visibility::hiding(["people.salary"]));
        assert_ne!(all.hash(), some.hash());
    }

    #[test]
    fn rowid_of_a_partly_hidden_table_is_hidden() {
        let some = VisibleSchema::new(&company(), &Visibility::hiding(["people.id"]));
        assert!(!some.may_read("people", "rowid"));
        assert!(some.may_read("teams", "rowid"));
    }
}
