//! The guard against SQLite itself: what it accepts must prepare and say the same, what SQLite accepts must not be
//! refused for its names. Reads the corpora of `engine` and, where it is present, the development set of questions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Code;
use engine::guard::guard;
use engine::policy::{Visibility, VisibleSchema};
use engine::prompt::GeneratedSql;
use engine::schema::{Column, ColumnRef, Schema, Table, TableKind};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/corpus")
}

/// The company of the corpora, in memory.
fn company() -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    let ddl =
        std::fs::read_to_string(corpus().join("schema.sql")).expect("the corpus has its schema");
    connection.execute_batch(&ddl).expect("the schema runs");
    strict(connection)
}

/// Double-quoted strings off, as in production.
fn strict(connection: Connection) -> Connection {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)
        .expect("a known setting");
    connection
}

/// The least that the guard needs to know of a schema.
fn schema_of(connection: &Connection) -> Schema {
    let mut statement = connection
        .prepare(
            "SELECT l.name, l.type, coalesce(m.sql, '') FROM pragma_table_list AS l \
             JOIN sqlite_schema AS m ON m.name = l.name \
             WHERE l.schema = 'main' AND l.type <> 'shadow' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )
        .expect("a good statement");
    let tables = statement
        .query_map([], |row| {
            let name: String = row.get(0)?;
            let kind = match row.get::<_, String>(1)?.as_str() {
                "view" => TableKind::View,
                "virtual" => TableKind::Virtual,
                _ => TableKind::Table,
            };
            let mut columns = connection.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
            let columns = columns
                .query_map([&name], |row| {
                    Ok(Column {
                        name: row.get(0)?,
                        declared_type: row.get(1)?,
                        ..Column::default()
                    })
                })?
                .collect::<Result<_, _>>()?;
            Ok(Table {
                // Enough for the corpus: the one view that reads what is hidden.
                reads: if name == "pay" {
                    vec![ColumnRef {
                        table: "people".into(),
                        column: "salary".into(),
                    }]
                } else {
                    vec![]
                },
                name,
                kind,
                columns,
                primary_key: vec![],
                foreign_keys: vec![],
                row_count: None,
                ddl: row.get(2)?,
            })
        })
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("a readable schema");
    Schema { tables }
}

/// The lines of a folder of the corpus without escapes, which is nearly all of them.
fn lines(folder: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(corpus().join(folder)).expect("the corpus has this folder") {
        let text = std::fs::read_to_string(entry.expect("a file").path()).expect("a readable file");
        lines.extend(
            text.lines()
                .filter(|line| {
                    !line.is_empty() && !line.starts_with("-- ") && !line.contains(['\\'])
                })
                .filter(|line| !line.contains("{repeat:"))
                .map(str::to_owned),
        );
    }
    lines.sort();
    lines
}

fn rows(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<rusqlite::types::Value>>> {
    let mut statement = connection.prepare(sql)?;
    assert!(statement.readonly(), "{sql}");
    let width = statement.column_count();
    statement
        .query_map([], |row| (0..width).map(|index| row.get(index)).collect())?
        .collect()
}

#[test]
fn what_the_guard_accepts_says_the_same_as_what_was_written() {
    let connection = company();
    let all = VisibleSchema::new(&schema_of(&connection), &Visibility::everything());
    let volatile = [
        "random", "sqlite_", "pragma", "PRAGMA", "SQLITE_", "'now'", "CURRENT_",
    ];
    let mut compared = 0;
    for sql in lines("benign") {
        let guarded = guard(&GeneratedSql::new(sql.as_str()), &all)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let answer = rows(&connection, guarded.text())
            .unwrap_or_else(|error| panic!("{}: {error}", guarded.text()));
        if !volatile.iter().any(|word| sql.contains(word)) {
            assert_eq!(
                answer,
                rows(&connection, &sql).expect("the original runs"),
                "{sql}"
            );
            compared += 1;
        }
    }
    assert!(compared > 250, "{compared}");
}

#[test]
fn what_the_guard_accepts_for_an_actor_reads_nothing_hidden() {
    use rusqlite::hooks::{AuthAction, Authorization};
    let connection = company();
    let some = VisibleSchema::new(
        &schema_of(&connection),
        &Visibility::hiding(["people.salary", "secrets"]),
    );
    connection
        .authorizer(Some(
            |context: rusqlite::hooks::AuthContext<'_>| match context.action {
                AuthAction::Read {
                    table_name,
                    column_name,
                } if (table_name == "people" && column_name == "salary")
                    || ["secrets", "pay", "sqlite_master", "sqlite_schema"]
                        .contains(&table_name) =>
                {
                    Authorization::Deny
                }
                // A full-text table asks for this one by itself.
                AuthAction::Pragma {
                    pragma_name: "data_version",
                    ..
                } => Authorization::Allow,
                AuthAction::Pragma { .. } => Authorization::Deny,
                _ => Authorization::Allow,
            },
        ))
        .expect("an authorizer");
    for sql in lines("benign") {
        let guarded = guard(&GeneratedSql::new(sql.as_str()), &some)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows(&connection, guarded.text())
            .unwrap_or_else(|error| panic!("{sql}: {}: {error}", guarded.text()));
    }
}

/// A database that really lacks what is hidden is the reference for what a name means: whatever prepares there must not
/// be refused for its names, and whatever the guard accepts must not fail there for its names.
#[test]
fn names_mean_what_they_would_mean_if_the_hidden_did_not_exist() {
    let connection = company();
    let some = VisibleSchema::new(
        &schema_of(&connection),
        &Visibility::hiding(["people.salary", "secrets"]),
    );
    connection
        .execute_batch("DROP VIEW pay; DROP TABLE secrets; ALTER TABLE people DROP COLUMN salary")
        .expect("the hidden goes");
    let benign = lines("benign");
    let sources = [benign.clone(), lines("hostile")].concat();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for (index, sql) in sources.iter().enumerate() {
        for mutant in mutants(sql, &sources[(index * 7 + 3) % sources.len()]) {
            let answer = guard(&GeneratedSql::new(mutant.as_str()), &some);
            let prepared = connection.prepare(&mutant);
            let message = prepared
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default();
            let is_select = prepared
                .as_ref()
                .is_ok_and(|statement| statement.readonly() && statement.column_count() > 0);
            let refused = answer.as_ref().err().map(engine::Error::code);
            let by_name = matches!(
                refused,
                Some(Code::UnknownTable | Code::UnknownColumn | Code::DoubleQuotedString)
            );
            // These have names of their own in the guard: the schema tables and the rowid of a table that is cut.
            let special = ["sqlite_", "pragma", "rowid", "oid"];
            if special
                .iter()
                .any(|word| mutant.to_ascii_lowercase().contains(word))
            {
                continue;
            }
            checked += 1;
            // SQLite never looks at a frame's bounds or at a common table expression that nothing reads; the guard does.
            let unread = ["PRECEDING", "FOLLOWING", "unused"];
            let is_read = !unread.iter().any(|word| mutant.contains(word));
            if index < benign.len() && is_read && is_select && by_name {
                wrong.push(format!("refused: {mutant}: {answer:?}"));
            }
            if answer.is_ok()
                && (message.contains("no such column") || message.contains("no such table"))
            {
                wrong.push(format!("accepted: {mutant}: {message}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked}: {wrong:#?}", wrong.len());
    assert!(checked > 10_000, "{checked}");
}

/// Texts one word away from `sql`: each word left out, doubled, or replaced by one of `other`.
fn mutants(sql: &str, other: &str) -> Vec<String> {
    let words = words(sql);
    let others = self::words(other);
    let mut mutants = vec![sql.to_owned()];
    for index in 0..words.len() {
        let with = |middle: &[&str]| {
            [&words[..index], middle, &words[index + 1..]]
                .concat()
                .join(" ")
        };
        mutants.push(with(&[]));
        if let Some(replacement) = others.get((index * 5 + 1) % others.len().max(1)) {
            mutants.push(with(&[replacement]));
        }
        let next = words[(index + 3) % words.len()];
        mutants.push(with(&[next]));
    }
    mutants
}

/// Words, numbers, strings and single signs.
fn words(sql: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
        } else if let '\'' | '"' | '`' = first {
            rest[1..].find(first).map(|end| end + 2)
        } else {
            Some(first.len_utf8())
        };
        let (word, behind) = rest.split_at(length.unwrap_or(rest.len()));
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

#[test]
fn every_gold_query_is_accepted_unless_it_writes_strings_in_double_quotes() {
    let folder = std::env::var_os("EVAL_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/eval/dev"),
        PathBuf::from,
    );
    let Ok(questions) = std::fs::read_to_string(folder.join("questions.jsonl")) else {
        eprintln!("skipped: there are no questions in {}", folder.display());
        return;
    };
    let mut databases: BTreeMap<String, (Connection, Arc<VisibleSchema>)> = BTreeMap::new();
    let (mut accepted, mut quoted) = (0, 0);
    let mut wrong = Vec::new();
    for line in questions.lines().filter(|line| !line.is_empty()) {
        let question: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |key: &str| question[key].as_str().expect("a text").to_owned();
        let (connection, visible) = databases.entry(text("db")).or_insert_with_key(|db| {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let uri = format!(
                "file:{}?immutable=1",
                folder.join(format!("databases/{db}.sqlite")).display()
            );
            let connection =
                strict(Connection::open_with_flags(uri, flags).expect("a readable database"));
            let visible = VisibleSchema::new(&schema_of(&connection), &Visibility::everything());
            (connection, visible)
        });
        let gold = text("gold_sql");
        match guard(&GeneratedSql::new(gold.as_str()), visible) {
            Ok(guarded) => {
                accepted += 1;
                if let Err(error) = connection.prepare(guarded.text()) {
                    wrong.push(format!("{}: accepted, but {error}: {gold}", text("id")));
                }
            }
            Err(error)
                if error.code() == Code::DoubleQuotedString
                    && connection.prepare(&gold).is_err() =>
            {
                quoted += 1
            }
            Err(error) => wrong.push(format!("{}: {error:?}: {gold}", text("id"))),
        }
    }
    eprintln!("gold queries: {accepted} accepted, {quoted} with strings in double quotes");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(accepted > 0, "no gold query was read");
}
