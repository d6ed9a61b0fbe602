//! What a name can mean at one place of a statement: the tables of a FROM clause, the aliases of its result, the same of
//! the queries around it, and the common table expressions in sight.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use sqlite3_parser::ast::CommonTableExpr;

use super::names::same;
use crate::policy::VisibleSchema;
use crate::schema::{Table, TableKind};

/// The names of the columns of a subquery, in order.
pub(super) type Columns = Rc<[String]>;

/// One entry of a FROM clause.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// The alias or, without one, the name; empty for a subquery without an alias.
    pub(super) name: Cow<'a, str>,
    /// What can be read from it.
    pub(super) kind: SourceKind<'a>,
    /// Where its name stands, if some of its columns are hidden.
    pub(super) cut: Option<CutSite>,
}

/// What a [`Source`] is.
#[derive(Debug)]
pub(super) enum SourceKind<'a> {
    /// A visible table or view.
    Table(&'a Table),
    /// A table-valued function or the schema table.
    Fixed(&'static [&'static str]),
    /// A subquery or a common table expression.
    Derived(Columns),
}

/// A table name in the statement, by the addresses of its first and last token in the parser's arena.
#[derive(Debug, Clone, Copy)]
pub(super) struct CutSite {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) has_alias: bool,
}

/// The hidden arguments of `json_each` and its like are columns as well.
pub(super) const JSON_COLUMNS: &[&str] = &[
    "key", "value", "type", "atom", "id", "parent", "fullkey", "path", "json", "root",
];

impl Source<'_> {
    /// Says whether this source has a column of this name that may be read.
    pub(super) fn has(&self, column: &str, visible: &VisibleSchema) -> bool {
        match &self.kind {
            SourceKind::Table(table) => {
                table.column(column).is_some()
                    || (table.kind == TableKind::Virtual
                        && visible.may_read(&table.name, column)
                        && !is_rowid(column))
            }
            SourceKind::Fixed(columns) => columns.iter().any(|own| same(own, column)),
            SourceKind::Derived(columns) => columns.iter().any(|own| is_called(own, column)),
        }
    }

    /// Says whether this source has a rowid that may be read.
    pub(super) fn has_rowid(&self, visible: &VisibleSchema) -> bool {
        match &self.kind {
            SourceKind::Table(table) => {
                table.kind != TableKind::View && visible.may_read(&table.name, "rowid")
            }
            SourceKind::Fixed(_) | SourceKind::Derived(_) => false,
        }
    }

    /// Returns the names that `*` stands for.
    pub(super) fn columns(&self) -> Vec<&str> {
        match &self.kind {
            SourceKind::Table(table) => table
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .collect(),
            SourceKind::Fixed(columns) => columns.to_vec(),
            SourceKind::Derived(columns) => columns.iter().map(String::as_str).collect(),
        }
    }

    /// Says whether it lies in the database file itself, so that `main.` may stand before its name.
    pub(super) fn is_in_main(&self) -> bool {
        !matches!(self.kind, SourceKind::Derived(_))
    }

    /// Says whether it is a virtual table, on which MATCH works.
    pub(super) fn is_virtual(&self) -> bool {
        matches!(self.kind, SourceKind::Table(table) if table.kind == TableKind::Virtual)
    }
}

/// Says whether a column of a subquery that is called `own` is meant by `name`. An expression without an alias is
/// called by its own text, so spaces do not count; the second of two equal names gets `:1` behind it.
fn is_called(own: &str, name: &str) -> bool {
    if same(own, name) {
        return true;
    }
    if own.contains('(') || own.contains(' ') {
        let bare = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
        return bare(own).eq_ignore_ascii_case(&bare(name));
    }
    name.rsplit_once(':')
        .is_some_and(|(base, count)| same(own, base) && count.bytes().all(|b| b.is_ascii_digit()))
}

/// Says whether this is one of the three names of the rowid.
pub(super) fn is_rowid(name: &str) -> bool {
    ["rowid", "oid", "_rowid_"]
        .iter()
        .any(|rowid| same(rowid, name))
}

/// The sources of one SELECT, with the SELECTs around it.
#[derive(Debug, Default)]
pub(super) struct Scope<'s, 'a> {
    pub(super) parent: Option<&'s Scope<'s, 'a>>,
    pub(super) sources: Vec<Source<'a>>,
    /// The aliases of the result, from the moment when they may be used.
    pub(super) aliases: Vec<Cow<'a, str>>,
}

impl<'s, 'a> Scope<'s, 'a> {
    /// Returns this scope and those around it, the innermost first.
    pub(super) fn chain(&'s self) -> impl Iterator<Item = &'s Scope<'s, 'a>> {
        std::iter::successors(Some(self), |scope| scope.parent)
    }
}

/// One WITH clause, with those around it and the scope in which its bodies are read.
#[derive(Debug)]
pub(super) struct Withs<'s, 'a> {
    pub(super) parent: Option<&'s Withs<'s, 'a>>,
    pub(super) scope: Option<&'s Scope<'s, 'a>>,
    pub(super) ctes: Vec<Cte<'a>>,
}

/// One common table expression. It may be named before its turn, so its columns are found when first asked for.
#[derive(Debug)]
pub(super) struct Cte<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) ast: &'a CommonTableExpr<'a>,
    pub(super) columns: RefCell<Option<Columns>>,
    pub(super) state: Cell<CteState>,
}

/// How far a common table expression has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CteState {
    /// Not yet.
    New,
    /// Its body is being read; what names it now is recursive.
    Reading,
    /// Wholly.
    Known,
}

impl<'s, 'a> Withs<'s, 'a> {
    /// Returns the common table expression of this name that is nearest, with the clause it stands in.
    pub(super) fn find(&'s self, name: &str) -> Option<(&'s Withs<'s, 'a>, usize)> {
        std::iter::successors(Some(self), |withs| withs.parent).find_map(|withs| {
            let index = withs.ctes.iter().position(|cte| same(&cte.name, name))?;
            Some((withs, index))
        })
    }

    /// Returns every name in sight.
    pub(super) fn names(&'s self) -> impl Iterator<Item = &'s str> {
        std::iter::successors(Some(self), |withs| withs.parent)
            .flat_map(|withs| withs.ctes.iter().map(|cte| cte.name.as_ref()))
    }
}
