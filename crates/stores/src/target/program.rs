//! Checks what a prepared statement will really open and read, in the listing of its program. The authorizer hears of
//! names while SQLite resolves them, and not of all (see [`super::authorizer`]); a program cannot read what it does
//! not open. Never runs the statement itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use engine::policy::{VisibleSchema, quote_identifier};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::authorizer::{Authorizer, Denial};
use super::faults::Fault;

/// The b-trees of a file, by the page at which they begin.
pub(super) struct Catalog {
    trees: HashMap<i64, Tree>,
    objects: HashSet<String>,
}

/// One b-tree: a table, or an index of it.
#[derive(Debug, Clone)]
struct Tree {
    table: String,
    index: Option<String>,
    ddl: String,
}

impl Catalog {
    /// Reads the catalog, and with it SQLite's own copy of the schema.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut catalog = Self {
            trees: HashMap::new(),
            objects: HashSet::new(),
        };
        let mut statement = connection
            .prepare("SELECT type, name, tbl_name, rootpage, sql FROM main.sqlite_schema")?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let (kind, name, table) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
            catalog.objects.insert(name.to_ascii_lowercase());
            // Views, triggers and virtual tables have no tree and say 0.
            let root = row.get::<_, Option<i64>>(3)?.unwrap_or(0);
            if root > 0 {
                let tree = Tree {
                    index: (kind == "index").then_some(name),
                    table,
                    ddl: text(row, 4)?,
                };
                catalog.trees.insert(root, tree);
            }
        }
        Ok(catalog)
    }

    /// Returns the indexes that have a tree, by name.
    pub(super) fn indexes(&self) -> impl Iterator<Item = &str> {
        self.trees.values().filter_map(|tree| tree.index.as_deref())
    }

    /// Says whether the file has a table, view or index of this name.
    pub(super) fn has_object(&self, name: &str) -> bool {
        self.objects.contains(&name.to_ascii_lowercase())
    }
}

/// All that the check of one statement needs.
pub(super) struct Check<'a> {
    pub(super) connection: &'a Connection,
    pub(super) authorizer: &'a Authorizer,
    pub(super) catalog: &'a Catalog,
    pub(super) visible: &'a Arc<VisibleSchema>,
    /// How a program names the virtual tables that may be opened.
    pub(super) virtual_tables: &'a [String],
}

impl Check<'_> {
    /// Refuses the statement of `text` if its program opens a table, or reads or seeks by a column, that is hidden.
    ///
    /// The text has been prepared under the authorizer before.
    pub(super) fn run(&self, text: &str) -> Result<(), Fault> {
        // The authorizer stays strict: it hears the same questions as before.
        let program = list(self.connection, &format!("EXPLAIN {text}"))?;
        self.authorizer.own();
        // Between the steps of one pass through a program SQLite looks at no clock.
        let calls = |step: &&Step| ["Function", "PureFunc"].contains(&step.opcode.as_str());
        if program.iter().filter(calls).count() > MAX_CALLS {
            return Err(Fault::TooManyCalls);
        }
        let mut partly_hidden: HashMap<i64, Vec<Layout>> = HashMap::new();
        for step in &program {
            match step.opcode.as_str() {
                "OpenRead" | "ReopenIdx" => {
                    let tree = self.tree(step)?;
                    if self.visible.has_hidden_columns(&tree.table) {
                        partly_hidden
                            .entry(step.p1)
                            .or_default()
                            .push(self.layout(tree)?);
                    }
                }
                "OpenWrite" => {
                    return Err(Fault::Write(
                        "the program opens a table for writing".to_owned(),
                    ));
                }
                "VOpen" if !self.virtual_tables.contains(&step.p4) => {
                    return Err(Fault::Denied(Denial::Hidden {
                        table: "virtual table".to_owned(),
                        column: String::new(),
                    }));
                }
                _ => {}
            }
        }
        for step in &program {
            for layout in partly_hidden.get(&step.p1).into_iter().flatten() {
                layout.check(step)?;
            }
        }
        Ok(())
    }

    /// Says whether an index is of a visible table and holds nothing that is hidden.
    pub(super) fn may_name_index(&self, index: &str) -> rusqlite::Result<bool> {
        let mut trees = self.catalog.trees.values();
        let tree = trees.find(|tree| tree.index.as_deref() == Some(index));
        let Some(tree) = tree.filter(|tree| self.visible.table(&tree.table).is_some()) else {
            return Ok(false);
        };
        let is_whole = !self.visible.has_hidden_columns(&tree.table);
        Ok(is_whole || !self.layout(tree)?.stored.contains(&true))
    }

    fn tree(&self, step: &Step) -> Result<&Tree, Fault> {
        // Another database than "main", or a page that the catalog does not know, is SQLite's own.
        let known = (step.p3 == 0)
            .then(|| self.catalog.trees.get(&step.p2))
            .flatten();
        match known {
            Some(tree) if self.visible.table(&tree.table).is_some() => Ok(tree),
            other => Err(Fault::Denied(Denial::Hidden {
                table: other.map_or_else(|| "sqlite_master".to_owned(), |tree| tree.table.clone()),
                column: String::new(),
            })),
        }
    }

    /// Returns which columns of a tree are hidden, in the order in which they are stored.
    fn layout(&self, tree: &Tree) -> rusqlite::Result<Layout> {
        let table = &tree.table;
        let mut columns = Vec::new();
        let mut rowid_column = None;
        let mut key_length = 0;
        self.pragma("table_xinfo", table, |row| {
            let (name, declared_type): (String, String) = (row.get(1)?, row.get(2)?);
            let (key, hidden): (i64, i64) = (row.get(5)?, row.get(6)?);
            if key > 0 {
                key_length += 1;
                rowid_column = declared_type
                    .eq_ignore_ascii_case("INTEGER")
                    .then(|| name.clone());
            }
            columns.push((name, hidden == VIRTUAL_GENERATED));
            Ok(())
        })?;
        let is_hidden = |name: &str| !self.visible.may_read(table, name);
        let rowid_is_hidden = key_length == 1 && rowid_column.as_deref().is_some_and(is_hidden);
        let index = self.index_of(tree)?;
        let is_by_rowid = index.is_none();
        let stored: Vec<bool> = match index {
            // Columns that are computed when read are not stored.
            None => columns
                .iter()
                .filter(|(_, is_computed)| !is_computed)
                .map(|(name, _)| is_hidden(name))
                .collect(),
            Some(index) => {
                // An expression is hidden if its text names anything that is.
                let names_hidden = columns
                    .iter()
                    .any(|(name, _)| is_hidden(name) && super::words::mentions(&tree.ddl, name));
                let mut stored = Vec::new();
                self.pragma("index_xinfo", &index, |row| {
                    stored.push(match row.get::<_, Option<String>>(2)? {
                        Some(name) => is_hidden(&name),
                        None if row.get::<_, i64>(1)? == ROWID => rowid_is_hidden,
                        None => names_hidden,
                    });
                    Ok(())
                })?;
                stored
            }
        };
        Ok(Layout {
            table: table.clone(),
            stored,
            is_by_rowid,
            rowid_is_hidden,
        })
    }

    /// Returns the index whose order the tree has: its own, or for a table without rowids that of its primary key.
    fn index_of(&self, tree: &Tree) -> rusqlite::Result<Option<String>> {
        if tree.index.is_some() {
            return Ok(tree.index.clone());
        }
        let mut has_rowids = true;
        self.pragma("table_list", &tree.table, |row| {
            has_rowids = row.get::<_, i64>(4)? == 0;
            Ok(())
        })?;
        let mut key = None;
        if !has_rowids {
            self.pragma("index_list", &tree.table, |row| {
                if row.get::<_, String>(3)? == "pk" {
                    key = Some(row.get(1)?);
                }
                Ok(())
            })?;
        }
        Ok(key)
    }

    fn pragma(
        &self,
        name: &str,
        argument: &str,
        mut each: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(&format!(
            "PRAGMA main.{name}({})",
            quote_identifier(argument)
        ))?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }
}

/// Calls of functions in one program.
const MAX_CALLS: usize = 300;

/// `table_xinfo.hidden` of a generated column that is not stored.
const VIRTUAL_GENERATED: i64 = 2;
/// `index_xinfo.cid` of the rowid.
const ROWID: i64 = -1;

/// A tree of a table of which some columns are hidden.
struct Layout {
    table: String,
    /// For each stored column, whether it is hidden.
    stored: Vec<bool>,
    /// The tree is in the order of rowids and has no other key.
    is_by_rowid: bool,
    rowid_is_hidden: bool,
}

impl Layout {
    /// Refuses a step that takes a hidden column out of the tree, or looks something up by one.
    ///
    /// Which opcodes have a cursor in P1 is in SQLite's documentation of its opcodes; those not named here move a
    /// cursor without looking at values, or do not read. What numbers its cursor differently is never refused less.
    fn check(&self, step: &Step) -> Result<(), Fault> {
        let is_hidden = match step.opcode.as_str() {
            "Column" => self.hides(step.p2),
            "IsType" => self.hides(step.p3),
            "Rowid" | "IdxRowid" | "SeekRowid" | "NotExists" => self.rowid_is_hidden,
            "SeekGE" | "SeekGT" | "SeekLE" | "SeekLT" | "IdxGE" | "IdxGT" | "IdxLE" | "IdxLT"
            | "Found" | "NotFound" | "NoConflict" | "IfNoHope" => self.hides_key(&step.p4),
            "RowData" | "RowCell" => true,
            _ => false,
        };
        if is_hidden {
            return Err(Fault::Denied(Denial::Hidden {
                table: self.table.clone(),
                column: "*".to_owned(),
            }));
        }
        Ok(())
    }

    fn hides(&self, column: i64) -> bool {
        usize::try_from(column)
            .ok()
            .and_then(|column| self.stored.get(column))
            .is_none_or(|&is_hidden| is_hidden)
    }

    /// `length` is the number of key columns compared; none means all.
    fn hides_key(&self, length: &str) -> bool {
        if self.is_by_rowid {
            return self.rowid_is_hidden;
        }
        let compared = match length.parse::<usize>() {
            Ok(0) | Err(_) => self.stored.len(),
            Ok(length) => length.min(self.stored.len()),
        };
        self.stored[..compared].contains(&true)
    }
}

/// One step of a program, as EXPLAIN lists it.
struct Step {
    opcode: String,
    p1: i64,
    p2: i64,
    p3: i64,
    p4: String,
}

fn list(connection: &Connection, explain: &str) -> rusqlite::Result<Vec<Step>> {
    let mut statement = connection.prepare(explain)?;
    let mut rows = statement.raw_query();
    let mut program = Vec::new();
    while let Some(row) = rows.next()? {
        program.push(Step {
            opcode: text(row, 1)?,
            p1: row.get(2)?,
            p2: row.get(3)?,
            p3: row.get(4)?,
            p4: text(row, 5)?,
        });
    }
    Ok(program)
}

/// Returns how the program of `explain`, a statement of our own, names the virtual tables that it opens.
pub(super) fn virtual_tables_opened(
    connection: &Connection,
    explain: &str,
) -> rusqlite::Result<Vec<String>> {
    let opened = |step: Step| (step.opcode == "VOpen").then_some(step.p4);
    Ok(list(connection, explain)?
        .into_iter()
        .filter_map(opened)
        .collect())
}

/// Returns a text column, however it is encoded; NULL is empty.
pub(super) fn text(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
    })
}
