//! Prints a statement with some of its parts replaced. The parser keeps no positions, but every name and literal that it
//! keeps has an address of its own, and printing hands that address out again: a part is found by the first of them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;

use sqlite3_parser::Bump;
use sqlite3_parser::ast::fmt::{ToTokens, TokenStream};
use sqlite3_parser::ast::{Cmd, Select, Stmt};
use sqlite3_parser::lexer::sql::TokenType;

use crate::guard::parse;
use crate::prompt::GeneratedSql;

/// A statement as the tokens that it is printed as.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    tokens: Vec<Token>,
    /// Where the name or literal at an address stands; none that stands twice.
    places: HashMap<usize, Option<usize>>,
}

#[derive(Debug)]
struct Token {
    kind: TokenType,
    text: String,
    at: Option<usize>,
}

impl TokenStream for Printed {
    type Error = Infallible;

    fn append(&mut self, kind: TokenType, value: Option<&str>) -> Result<(), Infallible> {
        let text = match (kind, value) {
            (TokenType::TK_BLOB, Some(digits)) => format!("x'{digits}'"),
            (_, Some(value)) => value.to_owned(),
            (_, None) => kind.as_str().unwrap_or("").to_owned(),
        };
        // The words of joins and of LIKE are the printer's own and have one address however often they stand there.
        let is_own = matches!(kind, TokenType::TK_JOIN_KW | TokenType::TK_LIKE_KW);
        let at = value.filter(|_| !is_own).map(|value| value.as_ptr().addr());
        if let Some(at) = at {
            let place = self.tokens.len();
            self.places
                .entry(at)
                .and_modify(|known| *known = None)
                .or_insert(Some(place));
        }
        self.tokens.push(Token { kind, text, at });
        Ok(())
    }
}

impl Printed {
    /// Prints a statement.
    pub(crate) fn of(node: &impl ToTokens) -> Self {
        let mut printed = Self::default();
        let Ok(()) = node.to_tokens(&mut printed);
        printed
    }

    /// Says whether the printed text means the same as the statement it was printed from.
    pub(crate) fn is_faithful(&self, select: &Select<'_>) -> bool {
        let arena = Bump::new();
        matches!(
            parse(&self.text(&[]), &arena),
            Ok(Cmd::Stmt(Stmt::Select(again))) if again == select
        )
    }

    /// Returns which tokens a part of the statement is; `None` if it has no name and no literal to be found by.
    pub(crate) fn span(&self, part: &impl ToTokens) -> Option<Range<usize>> {
        let part = Self::of(part).tokens;
        part.iter().enumerate().find_map(|(offset, token)| {
            let place = (*self.places.get(&token.at?)?)?;
            let start = place.checked_sub(offset)?;
            let span = start..start + part.len();
            let is_it = self.tokens.get(span.clone())?.iter().zip(&part);
            is_it
                .into_iter()
                .all(|(own, other)| own.kind == other.kind && own.text == other.text)
                .then_some(span)
        })
    }

    /// Returns the text of some tokens.
    pub(crate) fn text_of(&self, span: Range<usize>) -> String {
        joined(
            self.tokens[span]
                .iter()
                .map(|token| (Some(token.kind), token.text.as_str())),
        )
    }

    /// Returns the text of the whole statement.
    pub(crate) fn text_of_all(&self) -> String {
        self.text(&[])
    }

    /// Says whether the token at this place is of this kind.
    pub(crate) fn is(&self, place: usize, kind: TokenType) -> bool {
        self.tokens
            .get(place)
            .is_some_and(|token| token.kind == kind)
    }

    /// Prints the statement with the tokens of each span replaced by a text, which may be empty. Of two spans that
    /// overlap, the first counts.
    pub(crate) fn with(&self, edits: &[(Range<usize>, String)]) -> GeneratedSql {
        GeneratedSql::new(self.text(edits))
    }

    fn text(&self, edits: &[(Range<usize>, String)]) -> String {
        let mut parts: Vec<(Option<TokenType>, &str)> = Vec::with_capacity(self.tokens.len());
        let mut place = 0;
        while place <= self.tokens.len() {
            let here = edits.iter().filter(|(span, _)| span.start == place);
            for (_, text) in here.clone().filter(|(_, text)| !text.is_empty()) {
                parts.push((None, text));
            }
            let skipped = here.map(|(span, _)| span.len()).max().unwrap_or(0);
            if skipped > 0 {
                place += skipped;
                continue;
            }
            if let Some(token) = self.tokens.get(place) {
                parts.push((Some(token.kind), &token.text));
            }
            place += 1;
        }
        joined(parts.into_iter())
    }
}

fn joined<'t>(parts: impl Iterator<Item = (Option<TokenType>, &'t str)>) -> String {
    let mut text = String::new();
    let mut before = None;
    for (kind, part) in parts {
        let is_name = matches!(before, Some(TokenType::TK_ID | TokenType::TK_CAST));
        let is_call = part == "(" && is_name && kind.is_some();
        let is_tight = matches!(part, "," | ")" | "." | ";") || is_call;
        if !text.is_empty() && !is_tight && !text.ends_with(['(', '.']) {
            text.push(' ');
        }
        text.push_str(part);
        before = kind;
    }
    text
}
