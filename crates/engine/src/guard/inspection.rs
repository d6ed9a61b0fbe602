//! Looking at the schema as SQLite offers it (`sqlite_master`, `PRAGMA table_info`), answered from what the actor may
//! see: the schema table becomes a common table expression, a PRAGMA becomes a SELECT over literal rows.

use sqlite3_parser::ast::{Expr, Literal, PragmaBody, QualifiedName};

use super::Refused;
use super::names::{decode, same};
use super::resolve::unknown_table;
use super::text::{invalid, read_only};
use crate::policy::{VisibleSchema, quote_identifier};
use crate::schema::{Table, TableKind};

/// The names under which SQLite's schema table can be read.
pub(super) const SCHEMA_TABLES: [&str; 2] = ["sqlite_master", "sqlite_schema"];

/// The columns of the schema table.
pub(super) const SCHEMA_COLUMNS: &[&str] = &["type", "name", "tbl_name", "rootpage", "sql"];

const TABLE_INFO: &[&str] = &["cid", "name", "type", "notnull", "dflt_value", "pk"];
const TABLE_XINFO: &[&str] = &[
    "cid",
    "name",
    "type",
    "notnull",
    "dflt_value",
    "pk",
    "hidden",
];
const TABLE_LIST: &[&str] = &["schema", "name", "type", "ncol", "wr", "strict"];
const FOREIGN_KEYS: &[&str] = &[
    "id",
    "seq",
    "table",
    "from",
    "to",
    "on_update",
    "on_delete",
    "match",
];

/// Says whether the PRAGMA of this name only looks at the schema.
pub(super) fn is_inspection(pragma: &str) -> bool {
    columns_of(pragma).is_some()
}

/// Returns the columns of the PRAGMA of this name, if it only looks at the schema.
pub(super) fn columns_of(pragma: &str) -> Option<&'static [&'static str]> {
    [
        ("table_info", TABLE_INFO),
        ("table_xinfo", TABLE_XINFO),
        ("table_list", TABLE_LIST),
        ("foreign_key_list", FOREIGN_KEYS),
    ]
    .into_iter()
    .find(|(name, _)| same(name, pragma))
    .map(|(_, columns)| columns)
}

/// Returns the definition of a common table expression that stands for the schema table.
pub(super) fn definition(name: &str, visible: &VisibleSchema) -> String {
    let rows = visible
        .tables()
        .iter()
        .map(|table| {
            let kind = if table.kind == TableKind::View {
                "view"
            } else {
                "table"
            };
            let name = literal(&table.name);
            vec![
                literal(kind),
                name.clone(),
                name,
                "0".into(),
                literal(&table.ddl),
            ]
        })
        .collect::<Vec<_>>();
    let columns: Vec<_> = SCHEMA_COLUMNS
        .iter()
        .map(|column| quote_identifier(column))
        .collect();
    let body =
        values(&rows).unwrap_or_else(|| "SELECT NULL, NULL, NULL, NULL, NULL WHERE 0".into());
    format!("{name}({}) AS ({body})", columns.join(", "))
}

/// Returns the definitions at the head of a text that an earlier pass of the guard put there: their length in bytes
/// and their number.
pub(super) fn own_definitions(text: &str, visible: &VisibleSchema) -> (usize, usize) {
    let Some(rest) = text.strip_prefix("WITH ") else {
        return (0, 0);
    };
    let mut rest = rest.strip_prefix("RECURSIVE ").unwrap_or(rest);
    let mut count = 0;
    for name in SCHEMA_TABLES {
        if rest.starts_with(name) {
            if let Some(behind) = rest.strip_prefix(definition(name, visible).as_str()) {
                rest = behind.strip_prefix(", ").unwrap_or(behind);
                count += 1;
            }
        }
    }
    if count == 0 {
        (0, 0)
    } else {
        (text.len() - rest.len(), count)
    }
}

/// Returns the SELECT that answers a PRAGMA statement.
///
/// # Errors
///
/// A refusal as a write of any PRAGMA that does not only look at the schema; [`crate::Code::UnknownTable`].
pub(super) fn answer_statement(
    name: &QualifiedName<'_>,
    body: Option<&PragmaBody<'_>>,
    visible: &VisibleSchema,
) -> Result<String, Refused> {
    let in_main = name
        .db_name
        .as_ref()
        .is_none_or(|db| same(&decode(db.0), "main"));
    let pragma = decode(name.name.0);
    if !in_main || !is_inspection(&pragma) {
        return Err(read_only());
    }
    let argument = match body {
        None => None,
        Some(PragmaBody::Equals(value) | PragmaBody::Call(value)) => Some(
            name_in(value)
                .ok_or_else(|| invalid(format!("PRAGMA {pragma} takes the name of a table")))?,
        ),
    };
    answer(&pragma, argument.as_deref(), visible)
}

/// Returns the SELECT that answers a PRAGMA.
///
/// # Errors
///
/// [`crate::Code::UnknownTable`] for a table that cannot be seen.
pub(super) fn answer(
    pragma: &str,
    argument: Option<&str>,
    visible: &VisibleSchema,
) -> Result<String, Refused> {
    let columns = columns_of(pragma).ok_or_else(read_only)?;
    let table = match argument {
        Some(name) => Some(
            visible
                .table(name)
                .ok_or_else(|| unknown_table(name, visible, []))?,
        ),
        None => None,
    };
    let rows = match (pragma.to_ascii_lowercase().as_str(), table) {
        ("table_list", Some(table)) => vec![listed(table)],
        ("table_list", None) => visible.tables().iter().map(listed).collect(),
        (_, None) => return Err(invalid(format!("{pragma} takes the name of a table"))),
        ("foreign_key_list", Some(table)) => foreign_keys(table),
        ("table_xinfo", Some(table)) => table_info(table, true),
        (_, Some(table)) => table_info(table, false),
    };
    let names = |source: &dyn Fn(usize) -> String| {
        let list: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(index, name)| format!("{} AS {}", source(index), quote_identifier(name)))
            .collect();
        list.join(", ")
    };
    Ok(match values(&rows) {
        Some(values) => format!(
            "SELECT {} FROM ({values})",
            names(&|index| format!("column{}", index + 1))
        ),
        None => format!("SELECT {} WHERE 0", names(&|_| "NULL".into())),
    })
}

/// Returns the name that a PRAGMA's argument or a literal holds.
pub(super) fn name_in(value: &Expr<'_>) -> Option<String> {
    match value {
        Expr::Name(name) => Some(decode(name.0).into_owned()),
        Expr::Id(id) => Some(decode(id.0).into_owned()),
        Expr::Literal(Literal::String(text)) => Some(decode(text).into_owned()),
        _ => None,
    }
}

fn table_info(table: &Table, with_hidden: bool) -> Vec<Vec<String>> {
    table
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let key = table
                .primary_key
                .iter()
                .position(|name| same(name, &column.name));
            let mut row = vec![
                index.to_string(),
                literal(&column.name),
                literal(&column.declared_type),
                u8::from(column.not_null).to_string(),
                "NULL".into(),
                key.map_or(0, |place| place + 1).to_string(),
            ];
            if with_hidden {
                row.push("0".into());
            }
            row
        })
        .collect()
}

fn listed(table: &Table) -> Vec<String> {
    let kind = match table.kind {
        TableKind::Table => "table",
        TableKind::View => "view",
        TableKind::Virtual => "virtual",
    };
    vec![
        literal("main"),
        literal(&table.name),
        literal(kind),
        table.columns.len().to_string(),
        "0".into(),
        "0".into(),
    ]
}

fn foreign_keys(table: &Table) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (id, key) in table
        .foreign_keys
        .iter()
        .filter(|key| !key.inferred)
        .enumerate()
    {
        for (seq, column) in key.columns.iter().enumerate() {
            let to = key
                .referenced
                .get(seq)
                .map_or_else(|| "NULL".into(), |name| literal(name));
            rows.push(vec![
                id.to_string(),
                seq.to_string(),
                literal(&key.table),
                literal(column),
                to,
                literal("NO ACTION"),
                literal("NO ACTION"),
                literal("NONE"),
            ]);
        }
    }
    rows
}

fn values(rows: &[Vec<String>]) -> Option<String> {
    let rows: Vec<_> = rows
        .iter()
        .map(|row| format!("({})", row.join(", ")))
        .collect();
    (!rows.is_empty()).then(|| format!("VALUES {}", rows.join(", ")))
}

/// Writes a text as an SQL literal. A NUL byte would end the statement for SQLite and is left out.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}
