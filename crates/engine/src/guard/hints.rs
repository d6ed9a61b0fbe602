//! What to say of a column that is not there: the words are those of SQLite, the hint is computed over visible names
//! only, so that a hidden column and a missing one cannot be told apart.

use sqlite3_parser::ast::{As, ResultColumn};

use super::Refused;
use super::names::{decode, nearest, same, shown};
use super::scope::{Scope, Source, SourceKind};
use crate::error::{Code, Error, MissingJoin};
use crate::policy::VisibleSchema;
use crate::prompt::is_keyword;

/// How many columns of a table a hint lists.
const MAX_LISTED: usize = 30;

/// Returns the refusal of a string in double quotes, which SQLite would read as text if no column had the name.
pub(super) fn double_quoted(name: &str, scope: &Scope<'_, '_>) -> Refused {
    let literal = format!("'{}'", shown(name).replace('\'', "''"));
    let mut hint = format!("write {literal} in single quotes");
    let mut error = Error::new(
        Code::DoubleQuotedString,
        format!(
            "no such column: \"{}\"; text is written in single quotes",
            shown(name)
        ),
    );
    match nearest_column(name, scope) {
        Some(close) => hint.push_str(&format!(
            " if it is text; if it is a column, did you mean {close}?"
        )),
        // `shown` cuts long names; a correction must have the whole of it.
        None => {
            let wrong = format!("\"{}\"", name.replace('"', "\"\""));
            let right = format!("'{}'", name.replace('\'', "''"));
            error = error.with_correction(wrong, right);
        }
    }
    Box::new(error.with_hint(hint))
}

/// Returns the refusal of a column that no table in sight has.
pub(super) fn unknown_column(
    name: &str,
    scope: &Scope<'_, '_>,
    visible: &VisibleSchema,
) -> Refused {
    let error = Error::new(
        Code::UnknownColumn,
        format!("no such column: {}", shown(name)),
    );
    // A table that has the very column says more than a column that sounds like it.
    let hint = elsewhere(name, scope, visible)
        .or_else(|| nearest_column(name, scope).map(|close| format!("did you mean {close}?")));
    match respelt(name, sources(scope).flat_map(|source| source.columns())) {
        Some(right) => with(error.with_correction(name, quoted(&right)), hint),
        None => match missing_join(name, name, scope, visible) {
            Some(join) => with(error.with_missing_join(join), hint),
            None => with(error, hint),
        },
    }
}

/// Returns what joins the table of a missing column to this SELECT, if there is one way to.
fn missing_join(
    written: &str,
    column: &str,
    scope: &Scope<'_, '_>,
    visible: &VisibleSchema,
) -> Option<MissingJoin> {
    let tables = |source: &Source<'_>| match source.kind {
        SourceKind::Table(table) => Some((source.name.to_string(), table.name.clone())),
        _ => None,
    };
    let own: Vec<(String, String)> = scope.sources.iter().filter_map(tables).collect();
    let is_taken = |name: &str| sources(scope).any(|source| same(&source.name, name));
    one_way(written, column, &own, &is_taken, visible)
}

/// Returns what joins the one table that has `column` and that exactly one foreign key ties to exactly one of the sources
/// given by alias and table; a table whose name `is_taken` cannot be joined. Two ways would be two different questions.
pub(crate) fn one_way(
    written: &str,
    column: &str,
    own: &[(String, String)],
    is_taken: &dyn Fn(&str) -> bool,
    visible: &VisibleSchema,
) -> Option<MissingJoin> {
    let mut ways = Vec::new();
    let holders = visible
        .tables()
        .iter()
        .filter(|table| !is_taken(&table.name))
        .filter_map(|table| Some((table, table.column(column)?)));
    for (holder, found) in holders {
        for (alias, name) in own.iter().filter(|(alias, _)| !alias.is_empty()) {
            let Some(table) = visible.table(name) else {
                continue;
            };
            let to = table
                .foreign_keys
                .iter()
                .filter(|key| same(&key.table, &holder.name))
                .map(|key| (&key.columns, &key.referenced));
            let back = holder
                .foreign_keys
                .iter()
                .filter(|key| same(&key.table, &table.name))
                .map(|key| (&key.referenced, &key.columns));
            for (own, other) in to.chain(back) {
                if own.len() == other.len() && !own.is_empty() {
                    ways.push((holder, found, alias, own, other));
                }
            }
        }
    }
    let [(holder, found, alias, own, other)] = ways[..] else {
        return None;
    };
    let name = quoted(&holder.name);
    let conditions: Vec<String> = own
        .iter()
        .zip(other)
        .map(|(own, other)| {
            format!(
                "{name}.{} = {}.{}",
                quoted(other),
                quoted(alias),
                quoted(own)
            )
        })
        .collect();
    Some(MissingJoin {
        wrong: written.to_owned(),
        right: format!("{name}.{}", quoted(&found.name)),
        join: format!("JOIN {name} ON {}", conditions.join(" AND ")),
    })
}

/// Returns the one name that differs from `wrong` in case and separators only (`petType` for `pet_type`).
fn respelt<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let letters = |name: &str| {
        name.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    let wanted = letters(wrong);
    let mut found: Option<&str> = None;
    for name in names.filter(|name| letters(name) == wanted) {
        match found {
            Some(other) if !same(other, name) => return None,
            _ => found = Some(name),
        }
    }
    found.map(str::to_owned)
}

/// Returns the refusal of `table.column`, saying which other table of the query has the column, if one does.
pub(super) fn unknown_qualified_column(
    db: Option<&str>,
    table: &str,
    column: &str,
    scope: &Scope<'_, '_>,
    visible: &VisibleSchema,
) -> Refused {
    let mut written = format!("{}.{}", shown(table), shown(column));
    if let Some(db) = db {
        written = format!("{}.{written}", shown(db));
    }
    let error = Error::new(Code::UnknownColumn, format!("no such column: {written}"));
    let named = sources(scope).find(|source| same(&source.name, table));
    let mut holders =
        sources(scope).filter(|source| !same(&source.name, table) && source.has(column, visible));
    let holder = holders.next();
    let is_only_holder = holders.next().is_none();
    let hint = match (named, holder) {
        (_, Some(holder)) if holder.name.is_empty() => Some(format!(
            "{column} is a column of the subquery: write {column}"
        )),
        (_, Some(holder)) => Some(format!(
            "{column} is a column of {name}: write {name}.{column}",
            name = quoted(&holder.name)
        )),
        (Some(named), None) => {
            elsewhere(column, scope, visible).or_else(|| match nearest(column, named.columns()) {
                Some(close) => Some(format!("did you mean {}.{}?", quoted(table), quoted(close))),
                None => {
                    let columns = named.columns();
                    (columns.len() <= MAX_LISTED)
                        .then(|| format!("the columns of {table} are: {}", columns.join(", ")))
                }
            })
        }
        (None, None) => {
            let names: Vec<_> = sources(scope)
                .map(|source| source.name.as_ref())
                .filter(|name| !name.is_empty())
                .collect();
            match nearest(table, names.iter().copied()) {
                Some(close) => Some(format!(
                    "did you mean {}.{}?",
                    quoted(close),
                    quoted(column)
                )),
                None if names.is_empty() => None,
                None => Some(format!(
                    "{table} is not in FROM here; what is: {}",
                    names.join(", ")
                )),
            }
        }
    };
    let correction = match (db, named, holder) {
        (None, _, Some(holder)) if is_only_holder && !holder.name.is_empty() => {
            Some(format!("{}.{}", quoted(&holder.name), quoted(column)))
        }
        (None, Some(named), None) => respelt(column, named.columns().into_iter())
            .map(|right| format!("{}.{}", quoted(table), quoted(&right))),
        _ => None,
    };
    let written = format!("{table}.{column}");
    match correction {
        Some(right) => with(error.with_correction(written, right), hint),
        None if db.is_none() && holder.is_none() => {
            match missing_join(&written, column, scope, visible) {
                Some(join) => with(error.with_missing_join(join), hint),
                None => with(error, hint),
            }
        }
        None => with(error, hint),
    }
}

/// Says of a missing column that it is an alias of the very SELECT, if it is one: a likely slip, since WHERE and ORDER BY
/// may use it.
pub(super) fn about_alias(refused: Refused, columns: &[ResultColumn<'_>]) -> Refused {
    let alias = columns.iter().find_map(|column| match column {
        ResultColumn::Expr(_, Some(As::As(name) | As::Elided(name))) => {
            let alias = decode(name.0);
            let is_meant = refused.code() == Code::UnknownColumn
                && same(refused.message(), &format!("no such column: {alias}"));
            is_meant.then_some(alias)
        }
        _ => None,
    });
    match alias {
        Some(alias) => with(
            Error::new(refused.code(), refused.message()),
            Some(format!(
                "{alias} is an alias of this SELECT, whose columns cannot use it: repeat its expression"
            )),
        ),
        None => refused,
    }
}

fn with(error: Error, hint: Option<String>) -> Refused {
    Box::new(match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

fn sources<'s, 'a>(scope: &'s Scope<'s, 'a>) -> impl Iterator<Item = &'s Source<'a>> {
    scope.chain().flat_map(|scope| scope.sources.iter())
}

/// Returns the nearest column or alias in sight, written as it can be used.
fn nearest_column(name: &str, scope: &Scope<'_, '_>) -> Option<String> {
    let named: Vec<(&str, &str)> = sources(scope)
        .flat_map(|source| {
            source
                .columns()
                .into_iter()
                .map(|column| (source.name.as_ref(), column))
        })
        .collect();
    let close = nearest(name, named.iter().map(|(_, column)| *column))?;
    let mut holders = named.iter().filter(|(_, column)| *column == close);
    let (table, _) = holders.next()?;
    let is_ambiguous = holders.next().is_some();
    Some(if is_ambiguous && !table.is_empty() {
        format!("{}.{}", quoted(table), quoted(close))
    } else {
        quoted(close)
    })
}

/// Says which visible tables that the query does not read have a column of this name.
fn elsewhere(name: &str, scope: &Scope<'_, '_>, visible: &VisibleSchema) -> Option<String> {
    let tables: Vec<_> = visible
        .tables()
        .iter()
        .filter(|table| table.column(name).is_some())
        .filter(|table| !sources(scope).any(|source| same(&source.name, &table.name)))
        .map(|table| table.name.as_str())
        .take(5)
        .collect();
    (!tables.is_empty()).then(|| {
        format!(
            "{name} is a column of {}, which is not in FROM here and may have to be joined",
            tables.join(" and of ")
        )
    })
}

/// Quotes a name where it needs quotes.
pub(crate) fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !is_keyword(name);
    if is_plain {
        name.to_owned()
    } else {
        crate::policy::quote_identifier(name)
    }
}
