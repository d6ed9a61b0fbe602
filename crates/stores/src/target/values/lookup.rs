//! Reads an index of values, cut to what one actor may see before anything is counted or compared.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use engine::policy::VisibleSchema;
use engine::ports::{FoundValues, ValueIndexState};
use engine::schema::ColumnRef;
use engine::values::{ValueLookup, ValuePlace, distance, find, slips, slips_allowed};
use engine::{Code, Error};
use rusqlite::{Connection, OptionalExtension};

use super::build::hash_of;
use super::{FORMAT, ValueIndexSource};
use crate::target::connection::open_read_only;

/// Why there is no index to read.
#[derive(Debug)]
pub enum Unusable {
    /// The file system said so.
    Io(std::io::Error),
    /// SQLite said so.
    Sqlite(rusqlite::Error),
    /// It is of another format or another copy.
    Foreign,
    /// Damaged.
    Damaged(String),
    /// Nobody wants it any more.
    GivenUp,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Io(fault) => write!(f, "{fault}"),
            Unusable::Sqlite(fault) => write!(f, "{fault}"),
            Unusable::Foreign => f.write_str("it is of another version or another copy"),
            Unusable::Damaged(what) => write!(f, "it is damaged: {what}"),
            Unusable::GivenUp => f.write_str("it was given up"),
        }
    }
}

impl From<std::io::Error> for Unusable {
    fn from(fault: std::io::Error) -> Self {
        Self::Io(fault)
    }
}

impl From<rusqlite::Error> for Unusable {
    fn from(fault: rusqlite::Error) -> Self {
        Self::Sqlite(fault)
    }
}

/// An index that is whole, with connections to it that wait for work.
pub(super) struct OpenIndex {
    source: ValueIndexSource,
    columns: HashMap<i64, IndexedColumn>,
    idle: Mutex<Vec<Connection>>,
}

struct IndexedColumn {
    table: String,
    column: String,
    is_bounded: bool,
}

impl OpenIndex {
    /// Opens an index after looking whether it is one, whole, and of this copy.
    pub fn open(source: &ValueIndexSource) -> Result<Self, Unusable> {
        let connection = connect(source)?;
        let meta = |name: &str| -> rusqlite::Result<Option<String>> {
            connection
                .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
                    row.get(0)
                })
                .optional()
        };
        let is_ours = meta("format")?.as_deref() == Some(FORMAT)
            && meta("content")?.as_ref() == Some(&source.content)
            && meta("limits")? == Some(source.limits.as_text());
        if !is_ours {
            return Err(Unusable::Foreign);
        }
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(Unusable::Damaged(found));
        }
        let columns = connection
            .prepare("SELECT id, table_name, column_name, is_bounded FROM columns")?
            .query_map([], |row| {
                let column = IndexedColumn {
                    table: row.get(1)?,
                    column: row.get(2)?,
                    is_bounded: row.get(3)?,
                };
                Ok((row.get(0)?, column))
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            source: source.clone(),
            columns,
            idle: Mutex::new(vec![connection]),
        })
    }

    /// Finds what a question mentions.
    pub fn find(
        &self,
        question: &str,
        visible: &VisibleSchema,
        limit: usize,
    ) -> Result<FoundValues, Unusable> {
        let waiting = self.idle().pop();
        let connection = match waiting {
            Some(connection) => connection,
            None => connect(&self.source)?,
        };
        let seen: HashMap<i64, &IndexedColumn> = self
            .columns
            .iter()
            .filter(|(_, column)| may_see(visible, column))
            .map(|(&id, column)| (id, column))
            .collect();
        let mut left_out: Vec<ColumnRef> = seen
            .values()
            .filter(|column| column.is_bounded)
            .map(|column| ColumnRef {
                table: column.table.clone(),
                column: column.column.clone(),
            })
            .collect();
        left_out.sort();
        let mut lookup = Lookup {
            connection: &connection,
            seen,
        };
        let values = find(question, visible, &mut lookup, limit)
            .map_err(|fault| Unusable::Damaged(fault.cause().unwrap_or_default().to_owned()))?;
        self.idle().push(connection);
        Ok(FoundValues {
            values,
            index: if left_out.is_empty() {
                ValueIndexState::Complete
            } else {
                ValueIndexState::Bounded
            },
            left_out,
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(source: &ValueIndexSource) -> rusqlite::Result<Connection> {
    let connection = open_read_only(&source.index)?;
    connection.set_prepared_statement_cache_capacity(16);
    connection.execute_batch("PRAGMA query_only = 1; PRAGMA cache_size = -4096;")?;
    Ok(connection)
}

fn may_see(visible: &VisibleSchema, column: &IndexedColumn) -> bool {
    visible
        .table(&column.table)
        .is_some_and(|table| table.column(&column.column).is_some())
}

/// What one actor may look up. Every statement's rows are cut to `seen` before anything else is done with them.
struct Lookup<'i> {
    connection: &'i Connection,
    seen: HashMap<i64, &'i IndexedColumn>,
}

impl Lookup<'_> {
    fn places_of(&self, key_id: i64) -> rusqlite::Result<Vec<ValuePlace>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT column_id, value, row_count FROM entries WHERE key_id = ?1 ORDER BY column_id, value",
        )?;
        let mut rows = statement.query([key_id])?;
        let mut places = Vec::new();
        while let Some(row) = rows.next()? {
            let Some(column) = self.seen.get(&row.get(0)?) else {
                continue;
            };
            let rows: i64 = row.get(2)?;
            places.push(ValuePlace {
                table: column.table.clone(),
                column: column.column.clone(),
                value: row.get(1)?,
                rows: u64::try_from(rows).unwrap_or_default(),
            });
        }
        Ok(places)
    }

    fn key_id(&self, key: &str) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached("SELECT id FROM keys WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()
    }

    fn word_id(&self, word: &str) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached("SELECT id FROM words WHERE word = ?1")?
            .query_row([word], |row| row.get(0))
            .optional()
    }

    fn near_words(&self, word: &str) -> rusqlite::Result<Vec<String>> {
        let allowed = slips_allowed(word);
        let mut statement = self.connection.prepare_cached(
            "SELECT id, word FROM slips JOIN words ON id = word_id WHERE hash = ?1",
        )?;
        let mut candidates: Vec<(i64, String)> = Vec::new();
        for slip in slips(word, allowed) {
            let found = statement.query_map([hash_of(&slip)], |row| {
                Ok((row.get(0)?, row.get::<_, String>(1)?))
            })?;
            candidates.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
        }
        candidates.sort_unstable();
        candidates.dedup();
        let mut near = Vec::new();
        for (id, candidate) in candidates {
            if distance(word, &candidate, allowed.min(slips_allowed(&candidate))).is_some()
                && self.is_seen(id)?
            {
                near.push(candidate);
            }
        }
        Ok(near)
    }

    /// Says whether a word comes from a column that may be seen.
    fn is_seen(&self, word_id: i64) -> rusqlite::Result<bool> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT column_id FROM sources WHERE word_id = ?1")?;
        let mut columns = statement.query([word_id])?;
        while let Some(row) = columns.next()? {
            if self.seen.contains_key(&row.get(0)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn containing_keys(
        &self,
        words: &[&str],
        max: usize,
    ) -> rusqlite::Result<Option<Vec<ValuePlace>>> {
        let mut ids = Vec::new();
        for word in words {
            match self.word_id(word)? {
                Some(id) => ids.push(id),
                None => return Ok(Some(Vec::new())),
            }
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT key_id, key FROM places JOIN keys ON keys.id = key_id WHERE word_id = ?1 ORDER BY key",
        )?;
        let wanted = format!(" {} ", words.join(" "));
        let Some(first) = ids.first() else {
            return Ok(Some(Vec::new()));
        };
        let mut rows = statement.query([first])?;
        let (mut found, mut values) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let key = row.get_ref(1)?.as_str().unwrap_or_default();
            if !format!(" {key} ").contains(&wanted) {
                continue;
            }
            let places = self.places_of(row.get(0)?)?;
            values += usize::from(!places.is_empty());
            if values > max {
                return Ok(None);
            }
            found.extend(places);
        }
        Ok(Some(found))
    }
}

impl ValueLookup for Lookup<'_> {
    fn with_key(&mut self, key: &str) -> Result<Vec<ValuePlace>, Error> {
        let found = match self.key_id(key) {
            Ok(Some(id)) => self.places_of(id),
            Ok(None) => Ok(Vec::new()),
            Err(fault) => Err(fault),
        };
        found.map_err(unreadable)
    }

    fn near(&mut self, word: &str) -> Result<Vec<String>, Error> {
        self.near_words(word).map_err(unreadable)
    }

    fn containing(&mut self, words: &[&str], max: usize) -> Result<Option<Vec<ValuePlace>>, Error> {
        self.containing_keys(words, max).map_err(unreadable)
    }
}

fn unreadable(fault: rusqlite::Error) -> Error {
    Error::new(
        Code::TargetDatabaseDown,
        "the index of values cannot be read",
    )
    .with_cause(fault)
}
