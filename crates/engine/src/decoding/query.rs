//! One SELECT: what was named in it by now, and what that can still mean.

use std::collections::BTreeSet;

/// Which part of a SELECT is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    With,
    Select,
    /// A table is expected.
    Source,
    /// A table was named, and may get an alias.
    Sourced,
    On,
    /// The sources are all known.
    Rest,
}

/// One SELECT.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) clause: Clause,
    pub(super) sources: Vec<Source>,
    /// Named before the sources were.
    pub(super) pending: Vec<Reference>,
    /// Names that the statement itself gives.
    pub(super) outputs: BTreeSet<String>,
}

/// A table by its name in the statement.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    /// `None` where they are not known: of a subquery.
    pub(super) columns: Option<BTreeSet<String>>,
}

/// A column as written.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) qualifier: Option<String>,
    pub(super) column: String,
}

/// How a reference stands to the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Yes,
    No,
    /// Sources that may have it are still to come.
    NotYet,
}

impl Query {
    pub(super) fn new(clause: Clause) -> Self {
        Self {
            clause,
            sources: Vec::new(),
            pending: Vec::new(),
            outputs: BTreeSet::new(),
        }
    }

    /// Looks a reference up in the sources named so far.
    pub(super) fn find(&self, reference: &Reference) -> Found {
        let Reference { qualifier, column } = reference;
        let is_there = |source: &Source| match &source.columns {
            Some(columns) => columns.contains(column),
            None => true,
        };
        let mut candidates = self
            .sources
            .iter()
            .filter(|source| qualifier.as_ref().is_none_or(|name| *name == source.name));
        let known = candidates.clone().next().is_some();
        match qualifier {
            Some(_) if known && candidates.any(is_there) => Found::Yes,
            Some(_) if known => Found::No,
            None if candidates.any(is_there) || self.outputs.contains(column) => Found::Yes,
            // A condition of a join names what is joined by then.
            Some(_) if self.clause == Clause::On => Found::No,
            _ if self.is_open() => Found::NotYet,
            _ => Found::No,
        }
    }

    /// Says whether all that may be named by now is named.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.clause, Clause::On | Clause::Rest)
    }

    /// Says whether more sources may come.
    pub(super) fn is_open(&self) -> bool {
        self.clause != Clause::Rest
    }
}
