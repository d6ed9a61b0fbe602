//! What one statement reads: the sources of each SELECT in it, and which column of which source every name means. Smaller
//! than the guard's reading, and it may give up: what is not certain is said to be so.

mod expressions;
mod reading;
mod sources;

pub(super) use expressions::{conjuncts, inside, literal_text, parts, plain};

use sqlite3_parser::ast::{Expr, Limit, ResultColumn, Select, SortedColumn};

use super::printing::Printed;
use crate::policy::VisibleSchema;
use crate::schema::{Column, ForeignKey, Table};

/// A statement taken apart.
pub(super) struct Statement<'a> {
    /// Every SELECT core, the outermost first, then in the order in which they stand.
    pub(super) cores: Vec<Core<'a>>,
    pub(super) printed: Printed,
    /// The printed text means the same as the statement; if not, nothing is rewritten.
    pub(super) is_printable: bool,
    /// It has no WITH, no ORDER BY and no LIMIT, so that it can stand in parentheses anywhere.
    pub(super) is_plain_compound: bool,
}

impl<'a> Statement<'a> {
    /// Reads an accepted statement.
    pub(super) fn of(select: &'a Select<'a>, visible: &'a VisibleSchema) -> Self {
        let printed = Printed::of(select);
        Self {
            cores: reading::read(select, visible),
            is_printable: printed.is_faithful(select),
            is_plain_compound: select.with.is_none()
                && select.order_by.is_none()
                && select.limit.is_none(),
            printed,
        }
    }

    /// Returns the one core whose rows are the answer; `None` for a compound, or if the rows are written out.
    pub(super) fn outermost(&self) -> Option<&Core<'a>> {
        self.cores
            .first()
            .filter(|core| core.place == Place::Outermost)
    }
}

/// Where a core stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Its rows are the answer.
    Outermost,
    /// Its rows are a part of the answer: one of a compound.
    Part,
    /// In a subquery or a common table expression.
    Inner,
}

/// Where in a core something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    Output(usize),
    /// The condition of the join of this number.
    On(usize),
    Where,
    GroupBy,
    Having,
    OrderBy,
    /// A definition of a window, an argument of a table function, a LIMIT.
    Other,
}

/// One SELECT with its FROM, as far as `ORDER BY` and `LIMIT` are its own.
pub(super) struct Core<'a> {
    pub(super) place: Place,
    pub(super) columns: &'a [ResultColumn<'a>],
    pub(super) where_clause: Option<&'a Expr<'a>>,
    pub(super) group_by: &'a [Expr<'a>],
    pub(super) having: Option<&'a Expr<'a>>,
    pub(super) order_by: &'a [SortedColumn<'a>],
    pub(super) limit: Option<&'a Limit<'a>>,
    pub(super) from: Option<&'a sqlite3_parser::ast::FromClause<'a>>,
    pub(super) sources: Vec<Source<'a>>,
    /// The columns of its sources that are named in it and in the subqueries inside it.
    pub(super) uses: Vec<Use<'a>>,
    /// The pairs of columns that its joins and its WHERE make equal.
    pub(super) equalities: Vec<Equality<'a>>,
    /// Every expression that stands directly in it, with its clause.
    pub(super) roots: Vec<(Clause, &'a Expr<'a>)>,
    /// `*` stands in its result.
    pub(super) has_star: bool,
    /// Every name in it was found, and in one place only; no join is of a kind that is not understood here.
    pub(super) is_certain: bool,
    /// The columns of USING, which two sources have and which are yet not ambiguous.
    using: Vec<String>,
}

/// One entry of a FROM clause.
pub(super) struct Source<'a> {
    /// The alias or, without one, the name.
    pub(super) name: String,
    /// The visible table; `None` for anything derived.
    pub(super) table: Option<&'a Table>,
    /// The columns of what is derived; `None` if they are not known.
    columns: Option<Vec<String>>,
    /// The number of its join; `None` for the first entry and for those in parentheses.
    pub(super) join: Option<usize>,
    /// In parentheses, with others.
    pub(super) is_nested: bool,
    pub(super) kind: JoinKind,
    /// `t.*` stands in the result.
    pub(super) is_starred: bool,
}

/// How an entry of a FROM clause is joined to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinKind {
    /// The first, or an inner join.
    Inner,
    Left,
}

/// One column of a source, named somewhere.
pub(super) struct Use<'a> {
    pub(super) expr: &'a Expr<'a>,
    pub(super) source: usize,
    /// `None` for a rowid and for columns of what is derived.
    pub(super) column: Option<&'a Column>,
}

/// Two columns that a conjunct of a join or of WHERE makes equal.
pub(super) struct Equality<'a> {
    pub(super) left: (usize, &'a Column),
    pub(super) right: (usize, &'a Column),
    pub(super) clause: Clause,
    /// `None` for USING.
    pub(super) expr: Option<&'a Expr<'a>>,
}

impl<'a> Core<'a> {
    /// Returns the source and column that an expression names, if it is nothing but a name.
    pub(super) fn column_of(&self, expr: &Expr<'_>) -> Option<(usize, &'a Column)> {
        let expr = plain(expr);
        self.uses
            .iter()
            .find(|used| std::ptr::eq(used.expr, expr))
            .and_then(|used| Some((used.source, used.column?)))
    }

    /// Returns the expressions of its result, with the number of each.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (usize, &'a Expr<'a>)> {
        let columns: &'a [ResultColumn<'a>] = self.columns;
        columns
            .iter()
            .enumerate()
            .filter_map(|(index, column)| match column {
                ResultColumn::Expr(expr, _) => Some((index, expr)),
                ResultColumn::Star | ResultColumn::TableStar(_) => None,
            })
    }

    /// Returns every expression in it, down to but not into subqueries, with its clause.
    pub(super) fn expressions(&self) -> impl Iterator<Item = (Clause, &'a Expr<'a>)> {
        self.roots
            .iter()
            .flat_map(|&(clause, root)| inside(root).into_iter().map(move |expr| (clause, expr)))
    }

    /// Returns its calls of aggregate functions.
    pub(super) fn aggregates(&self) -> impl Iterator<Item = Aggregate<'a>> {
        self.expressions()
            .filter_map(|(_, expr)| Aggregate::of(expr))
    }

    /// Returns the foreign key by which source `child` refers to source `parent`, if equalities of this core join them
    /// by all of its columns.
    pub(super) fn key_between(&self, child: usize, parent: usize) -> Option<&'a ForeignKey> {
        let (from, to) = (self.sources[child].table?, self.sources[parent].table?);
        let is_joined = |own: &str, other: &str| {
            let is = |(source, column): (usize, &Column), at: usize, name: &str| {
                source == at && column.name.eq_ignore_ascii_case(name)
            };
            self.equalities.iter().any(|pair| {
                (is(pair.left, child, own) && is(pair.right, parent, other))
                    || (is(pair.right, child, own) && is(pair.left, parent, other))
            })
        };
        from.foreign_keys.iter().find(|key| {
            key.table.eq_ignore_ascii_case(&to.name)
                && !key.columns.is_empty()
                && key.columns.len() == key.referenced.len()
                && key
                    .columns
                    .iter()
                    .zip(&key.referenced)
                    .all(|(own, other)| is_joined(own, other))
        })
    }
}

/// A call of an aggregate function.
pub(super) struct Aggregate<'a> {
    /// In small letters.
    pub(super) function: String,
    /// `None` for `count(*)`.
    pub(super) argument: Option<&'a Expr<'a>>,
    pub(super) is_distinct: bool,
}

/// Says whether the values of one column, or of some together, are each in one row only: the primary key, a unique
/// constraint, or measured.
pub(super) fn is_key(table: &Table, columns: &[&str]) -> bool {
    let has = |name: &str| columns.iter().any(|own| own.eq_ignore_ascii_case(name));
    let is_primary =
        !table.primary_key.is_empty() && table.primary_key.iter().all(|name| has(name));
    is_primary
        || table.columns.iter().any(|column| {
            has(&column.name) && (column.declared_unique || column.is_unique == Some(true))
        })
}

/// Says whether a column is never NULL, by declaration or as measured.
pub(super) fn is_never_null(column: &Column) -> bool {
    column.not_null || column.null_share == Some(0.0)
}
