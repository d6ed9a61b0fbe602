//! Builds an index of values: reads each table once, keeps what its columns are worth within bounds, and writes a file
//! whose every answer is a look-up by key.

use std::collections::HashMap;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use engine::policy::quote_identifier;
use engine::schema::Table;
use engine::values::{key, slips, slips_allowed};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::columns::{Kept, MAX_VALUE_BYTES, Tally, candidates};
use super::lookup::Unusable;
use super::{FORMAT, ValueIndexSource};
use crate::target::connection::open_read_only;

/// Rows between two looks at the clock.
const ROWS_PER_LOOK: u64 = 4_096;
/// The index holds what the copy holds, and like the copy nobody writes it.
const INDEX_MODE: u32 = 0o400;

/// Tables hold what is looked up by the beginning of their keys:
/// `keys` what a value is folded to, `entries` where it stands and in how many rows, `words` the words of keys,
/// `places` in which keys of several words a word stands, `sources` from which columns a word comes, and `slips` the
/// words by what is left of them after deletions.
const TABLES: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE columns (
        id INTEGER PRIMARY KEY, table_name TEXT NOT NULL, column_name TEXT NOT NULL, is_bounded INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE keys (id INTEGER PRIMARY KEY, key TEXT NOT NULL) STRICT;
    CREATE TABLE entries (
        key_id INTEGER NOT NULL, column_id INTEGER NOT NULL, value TEXT NOT NULL, row_count INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
    CREATE TABLE places (word_id INTEGER, key_id INTEGER, PRIMARY KEY (word_id, key_id)) STRICT, WITHOUT ROWID;
    CREATE TABLE sources (word_id INTEGER, column_id INTEGER, PRIMARY KEY (word_id, column_id)) STRICT, WITHOUT ROWID;
    CREATE TABLE slips (hash INTEGER, word_id INTEGER, PRIMARY KEY (hash, word_id)) STRICT, WITHOUT ROWID;
";
const INDEXES: &str = "
    CREATE UNIQUE INDEX keys_by_key ON keys (key);
    CREATE INDEX entries_by_key ON entries (key_id);
    CREATE UNIQUE INDEX words_by_word ON words (word);
";

/// Bounds on an index and on the work for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueIndexLimits {
    /// Distinct values of one column. Of a column with more, those are kept that were met first and recur.
    pub max_values_per_column: usize,
    /// Distinct values of all columns.
    pub max_values: usize,
    /// Bytes of all values.
    pub max_bytes: usize,
    /// Words whose misspellings are found.
    pub max_words: usize,
    /// Bytes of memory for the values of one table while it is read.
    pub max_table_bytes: usize,
    /// Time after which tables that were not read yet are left out.
    pub timeout: Duration,
}

impl Default for ValueIndexLimits {
    /// 50,000 values of a column, 400,000 and 32 MiB in all, 150,000 words, 64 MiB for one table, 10 minutes.
    fn default() -> Self {
        Self {
            max_values_per_column: 50_000,
            max_values: 400_000,
            max_bytes: 32 << 20,
            max_words: 150_000,
            max_table_bytes: 64 << 20,
            timeout: Duration::from_secs(600),
        }
    }
}

impl ValueIndexLimits {
    pub(super) fn as_text(&self) -> String {
        format!("{self:?}")
    }
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltIndex {
    /// Values, each counted once for each column.
    pub values: usize,
    /// Columns that were looked at.
    pub columns: usize,
    /// The size of the file.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Writes the index of `source` to `file`, which is on disk wholly when this returns.
///
/// # Errors
///
/// [`Unusable::GivenUp`] once `is_given_up` says so; whatever the file system and SQLite say.
pub fn build(
    source: &ValueIndexSource,
    file: &Path,
    is_given_up: &dyn Fn() -> bool,
) -> Result<BuiltIndex, Unusable> {
    let begun = Instant::now();
    let copy = open_read_only(&source.copy)?;
    copy.execute_batch(
        "PRAGMA query_only = 1; PRAGMA trusted_schema = 0; PRAGMA cache_size = -4096;",
    )?;
    let mut index = create(file)?;
    let transaction = index.transaction()?;
    let mut writer = Writer {
        index: &transaction,
        limits: source.limits,
        keys: HashMap::new(),
        words: HashMap::new(),
        columns: 0,
        values: 0,
        bytes: 0,
    };
    let stop = Stop {
        is_given_up,
        deadline: begun + source.limits.timeout,
    };
    // Small tables are what others are described by; a large one must not take their room.
    let mut tables: Vec<&Table> = source.schema.tables.iter().collect();
    tables.sort_by_key(|table| (table.row_count, &table.name));
    for table in tables {
        let columns = candidates(table);
        if columns.is_empty() {
            continue;
        }
        let tallies = match read(&copy, table, &columns, &source.limits, &stop) {
            Ok(tallies) => tallies,
            Err(ReadFault::GivenUp) => return Err(Unusable::GivenUp),
            Err(ReadFault::Late) => Vec::new(),
            Err(ReadFault::Sqlite(fault)) => {
                // What cannot be read wholly has no counts that could be told.
                tracing::debug!(%fault, "a table is left out of the index of values");
                Vec::new()
            }
        };
        let mut tallies = tallies.into_iter();
        for column in columns {
            if is_given_up() {
                return Err(Unusable::GivenUp);
            }
            let kept = tallies.next().map(Tally::kept);
            writer.column(table, &table.columns[column].name, kept)?;
        }
    }
    let (values, columns) = (writer.values, writer.columns);
    writer.finish(source)?;
    transaction.execute_batch(INDEXES)?;
    transaction.commit()?;
    index.close().map_err(|(_, fault)| fault)?;
    let written = OpenOptions::new().write(true).open(file)?;
    written.set_permissions(Permissions::from_mode(INDEX_MODE))?;
    written.sync_all()?;
    Ok(BuiltIndex {
        values,
        columns,
        bytes: written.metadata()?.len(),
        elapsed: begun.elapsed(),
    })
}

/// Returns the place of a text among slips. Two with one hash are told apart by their distance.
pub(super) fn hash_of(slip: &str) -> i64 {
    let hash = blake3::hash(slip.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_le_bytes(first)
}

/// Makes an empty file that nobody else can read. It needs no journal: half of it is thrown away.
fn create(file: &Path) -> Result<Connection, Unusable> {
    match fs::remove_file(file) {
        Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => return Err(fault.into()),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    let index = Connection::open(file)?;
    index.set_prepared_statement_cache_capacity(16);
    index.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -16384;",
    )?;
    index.execute_batch(TABLES)?;
    Ok(index)
}

/// Says when to stop reading.
struct Stop<'s> {
    is_given_up: &'s dyn Fn() -> bool,
    deadline: Instant,
}

enum ReadFault {
    GivenUp,
    Late,
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for ReadFault {
    fn from(fault: rusqlite::Error) -> Self {
        Self::Sqlite(fault)
    }
}

impl Stop<'_> {
    fn look(&self) -> Result<(), ReadFault> {
        if (self.is_given_up)() {
            return Err(ReadFault::GivenUp);
        }
        if Instant::now() >= self.deadline {
            return Err(ReadFault::Late);
        }
        Ok(())
    }
}

/// Counts the values of some columns of a table.
fn read(
    copy: &Connection,
    table: &Table,
    columns: &[usize],
    limits: &ValueIndexLimits,
    stop: &Stop<'_>,
) -> Result<Vec<Tally>, ReadFault> {
    stop.look()?;
    // Type and length are known without reading a long value; 1 stands for one.
    let expressions: Vec<String> = columns
        .iter()
        .map(|&column| {
            let name = quote_identifier(&table.columns[column].name);
            format!(
                "CASE WHEN typeof({name}) = 'text' THEN iif(octet_length({name}) <= {MAX_VALUE_BYTES}, {name}, 1) END"
            )
        })
        .collect();
    let sql = format!(
        "SELECT {} FROM {} NOT INDEXED",
        expressions.join(", "),
        quote_identifier(&table.name)
    );
    let mut statement = copy.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut tallies: Vec<Tally> = columns.iter().map(|_| Tally::default()).collect();
    let (mut seen, mut bytes) = (0_u64, 0);
    while let Some(row) = rows.next()? {
        seen += 1;
        if seen.is_multiple_of(ROWS_PER_LOOK) {
            stop.look()?;
        }
        for (position, tally) in tallies.iter_mut().enumerate() {
            match row.get_ref(position)? {
                ValueRef::Text(text) => {
                    // What is no UTF-8 cannot be written in a question.
                    if let Ok(text) = std::str::from_utf8(text) {
                        let has_room = bytes < limits.max_table_bytes;
                        bytes += tally.add(text, limits.max_values_per_column, has_room);
                    }
                }
                ValueRef::Integer(_) => tally.add_long(),
                _ => {}
            }
        }
    }
    Ok(tallies)
}

struct Writer<'w> {
    index: &'w Connection,
    limits: ValueIndexLimits,
    keys: HashMap<String, i64>,
    words: HashMap<String, i64>,
    columns: usize,
    values: usize,
    bytes: usize,
}

impl Writer<'_> {
    /// Writes the values of a column, as many as there is room for; `None` where it was not read.
    fn column(&mut self, table: &Table, name: &str, kept: Option<Kept>) -> Result<(), Unusable> {
        let Kept {
            values,
            mut is_bounded,
        } = kept.unwrap_or(Kept {
            values: Vec::new(),
            is_bounded: true,
        });
        self.columns += 1;
        let column_id = i64::try_from(self.columns).unwrap_or(i64::MAX);
        for (value, rows) in values {
            if self.values >= self.limits.max_values
                || self.bytes + value.len() > self.limits.max_bytes
            {
                is_bounded = true;
                break;
            }
            self.value(column_id, &value, rows)?;
        }
        self.index
            .prepare_cached("INSERT INTO columns VALUES (?1, ?2, ?3, ?4)")?
            .execute((column_id, &table.name, name, is_bounded))?;
        Ok(())
    }

    fn value(&mut self, column_id: i64, value: &str, rows: u64) -> Result<(), Unusable> {
        let key = key(value);
        if key.is_empty() {
            return Ok(());
        }
        self.values += 1;
        self.bytes += value.len();
        let words: Vec<&str> = key.split(' ').collect();
        let mut word_ids = Vec::with_capacity(words.len());
        for word in &words {
            if let Some(id) = self.word(word)? {
                word_ids.push(id);
            }
        }
        for word_id in &word_ids {
            self.index
                .prepare_cached("INSERT OR IGNORE INTO sources VALUES (?1, ?2)")?
                .execute((word_id, column_id))?;
        }
        let known = self.keys.get(&key).copied();
        let key_id = match known {
            Some(id) => id,
            None => {
                let id = i64::try_from(self.keys.len()).unwrap_or(i64::MAX) + 1;
                self.index
                    .prepare_cached("INSERT INTO keys VALUES (?1, ?2)")?
                    .execute((id, &key))?;
                if words.len() > 1 {
                    for word_id in &word_ids {
                        self.index
                            .prepare_cached("INSERT OR IGNORE INTO places VALUES (?1, ?2)")?
                            .execute((word_id, id))?;
                    }
                }
                self.keys.insert(key, id);
                id
            }
        };
        self.index
            .prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4)")?
            .execute((
                key_id,
                column_id,
                value,
                i64::try_from(rows).unwrap_or(i64::MAX),
            ))?;
        Ok(())
    }

    /// Returns the identifier of a word, unless there are too many.
    fn word(&mut self, word: &str) -> Result<Option<i64>, Unusable> {
        if let Some(&id) = self.words.get(word) {
            return Ok(Some(id));
        }
        if self.words.len() >= self.limits.max_words {
            return Ok(None);
        }
        let id = i64::try_from(self.words.len()).unwrap_or(i64::MAX) + 1;
        self.index
            .prepare_cached("INSERT INTO words VALUES (?1, ?2)")?
            .execute((id, word))?;
        self.words.insert(word.to_owned(), id);
        Ok(Some(id))
    }

    /// Writes what is known of all words, and what the index is of.
    fn finish(self, source: &ValueIndexSource) -> Result<(), Unusable> {
        let mut by_hash: Vec<(i64, i64)> = Vec::new();
        for (word, &id) in &self.words {
            let allowed = slips_allowed(word);
            if allowed > 0 && word.chars().any(char::is_alphabetic) {
                let hashes = slips(word, allowed).into_iter().map(|slip| hash_of(&slip));
                by_hash.extend(hashes.map(|hash| (hash, id)));
            }
        }
        // In the order of the table, so that its pages are written one after the other.
        by_hash.sort_unstable();
        by_hash.dedup();
        let mut insert = self.index.prepare("INSERT INTO slips VALUES (?1, ?2)")?;
        for slip in by_hash {
            insert.execute(slip)?;
        }
        let mut insert = self.index.prepare("INSERT INTO meta VALUES (?1, ?2)")?;
        insert.execute(("format", FORMAT))?;
        insert.execute(("content", &source.content))?;
        insert.execute(("limits", source.limits.as_text()))?;
        Ok(())
    }
}
