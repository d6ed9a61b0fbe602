//! Finds what every name in a SELECT means, as SQLite would with only the visible part of the schema before it. A name
//! that is hidden and one that does not exist are answered alike, because neither is found.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use sqlite3_parser::ast::{As, Expr, Name, OneSelect, ResultColumn, Select, With};

use super::Refused;
use super::from::{Pending, unknown_table};
use super::hints;
use super::names::{decode, same, shown};
use super::rewrite::{Edit, Edits};
use super::scope::{Columns, Cte, CteState, Scope, Withs};
use super::text::{invalid, too_complex};
use crate::error::{Code, Error};
use crate::policy::VisibleSchema;

/// The deepest nesting of expressions and queries; SQLite stops at 1,000. Each level takes stack here and there.
const MAX_DEPTH: usize = 400;
/// SQLite's own limit on the parts of a compound SELECT.
const MAX_COMPOUNDS: usize = 500;

/// SQLite's own limit on the columns of a result.
const MAX_COLUMNS: usize = 2_000;
/// How many columns may be compared while looking names up; a statement that a person can read needs some thousands.
const MAX_COMPARISONS: usize = 20_000_000;
/// How much longer a statement may become by what is put in place of its tables.
const MAX_EDITED_BYTES: usize = 1024 * 1024;

/// Walks one statement and keeps what was found out about it.
pub(super) struct Resolver<'a> {
    pub(super) visible: &'a VisibleSchema,
    depth: usize,
    /// The tables and views that are read, in order of first mention.
    pub(super) tables: Vec<String>,
    /// What must be replaced before the statement may run.
    pub(super) edits: Edits,
    /// `main.` in front of columns; it must go once their table is replaced by a subquery.
    pub(super) qualifiers: Vec<(usize, usize)>,
    /// Which of [`super::inspection::SCHEMA_TABLES`] are read.
    pub(super) schema_tables: [bool; 2],
    /// How many of the first common table expressions are our own.
    own_ctes: usize,
    comparisons: usize,
    edited_bytes: usize,
}

impl<'a> Resolver<'a> {
    /// Makes a resolver that lets the first `own_ctes` common table expressions be called like the schema table.
    pub(super) fn new(visible: &'a VisibleSchema, own_ctes: usize) -> Self {
        Self {
            visible,
            depth: 0,
            tables: Vec::new(),
            edits: Edits::new(),
            qualifiers: Vec::new(),
            schema_tables: [false; 2],
            own_ctes,
            comparisons: 0,
            edited_bytes: 0,
        }
    }

    /// Counts the columns that a look-up compares; many sources with many columns each would keep us for seconds.
    pub(super) fn compare(&mut self, columns: usize) -> Result<(), Refused> {
        self.comparisons += columns;
        if self.comparisons > MAX_COMPARISONS {
            return Err(too_complex(
                "the SQL joins too many columns to look its names up",
            ));
        }
        Ok(())
    }

    /// Says whether what stands in place of tables has grown out of hand.
    pub(super) fn check_edits(&self) -> Result<(), Refused> {
        if self.edited_bytes > MAX_EDITED_BYTES {
            return Err(too_complex("the SQL reads too many columns"));
        }
        Ok(())
    }

    pub(super) fn edit(&mut self, start: usize, edit: Edit) {
        self.edited_bytes += edit.text.len();
        if self.edited_bytes <= MAX_EDITED_BYTES {
            self.edits.insert(start, edit);
        }
    }

    /// Goes one level deeper. [`Self::leave`] comes back up; after a refusal nobody counts any more.
    pub(super) fn enter(&mut self) -> Result<(), Refused> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_complex(format!(
                "the SQL is nested more than {MAX_DEPTH} deep"
            )));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Resolves a SELECT and returns the names of its columns. `own` is the common table expression it is the body of.
    pub(super) fn select(
        &mut self,
        select: &'a Select<'a>,
        outer: Option<&Scope<'_, 'a>>,
        withs: Option<&Withs<'_, 'a>>,
        own: Option<&Cte<'a>>,
    ) -> Result<Columns, Refused> {
        self.enter()?;
        let frame;
        let withs = match &select.with {
            Some(with) => {
                frame = Withs {
                    parent: withs,
                    scope: outer,
                    ctes: self.common_tables(with)?,
                };
                for index in 0..frame.ctes.len() {
                    self.common_table(&frame, index)?;
                }
                Some(&frame)
            }
            None => withs,
        };
        let (scope, columns) = self.one_select(&select.body.select, outer, withs)?;
        let columns: Columns = columns.into();
        if let Some(cte) = own {
            // What names the expression from here on is its recursive part.
            cte.columns
                .borrow_mut()
                .get_or_insert_with(|| Rc::clone(&columns));
        }
        let mut scope = scope;
        let compounds = select.body.compounds.as_deref().unwrap_or_default();
        if compounds.len() >= MAX_COMPOUNDS {
            return Err(too_complex(format!(
                "the SQL combines {} SELECTs, {MAX_COMPOUNDS} are allowed",
                compounds.len() + 1
            )));
        }
        if !compounds.is_empty() {
            // A term of a compound's ORDER BY names a column of any part's result or repeats one of their expressions.
            scope
                .aliases
                .extend(columns.iter().cloned().map(Cow::Owned));
        }
        for part in compounds {
            let (part, columns) = self.one_select(&part.select, outer, withs)?;
            scope.sources.extend(part.sources);
            scope.aliases.extend(part.aliases);
            scope.aliases.extend(columns.into_iter().map(Cow::Owned));
        }
        for term in select.order_by.unwrap_or_default() {
            self.expr(&term.expr, &scope, withs)?;
        }
        if let Some(limit) = select.limit {
            // Neither may name a column; a subquery in them sees nothing of what is around it.
            let nothing = Scope::default();
            self.expr(&limit.expr, &nothing, withs)?;
            if let Some(offset) = &limit.offset {
                self.expr(offset, &nothing, withs)?;
            }
        }
        self.leave();
        Ok(columns)
    }

    fn common_tables(&mut self, with: &'a With<'a>) -> Result<Vec<Cte<'a>>, Refused> {
        let own = std::mem::take(&mut self.own_ctes);
        let mut ctes = Vec::with_capacity(with.ctes.len());
        for (index, ast) in with.ctes.iter().enumerate() {
            let name = decode(ast.tbl_name.0);
            let is_reserved = name.get(..7).is_some_and(|start| same(start, "sqlite_"));
            if index >= own && (is_reserved || self.visible.table(&name).is_some()) {
                return Err(Box::new(
                    Error::new(
                        Code::NameShadowsTable,
                        format!(
                            "the common table expression {} has the name of a table",
                            shown(&name)
                        ),
                    )
                    .with_hint("give it a name that no table has"),
                ));
            }
            ctes.push(Cte {
                name,
                ast,
                columns: RefCell::new(None),
                state: Cell::new(CteState::New),
            });
        }
        Ok(ctes)
    }

    /// Returns the columns of a common table expression, reading its body when it is first asked for.
    pub(super) fn common_table(
        &mut self,
        withs: &Withs<'_, 'a>,
        index: usize,
    ) -> Result<Columns, Refused> {
        let cte = &withs.ctes[index];
        if cte.state.get() == CteState::New {
            cte.state.set(CteState::Reading);
            if let Some(columns) = cte.ast.columns {
                let names = columns
                    .iter()
                    .map(|column| decode(column.col_name.0).into_owned());
                *cte.columns.borrow_mut() = Some(names.collect());
            }
            self.select(cte.ast.select, withs.scope, Some(withs), Some(cte))?;
            cte.state.set(CteState::Known);
        }
        let columns = cte.columns.borrow().clone();
        columns.ok_or_else(|| invalid(format!("circular reference: {}", shown(&cte.name))))
    }

    /// Resolves one SELECT of a compound, all but ORDER BY and LIMIT.
    fn one_select<'s>(
        &mut self,
        one: &'a OneSelect<'a>,
        outer: Option<&'s Scope<'s, 'a>>,
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<(Scope<'s, 'a>, Vec<String>), Refused> {
        let mut scope = Scope {
            parent: outer,
            sources: Vec::new(),
            aliases: Vec::new(),
        };
        let (columns, from, where_clause, group_by, having, windows) = match one {
            OneSelect::Values(rows) => {
                for expr in rows.iter().flatten() {
                    self.expr(expr, &scope, withs)?;
                }
                let width = rows.first().map_or(0, |row| row.len());
                return Ok((
                    scope,
                    (1..=width).map(|index| format!("column{index}")).collect(),
                ));
            }
            OneSelect::Select {
                columns,
                from,
                where_clause,
                group_by,
                having,
                window_clause,
                ..
            } => (columns, from, where_clause, group_by, having, window_clause),
        };
        let mut pending = Pending::default();
        if let Some(from) = from {
            self.read_from(from, outer, withs, &mut scope.sources, &mut pending)?;
        }
        for expr in pending.arguments {
            self.expr(expr, &scope, withs)?;
        }
        let mut names = Vec::with_capacity(columns.len());
        let mut aliases = Vec::new();
        for column in columns.iter() {
            match column {
                ResultColumn::Expr(expr, alias) => {
                    self.expr(expr, &scope, withs)
                        .map_err(|refused| hints::about_alias(refused, columns))?;
                    match alias {
                        Some(As::As(name) | As::Elided(name)) => {
                            let alias = decode(name.0);
                            names.push(alias.clone().into_owned());
                            aliases.push(alias);
                        }
                        None => names.push(result_name(expr)),
                    }
                }
                ResultColumn::Star => self.star(&scope, None, &mut names)?,
                ResultColumn::TableStar(name) => self.star(&scope, Some(name), &mut names)?,
            }
        }
        if names.len() > MAX_COLUMNS {
            return Err(too_complex("too many columns in result set"));
        }
        // From here on SQLite lets an alias of the result stand for its expression.
        scope.aliases = aliases;
        let scope_ref = &scope;
        for expr in pending.conditions.into_iter().chain(*where_clause) {
            self.expr(expr, scope_ref, withs)?;
        }
        for expr in group_by.unwrap_or_default().iter().chain(*having) {
            self.expr(expr, scope_ref, withs)?;
        }
        for definition in windows.unwrap_or_default() {
            self.window(&definition.window, scope_ref, withs)?;
        }
        Ok((scope, names))
    }

    /// Adds the names that `*` or `t.*` stands for. Over a table with hidden columns it would stand for more than may
    /// be read, so that table is cut.
    fn star(
        &mut self,
        scope: &Scope<'_, 'a>,
        table: Option<&Name<'_>>,
        names: &mut Vec<String>,
    ) -> Result<(), Refused> {
        let table = table.map(|name| decode(name.0));
        let mut found = false;
        for source in &scope.sources {
            if table
                .as_deref()
                .is_none_or(|table| same(table, &source.name))
            {
                found = true;
                self.cut(source);
                if names.len() > MAX_COLUMNS {
                    break;
                }
                names.extend(source.columns().into_iter().map(str::to_owned));
            }
        }
        match table {
            _ if found => Ok(()),
            None => Err(invalid("no tables specified")),
            Some(table) => {
                let read: Vec<_> = scope
                    .sources
                    .iter()
                    .map(|source| source.name.as_ref())
                    .collect();
                Err(unknown_table(&table, self.visible, read))
            }
        }
    }
}

/// Returns what an expression without an alias is called.
fn result_name(expr: &Expr<'_>) -> String {
    match expr {
        Expr::Id(id) => decode(id.0).into_owned(),
        Expr::Qualified(_, name) | Expr::DoublyQualified(_, _, name) => decode(name.0).into_owned(),
        Expr::Parenthesized(inner) if inner.len() == 1 => result_name(&inner[0]),
        Expr::Collate(inner, _) => result_name(inner),
        _ => expr.to_string(),
    }
}
