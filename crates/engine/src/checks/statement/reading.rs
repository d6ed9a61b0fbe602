//! Walks a statement and fills in its cores.

use std::borrow::Cow;

use sqlite3_parser::ast::{As, Expr, OneSelect, Operator, ResultColumn, Select};

use super::expressions::{conjuncts, parts, plain, window};
use super::{Clause, Core, Equality, Place, Source, Use};
use crate::guard::{decode, same};
use crate::policy::VisibleSchema;

/// Returns the cores of a statement, the outermost first.
pub(super) fn read<'a>(select: &'a Select<'a>, visible: &'a VisibleSchema) -> Vec<Core<'a>> {
    let mut reader = Reader {
        visible,
        cores: Vec::new(),
    };
    reader.select(select, None, None, true);
    // The bodies of WITH are read before the SELECT that they stand in front of.
    reader.cores.sort_by_key(|core| core.place == Place::Inner);
    reader.cores
}

pub(super) struct Reader<'a> {
    pub(super) visible: &'a VisibleSchema,
    pub(super) cores: Vec<Core<'a>>,
}

/// The core that is being read, with those around it.
#[derive(Clone, Copy)]
pub(super) struct Frame<'f> {
    pub(super) core: usize,
    pub(super) outer: Option<&'f Frame<'f>>,
}

/// A common table expression in sight, with those around it.
#[derive(Clone, Copy)]
pub(super) struct With<'w> {
    pub(super) name: &'w str,
    pub(super) columns: Option<&'w [String]>,
    pub(super) before: Option<&'w With<'w>>,
}

impl<'a> Reader<'a> {
    /// Reads a query and returns the names of its columns, if all are known.
    pub(super) fn select(
        &mut self,
        select: &'a Select<'a>,
        outer: Option<&Frame<'_>>,
        withs: Option<&With<'_>>,
        is_answer: bool,
    ) -> Option<Vec<String>> {
        let mut known: Vec<(Cow<'a, str>, Option<Vec<String>>)> = Vec::new();
        if let Some(with) = &select.with {
            for cte in with.ctes.iter() {
                let name = decode(cte.tbl_name.0);
                // Its own name may stand in its body; what that has is not looked at.
                known.push((name, None));
                let columns = in_sight(&known, withs, &mut |withs| {
                    self.select(cte.select, outer, withs, false)
                });
                let columns = match cte.columns {
                    Some(named) => Some(
                        named
                            .iter()
                            .map(|column| decode(column.col_name.0).into_owned())
                            .collect(),
                    ),
                    None => columns,
                };
                if let Some(last) = known.last_mut() {
                    last.1 = columns;
                }
            }
        }
        in_sight(&known, withs, &mut |withs| {
            self.body(select, outer, withs, is_answer)
        })
    }

    fn body(
        &mut self,
        select: &'a Select<'a>,
        outer: Option<&Frame<'_>>,
        withs: Option<&With<'_>>,
        is_answer: bool,
    ) -> Option<Vec<String>> {
        let compounds = select.body.compounds.as_deref().unwrap_or_default();
        let place = match (is_answer, compounds.is_empty()) {
            (true, true) => Place::Outermost,
            (true, false) => Place::Part,
            (false, _) => Place::Inner,
        };
        let own = compounds.is_empty().then_some(select);
        let columns = self.one(&select.body.select, own, place, outer, withs);
        for part in compounds {
            self.one(&part.select, None, place, outer, withs);
        }
        if !compounds.is_empty() {
            for term in select.order_by.unwrap_or_default() {
                for query in queries_in(&term.expr) {
                    self.select(query, outer, withs, false);
                }
            }
        }
        columns
    }

    fn one(
        &mut self,
        one: &'a OneSelect<'a>,
        own: Option<&'a Select<'a>>,
        place: Place,
        outer: Option<&Frame<'_>>,
        withs: Option<&With<'_>>,
    ) -> Option<Vec<String>> {
        let index = self.cores.len();
        let frame = Frame { core: index, outer };
        let OneSelect::Select {
            columns,
            from,
            where_clause,
            group_by,
            having,
            window_clause,
            ..
        } = one
        else {
            self.cores.push(Core::written_out());
            return None;
        };
        self.cores.push(Core {
            place,
            columns,
            where_clause: *where_clause,
            group_by: group_by.unwrap_or_default(),
            having: *having,
            order_by: own.and_then(|select| select.order_by).unwrap_or_default(),
            limit: own.and_then(|select| select.limit),
            from: from.as_ref(),
            is_certain: true,
            ..Core::written_out()
        });
        let mut conditions = Vec::new();
        if let Some(from) = from {
            self.from(from, &frame, withs, false, &mut conditions);
        }
        for (clause, expr) in conditions {
            self.root(clause, expr, &frame, withs);
        }
        for (number, column) in columns.iter().enumerate() {
            match column {
                ResultColumn::Expr(expr, _) => {
                    self.root(Clause::Output(number), expr, &frame, withs)
                }
                ResultColumn::Star => self.cores[index].has_star = true,
                ResultColumn::TableStar(name) => {
                    let name = decode(name.0);
                    for source in &mut self.cores[index].sources {
                        source.is_starred |= same(&source.name, &name);
                    }
                }
            }
        }
        if let Some(expr) = where_clause {
            self.root(Clause::Where, expr, &frame, withs);
        }
        for expr in group_by.unwrap_or_default() {
            self.root(Clause::GroupBy, expr, &frame, withs);
        }
        if let Some(expr) = having {
            self.root(Clause::Having, expr, &frame, withs);
        }
        let mut windows = Vec::new();
        for definition in window_clause.unwrap_or_default() {
            window(&definition.window, &mut windows);
        }
        for expr in windows {
            self.root(Clause::Other, expr, &frame, withs);
        }
        if let Some(select) = own {
            for term in select.order_by.unwrap_or_default() {
                self.root(Clause::OrderBy, &term.expr, &frame, withs);
            }
            if let Some(limit) = select.limit {
                self.root(Clause::Other, &limit.expr, &frame, withs);
                if let Some(offset) = &limit.offset {
                    self.root(Clause::Other, offset, &frame, withs);
                }
            }
        }
        self.equalities(index);
        self.output_names(index)
    }

    /// Reads an expression that stands directly in a core.
    fn root(
        &mut self,
        clause: Clause,
        expr: &'a Expr<'a>,
        frame: &Frame<'_>,
        withs: Option<&With<'_>>,
    ) {
        self.cores[frame.core].roots.push((clause, expr));
        self.expr(expr, frame, withs);
    }

    fn expr(&mut self, expr: &'a Expr<'a>, frame: &Frame<'_>, withs: Option<&With<'_>>) {
        match expr {
            Expr::Id(id) => self.name(expr, None, &decode(id.0), frame),
            Expr::Name(name) => self.name(expr, None, &decode(name.0), frame),
            Expr::Qualified(table, column) | Expr::DoublyQualified(_, table, column) => {
                self.name(expr, Some(&decode(table.0)), &decode(column.0), frame)
            }
            Expr::InTable { .. } => self.cores[frame.core].is_certain = false,
            _ => {}
        }
        let (inner, queries) = parts(expr);
        for inner in inner {
            self.expr(inner, frame, withs);
        }
        for query in queries {
            self.select(query, Some(frame), withs, false);
        }
    }

    /// Finds what a name means, from the innermost core outwards.
    fn name(&mut self, expr: &'a Expr<'a>, table: Option<&str>, column: &str, frame: &Frame<'_>) {
        for frame in std::iter::successors(Some(frame), |frame| frame.outer) {
            if self.name_in(expr, table, column, frame.core) {
                return;
            }
        }
        for frame in std::iter::successors(Some(frame), |frame| frame.outer) {
            self.cores[frame.core].is_certain = false;
        }
    }

    fn name_in(
        &mut self,
        expr: &'a Expr<'a>,
        table: Option<&str>,
        column: &str,
        core: usize,
    ) -> bool {
        let core = &mut self.cores[core];
        let is_named = |source: &Source<'_>| table.is_none_or(|table| same(table, &source.name));
        let mut holders = core
            .sources
            .iter()
            .enumerate()
            .filter(|(_, source)| is_named(source) && source.has(column));
        let Some((source, holder)) = holders.next() else {
            let is_alias = table.is_none() && core.is_alias(column);
            // What is derived from something unknown may have any column.
            let may_be = core
                .sources
                .iter()
                .any(|source| is_named(source) && source.is_unknown());
            core.is_certain &= is_alias || !may_be;
            return is_alias || may_be;
        };
        let is_ambiguous = holders.next().is_some();
        if is_ambiguous && !core.using.iter().any(|name| same(name, column)) {
            core.is_certain = false;
        }
        let used = Use {
            expr,
            source,
            column: holder.table.and_then(|table| table.column(column)),
        };
        core.uses.push(used);
        true
    }

    fn equalities(&mut self, index: usize) {
        let core = &mut self.cores[index];
        let mut found = Vec::new();
        for &(clause, root) in &core.roots {
            if !matches!(clause, Clause::On(_) | Clause::Where) {
                continue;
            }
            for conjunct in conjuncts(root) {
                if let Expr::Binary(left, Operator::Equals, right) = plain(conjunct)
                    && let (Some(left), Some(right)) = (core.column_of(left), core.column_of(right))
                {
                    found.push(Equality {
                        left,
                        right,
                        clause,
                        expr: Some(conjunct),
                    });
                }
            }
        }
        core.equalities.extend(found);
    }

    fn output_names(&self, index: usize) -> Option<Vec<String>> {
        let core = &self.cores[index];
        let mut names = Vec::new();
        for column in core.columns {
            match column {
                ResultColumn::Expr(_, Some(As::As(name) | As::Elided(name))) => {
                    names.push(decode(name.0).into_owned())
                }
                ResultColumn::Expr(expr, None) => names.push(match plain(expr) {
                    Expr::Id(id) => decode(id.0).into_owned(),
                    Expr::Qualified(_, name) => decode(name.0).into_owned(),
                    other => other.to_string(),
                }),
                ResultColumn::Star => {
                    for source in &core.sources {
                        names.extend(source.names()?);
                    }
                }
                ResultColumn::TableStar(table) => {
                    let table = decode(table.0);
                    let source = core
                        .sources
                        .iter()
                        .find(|source| same(&source.name, &table))?;
                    names.extend(source.names()?);
                }
            }
        }
        Some(names)
    }
}

/// Calls `then` with the common table expressions of one WITH in sight.
fn in_sight<T>(
    known: &[(Cow<'_, str>, Option<Vec<String>>)],
    before: Option<&With<'_>>,
    then: &mut dyn FnMut(Option<&With<'_>>) -> T,
) -> T {
    match known.split_first() {
        None => then(before),
        Some(((name, columns), rest)) => {
            let with = With {
                name,
                columns: columns.as_deref(),
                before,
            };
            in_sight(rest, Some(&with), then)
        }
    }
}

fn queries_in<'a>(expr: &'a Expr<'a>) -> Vec<&'a Select<'a>> {
    super::inside(expr)
        .into_iter()
        .flat_map(|inner| parts(inner).1)
        .collect()
}

impl Core<'_> {
    /// A core without anything: VALUES.
    fn written_out() -> Self {
        Self {
            place: Place::Inner,
            columns: &[],
            where_clause: None,
            group_by: &[],
            having: None,
            order_by: &[],
            limit: None,
            from: None,
            sources: Vec::new(),
            uses: Vec::new(),
            equalities: Vec::new(),
            roots: Vec::new(),
            has_star: false,
            is_certain: false,
            using: Vec::new(),
        }
    }

    fn is_alias(&self, name: &str) -> bool {
        self.columns.iter().any(|column| {
            matches!(column, ResultColumn::Expr(_, Some(As::As(alias) | As::Elided(alias)))
                if same(&decode(alias.0), name))
        })
    }
}
