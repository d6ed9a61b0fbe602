//! How many of the tables that gold SQL reads the linker gets into a prompt of 2,000 tokens: over the databases of an
//! evaluation set as they are, and over each of them hidden among a thousand tables.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::Error;
use engine::linking::{Clues, Lexicon, rank_tables};
use engine::policy::{Visibility, VisibleSchema};
use engine::prompt::{SendValues, linked};
use engine::schema::{Column, ForeignKey, Schema, Table, TableKind};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use stores::target::read_schema::{SchemaLimits, read_schema};

use super::super::eval::questions::{self, Group};
use super::super::output;
use super::{Figure, failed, median, seconds};

/// Tables of the wide schema.
pub const WIDE: usize = 1_000;

/// What one schema gave.
#[derive(Default)]
struct Tally {
    gold: usize,
    shown: usize,
    questions: usize,
    whole: usize,
    chars: Vec<usize>,
    times: Vec<Duration>,
}

/// Measures the linker over the questions in a folder.
pub async fn figures(set: &Path) -> Result<Vec<Figure>, Error> {
    output::say("linking questions to tables");
    let items = questions::load(&set.join("questions.jsonl"), None)?.items;
    let groups = questions::group_by_database(items, &set.join("databases"))?;
    let mut schemas = Vec::new();
    for group in &groups {
        schemas.push(read_schema(
            &group.path,
            &SchemaLimits::default(),
            &|_, _| (),
        )?);
    }
    let (mut own, mut wide) = (Tally::default(), Tally::default());
    for (at, group) in groups.iter().enumerate() {
        link(&mut own, group, &schemas[at])?;
        link(&mut wide, group, &among_others(at, &schemas))?;
    }
    Ok([("its own database", own), ("1,000 tables", wide)]
        .into_iter()
        .flat_map(|(what, tally)| tally.figures(what))
        .collect())
}

impl Tally {
    fn figures(mut self, what: &str) -> Vec<Figure> {
        self.chars.sort_unstable();
        let most = self.chars.last().copied().unwrap_or(0);
        let share = |part: usize, whole: usize| {
            format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
        };
        vec![
            Figure::new(
                format!("gold tables shown, {what}"),
                share(self.shown, self.gold),
                format!("{} of {}; at most {most} characters", self.shown, self.gold),
            ),
            Figure::new(
                format!("questions with all gold tables, {what}"),
                share(self.whole, self.questions),
                format!("{} of {}", self.whole, self.questions),
            ),
            Figure::new(
                format!("linking one question, {what}"),
                seconds(median(self.times)),
                "median; words and joins",
            ),
        ]
    }
}

fn link(tally: &mut Tally, group: &Group, schema: &Schema) -> Result<(), Error> {
    let visible = VisibleSchema::new(schema, &Visibility::everything());
    let lexicon = Lexicon::of(&visible);
    let connection =
        Connection::open_with_flags(&group.path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(failed)?;
    for item in &group.items {
        let gold = tables_read(&connection, &item.gold_sql).map_err(failed)?;
        let question = item.full_question();
        let begun = Instant::now();
        let ranking = rank_tables(&question, &visible, &lexicon, &Clues::default());
        tally.times.push(begun.elapsed());
        let shown = linked(&visible, SendValues::All, &ranking);
        tally
            .chars
            .push(shown.iter().map(|(_, text)| text.len()).sum());
        let names: HashSet<String> = shown
            .iter()
            .map(|(index, _)| visible.tables()[*index].name.to_ascii_lowercase())
            .collect();
        let found = gold.iter().filter(|name| names.contains(*name)).count();
        if found < gold.len() {
            let missed: Vec<_> = gold.iter().filter(|name| !names.contains(*name)).collect();
            tracing::info!(database = group.name, ?missed, "not shown for: {question}");
        }
        tally.gold += gold.len();
        tally.shown += found;
        tally.questions += 1;
        tally.whole += usize::from(found == gold.len());
    }
    Ok(())
}

/// Asks SQLite which tables a statement reads, in lower case.
fn tables_read(connection: &Connection, sql: &str) -> rusqlite::Result<BTreeSet<String>> {
    let read = Arc::new(Mutex::new(BTreeSet::new()));
    let told = Arc::clone(&read);
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if let AuthAction::Read { table_name, .. } = context.action
            && let Ok(mut told) = told.lock()
        {
            told.insert(table_name.to_ascii_lowercase());
        }
        Authorization::Allow
    }))?;
    connection.prepare(sql).map(drop)?;
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    let found = read.lock().map(|read| read.clone()).unwrap_or_default();
    Ok(found
        .into_iter()
        .filter(|name| !name.starts_with("sqlite_"))
        .collect())
}

/// Puts the tables of one database among those of all others, as far as their names do not clash, and as many made-up
/// ones as make a thousand, in an order that tells nothing.
fn among_others(own: usize, schemas: &[Schema]) -> Schema {
    let mut names: HashSet<String> = HashSet::new();
    let mut tables: Vec<Table> = Vec::new();
    let others = schemas.iter().enumerate().filter(|(at, _)| *at != own);
    let all = std::iter::once(&schemas[own]).chain(others.map(|(_, schema)| schema));
    for (at, schema) in all.enumerate() {
        // A foreign database comes whole or not at all, lest its keys point into another's tables.
        let clashes = schema
            .tables
            .iter()
            .any(|table| names.contains(&table.name.to_ascii_lowercase()));
        if at > 0 && clashes {
            continue;
        }
        for table in &schema.tables {
            names.insert(table.name.to_ascii_lowercase());
            tables.push(table.clone());
        }
    }
    let fillers = made_up().filter(|table| !names.contains(&table.name.to_ascii_lowercase()));
    let missing = WIDE.saturating_sub(tables.len());
    tables.extend(fillers.take(missing).collect::<Vec<_>>());
    tables.sort_by_key(|table| *blake3::hash(table.name.as_bytes()).as_bytes());
    Schema { tables }
}

/// Returns tables as companies have them: areas, things and their columns, with keys among those of one area.
pub fn made_up() -> impl Iterator<Item = Table> {
    const AREAS: [&str; 44] = [
        "hr",
        "crm",
        "fin",
        "ops",
        "web",
        "iot",
        "legal",
        "audit",
        "risk",
        "fleet",
        "plant",
        "clinic",
        "lab",
        "hotel",
        "bank",
        "loan",
        "tax",
        "grid",
        "farm",
        "mine",
        "port",
        "rail",
        "air",
        "press",
        "radio",
        "game",
        "music_rights",
        "film",
        "retail",
        "outlet",
        "kitchen",
        "garden",
        "estate",
        "tenant",
        "donor",
        "grant",
        "member",
        "museum",
        "archive",
        "court",
        "police",
        "fire",
        "water",
        "waste",
    ];
    const THINGS: [(&str, &[&str]); 24] = [
        (
            "accounts",
            &["account_name", "opened_on", "balance", "status"],
        ),
        ("contacts", &["first_name", "last_name", "email", "phone"]),
        (
            "events",
            &["event_type", "happened_at", "source", "payload"],
        ),
        (
            "orders",
            &["ordered_at", "total_amount", "currency", "state"],
        ),
        ("order_lines", &["quantity", "unit_price", "discount"]),
        ("documents", &["title", "file_name", "created_at", "author"]),
        (
            "tickets",
            &["subject", "priority", "opened_at", "closed_at"],
        ),
        (
            "invoices",
            &["invoice_number", "issued_on", "due_on", "amount"],
        ),
        ("payments", &["paid_on", "amount", "method"]),
        (
            "employees",
            &["full_name", "hired_on", "salary", "job_title"],
        ),
        ("departments", &["department_name", "budget", "city"]),
        (
            "projects",
            &["project_name", "starts_on", "ends_on", "budget"],
        ),
        (
            "locations",
            &["address", "city", "country", "latitude", "longitude"],
        ),
        ("devices", &["serial_number", "model", "installed_on"]),
        ("readings", &["measured_at", "value", "unit"]),
        ("schedules", &["day_of_week", "start_time", "end_time"]),
        ("contracts", &["signed_on", "expires_on", "value"]),
        ("reviews", &["rating", "comment", "reviewed_at"]),
        ("products", &["product_name", "category", "list_price"]),
        ("stock_levels", &["warehouse", "on_hand", "reorder_level"]),
        ("shipments", &["shipped_at", "carrier", "tracking_number"]),
        ("users", &["user_name", "last_login", "is_active"]),
        ("categories", &["label", "description", "parent_id"]),
        ("sessions", &["started_at", "duration_seconds", "browser"]),
    ];
    AREAS.iter().flat_map(|area| {
        THINGS
            .iter()
            .enumerate()
            .map(move |(at, (thing, columns))| {
                let column = |name: String, declared_type: &str| Column {
                    name,
                    declared_type: declared_type.into(),
                    ..Column::default()
                };
                let partner = THINGS[(at + 9) % THINGS.len()].0;
                let key = format!("{partner}_id");
                let mut all = vec![
                    column("id".into(), "INTEGER"),
                    column(key.clone(), "INTEGER"),
                ];
                all.extend(columns.iter().map(|name| column((*name).into(), "TEXT")));
                Table {
                    name: format!("{area}_{thing}"),
                    kind: TableKind::Table,
                    columns: all,
                    primary_key: vec!["id".into()],
                    foreign_keys: vec![ForeignKey {
                        columns: vec![key],
                        table: format!("{area}_{partner}"),
                        referenced: vec!["id".into()],
                        inferred: false,
                    }],
                    row_count: None,
                    ddl: String::new(),
                    reads: vec![],
                }
            })
    })
}
