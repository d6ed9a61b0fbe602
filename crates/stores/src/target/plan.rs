//! How SQLite would run a statement that has passed the check of its program, told as far as nothing hidden is named.
//!
//! A plan names what the statement names, and besides it indexes. An index over a visible column may hold a hidden one as
//! well, and the names of indexes are mostly made of the names of their columns. Where some visible table has hidden
//! columns, an index is therefore named only if it holds none of them, and the terms of searches are left out. A view that
//! can be read reads nothing hidden (docs/adr/0003), so what its text brings into a plan may be told.

use std::collections::HashMap;

use engine::ports::PlanStep;

use super::faults::Fault;
use super::program::{Check, text};

/// Steps of one plan; a statement of the longest text that is let through stays below it.
const MAX_STEPS: usize = 10_000;
/// How deep steps may stand within steps.
const MAX_DEPTH: usize = 200;

/// Reads the plan of `sql`, which has passed `check`.
pub(super) fn read(check: &Check<'_>, sql: &str) -> Result<Vec<PlanStep>, Fault> {
    check.authorizer.own();
    let mut statement = check
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let mut rows = statement.raw_query();
    let mut children: HashMap<i64, Vec<(i64, String)>> = HashMap::new();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (id, parent) = (row.get(0)?, row.get(1)?);
        children
            .entry(parent)
            .or_default()
            .push((id, text(row, 3)?));
        count += 1;
        if count > MAX_STEPS {
            return Err(Fault::TooDeep);
        }
    }
    let teller = Teller {
        check,
        is_partly_hidden: check
            .visible
            .tables()
            .iter()
            .any(|table| check.visible.has_hidden_columns(&table.name)),
    };
    teller.steps(&mut children, 0, 0)
}

struct Teller<'a> {
    check: &'a Check<'a>,
    /// Some table has columns that are hidden.
    is_partly_hidden: bool,
}

impl Teller<'_> {
    fn steps(
        &self,
        children: &mut HashMap<i64, Vec<(i64, String)>>,
        parent: i64,
        depth: usize,
    ) -> Result<Vec<PlanStep>, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        let own = children.remove(&parent).unwrap_or_default();
        let mut steps = Vec::with_capacity(own.len());
        for (id, detail) in own {
            let mut step = self.step(&detail)?;
            step.steps = self.steps(children, id, depth + 1)?;
            steps.push(step);
        }
        Ok(steps)
    }

    fn step(&self, detail: &str) -> Result<PlanStep, Fault> {
        let parts = Parts::of(detail);
        let mut step = PlanStep {
            detail: detail.to_owned(),
            source: parts.source.map(str::to_owned),
            uses_index: parts.uses_index(),
            index: None,
            steps: Vec::new(),
        };
        let Some(means) = parts.means else {
            return Ok(step);
        };
        let index = self.index_in(means);
        let may_be_told = match &index {
            Some(index) => self.check.may_name_index(index)?,
            None => true,
        };
        if self.is_partly_hidden {
            let means = match &index {
                Some(index) if may_be_told => format!("INDEX {index}"),
                _ => parts.kind().to_owned(),
            };
            step.detail = format!("{} USING {means}", parts.head);
        }
        step.index = index.filter(|_| may_be_told);
        Ok(step)
    }

    /// Returns the index that the text after `USING` names: of those of the file that it begins with, the longest.
    fn index_in(&self, means: &str) -> Option<String> {
        let name = means
            .strip_prefix("COVERING ")
            .unwrap_or(means)
            .strip_prefix("INDEX ")?;
        let fits = |index: &&str| {
            let rest = name.strip_prefix(index);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
        };
        let indexes = self.check.catalog.indexes().filter(fits);
        indexes.max_by_key(|index| index.len()).map(str::to_owned)
    }
}

/// SQLite's words for one step, taken apart: `SEARCH people USING INDEX by_name (name=?)`.
struct Parts<'a> {
    /// All before `USING`.
    head: &'a str,
    /// What is scanned or searched.
    source: Option<&'a str>,
    /// All after `USING`.
    means: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(detail: &'a str) -> Self {
        let read = ["SCAN ", "SEARCH "]
            .into_iter()
            .find_map(|verb| detail.strip_prefix(verb));
        let Some(read) = read.filter(|read| *read != "CONSTANT ROW") else {
            return Self {
                head: detail,
                source: None,
                means: None,
            };
        };
        let read = read.strip_suffix(" LEFT-JOIN").unwrap_or(read);
        // A name in the statement may itself hold the word; what follows the first one is then no index of the file.
        let (source, means) = match read.split_once(" USING ") {
            Some((source, means)) => (source, Some(means)),
            None => (read, None),
        };
        let verb = detail.find(' ').map_or(0, |space| space + 1);
        let head = &detail[..verb + source.len()];
        let source = source.split(" VIRTUAL TABLE INDEX ").next();
        Self {
            head,
            source,
            means,
        }
    }

    fn uses_index(&self) -> bool {
        self.means.is_some()
    }

    /// Returns what kind of thing rows are found by, without a name.
    fn kind(&self) -> &'static str {
        let means = self.means.unwrap_or_default();
        let kinds = ["INTEGER PRIMARY KEY", "PRIMARY KEY", "AUTOMATIC"];
        match kinds.into_iter().find(|kind| means.starts_with(kind)) {
            Some("AUTOMATIC") => "AUTOMATIC INDEX",
            Some(kind) => kind,
            None => "INDEX",
        }
    }
}
