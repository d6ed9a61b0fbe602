//! Reads FROM clauses.

use sqlite3_parser::ast::{
    As, Expr, FromClause, JoinConstraint, JoinOperator, JoinType, SelectTable,
};

use super::reading::{Frame, Reader, With};
use super::{Clause, Equality, JoinKind, Source};
use crate::guard::{decode, same};

impl<'a> Reader<'a> {
    pub(super) fn from(
        &mut self,
        from: &'a FromClause<'a>,
        frame: &Frame<'_>,
        withs: Option<&With<'_>>,
        is_nested: bool,
        conditions: &mut Vec<(Clause, &'a Expr<'a>)>,
    ) {
        if let Some(first) = from.select {
            self.item(
                first,
                None,
                JoinKind::Inner,
                is_nested,
                frame,
                withs,
                conditions,
            );
        }
        for (number, join) in from.joins.as_deref().unwrap_or_default().iter().enumerate() {
            let core = &mut self.cores[frame.core];
            let kind = match join.operator {
                JoinOperator::Comma | JoinOperator::TypedJoin(None) => JoinKind::Inner,
                JoinOperator::TypedJoin(Some(kind)) => {
                    core.is_certain &= !kind.intersects(JoinType::NATURAL | JoinType::RIGHT);
                    if kind.contains(JoinType::LEFT) {
                        JoinKind::Left
                    } else {
                        JoinKind::Inner
                    }
                }
            };
            let before = core.sources.len();
            let place = (!is_nested).then_some(number);
            self.item(
                &join.table,
                place,
                kind,
                is_nested,
                frame,
                withs,
                conditions,
            );
            let clause = place.map_or(Clause::Other, Clause::On);
            match &join.constraint {
                Some(JoinConstraint::On(condition)) => conditions.push((clause, condition)),
                Some(JoinConstraint::Using(names)) => {
                    for name in names.iter() {
                        self.using(&decode(name.0), before, clause, frame.core);
                    }
                }
                None => {}
            }
        }
    }

    /// Notes what `USING (name)` makes equal.
    fn using(&mut self, name: &str, before: usize, clause: Clause, core: usize) {
        let core = &mut self.cores[core];
        let holder = |sources: &[Source<'a>]| {
            sources
                .iter()
                .enumerate()
                .find_map(|(at, source)| Some((at, source.table?.column(name)?)))
        };
        let left = holder(&core.sources[..before]);
        let right = holder(&core.sources[before..]);
        match (left, right) {
            (Some(left), Some((at, column))) => {
                core.equalities.push(Equality {
                    left,
                    right: (before + at, column),
                    clause,
                    expr: None,
                });
                core.using.push(name.to_owned());
            }
            _ => core.is_certain = false,
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each says where the entry stands; a struct for one call would hide that"
    )]
    fn item(
        &mut self,
        item: &'a SelectTable<'a>,
        join: Option<usize>,
        kind: JoinKind,
        is_nested: bool,
        frame: &Frame<'_>,
        withs: Option<&With<'_>>,
        conditions: &mut Vec<(Clause, &'a Expr<'a>)>,
    ) {
        let called = |alias: &Option<As<'a>>| {
            alias
                .as_ref()
                .map(|(As::As(name) | As::Elided(name))| decode(name.0).into_owned())
        };
        let mut source = Source {
            name: String::new(),
            table: None,
            columns: None,
            join,
            is_nested,
            kind,
            is_starred: false,
        };
        match item {
            SelectTable::Table(name, alias, _) => {
                let table = decode(name.name.0);
                let with = std::iter::successors(withs, |with| with.before)
                    .find(|with| same(with.name, &table));
                match with {
                    Some(with) => source.columns = with.columns.map(<[String]>::to_vec),
                    None => source.table = self.visible.table(&table),
                }
                source.name = called(alias).unwrap_or_else(|| table.into_owned());
            }
            SelectTable::TableCall(name, arguments, alias) => {
                source.name = called(alias).unwrap_or_else(|| decode(name.name.0).into_owned());
                let arguments = arguments.unwrap_or_default();
                conditions.extend(arguments.iter().map(|expr| (Clause::Other, expr)));
            }
            SelectTable::Select(select, alias) => {
                source.name = called(alias).unwrap_or_default();
                source.columns = self.select(select, frame.outer, withs, false);
            }
            SelectTable::Sub(from, alias) => {
                // Under an alias, the tables inside cannot be named and yet may be.
                self.cores[frame.core].is_certain &= alias.is_none();
                self.from(from, frame, withs, true, conditions);
                return;
            }
        }
        self.cores[frame.core].sources.push(source);
    }
}

impl Source<'_> {
    pub(super) fn has(&self, column: &str) -> bool {
        match (self.table, &self.columns) {
            (Some(table), _) => {
                table.column(column).is_some()
                    || ["rowid", "oid", "_rowid_"]
                        .iter()
                        .any(|name| same(name, column))
            }
            (None, Some(columns)) => columns.iter().any(|own| same(own, column)),
            (None, None) => false,
        }
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.table.is_none() && self.columns.is_none()
    }

    pub(super) fn names(&self) -> Option<Vec<String>> {
        match self.table {
            Some(table) => Some(
                table
                    .columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect(),
            ),
            None => self.columns.clone(),
        }
    }
}
