//! Reads a statement that may be unfinished, and stops where a name cannot be right any more.

use std::collections::BTreeSet;

use super::names::{Names, begins};
use super::query::{Clause, Found, Query, Reference, Source};
use super::words::{begins_end, begins_word, ends_sources, is_word, is_word_of_with};
use crate::guard::begins_function;
use crate::pieces::Pieces;

/// Before its table is named an alias is any word; the model's are this short, or they are names of tables.
const LONGEST_ALIAS: usize = 3;

/// Nothing that follows can make this right.
struct Impossible;

/// What is open: a SELECT, or other parentheses within one.
#[derive(Debug)]
enum Frame {
    Query(Query),
    Parentheses,
}

/// Reads pieces one after the other.
pub(super) struct Reader<'n, 't> {
    names: &'n Names,
    pieces: &'n Pieces<'t>,
    is_whole: bool,
    frames: Vec<Frame>,
    /// Names of common table expressions.
    expressions: BTreeSet<String>,
    /// The piece before could be followed by an alias.
    after_operand: bool,
    /// The word before was AS, or another after which any name may follow.
    after_as: bool,
    /// Joins in parentheses are not followed.
    gave_up: bool,
}

impl<'n, 't> Reader<'n, 't> {
    pub(super) fn new(names: &'n Names, pieces: &'n Pieces<'t>, is_whole: bool) -> Self {
        Self {
            names,
            pieces,
            is_whole,
            frames: Vec::new(),
            expressions: BTreeSet::new(),
            after_operand: false,
            after_as: false,
            gave_up: false,
        }
    }

    /// Says whether nothing impossible was found.
    pub(super) fn admits(mut self) -> bool {
        self.read().is_ok()
    }

    fn read(&mut self) -> Result<(), Impossible> {
        let mut at = 0;
        while let Some(piece) = self.pieces.get(at) {
            if self.gave_up {
                return Ok(());
            }
            let is_growing = self.is_growing(at);
            let word = self.pieces.word(at);
            match (piece, word) {
                ("(", _) => self.open(at),
                (")", _) => self.close()?,
                (",", _) => self.comma(),
                (";", _) => return self.finish_all(),
                (_, Some(word)) if self.is_keyword(at, &word) => self.keyword(&word, is_growing)?,
                (_, Some(word)) => at = self.word(at, &word, is_growing)?,
                (quoted, None) if self.is_name(at, quoted) => {
                    at = self.word(at, &unquoted(quoted), is_growing)?;
                }
                (piece, None) => {
                    let is_literal = piece.starts_with(|c: char| c == '\'' || c.is_ascii_digit());
                    (self.after_operand, self.after_as) = (is_literal, false);
                }
            }
            at += 1;
        }
        if self.is_whole {
            return self.finish_all();
        }
        Ok(())
    }

    /// Says whether more text may make this piece longer.
    fn is_growing(&self, at: usize) -> bool {
        !self.is_whole && at + 1 == self.pieces.len() && self.pieces.is_open()
    }

    /// Says whether a word has a meaning of its own here; few have where a table is named.
    fn is_keyword(&mut self, at: usize, word: &str) -> bool {
        let clause = self.top().map(|query| query.clause);
        let is_word = match clause {
            Some(Clause::Source) => false,
            Some(Clause::With) => is_word_of_with(word),
            _ => is_word(word),
        };
        is_word && self.pieces.get(at + 1) != Some(".")
    }

    /// Says whether a quoted piece is a name. In double quotes it may be a text, in the words of other databases.
    fn is_name(&mut self, at: usize, quoted: &str) -> bool {
        let is_source =
            |query: &mut Query| matches!(query.clause, Clause::Source | Clause::Sourced);
        quoted.starts_with(['`', '['])
            || quoted.starts_with('"')
                && (self.after_as
                    || self.pieces.get(at + 1) == Some(".")
                    || self.names.has_column(&unquoted(quoted))
                    || self.top().is_some_and(is_source))
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Structure

    fn open(&mut self, at: usize) {
        let next = self.pieces.word(at + 1).unwrap_or_default();
        let may_become = |word: &str| self.is_growing(at + 1) && word.starts_with(&next);
        let frame = match next.as_str() {
            "select" | "values" => Frame::Query(Query::new(Clause::Select)),
            "with" => Frame::Query(Query::new(Clause::With)),
            _ if ["select", "values", "with"].into_iter().any(may_become) => {
                Frame::Query(Query::new(Clause::With))
            }
            _ if self
                .top()
                .is_some_and(|query| query.clause == Clause::Source) =>
            {
                self.gave_up = true;
                Frame::Parentheses
            }
            _ => Frame::Parentheses,
        };
        self.frames.push(frame);
        (self.after_operand, self.after_as) = (false, false);
    }

    fn close(&mut self) -> Result<(), Impossible> {
        if let Some(Frame::Query(query)) = self.frames.pop() {
            self.finish(query)?;
            if let Some(outer) = self.top()
                && outer.clause == Clause::Source
            {
                outer.clause = Clause::Sourced;
                outer.sources.push(Source {
                    name: String::new(),
                    columns: None,
                });
            }
        }
        (self.after_operand, self.after_as) = (true, false);
        Ok(())
    }

    fn comma(&mut self) {
        if let Some(query) = self.top()
            && matches!(query.clause, Clause::Sourced | Clause::On)
        {
            query.clause = Clause::Source;
        }
        (self.after_operand, self.after_as) = (false, false);
    }

    fn keyword(&mut self, word: &str, is_growing: bool) -> Result<(), Impossible> {
        let after_operand = self.after_operand;
        self.after_operand = matches!(word, "end" | "null" | "true");
        self.after_as = matches!(word, "as" | "over" | "collate" | "window");
        match word {
            "select" | "with" if self.frames.is_empty() => {
                let clause = match word {
                    "with" => Clause::With,
                    _ => Clause::Select,
                };
                self.frames.push(Frame::Query(Query::new(clause)));
            }
            "select" => {
                if let Some(query) = self.top() {
                    query.clause = Clause::Select;
                }
            }
            // `IS DISTINCT FROM` stands after the sources.
            "from" => {
                if let Some(query) = self.top()
                    && query.clause == Clause::Select
                {
                    query.clause = Clause::Source;
                }
            }
            "join" => {
                if let Some(query) = self.top() {
                    query.clause = Clause::Source;
                }
            }
            "on" | "using" => {
                if let Some(query) = self.top()
                    && query.clause == Clause::Sourced
                {
                    query.clause = Clause::On;
                }
            }
            end if ends_sources(end) && self.top().is_some() => {
                let clause = self.top().map(|query| query.clause);
                // It may become a name: `order_count`.
                if is_growing && clause != Some(Clause::Sourced) && !after_operand {
                    return Ok(());
                }
                self.end_sources()?;
                if matches!(end, "union" | "intersect" | "except")
                    && let Some(query) = self.top()
                {
                    // What sorts all of them is named by the first.
                    for source in &query.sources {
                        query
                            .outputs
                            .extend(source.columns.iter().flatten().cloned());
                    }
                    query.sources.retain(|source| source.columns.is_none());
                    query.clause = Clause::Select;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the SELECT whose own words are read, and not those in parentheses within it.
    fn top(&mut self) -> Option<&mut Query> {
        match self.frames.last_mut() {
            Some(Frame::Query(query)) => Some(query),
            _ => None,
        }
    }

    /// Returns the open SELECTs, the innermost first.
    fn queries(&self) -> impl Iterator<Item = &Query> {
        self.frames.iter().rev().filter_map(|frame| match frame {
            Frame::Query(query) => Some(query),
            Frame::Parentheses => None,
        })
    }

    fn innermost(&mut self) -> Option<&mut Query> {
        let mut frames = self.frames.iter_mut().rev();
        frames.find_map(|frame| match frame {
            Frame::Query(query) => Some(query),
            Frame::Parentheses => None,
        })
    }

    /// All sources of this SELECT are named: what was named before them must be theirs.
    fn end_sources(&mut self) -> Result<(), Impossible> {
        let Some(query) = self.top() else {
            return Ok(());
        };
        query.clause = Clause::Rest;
        let pending = std::mem::take(&mut query.pending);
        pending.into_iter().try_for_each(|one| self.refer(one))
    }

    /// Settles a SELECT that was closed; what its sources lack may be of one around it.
    fn finish(&mut self, query: Query) -> Result<(), Impossible> {
        let mut query = query;
        query.clause = Clause::Rest;
        let missing: Vec<Reference> = std::mem::take(&mut query.pending)
            .into_iter()
            .filter(|one| query.find(one) == Found::No)
            .collect();
        missing.into_iter().try_for_each(|one| self.refer(one))
    }

    fn finish_all(&mut self) -> Result<(), Impossible> {
        while let Some(frame) = self.frames.pop() {
            if let Frame::Query(query) = frame {
                self.finish(query)?;
            }
        }
        Ok(())
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Names

    /// Reads a word that is no keyword, or a quoted name, and returns the place of its last piece.
    fn word(&mut self, at: usize, word: &str, is_growing: bool) -> Result<usize, Impossible> {
        let next = self.pieces.get(at + 1);
        let clause = self.innermost().map(|query| query.clause);
        let is_top = self.top().is_some();
        let after_as = std::mem::take(&mut self.after_as);
        let after_operand = std::mem::replace(&mut self.after_operand, true);
        match clause {
            None => return Ok(at),
            Some(Clause::With) => {
                if is_top && !is_growing {
                    self.expressions.insert(word.to_owned());
                }
                return Ok(at);
            }
            // The name of the database before that of a table.
            Some(Clause::Source) if next == Some(".") => {
                let Some(name) = self.pieces.get(at + 2) else {
                    return Ok(at + 1);
                };
                let is_growing = self.is_growing(at + 2);
                return self.source(&unquoted(name), is_growing).map(|()| at + 2);
            }
            Some(Clause::Source) => return self.source(word, is_growing).map(|()| at),
            Some(Clause::Sourced) if is_top => return self.alias(word, is_growing).map(|()| at),
            // The type of a CAST, or a name for what was selected.
            Some(_) if after_as => {
                self.output(word);
                return Ok(at);
            }
            Some(Clause::Select) if is_top && after_operand => {
                self.output(word);
                return Ok(at);
            }
            Some(_) => {}
        }
        match next {
            Some("(") => Ok(at),
            // Bytes: `x'00'`.
            Some(text) if word == "x" && text.starts_with('\'') => Ok(at),
            Some(".") => self.qualified(at, word),
            _ if is_growing => self.growing(word).map(|()| at),
            _ => {
                let reference = Reference {
                    qualifier: None,
                    column: word.to_owned(),
                };
                self.known(&reference)?;
                self.refer(reference).map(|()| at)
            }
        }
    }

    fn output(&mut self, word: &str) {
        if let Some(query) = self.innermost() {
            query.outputs.insert(word.to_owned());
        }
    }

    /// Reads the name of a table.
    fn source(&mut self, word: &str, is_growing: bool) -> Result<(), Impossible> {
        if is_growing {
            let is_possible = self.names.begins_table(word) || begins(&self.expressions, word);
            return is_possible.then_some(()).ok_or(Impossible);
        }
        let columns = match self.names.table(word) {
            // A common table expression may have the name of a table.
            _ if self.expressions.contains(word) => None,
            Some(columns) => Some(columns.clone()),
            None => return Err(Impossible),
        };
        if let Some(query) = self.innermost() {
            query.clause = Clause::Sourced;
            query.sources.push(Source {
                name: word.to_owned(),
                columns,
            });
        }
        Ok(())
    }

    /// Reads the alias of the table before.
    fn alias(&mut self, word: &str, is_growing: bool) -> Result<(), Impossible> {
        if is_growing && self.is_impossible_end(word) {
            return Err(Impossible);
        }
        let Some(query) = self.top() else {
            return Ok(());
        };
        let Some(source) = query.sources.last_mut() else {
            return Ok(());
        };
        word.clone_into(&mut source.name);
        let fits = |one: &&Reference| one.qualifier.as_deref() == Some(word);
        let mut wanted = query.pending.iter().filter(fits);
        match wanted.all(|one| query.find(one) != Found::No) {
            true => Ok(()),
            false => Err(Impossible),
        }
    }

    /// Says whether a word, as far as it is written, is the beginning of one that would end the sources too early.
    fn is_impossible_end(&self, word: &str) -> bool {
        let pending = self.queries().next().map(|query| &query.pending);
        begins_end(word)
            && pending.is_some_and(|pending| {
                let is_missing = |one: &Reference| {
                    let found: Vec<Found> = self.queries().map(|query| query.find(one)).collect();
                    found.first() != Some(&Found::Yes)
                        && !found.iter().skip(1).any(|found| *found != Found::No)
                };
                pending.iter().any(is_missing)
            })
    }

    /// Reads what stands after a point.
    fn qualified(&mut self, at: usize, qualifier: &str) -> Result<usize, Impossible> {
        let Some(piece) = self.pieces.get(at + 2) else {
            return Ok(at + 1);
        };
        let is_growing = self.is_growing(at + 2) && !is_closed(piece);
        let column = unquoted(piece);
        if piece == "*" || column == "rowid" {
            return Ok(at + 2);
        }
        let source = self
            .queries()
            .flat_map(|query| &query.sources)
            .find(|source| source.name == qualifier);
        let columns = match source {
            Some(source) => match &source.columns {
                Some(columns) => Some(columns),
                None => return Ok(at + 2),
            },
            None if self.queries().all(Query::is_settled) => return Err(Impossible),
            None => self.names.table(qualifier),
        };
        let is_possible = match columns {
            Some(columns) if is_growing => begins(columns, &column) || "rowid".starts_with(&column),
            Some(columns) => columns.contains(&column),
            None if !self.expressions.is_empty() => true,
            None if is_growing && "rowid".starts_with(&column) => true,
            None => {
                self.names
                    .has_table_with(&self.named_of(qualifier), |columns| match is_growing {
                        true => begins(columns, &column),
                        false => columns.contains(&column),
                    })
            }
        };
        if !is_possible {
            return Err(Impossible);
        }
        if !is_growing {
            self.refer(Reference {
                qualifier: Some(qualifier.to_owned()),
                column,
            })?;
        }
        Ok(at + 2)
    }

    /// Returns the columns that were named of a source that is still to come.
    fn named_of(&self, qualifier: &str) -> Vec<&str> {
        let pending = self.queries().flat_map(|query| &query.pending);
        pending
            .filter(|one| one.qualifier.as_deref() == Some(qualifier))
            .map(|one| one.column.as_str())
            .collect()
    }

    /// A word in an expression that may still become longer.
    fn growing(&self, word: &str) -> Result<(), Impossible> {
        let mut named = self.queries().flat_map(|query| {
            let sources = query.sources.iter().map(|source| &source.name);
            sources.chain(&query.outputs)
        });
        let is_before_sources = self.queries().any(|query| query.clause == Clause::Select);
        let has_column = || match is_before_sources {
            true => self.names.begins_column(word) || self.names.begins_table(word),
            false => self.queries().any(|query| {
                let mut columns = query.sources.iter().map(|source| &source.columns);
                columns.any(|columns| columns.as_ref().is_none_or(|columns| begins(columns, word)))
            }),
        };
        let is_possible = begins_word(word)
            || named.any(|name| name.starts_with(word))
            || has_column()
            || begins_function(word)
            || (is_before_sources && (word.len() <= LONGEST_ALIAS || !self.expressions.is_empty()));
        is_possible.then_some(()).ok_or(Impossible)
    }

    /// Before its sources are named, a column is at least one of some table.
    fn known(&self, reference: &Reference) -> Result<(), Impossible> {
        let is_known = self.names.has_column(&reference.column)
            || !self.expressions.is_empty()
            || self
                .queries()
                .any(|query| query.find(reference) == Found::Yes);
        is_known.then_some(()).ok_or(Impossible)
    }

    /// Looks a reference up, from the inside out; keeps it for later where sources are still to come.
    fn refer(&mut self, reference: Reference) -> Result<(), Impossible> {
        for frame in self.frames.iter_mut().rev() {
            let Frame::Query(query) = frame else { continue };
            match query.find(&reference) {
                Found::Yes => return Ok(()),
                Found::NotYet => {
                    query.pending.push(reference);
                    return Ok(());
                }
                Found::No => {}
            }
        }
        Err(Impossible)
    }
}

/// Says whether a quoted name has its second quote.
fn is_closed(piece: &str) -> bool {
    let quote = piece.chars().next();
    let closing = quote.map(|quote| if quote == '[' { ']' } else { quote });
    quote.is_some_and(|quote| "`[\"".contains(quote))
        && piece.len() > 1
        && piece.chars().next_back() == closing
}

/// Returns a name without its quotes, in small letters; the second may be missing as long as it is written.
fn unquoted(piece: &str) -> String {
    let name = piece.strip_prefix(['`', '[', '"']).unwrap_or(piece);
    let name = match name.len() < piece.len() {
        true => name.strip_suffix(['`', ']', '"']).unwrap_or(name),
        false => name,
    };
    name.to_lowercase()
}
