//! Finds what every name in a SELECT means, as SQLite would with only the visible part of the schema before it. A name
//! that is hidden and one that does not exist are answered alike, because neither is found.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use sqlite3_parser::ast::{
    As, Expr, FromClause, Indexed, JoinConstraint, JoinOperator, JoinType, Name, OneSelect,
    QualifiedName, ResultColumn, Select, SelectTable, SortedColumn, With,
};

use super::Refused;
use super::inspection::{self, SCHEMA_COLUMNS, SCHEMA_TABLES};
use super::names::{decode, nearest, same, shown};
use super::rewrite::{Edit, Edits, Until, address};
use super::scope::{
    Columns, Cte, CteState, CutSite, JSON_COLUMNS, Scope, Source, SourceKind, Withs,
};
use super::text::{invalid, too_complex};
use crate::error::{Code, Error};
use crate::policy::{VisibleSchema, quote_identifier};

/// The deepest nesting of expressions and queries; SQLite stops at 1,000. Each level takes stack here and there.
const MAX_DEPTH: usize = 400;
/// SQLite joins no more than 64 tables.
const MAX_SOURCES: usize = 64;
/// SQLite's own limit on the parts of a compound SELECT.
const MAX_COMPOUNDS: usize = 500;

/// Table-valued functions that may be called.
const TABLE_FUNCTIONS: [&str; 4] = ["json_each", "json_tree", "jsonb_each", "jsonb_tree"];

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
    /// Which of [`SCHEMA_TABLES`] are read.
    pub(super) schema_tables: [bool; 2],
    /// How many of the first common table expressions are our own.
    own_ctes: usize,
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
        let mut scopes = vec![scope];
        let mut names = vec![Rc::clone(&columns)];
        let compounds = select.body.compounds.as_deref().unwrap_or_default();
        if compounds.len() >= MAX_COMPOUNDS {
            return Err(too_complex(format!(
                "the SQL combines {} SELECTs, {MAX_COMPOUNDS} are allowed",
                compounds.len() + 1
            )));
        }
        for part in compounds {
            let (scope, columns) = self.one_select(&part.select, outer, withs)?;
            scopes.push(scope);
            names.push(columns.into());
        }
        for term in select.order_by.unwrap_or_default() {
            self.order_term(term, &scopes, &names, withs)?;
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

    /// A term of a compound's ORDER BY names a column of any part's result, or repeats one of their expressions.
    fn order_term(
        &mut self,
        term: &'a SortedColumn<'a>,
        scopes: &[Scope<'_, 'a>],
        names: &[Columns],
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<(), Refused> {
        if let ([_, _, ..], Expr::Id(id)) = (scopes, &term.expr) {
            let name = decode(id.0);
            if names
                .iter()
                .any(|columns| columns.iter().any(|own| same(own, &name)))
            {
                return Ok(());
            }
        }
        let mut first = None;
        let depth = self.depth;
        for scope in scopes {
            match self.expr(&term.expr, scope, withs) {
                Ok(()) => return Ok(()),
                Err(refused) => {
                    self.depth = depth;
                    first.get_or_insert(refused);
                }
            }
        }
        first.map_or(Ok(()), Err)
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
    fn common_table(&mut self, withs: &Withs<'_, 'a>, index: usize) -> Result<Columns, Refused> {
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
            self.from_clause(from, outer, withs, &mut scope.sources, &mut pending)?;
        }
        for expr in pending.arguments {
            self.expr(expr, &scope, withs)?;
        }
        let mut names = Vec::with_capacity(columns.len());
        let mut aliases = Vec::new();
        for column in columns.iter() {
            match column {
                ResultColumn::Expr(expr, alias) => {
                    self.expr(expr, &scope, withs)?;
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

    fn from_clause(
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
            self.from_item(first, outer, withs, sources, pending)?;
        }
        for join in from.joins.as_deref().unwrap_or_default() {
            let middle = sources.len();
            self.from_item(&join.table, outer, withs, sources, pending)?;
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

    fn from_item(
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
                self.from_clause(from, outer, withs, sources, pending)?;
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
        if qualified.db_name.is_none() {
            if let Some((frame, index)) = withs.and_then(|withs| withs.find(&name)) {
                let columns = self.common_table(frame, index)?;
                return Ok(source(SourceKind::Derived(columns), None));
            }
        }
        self.require_main(qualified)?;
        if let Some(table) = self.visible.table(&name) {
            if !self.tables.contains(&table.name) {
                self.tables.push(table.name.clone());
            }
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
                [table, ..] => Some(inspection::name_in(table).ok_or_else(|| {
                    Box::new(*invalid(format!("{name} takes the name of a table")))
                })?),
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
                    if table.kind == crate::schema::TableKind::Virtual
                        && !self.visible.has_hidden_columns(&name) =>
                {
                    if !self.tables.contains(&table.name) {
                        self.tables.push(table.name.clone());
                    }
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
        self.edits
            .insert(first_address(qualified), Edit { text, until });
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
        self.edits.entry(site.start).or_insert_with(|| {
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
            Edit {
                text: format!("(SELECT {} FROM {name}){alias}", columns.join(", ")),
                until: Until::Through(site.end),
            }
        });
    }

    /// Leaves out a qualifier and the point behind it.
    pub(super) fn strip(&mut self, qualifier: &str, name: &str) {
        self.edits.insert(
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
struct Pending<'a> {
    arguments: Vec<&'a Expr<'a>>,
    conditions: Vec<&'a Expr<'a>>,
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
