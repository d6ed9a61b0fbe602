//! What SQLite's own catalogue says: objects, columns, keys, and what views read.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use engine::policy::quote_identifier;
use engine::schema::{Column, ColumnRef, ForeignKey, Table, TableKind};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Row};

use super::descriptions::describe;

/// A table and what only reading it needs to know.
pub(super) struct Listed {
    pub table: Table,
    /// It has no rowid to spread samples over.
    pub without_rowid: bool,
}

/// Returns every table and view that can be queried, in the order of the catalogue, with declared keys and nothing measured.
pub(super) fn read_tables(connection: &Connection) -> rusqlite::Result<Vec<Listed>> {
    let kinds = table_kinds(connection)?;
    let mut tables = Vec::new();
    for (name, ddl) in object_names(connection)? {
        let Some(&(kind, without_rowid)) = kinds.get(&name) else {
            continue;
        };
        let table = Table {
            name,
            kind,
            columns: Vec::new(),
            primary_key: Vec::new(),
            foreign_keys: Vec::new(),
            row_count: None,
            ddl,
            reads: Vec::new(),
        };
        let mut listed = Listed {
            table,
            without_rowid,
        };
        match read_columns(connection, &mut listed) {
            Ok(()) if listed.table.columns.is_empty() => {}
            Ok(()) => {
                if kind == TableKind::Table {
                    describe(&mut listed.table);
                }
                tables.push(listed);
            }
            // A view over something that is gone, or a virtual table of a module that this SQLite does not have.
            Err(error) if kind != TableKind::Table && !is_damage(&error) => {}
            Err(error) => return Err(error),
        }
    }
    read_what_is_read(connection, &mut tables)?;
    read_foreign_keys(connection, &mut tables)?;
    Ok(tables)
}

/// Says whether an error is about the file rather than about the statement.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_some_and(|code| {
        code != ErrorCode::Unknown && code != ErrorCode::AuthorizationForStatementDenied
    })
}

/// Returns the text in a column of a row, or `None` for anything else, such as a name that is not UTF-8: it could
/// not be named in any statement.
fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        _ => None,
    })
}

fn lossy_text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(index)? {
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    })
}

fn object_names(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(
        "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid",
    )?;
    let mut rows = statement.query([])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(name) = text(row, 0)? {
            names.push((name, lossy_text(row, 1)?));
        }
    }
    Ok(names)
}

/// Returns kind and "without rowid" of every object that is neither SQLite's own nor a shadow table.
fn table_kinds(connection: &Connection) -> rusqlite::Result<HashMap<String, (TableKind, bool)>> {
    let mut statement =
        connection.prepare("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'")?;
    let mut rows = statement.query([])?;
    let mut kinds = HashMap::new();
    while let Some(row) = rows.next()? {
        let kind = match text(row, 1)?.as_deref() {
            Some("table") => TableKind::Table,
            Some("view") => TableKind::View,
            Some("virtual") => TableKind::Virtual,
            _ => continue,
        };
        match text(row, 0)? {
            Some(name) if !starts_with_sqlite(&name) => kinds.insert(name, (kind, row.get(2)?)),
            _ => continue,
        };
    }
    Ok(kinds)
}

fn starts_with_sqlite(name: &str) -> bool {
    name.get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}

fn read_columns(connection: &Connection, listed: &mut Listed) -> rusqlite::Result<()> {
    const NORMAL_OR_GENERATED: [i64; 3] = [0, 2, 3];
    let table = &mut listed.table;
    let mut statement = connection
        .prepare_cached("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1)")?;
    let mut rows = statement.query([&table.name])?;
    let mut key: Vec<(i64, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (Some(name), hidden) = (text(row, 0)?, row.get::<_, i64>(4)?) else {
            continue;
        };
        if !NORMAL_OR_GENERATED.contains(&hidden) {
            continue;
        }
        let position: i64 = row.get(3)?;
        if position > 0 {
            key.push((position, name.clone()));
        }
        table.columns.push(Column {
            name,
            declared_type: lossy_text(row, 1)?,
            not_null: row.get(2)?,
            ..Column::default()
        });
    }
    key.sort();
    table.primary_key = key.into_iter().map(|(_, name)| name).collect();
    if table.kind == TableKind::View {
        // The pragma describes a view without compiling all of it; only a statement shows that it works.
        connection.prepare(&select_all(&table.name))?;
    } else {
        read_unique_columns(connection, listed)?;
    }
    Ok(())
}

/// Marks columns that a key or a unique index covers alone, and the integer primary key as never null.
fn read_unique_columns(connection: &Connection, listed: &mut Listed) -> rusqlite::Result<()> {
    let table = &mut listed.table;
    let mut statement = connection.prepare_cached(
        "SELECT list.origin, count(*), min(info.name) \
         FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info \
         WHERE list.\"unique\" = 1 AND list.partial = 0 GROUP BY list.name",
    )?;
    let mut rows = statement.query([&table.name])?;
    let mut unique: Vec<String> = Vec::new();
    let mut has_key_index = false;
    while let Some(row) = rows.next()? {
        has_key_index |= text(row, 0)?.as_deref() == Some("pk");
        if row.get::<_, i64>(1)? == 1 {
            unique.extend(text(row, 2)?);
        }
    }
    if let [only] = table.primary_key.as_slice() {
        unique.push(only.clone());
        let is_rowid = !listed.without_rowid && !has_key_index && table.kind == TableKind::Table;
        if let Some(column) = table.columns.iter_mut().find(|column| column.name == *only) {
            column.not_null |= is_rowid && column.declared_type.eq_ignore_ascii_case("integer");
        }
    }
    for column in &mut table.columns {
        column.declared_unique = unique.contains(&column.name);
    }
    Ok(())
}

fn select_all(table: &str) -> String {
    format!("SELECT * FROM {}", quote_identifier(table))
}

/// Lists, for views and virtual tables, the base columns that SQLite itself says are read to answer them.
fn read_what_is_read(connection: &Connection, tables: &mut [Listed]) -> rusqlite::Result<()> {
    if tables
        .iter()
        .all(|listed| listed.table.kind == TableKind::Table)
    {
        return Ok(());
    }
    // Names as declared, so that every spelling of a name in a view's text becomes one.
    let base: HashMap<String, String> = tables
        .iter()
        .filter(|listed| listed.table.kind != TableKind::View)
        .map(|listed| {
            (
                listed.table.name.to_ascii_lowercase(),
                listed.table.name.clone(),
            )
        })
        .collect();
    let seen: Arc<Mutex<BTreeSet<ColumnRef>>> = Arc::default();
    let recorder = Arc::clone(&seen);
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if let AuthAction::Read {
            table_name,
            column_name,
        } = context.action
            && context.database_name == Some("main")
            && let Some(table) = base.get(&table_name.to_ascii_lowercase())
        {
            recorder
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(ColumnRef {
                    table: table.clone(),
                    column: column_name.to_owned(),
                });
        }
        Authorization::Allow
    }))?;
    for listed in tables.iter_mut() {
        let table = &mut listed.table;
        let sql = select_all(&table.name);
        match table.kind {
            TableKind::Table => continue,
            TableKind::View => drop(connection.prepare(&sql)?),
            // A virtual table prepares statements of its own when it is first stepped: one over external content
            // shows another table's values, which whoever hides those must know.
            TableKind::Virtual => {
                let stepped = connection
                    .prepare(&format!("{sql} LIMIT 1"))
                    .and_then(|mut statement| statement.query([])?.next().map(|_| ()));
                stepped.or_else(|error| {
                    if is_damage(&error) {
                        Err(error)
                    } else {
                        Ok(())
                    }
                })?;
            }
        }
        let mut reads = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        reads.retain(|read| read.table != table.name);
        table.reads = reads.into_iter().collect();
    }
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
}

/// Reads declared foreign keys with names as declared; a key without columns refers to the primary key.
fn read_foreign_keys(connection: &Connection, tables: &mut [Listed]) -> rusqlite::Result<()> {
    let by_name: HashMap<String, usize> = tables
        .iter()
        .enumerate()
        .filter(|(_, listed)| listed.table.kind == TableKind::Table)
        .map(|(index, listed)| (listed.table.name.to_ascii_lowercase(), index))
        .collect();
    for index in 0..tables.len() {
        if tables[index].table.kind != TableKind::Table {
            continue;
        }
        let mut keys = Vec::new();
        for declared in declared_keys(connection, &tables[index].table.name)? {
            let target = by_name.get(&declared.table.to_ascii_lowercase());
            keys.extend(target.and_then(|&target| {
                resolve(&declared, &tables[index].table, &tables[target].table)
            }));
        }
        tables[index].table.foreign_keys = keys;
    }
    Ok(())
}

struct DeclaredKey {
    table: String,
    /// Referring column and, if written, the column referred to.
    columns: Vec<(String, Option<String>)>,
}

/// Returns the keys in the order in which they were declared; SQLite lists them the other way round.
fn declared_keys(connection: &Connection, table: &str) -> rusqlite::Result<Vec<DeclaredKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id DESC, seq",
    )?;
    let mut rows = statement.query([table])?;
    let mut keys: Vec<(i64, DeclaredKey)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (Some(target), Some(from)) = (text(row, 1)?, text(row, 2)?) else {
            continue;
        };
        let to = text(row, 3)?;
        match keys.last_mut() {
            Some((last, key)) if *last == id => key.columns.push((from, to)),
            _ => keys.push((
                id,
                DeclaredKey {
                    table: target,
                    columns: vec![(from, to)],
                },
            )),
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}

fn resolve(declared: &DeclaredKey, from: &Table, to: &Table) -> Option<ForeignKey> {
    let mut columns = Vec::new();
    let mut referenced = Vec::new();
    let is_implicit = declared.columns.iter().all(|(_, to)| to.is_none());
    if is_implicit && to.primary_key.len() != declared.columns.len() {
        return None;
    }
    for (position, (own, other)) in declared.columns.iter().enumerate() {
        columns.push(from.column(own)?.name.clone());
        referenced.push(match other {
            Some(name) => to.column(name)?.name.clone(),
            None => to.primary_key.get(position)?.clone(),
        });
    }
    Some(ForeignKey {
        columns,
        table: to.name.clone(),
        referenced,
        inferred: false,
    })
}
