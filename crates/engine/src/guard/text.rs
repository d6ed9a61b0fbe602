//! What can be told from the tokens alone, before anything is parsed: size, depth, number of statements, and whether
//! one of them writes. Only what passes here reaches the parser, so no text can make it recurse or run out of stack.

use sqlite3_parser::lexer::Scanner;
use sqlite3_parser::lexer::sql::{TokenType, Tokenizer};

use super::names::decode;
use super::{Refused, inspection};
use crate::error::{Code, Error};

/// The longest SQL in bytes.
pub(super) const MAX_SQL_BYTES: usize = 32 * 1024;

/// The deepest nesting of parentheses.
const MAX_PARENTHESES: usize = 100;

/// The longest list of columns behind USING; the parser compares each with all before it.
const MAX_USING: usize = 200;

/// One token with its place in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: TokenType,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Words with which a statement of some other database that writes begins; SQLite's own are keywords.
const FOREIGN_WRITES: [&str; 5] = ["truncate", "merge", "grant", "revoke", "upsert"];

/// Returns the one statement in `text`, from its first token to its last.
///
/// `extra_bytes` is how much longer than [`MAX_SQL_BYTES`] the text may be.
///
/// # Errors
///
/// [`Code::SqlNotReadOnly`] if any statement writes, or looks as if it were meant to; [`Code::MoreThanOneStatement`];
/// [`Code::SqlTooComplex`]; [`Code::InvalidSql`] for an empty text, a NUL byte or something that is no token.
pub(super) fn only_statement(text: &str, extra_bytes: usize) -> Result<&str, Refused> {
    if text.len() > MAX_SQL_BYTES + extra_bytes {
        return Err(too_complex(format!(
            "the SQL has {} bytes, {MAX_SQL_BYTES} are allowed",
            text.len()
        )));
    }
    if text.contains('\0') {
        return Err(Box::new(Error::new(
            Code::InvalidSql,
            "the SQL holds a NUL byte",
        )));
    }
    let (tokens, broken) = tokens(text);
    let mut statements = Vec::new();
    for statement in tokens.split(|token| token.kind == TokenType::TK_SEMI) {
        if !statement.is_empty() {
            if writes(text, statement) {
                return Err(read_only());
            }
            statements.push(statement);
        }
    }
    if let Some(message) = broken {
        return Err(Box::new(Error::new(Code::InvalidSql, message)));
    }
    let [statement] = statements[..] else {
        return Err(Box::new(if statements.is_empty() {
            Error::new(Code::InvalidSql, "there is no SQL")
        } else {
            Error::new(
                Code::MoreThanOneStatement,
                format!("there are {} statements, one is allowed", statements.len()),
            )
        }));
    };
    check_shape(text, statement)?;
    Ok(&text[statement[0].start..statement[statement.len() - 1].end])
}

/// Refuses what would cost the parser, or those after it, too much.
fn check_shape(text: &str, statement: &[Token]) -> Result<(), Refused> {
    let mut depth = 0_usize;
    let mut listed = None;
    for token in statement {
        match token.kind {
            TokenType::TK_LP => depth += 1,
            TokenType::TK_RP => {
                depth = depth.saturating_sub(1);
                listed = None;
            }
            TokenType::TK_USING => listed = Some(0),
            TokenType::TK_COMMA => listed = listed.map(|count| count + 1),
            // SQLite takes a byte order mark for a space, the parser for a letter: the two would read different names.
            TokenType::TK_ID if text[token.start..].starts_with('\u{feff}') => {
                return Err(invalid("the SQL holds a byte order mark"));
            }
            _ => {}
        }
        if depth > MAX_PARENTHESES {
            return Err(too_complex(format!(
                "the SQL nests parentheses more than {MAX_PARENTHESES} deep"
            )));
        }
        if listed.is_some_and(|count| count > MAX_USING) {
            return Err(too_complex(format!(
                "the SQL joins using more than {MAX_USING} columns"
            )));
        }
    }
    Ok(())
}

/// Returns the tokens of `text`, and why it is broken after the last of them, if it is.
pub(crate) fn tokens(text: &str) -> (Vec<Token>, Option<String>) {
    let mut scanner = Scanner::new(Tokenizer::new());
    let mut tokens = Vec::with_capacity(text.len() / 4 + 1);
    loop {
        match scanner.scan(text.as_bytes()) {
            Ok((start, Some((_, kind)), end)) => tokens.push(Token { kind, start, end }),
            Ok((_, None, _)) => return (tokens, None),
            Err(_) => {
                let rest = text[tokens.last().map_or(0, |token| token.end)..].trim_start();
                let near: String = rest.chars().take(20).collect();
                return (tokens, Some(format!("unrecognized token near \"{near}\"")));
            }
        }
    }
}

/// Says whether a statement writes. INSERT, UPDATE and their like are reserved: unquoted they stand in no SELECT, so
/// they give a write away wherever they are, in front, behind WITH, or where the grammar does not even allow them.
fn writes(text: &str, statement: &[Token]) -> bool {
    use TokenType::*;
    let reserved = statement.iter().any(|token| {
        matches!(
            token.kind,
            TK_INSERT | TK_UPDATE | TK_DELETE | TK_CREATE | TK_DROP | TK_ALTER | TK_COMMIT
        )
    });
    let replaces = statement
        .windows(2)
        .any(|pair| pair[0].kind == TK_REPLACE && pair[1].kind == TK_INTO);
    if reserved || replaces {
        return true;
    }
    let mut rest = statement
        .iter()
        .skip_while(|token| matches!(token.kind, TK_EXPLAIN | TK_QUERY | TK_PLAN));
    let Some(first) = rest.next() else {
        return false;
    };
    match first.kind {
        TK_REPLACE | TK_REINDEX | TK_ANALYZE | TK_VACUUM | TK_ATTACH | TK_DETACH | TK_BEGIN
        | TK_END | TK_ROLLBACK | TK_SAVEPOINT | TK_RELEASE => true,
        TK_PRAGMA => {
            let words: Vec<_> = rest
                .take(3)
                .map(|token| &text[token.start..token.end])
                .collect();
            let name = match words[..] {
                [schema, ".", name] if decode(schema).eq_ignore_ascii_case("main") => name,
                [name, ..] => name,
                [] => "",
            };
            !inspection::is_inspection(&decode(name))
        }
        TK_ID => {
            let word = &text[first.start..first.end];
            FOREIGN_WRITES
                .iter()
                .any(|foreign| word.eq_ignore_ascii_case(foreign))
        }
        _ => false,
    }
}

/// Returns the answer to every write, in SQLite's own words.
pub(super) fn read_only() -> Refused {
    Box::new(Error::new(
        Code::SqlNotReadOnly,
        "attempt to write a readonly database",
    ))
}

/// Returns a refusal of what is too large to be looked at.
pub(super) fn too_complex(message: impl Into<String>) -> Refused {
    Box::new(Error::new(Code::SqlTooComplex, message))
}

/// Returns a refusal of what SQLite would not accept either.
pub(super) fn invalid(message: impl Into<String>) -> Refused {
    Box::new(Error::new(Code::InvalidSql, message))
}
