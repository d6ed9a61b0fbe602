//! The table of docs/fences.md, cell by cell: each kind of statement against each fence with all others taken out.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::guard::guard;
use engine::ports::QueryLimits;
use engine::prompt::GeneratedSql;
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection};

use super::support::Target;
use crate::target::authorizer::Authorizer;
use crate::target::connection::{LIMITS, MAX_NESTING, open_read_only, prepare_select};
use crate::target::program::{self, Catalog};
use crate::target::rows::{self, Failure};
use crate::target::watch::Watch;
use crate::target::words;

const COMPANY: &str = "
    CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, salary INTEGER);
    INSERT INTO people VALUES (1, 'Ada', 50000), (2, 'Bob', 6000);
    CREATE TABLE secrets(token TEXT);
    INSERT INTO secrets VALUES ('canary');";

/// Each kind of statement as docs/fences.md calls it. FILE is a path beside the database.
const KINDS: [(&str, &str); 23] = [
    (
        "`INSERT`, `UPDATE`, `DELETE`",
        "UPDATE people SET name = 'x'",
    ),
    (
        "a write behind `WITH`",
        "WITH x AS (SELECT 1) DELETE FROM people",
    ),
    ("`CREATE`, `ALTER`, `DROP`", "DROP TABLE people"),
    (
        "`CREATE TEMP TABLE`",
        "CREATE TEMP TABLE t AS SELECT 1 AS a",
    ),
    ("`ATTACH`", "ATTACH 'FILE' AS other"),
    ("`VACUUM INTO`", "VACUUM INTO 'FILE'"),
    ("`PRAGMA` that writes", "PRAGMA user_version = 7"),
    ("`PRAGMA` that takes a fence away", "PRAGMA query_only = 0"),
    ("`BEGIN`, `SAVEPOINT`", "BEGIN"),
    (
        "a second statement that writes",
        "SELECT 1; DELETE FROM people",
    ),
    ("`EXPLAIN`", "EXPLAIN SELECT name FROM people"),
    ("a hidden column", "SELECT salary FROM people"),
    (
        "a hidden column through a name of its own",
        "WITH p AS (SELECT salary FROM people) SELECT * FROM p",
    ),
    (
        "a hidden column through `FULL JOIN ... USING`",
        "SELECT salary FROM people FULL JOIN (SELECT NULL AS salary) USING (salary)",
    ),
    (
        "a hidden column compared by `USING`",
        "SELECT name FROM people JOIN (SELECT 50000 AS salary) USING (salary)",
    ),
    ("a hidden table", "SELECT token FROM secrets"),
    ("counting a hidden table", "SELECT count(*) FROM secrets"),
    (
        "the real `sqlite_master`",
        "SELECT count(*) FROM main.sqlite_master WHERE name = 'secrets'",
    ),
    (
        "a `pragma_` function",
        "SELECT name FROM pragma_table_info('people')",
    ),
    (
        "an endless query",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    ),
    (
        "a giant value",
        "WITH n(i, s) AS (SELECT 1, 'abcdefgh' UNION ALL SELECT i + 1, s || s FROM n WHERE i < 22) SELECT max(length(s)) FROM n",
    ),
    ("thousands of nested queries", "NESTED"),
    (
        "rows without end",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 100000",
    ),
];

const FENCES: [&str; 10] = [
    "guard",
    "read-only open",
    "`query_only`",
    "authorizer",
    "program check",
    "one read-only statement",
    "file mode 0444",
    "limits",
    "deadline",
    "caps",
];

const CAPS: QueryLimits = QueryLimits {
    timeout: Duration::from_millis(300),
    max_rows: 1_000,
    max_bytes: 1 << 20,
};

#[test]
fn the_table_of_the_documentation_is_true() {
    let documented = documented_table();
    let mut wrong = Vec::new();
    for (kind, sql) in KINDS {
        let missing = Vec::new();
        let row = documented.get(kind).unwrap_or(&missing);
        let mut right = format!("| {kind} |");
        let mut is_wrong = row.len() != FENCES.len();
        for (index, fence) in FENCES.iter().enumerate() {
            let said = row.get(index).map_or("", String::as_str);
            let is_so = cell(fence, sql).unwrap_or(said);
            is_wrong |= is_so != said;
            right += &format!(" {is_so} |");
        }
        if is_wrong {
            wrong.push(right);
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/fences.md should say:\n{}",
        wrong.join("\n")
    );
    assert_eq!(documented.len(), KINDS.len(), "rows that nothing tests");
}

#[test]
fn every_kind_of_statement_works_without_fences() {
    for (kind, sql) in KINDS {
        assert_eq!(cell("none", sql), Some("-"), "{kind}");
    }
}

/// Reads the one table of docs/fences.md that has a column for each fence: cells by kind of statement.
fn documented_table() -> BTreeMap<String, Vec<String>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/fences.md");
    let text = fs::read_to_string(path).expect("docs/fences.md");
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim().trim_start_matches('|').trim_end_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = text
        .lines()
        .skip_while(|line| !line.starts_with("| Kind of statement"));
    let head = cells(lines.next().expect("the table"));
    assert_eq!(head[1..], FENCES);
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut row = cells(line);
            (row.remove(0), row)
        })
        .collect()
}

/// Says what `fence` alone does with `sql`; `None` if that cannot be tried here.
fn cell(fence: &str, sql: &str) -> Option<&'static str> {
    let target = Target::new(COMPANY, &["people.salary", "secrets"]);
    let beside = target.folder.path().join("beside.db");
    let sql = sql
        .replace("FILE", beside.to_str().expect("a path"))
        .replace(
            "NESTED",
            &format!(
                "{}SELECT 1{}",
                "SELECT * FROM (".repeat(1_000),
                ")".repeat(1_000)
            ),
        );
    if fence == "file mode 0444" {
        return stops_by_mode(&target, &sql).map(word);
    }
    let connection = match fence {
        "read-only open" => open_read_only(&target.path),
        _ => Connection::open(&target.path),
    }
    .expect("a connection");
    let stopped = match fence {
        "guard" => match guard(&GeneratedSql::new(sql.as_str()), &target.visible) {
            // Not as asked, but from the visible schema.
            Ok(guarded) if guarded.text() != sql => return Some("answers"),
            Ok(guarded) => is_stopped(&connection, guarded.text()),
            Err(_) => true,
        },
        "`query_only`" => {
            connection
                .execute_batch("PRAGMA query_only = 1")
                .expect("a pragma");
            is_stopped(&connection, &sql)
        }
        "authorizer" => {
            let authorizer = Authorizer::install(&connection).expect("an authorizer");
            authorizer.ask(&target.visible, &["json_each", "json_tree"]);
            is_stopped(&connection, &sql)
        }
        "program check" => {
            let authorizer = Authorizer::install(&connection).expect("an authorizer");
            let check = program::Check {
                connection: &connection,
                authorizer: &authorizer,
                catalog: &Catalog::read(&connection).expect("a catalog"),
                visible: &target.visible,
                virtual_tables: &[],
            };
            check.run(&sql).is_err() || is_stopped(&connection, &sql)
        }
        "one read-only statement" => {
            prepare_select(&connection, &sql).is_err() || is_stopped(&connection, &sql)
        }
        "limits" => {
            for (limit, value) in LIMITS {
                connection.set_limit(limit, value).expect("a limit");
            }
            words::nesting(&sql) > MAX_NESTING || is_stopped(&connection, &sql)
        }
        "deadline" => {
            let started = Instant::now();
            let watch = Arc::new(Watch::until(started + CAPS.timeout));
            let _attended = watch.attend(&connection).expect("a handler");
            let ended = run(&connection, &sql);
            ended.is_err() && watch.stopped().is_some()
        }
        "caps" => {
            let watch = Arc::new(Watch::until(Instant::now() + CAPS.timeout));
            let _attended = watch.attend(&connection).expect("a handler");
            match Batch::new(&connection, &sql).next().expect("a statement") {
                Some(mut statement) => match rows::collect(&mut statement, &CAPS) {
                    Ok(result) => result.truncated,
                    Err(Failure::TooManyBytes) => true,
                    Err(Failure::Sqlite(_) | Failure::Sink(_)) => false,
                },
                None => false,
            }
        }
        _ => is_stopped(&connection, &sql),
    };
    Some(word(stopped))
}

fn word(is_stopped: bool) -> &'static str {
    if is_stopped { "stops" } else { "-" }
}

/// Runs all statements of a text and says whether something other than our patience ended them.
fn is_stopped(connection: &Connection, sql: &str) -> bool {
    let patience = Arc::new(Watch::until(Instant::now() + CAPS.timeout));
    let _attended = patience.attend(connection).expect("a handler");
    run(connection, sql).is_err() && patience.stopped().is_none()
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statements = Batch::new(connection, sql);
    while let Some(mut statement) = statements.next()? {
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// Runs `sql` as someone who may read the file and not write it, in a process of its own if we are root.
fn stops_by_mode(target: &Target, sql: &str) -> Option<bool> {
    fs::set_permissions(&target.path, fs::Permissions::from_mode(0o444)).expect("a mode");
    let is_root = fs::metadata(target.folder.path())
        .expect("the folder")
        .uid()
        == 0;
    if !is_root {
        let connection = Connection::open(&target.path).expect("a connection");
        return Some(is_stopped(&connection, sql));
    }
    fs::set_permissions(target.folder.path(), fs::Permissions::from_mode(0o777)).expect("a mode");
    let own = std::env::current_exe().expect("this program");
    // Where an ordinary user can read it.
    let copy = target.folder.path().join("this-program");
    fs::copy(own, &copy).expect("a copy");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("a mode");
    let child = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy)
        .args([
            "--exact",
            "target::tests::table::runs_one_statement_for_the_test_of_file_modes",
            "--nocapture",
        ])
        .env(CHILD_PATH, &target.path)
        .env(CHILD_SQL, sql)
        .output();
    let Ok(output) = child else {
        eprintln!("skipped: no setpriv to stop being root with");
        return None;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    match (told.contains(STOPPED), told.contains(WENT_ON)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => {
            eprintln!("skipped: cannot run as an ordinary user here: {told}");
            None
        }
    }
}

const CHILD_PATH: &str = "ASSAY_TEST_FENCE_PATH";
const CHILD_SQL: &str = "ASSAY_TEST_FENCE_SQL";
const STOPPED: &str = "the statement was stopped";
const WENT_ON: &str = "the statement went on";

#[test]
fn runs_one_statement_for_the_test_of_file_modes() {
    let (Ok(path), Ok(sql)) = (std::env::var(CHILD_PATH), std::env::var(CHILD_SQL)) else {
        return;
    };
    let stopped = match Connection::open(Path::new(&path)) {
        Ok(connection) => is_stopped(&connection, &sql),
        Err(_) => true,
    };
    eprintln!("{}", if stopped { STOPPED } else { WENT_ON });
}
