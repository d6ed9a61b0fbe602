//! Decides whether generated SQL may run. Never executes anything.
//!
//! The text is measured, split into tokens, parsed with SQLite's own grammar, and every name in it is looked up in
//! [`VisibleSchema`]. What cannot be parsed does not run; what is hidden is answered like what does not exist.

mod expressions;
mod from;
mod functions;
mod hints;
mod inspection;
mod names;
mod resolve;
mod rewrite;
mod scope;
#[cfg(test)]
pub(crate) mod tests;
mod text;

use std::sync::Arc;

use sqlite3_parser::ast::{Cmd, Select, Stmt};
use sqlite3_parser::lexer::sql::{Error as ParseError, Parser, ParserError, TokenType};
use sqlite3_parser::{Bump, FallibleIterator};

use crate::error::{Code, Error};
use crate::policy::VisibleSchema;
use crate::prompt::GeneratedSql;
pub use functions::{allowed_functions, begins_function, is_allowed_function};
pub(crate) use hints::{one_way, quoted};
pub(crate) use names::{decode, nearest, same};
use resolve::Resolver;
use rewrite::{Edit, Edits, Until};
pub(crate) use text::{Token, tokens};
use text::{invalid, read_only};

/// A refusal on its way up; boxed, because the walk over a statement recurses and its frames should be small.
type Refused = Box<Error>;

/// SQL that the guard accepted, with the visible schema it was accepted under. Only [`guard`] makes one.
#[derive(Debug, Clone)]
pub struct GuardedSql {
    text: String,
    tables: Vec<String>,
    visible: Arc<VisibleSchema>,
}

impl GuardedSql {
    /// Returns the text to run.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the tables and views that it reads, in order of first mention, each once.
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// Returns the visible schema it was accepted under.
    pub fn visible(&self) -> &Arc<VisibleSchema> {
        &self.visible
    }
}

/// Accepts one SELECT over visible names and known functions, or says why not.
///
/// The accepted text is the statement as written, without what stands around it, unless it must change: a table some of
/// whose columns are hidden is replaced by a subquery over the others where they could matter (`*`, NATURAL), and
/// `sqlite_master` and `PRAGMA table_info(...)` are answered from `visible`. Accepting an accepted text changes nothing.
///
/// # Errors
///
/// [`Code::InvalidSql`] and the codes of kind `Refused` that begin with it in [`Code`].
#[tracing::instrument(
    name = "engine.guard",
    target = "assay::trace",
    level = "debug",
    skip_all
)]
pub fn guard(sql: &GeneratedSql, visible: &Arc<VisibleSchema>) -> Result<GuardedSql, Error> {
    let (text, tables) = accept(sql.as_str(), visible).map_err(|refused| *refused)?;
    Ok(GuardedSql {
        text,
        tables,
        visible: Arc::clone(visible),
    })
}

/// Returns the text to run and the tables it reads.
fn accept(given: &str, visible: &VisibleSchema) -> Result<(String, Vec<String>), Refused> {
    let (own_bytes, own_ctes) = inspection::own_definitions(given, visible);
    let statement = text::only_statement(given, own_bytes)?;
    let arena = Bump::new();
    let select = match parse(statement, &arena)? {
        Cmd::Stmt(Stmt::Select(select)) => select,
        Cmd::Stmt(Stmt::Pragma(name, body)) => {
            // The answer holds its rows itself and reads no table.
            return Ok((
                inspection::answer_statement(&name, body.as_ref(), visible)?,
                Vec::new(),
            ));
        }
        Cmd::Explain(Stmt::Select(_)) | Cmd::ExplainQueryPlan(Stmt::Select(_)) => {
            return Err(Box::new(
                Error::new(Code::NotASelect, "only SELECT may run").with_hint("leave out EXPLAIN"),
            ));
        }
        Cmd::Stmt(_) | Cmd::Explain(_) | Cmd::ExplainQueryPlan(_) => return Err(read_only()),
    };
    let mut resolver = Resolver::new(visible, own_ctes);
    resolver.select(select, None, None, None)?;
    resolver.check_edits()?;
    let mut accepted = statement.to_owned();
    if !resolver.edits.is_empty() {
        for &(start, end) in &resolver.qualifiers {
            resolver.edits.entry(start).or_insert(Edit {
                text: String::new(),
                until: Until::Before(end),
            });
        }
        accepted = rewritten(select, &resolver.edits, visible, own_ctes)?;
    }
    if resolver.schema_tables.contains(&true) {
        accepted = with_schema_tables(&accepted, resolver.schema_tables, visible);
    }
    Ok((accepted, resolver.tables))
}

/// Parses one statement.
pub(crate) fn parse<'b>(statement: &str, arena: &'b Bump) -> Result<Cmd<'b>, Refused> {
    // The parser's input must live as long as what it makes, so it gets a copy in the arena.
    let statement = arena.alloc_str(statement);
    match Parser::new(arena, statement.as_bytes()).next() {
        Ok(Some(command)) => Ok(command),
        Ok(None) => Err(invalid("there is no SQL")),
        Err(ParseError::ParserError(ParserError::SyntaxError(near), _)) => Err(invalid(format!(
            "near \"{}\": syntax error",
            names::shown(&near)
        ))),
        Err(ParseError::ParserError(ParserError::UnexpectedEof, _)) => {
            Err(invalid("incomplete input"))
        }
        Err(ParseError::ParserError(ParserError::Custom(message), _)) => {
            Err(invalid(names::shown(&message)))
        }
        Err(_) => Err(invalid("unrecognized token")),
    }
}

/// Prints `select` with `edits` made, and makes sure that printing changed nothing else and left nothing to edit.
fn rewritten(
    select: &Select<'_>,
    edits: &Edits,
    visible: &VisibleSchema,
    own_ctes: usize,
) -> Result<String, Refused> {
    let failed = || {
        invalid(
            "the SQL cannot be written without the columns that may not be read; name the columns",
        )
    };
    let arena = Bump::new();
    let plain = rewrite::print(select, &Edits::new());
    match parse(&plain, &arena)? {
        Cmd::Stmt(Stmt::Select(again)) if again == select => {}
        _ => return Err(failed()),
    }
    let text = rewrite::print(select, edits);
    match parse(&text, &arena)? {
        Cmd::Stmt(Stmt::Select(again)) => {
            let mut resolver = Resolver::new(visible, own_ctes);
            resolver.select(again, None, None, None)?;
            if resolver.edits.is_empty() {
                Ok(text)
            } else {
                Err(failed())
            }
        }
        _ => Err(failed()),
    }
}

/// Puts the schema tables that a SELECT reads in front of it, as common table expressions.
fn with_schema_tables(select: &str, wanted: [bool; 2], visible: &VisibleSchema) -> String {
    let definitions: Vec<_> = inspection::SCHEMA_TABLES
        .iter()
        .zip(wanted)
        .filter(|(_, wanted)| *wanted)
        .map(|(name, _)| inspection::definition(name, visible))
        .collect();
    let definitions = definitions.join(", ");
    let (tokens, _) = text::tokens(select);
    match tokens[..] {
        [with, recursive, ..]
            if with.kind == TokenType::TK_WITH && recursive.kind == TokenType::TK_RECURSIVE =>
        {
            format!(
                "WITH RECURSIVE {definitions}, {}",
                select[recursive.end..].trim_start()
            )
        }
        [with, ..] if with.kind == TokenType::TK_WITH => {
            format!("WITH {definitions}, {}", select[with.end..].trim_start())
        }
        _ => format!("WITH {definitions} {select}"),
    }
}
