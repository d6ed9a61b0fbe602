//! Forward-only migrations, each applied once, all in one transaction.

use std::collections::{BTreeMap, HashSet};

use engine::Error;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::down;
use crate::migrations::{Differences, Migration, foreign, hash_of};

macro_rules! migrations {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../migrations/sqlite/", $name, ".sql"))),)*]
    };
}

const MIGRATIONS: &[Migration] = migrations! {
    "0001_users"
    "0002_sessions"
    "0003_queries"
    "0004_audit_logs"
    "0005_feedback"
    "0006_policies"
    "0007_ontologies"
    "0008_configurations"
    "0009_versions"
    "0010_verified_queries"
    "0011_conversations"
};

/// Applies what is missing. The write lock is held from the look to the commit, so two starts at once apply it once.
pub(super) fn run(connection: &mut Connection) -> Result<(), Error> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(down)?;
    let differences = look(&transaction)?;
    differences.refuse()?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations
             (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL, hash TEXT) STRICT",
        )
        .map_err(down)?;
    if !has_hashes(&transaction).map_err(down)? {
        transaction
            .execute_batch("ALTER TABLE schema_migrations ADD COLUMN hash TEXT")
            .map_err(down)?;
    }
    for (name, sql) in MIGRATIONS {
        if differences.pending.iter().any(|pending| pending == name) {
            transaction.execute_batch(sql).map_err(down)?;
            transaction
                .execute(
                    "INSERT INTO schema_migrations (name, applied_at) VALUES (?1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
                    [name],
                )
                .map_err(down)?;
        }
        transaction
            .execute(
                "UPDATE schema_migrations SET hash = ?2 WHERE name = ?1 AND hash IS NULL",
                (name, hash_of(sql)),
            )
            .map_err(down)?;
    }
    transaction.commit().map_err(down)
}

/// Compares the migrations applied with those that this program knows. Looking changes nothing.
///
/// # Errors
///
/// [`engine::Code::SystemStoreMismatch`] if the tables are another program's.
pub(super) fn look(connection: &Connection) -> Result<Differences, Error> {
    let applied = applied(connection)?;
    // Files of the first versions have names without hashes; there the tables themselves are compared.
    let unhashed = applied.iter().any(|(_, hash)| hash.is_none());
    let altered = if unhashed {
        let names: Vec<&str> = applied.iter().map(|(name, _)| name.as_str()).collect();
        altered(connection, &names).map_err(down)?
    } else {
        HashSet::new()
    };
    let text_of = |name: &str| MIGRATIONS.iter().find(|(known, _)| *known == name);
    let hashed: Vec<(String, String)> = applied
        .into_iter()
        .map(|(name, hash)| {
            let hash = hash.unwrap_or_else(|| match text_of(&name) {
                Some((name, sql)) if !altered.contains(name) => hash_of(sql),
                _ => String::new(),
            });
            (name, hash)
        })
        .collect();
    Ok(Differences::between(MIGRATIONS, &hashed))
}

/// Returns the names of the migrations applied, with the hashes of their texts where these were kept.
fn applied(connection: &Connection) -> Result<Vec<(String, Option<String>)>, Error> {
    if !connection
        .table_exists(None, "schema_migrations")
        .map_err(down)?
    {
        return match connection.table_exists(None, "users").map_err(down)? {
            true => Err(foreign()),
            false => Ok(Vec::new()),
        };
    }
    let columns = if has_hashes(connection).map_err(down)? {
        "name, hash"
    } else {
        "name, NULL"
    };
    let mut statement = connection
        .prepare(&format!(
            "SELECT {columns} FROM schema_migrations ORDER BY 1"
        ))
        .map_err(|fault| foreign().with_cause(fault))?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .map_err(down)
}

fn has_hashes(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row(
            "SELECT 1 FROM pragma_table_info('schema_migrations') WHERE name = 'hash'",
            [],
            |_| Ok(()),
        )
        .optional()
        .map(|found| found.is_some())
}

/// Returns those of the named migrations that made something which is now missing or of another form.
fn altered(connection: &Connection, names: &[&str]) -> rusqlite::Result<HashSet<&'static str>> {
    let scratch = Connection::open_in_memory()?;
    let mut makers = BTreeMap::new();
    for (name, sql) in MIGRATIONS.iter().filter(|(name, _)| names.contains(name)) {
        scratch.execute_batch(sql)?;
        for object in objects(&scratch)?.into_keys() {
            makers.entry(object).or_insert(*name);
        }
    }
    let (found, mut altered) = (objects(connection)?, HashSet::new());
    for (object, sql) in objects(&scratch)? {
        if found.get(&object) != Some(&sql) {
            altered.extend(makers.get(&object));
        }
    }
    Ok(altered)
}

/// Returns the texts of everything that migrations make, by kind and name.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<(String, String), String>> {
    connection
        .prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'schema_migrations'")?
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?
        .collect()
}
