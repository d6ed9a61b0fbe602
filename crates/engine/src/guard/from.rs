//! Reads FROM clauses: which table, view, common table expression or table-valued function each name is, and what must
//! stand in its place so that nothing hidden can be come across.

use std::borrow::Cow;

use sqlite3_parser::ast::{
    As, Expr, FromClause, Indexed, JoinConstraint, JoinOperator, JoinType, QualifiedName,
    SelectTable,
};

use super::Refused;
use super::inspection::{self, SCHEMA_COLUMNS, SCHEMA_TABLES};
use super::names::{decode, nearest, same, shown};
use super::resolve::Resolver;
use super::rewrite::{Edit, Until, address};
use super::scope::{CutSite, JSON_COLUMNS, Scope, Source, SourceKind, Withs};
use super::text::{invalid, too_complex};
use crate::error::{Code, Error};
use crate::policy::{VisibleSchema, quote_identifier};
use crate::schema::{Table, TableKind};

/// SQLite joins no more than 64 tables.
const MAX_SOURCES: usize = 64;

/// Table-valued functions that may be called.
const TABLE_FUNCTIONS: [&str; 4] = ["json_each", "json_tree", "jsonb_each", "jsonb_tree"];

impl<'a> Resolver<'a> {
    pub(super) fn read_from(
        &mut self,
        from: &'a FromClause<'a>,
        outer: Option<&Scope<'_, 'a>>,
        withs: Option<&Withs<'_, 'a>>,
        sources: &mut Vec<Source<'a>>,
        pending: &mut Pending<'a>,
    ) -> Result<(), Refused> {
        self.enter()?;
        let begin = sources.len();
        if let Some(first) = from.select {
            self.read_item(first, outer, withs, sources, pending)?;
        }
        for join in from.joins.as_deref().unwrap_or_default() {
            let middle = sources.len();
            self.read_item(&join.table, outer, withs, sources, pending)?;
            if sources.len() > MAX_SOURCES {
                return Err(too_complex(format!(
                    "the SQL joins more than {MAX_SOURCES} tables"
                )));
            }
            let is_natural = matches!(join.operator, JoinOperator::TypedJoin(Some(kind)) if kind.contains(JoinType::NATURAL));
            let using = match &join.constraint {
                Some(JoinConstraint::On(condition)) => {
                    pending.conditions.push(condition);
                    None
                }
                Some(JoinConstraint::Using(names)) => Some(names),
                None => None,
            };
            if is_natural || using.is_some() {
                // Both match columns by name, hidden ones too.
                sources[begin..].iter().for_each(|source| self.cut(source));
            }
            for name in using.into_iter().flat_map(|names| names.iter()) {
                let name = decode(name.0);
                let has = |sources: &[Source<'_>]| {
                    sources.iter().any(|source| source.has(&name, self.visible))
                };
                if !has(&sources[begin..middle]) || !has(&sources[middle..]) {
                    return Err(Box::new(Error::new(
                        Code::UnknownColumn,
                        format!(
                            "cannot join using column {} - column not present in both tables",
                            shown(&name)
                        ),
                    )));
                }
            }
        }
        self.leave();
        Ok(())
    }

    fn read_item(
        &mut self,
        item: &'a SelectTable<'a>,
        outer: Option<&Scope<'_, 'a>>,
        withs: Option<&Withs<'_, 'a>>,
        sources: &mut Vec<Source<'a>>,
        pending: &mut Pending<'a>,
    ) -> Result<(), Refused> {
        match item {
            SelectTable::Table(name, alias, indexed) => {
                let source = self.table(name, alias.as_ref(), indexed.as_ref(), withs)?;
                sources.push(source);
            }
            SelectTable::TableCall(name, arguments, alias) => {
                let arguments = arguments.unwrap_or_default();
                pending.arguments.extend(arguments);
                let source = self.table_call(name, arguments, alias.as_ref())?;
                sources.push(source);
            }
            SelectTable::Select(select, alias) => {
                let columns = self.select(select, outer, withs, None)?;
                sources.push(Source {
                    name: alias_name(alias.as_ref()).unwrap_or_default(),
                    kind: SourceKind::Derived(columns),
                    cut: None,
                });
            }
            SelectTable::Sub(from, alias) => {
                let begin = sources.len();
                self.read_from(from, outer, withs, sources, pending)?;
                // SQLite reads a join in parentheses as `SELECT *` over it.
                sources[begin..].iter().for_each(|source| self.cut(source));
                if let Some(name) = alias_name(alias.as_ref()) {
                    let columns: Vec<String> = sources[begin..]
                        .iter()
                        .flat_map(Source::columns)
                        .map(str::to_owned)
                        .collect();
                    sources.push(Source {
                        name,
                        kind: SourceKind::Derived(columns.into()),
                        cut: None,
                    });
                }
            }
        }
        Ok(())
    }

    /// Finds a table by name: first among the common table expressions in sight, then in the schema.
    pub(super) fn table(
        &mut self,
        qualified: &'a QualifiedName<'a>,
        alias: Option<&'a As<'a>>,
        indexed: Option<&Indexed<'_>>,
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<Source<'a>, Refused> {
        let name = decode(qualified.name.0);
        let alias = alias_name(alias);
        let has_alias = alias.is_some();
        let source = |kind, cut| {
            let name = alias.unwrap_or_else(|| name.clone());
            Source { name, kind, cut }
        };
        if qualified.db_name.is_none()
            && let Some((frame, index)) = withs.and_then(|withs| withs.find(&name))
        {
            let columns = self.common_table(frame, index)?;
            return Ok(source(SourceKind::Derived(columns), None));
        }
        self.require_main(qualified)?;
        if let Some(table) = self.visible.table(&name) {
            self.note(table);
            let cut = self
                .visible
                .has_hidden_columns(&table.name)
                .then(|| CutSite {
                    start: first_address(qualified),
                    end: address(qualified.name.0),
                    has_alias,
                });
            if cut.is_some() && indexed.is_some() {
                return Err(invalid(format!("INDEXED cannot be used on {}", table.name)));
            }
            return Ok(source(SourceKind::Table(table), cut));
        }
        if let Some(index) = SCHEMA_TABLES.iter().position(|own| same(own, &name)) {
            self.schema_tables[index] = true;
            if let Some(db) = &qualified.db_name {
                self.strip(db.0, qualified.name.0);
            }
            return Ok(source(SourceKind::Fixed(SCHEMA_COLUMNS), None));
        }
        if TABLE_FUNCTIONS.iter().any(|own| same(own, &name)) {
            return Ok(source(SourceKind::Fixed(JSON_COLUMNS), None));
        }
        if let Some((pragma, columns)) = pragma_function(&name) {
            let text = inspection::answer(pragma, None, self.visible)?;
            self.replace_pragma(
                qualified,
                &text,
                has_alias,
                Until::Through(address(qualified.name.0)),
            );
            return Ok(source(SourceKind::Fixed(columns), None));
        }
        let ctes: Vec<_> = withs.into_iter().flat_map(Withs::names).collect();
        Err(unknown_table(&written(qualified), self.visible, ctes))
    }

    fn table_call(
        &mut self,
        qualified: &'a QualifiedName<'a>,
        arguments: &'a [Expr<'a>],
        alias: Option<&'a As<'a>>,
    ) -> Result<Source<'a>, Refused> {
        let name = decode(qualified.name.0);
        self.require_main(qualified)?;
        let alias = alias_name(alias);
        let has_alias = alias.is_some();
        let kind = if TABLE_FUNCTIONS.iter().any(|own| same(own, &name)) {
            SourceKind::Fixed(JSON_COLUMNS)
        } else if let Some((pragma, columns)) = pragma_function(&name) {
            let argument = match arguments {
                [] => None,
                [table, ..] => Some(
                    inspection::name_in(table)
                        .ok_or_else(|| invalid(format!("{name} takes the name of a table")))?,
                ),
            };
            let text = inspection::answer(pragma, argument.as_deref(), self.visible)?;
            self.replace_pragma(
                qualified,
                &text,
                has_alias,
                Until::ThroughCall(address(qualified.name.0)),
            );
            SourceKind::Fixed(columns)
        } else {
            match self.visible.table(&name) {
                // A full-text table can be called with what to look for.
                Some(table)
                    if table.kind == TableKind::Virtual
                        && !self.visible.has_hidden_columns(&name) =>
                {
                    self.note(table);
                    SourceKind::Table(table)
                }
                _ => {
                    let error = Error::new(
                        Code::FunctionNotAllowed,
                        format!("the table function {} may not be called", shown(&name)),
                    );
                    return Err(Box::new(match nearest(&name, TABLE_FUNCTIONS) {
                        Some(close) => error.with_hint(format!("did you mean {close}?")),
                        None => error,
                    }));
                }
            }
        };
        Ok(Source {
            name: alias.unwrap_or(name),
            kind,
            cut: None,
        })
    }

    /// Notes that a table is read.
    fn note(&mut self, table: &Table) {
        if !self.tables.contains(&table.name) {
            self.tables.push(table.name.clone());
        }
    }

    fn replace_pragma(
        &mut self,
        qualified: &QualifiedName<'_>,
        select: &str,
        has_alias: bool,
        until: Until,
    ) {
        let text = if has_alias {
            format!("({select})")
        } else {
            format!(
                "({select}) AS {}",
                quote_identifier(&decode(qualified.name.0))
            )
        };
        self.edit(first_address(qualified), Edit { text, until });
    }

    /// Refuses every database but `main`, in the words for a table that does not exist.
    fn require_main(&self, qualified: &QualifiedName<'_>) -> Result<(), Refused> {
        match &qualified.db_name {
            Some(db) if !same(&decode(db.0), "main") => {
                Err(unknown_table(&written(qualified), self.visible, []))
            }
            _ => Ok(()),
        }
    }

    /// Sees to it that a table with hidden columns is replaced by a subquery over its visible ones, so that nothing in
    /// SQLite's reading of the statement can come across the others: not `*`, not NATURAL, not an ambiguity.
    pub(super) fn cut(&mut self, source: &Source<'a>) {
        let (Some(site), SourceKind::Table(table)) = (source.cut, &source.kind) else {
            return;
        };
        if self.edits.contains_key(&site.start) {
            return;
        }
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|column| quote_identifier(&column.name))
            .collect();
        let name = quote_identifier(&table.name);
        let alias = if site.has_alias {
            String::new()
        } else {
            format!(" AS {name}")
        };
        let text = format!("(SELECT {} FROM {name}){alias}", columns.join(", "));
        let until = Until::Through(site.end);
        self.edit(site.start, Edit { text, until });
    }

    /// Leaves out a qualifier and the point behind it.
    pub(super) fn strip(&mut self, qualifier: &str, name: &str) {
        self.edit(
            address(qualifier),
            Edit {
                text: String::new(),
                until: Until::Before(address(name)),
            },
        );
    }
}

/// Expressions of a FROM clause, to be resolved when all its sources are known.
#[derive(Default)]
pub(super) struct Pending<'a> {
    pub(super) arguments: Vec<&'a Expr<'a>>,
    pub(super) conditions: Vec<&'a Expr<'a>>,
}

fn alias_name<'a>(alias: Option<&'a As<'a>>) -> Option<Cow<'a, str>> {
    alias.map(|(As::As(name) | As::Elided(name))| decode(name.0))
}

fn first_address(qualified: &QualifiedName<'_>) -> usize {
    address(
        qualified
            .db_name
            .as_ref()
            .map_or(qualified.name.0, |db| db.0),
    )
}

fn written(qualified: &QualifiedName<'_>) -> String {
    let name = decode(qualified.name.0);
    match &qualified.db_name {
        Some(db) => format!("{}.{name}", decode(db.0)),
        None => name.into_owned(),
    }
}

/// Returns the PRAGMA behind a table-valued function, with its columns, if it only looks at the schema.
fn pragma_function(name: &str) -> Option<(&str, &'static [&'static str])> {
    let (prefix, pragma) = name.split_at_checked("pragma_".len())?;
    let columns = inspection::columns_of(pragma).filter(|_| same(prefix, "pragma_"))?;
    Some((pragma, columns))
}

/// Returns the refusal of a table that is not there or not to be seen, with the nearest that is; `others` are names
/// that would have done as well.
pub(super) fn unknown_table<'n>(
    name: &str,
    visible: &'n VisibleSchema,
    others: impl IntoIterator<Item = &'n str>,
) -> Refused {
    let error = Error::new(
        Code::UnknownTable,
        format!("no such table: {}", shown(name)),
    );
    let tables = || visible.tables().iter().map(|table| table.name.as_str());
    let bare = name.rsplit('.').next().unwrap_or(name);
    Box::new(
        match nearest(
            bare,
            others
                .into_iter()
                .filter(|other| !other.is_empty())
                .chain(tables()),
        ) {
            Some(close) => error.with_hint(format!("did you mean {close}?")),
            None if (1..=20).contains(&visible.tables().len()) => error.with_hint(format!(
                "the tables are: {}",
                tables().collect::<Vec<_>>().join(", ")
            )),
            None => error,
        },
    )
}
