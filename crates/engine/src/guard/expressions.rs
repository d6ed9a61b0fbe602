//! Resolves expressions: every column is looked up, every function checked, every subquery gone into.

use sqlite3_parser::ast::{
    Expr, FrameBound, FunctionCallOrder, FunctionTail, LikeOperator, Name, Over, Select,
    SortedColumn, Window,
};

use super::Refused;
use super::functions;
use super::hints;
use super::names::{decode, same, shown};
use super::resolve::Resolver;
use super::rewrite::address;
use super::scope::{Scope, SourceKind, Withs, is_rowid};
use super::text::invalid;
use crate::error::{Code, Error};

impl<'a> Resolver<'a> {
    /// Resolves one expression.
    pub(super) fn expr(
        &mut self,
        expr: &'a Expr<'a>,
        scope: &Scope<'_, 'a>,
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<(), Refused> {
        self.enter()?;
        match expr {
            Expr::Literal(_) => {}
            Expr::Id(id) => self.column(id.0, scope)?,
            Expr::Name(name) => self.column(name.0, scope)?,
            Expr::Qualified(table, column) => self.qualified(None, table, column, scope)?,
            Expr::DoublyQualified(db, table, column) => {
                self.qualified(Some(db), table, column, scope)?
            }
            Expr::Binary(left, _, right) => {
                self.expr(left, scope, withs)?;
                self.expr(right, scope, withs)?;
            }
            Expr::Between {
                lhs, start, end, ..
            } => {
                self.expr(lhs, scope, withs)?;
                self.expr(start, scope, withs)?;
                self.expr(end, scope, withs)?;
            }
            Expr::Case {
                base,
                when_then_pairs,
                else_expr,
            } => {
                for inner in base.iter().chain(else_expr) {
                    self.expr(inner, scope, withs)?;
                }
                for (when, then) in when_then_pairs.iter() {
                    self.expr(when, scope, withs)?;
                    self.expr(then, scope, withs)?;
                }
            }
            Expr::Cast { expr: inner, .. }
            | Expr::Collate(inner, _)
            | Expr::IsNull(inner)
            | Expr::NotNull(inner)
            | Expr::Unary(_, inner) => self.expr(inner, scope, withs)?,
            Expr::Exists(select) | Expr::Subquery(select) => self.subquery(select, scope, withs)?,
            Expr::FunctionCall {
                name,
                args,
                order_by,
                filter_over,
                ..
            } => {
                functions::check(&decode(name.0))?;
                self.list(args.unwrap_or_default(), scope, withs)?;
                if let Some(FunctionCallOrder::SortList(terms)) = order_by {
                    self.terms(terms, scope, withs)?;
                }
                self.tail(filter_over.as_ref(), scope, withs)?;
            }
            Expr::FunctionCallStar { name, filter_over } => {
                functions::check(&decode(name.0))?;
                self.tail(filter_over.as_ref(), scope, withs)?;
            }
            Expr::InList { lhs, rhs, .. } => {
                self.expr(lhs, scope, withs)?;
                self.list(rhs.unwrap_or_default(), scope, withs)?;
            }
            Expr::InSelect { lhs, rhs, .. } => {
                self.expr(lhs, scope, withs)?;
                self.subquery(rhs, scope, withs)?;
            }
            Expr::InTable { lhs, rhs, args, .. } => {
                self.expr(lhs, scope, withs)?;
                if args.is_some() {
                    return Err(invalid(
                        "a table function behind IN cannot be used; write IN (SELECT ...)",
                    ));
                }
                let source = self.table(rhs, None, None, withs)?;
                if source.cut.is_some() {
                    return Err(invalid(format!(
                        "IN {} cannot be used; write IN (SELECT ...)",
                        shown(&source.name)
                    )));
                }
            }
            Expr::Like {
                lhs,
                op,
                rhs,
                escape,
                ..
            } => {
                match op {
                    LikeOperator::Like | LikeOperator::Glob => {}
                    LikeOperator::Match if full_text_in_sight(scope) => {}
                    LikeOperator::Match => functions::check("match")?,
                    LikeOperator::Regexp => functions::check("regexp")?,
                }
                for inner in [*lhs, *rhs].into_iter().chain(*escape) {
                    self.expr(inner, scope, withs)?;
                }
            }
            Expr::Parenthesized(inner) => self.list(inner, scope, withs)?,
            Expr::Raise(..) => {
                return Err(invalid("RAISE() may only be used within a trigger-program"));
            }
            Expr::Variable(name) => {
                return Err(Box::new(
                    Error::new(
                        Code::InvalidSql,
                        format!(
                            "parameters cannot be used: {}",
                            shown(if name.is_empty() { "?" } else { name })
                        ),
                    )
                    .with_hint("write the value itself"),
                ));
            }
        }
        self.leave();
        Ok(())
    }

    /// Resolves a window definition.
    pub(super) fn window(
        &mut self,
        window: &'a Window<'a>,
        scope: &Scope<'_, 'a>,
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<(), Refused> {
        self.list(window.partition_by.unwrap_or_default(), scope, withs)?;
        self.terms(window.order_by.unwrap_or_default(), scope, withs)?;
        if let Some(frame) = &window.frame_clause {
            for bound in [Some(&frame.start), frame.end.as_ref()]
                .into_iter()
                .flatten()
            {
                if let FrameBound::Following(offset) | FrameBound::Preceding(offset) = bound {
                    self.expr(offset, scope, withs)?;
                }
            }
        }
        Ok(())
    }

    fn subquery(
        &mut self,
        select: &'a Select<'a>,
        scope: &Scope<'_, 'a>,
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<(), Refused> {
        self.select(select, Some(scope), withs, None).map(|_| ())
    }

    fn list(
        &mut self,
        list: &'a [Expr<'a>],
        scope: &Scope<'_, 'a>,
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<(), Refused> {
        list.iter()
            .try_for_each(|expr| self.expr(expr, scope, withs))
    }

    fn terms(
        &mut self,
        terms: &'a [SortedColumn<'a>],
        scope: &Scope<'_, 'a>,
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<(), Refused> {
        terms
            .iter()
            .try_for_each(|term| self.expr(&term.expr, scope, withs))
    }

    fn tail(
        &mut self,
        tail: Option<&'a FunctionTail<'a>>,
        scope: &Scope<'_, 'a>,
        withs: Option<&Withs<'_, 'a>>,
    ) -> Result<(), Refused> {
        let Some(tail) = tail else {
            return Ok(());
        };
        if let Some(filter) = tail.filter_clause {
            self.expr(filter, scope, withs)?;
        }
        match tail.over_clause {
            Some(Over::Window(window)) => self.window(window, scope, withs),
            // A window that is not defined is SQLite's to report; its name reads nothing.
            Some(Over::Name(_)) | None => Ok(()),
        }
    }

    /// Looks up a column without a table in front of it, from the innermost SELECT outwards.
    fn column(&mut self, raw: &'a str, scope: &Scope<'_, 'a>) -> Result<(), Refused> {
        let name = decode(raw);
        for scope in scope.chain() {
            let mut found = false;
            for source in &scope.sources {
                if source.has(&name, self.visible) {
                    found = true;
                } else {
                    // A hidden column of this name must not make the name ambiguous, or catch what lies further out.
                    self.cut(source);
                }
            }
            let rowid = || {
                is_rowid(&name)
                    && scope
                        .sources
                        .iter()
                        .any(|source| source.has_rowid(self.visible))
            };
            if found || rowid() || scope.aliases.iter().any(|alias| same(alias, &name)) {
                return Ok(());
            }
        }
        if raw.starts_with('"') {
            return Err(hints::double_quoted(&name, scope));
        }
        if same(raw, "true") || same(raw, "false") {
            return Ok(());
        }
        Err(hints::unknown_column(&name, scope, self.visible))
    }

    /// Looks up a column of a named table.
    fn qualified(
        &mut self,
        db: Option<&'a Name<'a>>,
        table: &'a Name<'a>,
        column: &'a Name<'a>,
        scope: &Scope<'_, 'a>,
    ) -> Result<(), Refused> {
        let (table_name, column_name) = (decode(table.0), decode(column.0));
        let in_main = db.is_none_or(|db| same(&decode(db.0), "main"));
        for scope in scope.chain().filter(|_| in_main) {
            for source in &scope.sources {
                if !same(&source.name, &table_name) || (db.is_some() && !source.is_in_main()) {
                    continue;
                }
                let is_rowid = is_rowid(&column_name) && source.has_rowid(self.visible);
                if !is_rowid && !source.has(&column_name, self.visible) {
                    self.cut(source);
                    continue;
                }
                if let Some(db) = db {
                    match source.kind {
                        // These will not stand in `main` once the statement is rewritten.
                        SourceKind::Fixed(_) => self.strip(db.0, table.0),
                        _ if source.cut.is_some() => {
                            self.qualifiers.push((address(db.0), address(table.0)))
                        }
                        _ => {}
                    }
                }
                return Ok(());
            }
        }
        Err(hints::unknown_qualified_column(
            db.map(|db| decode(db.0)).as_deref(),
            &table_name,
            &column_name,
            scope,
            self.visible,
        ))
    }
}

fn full_text_in_sight(scope: &Scope<'_, '_>) -> bool {
    scope
        .chain()
        .any(|scope| scope.sources.iter().any(|source| source.is_virtual()))
}
