//! Prints a statement with some table names replaced. The parser keeps no positions, but each name it keeps lies at an
//! address of its own, and printing hands that address out again: an edit is keyed by it.

use std::collections::BTreeMap;

use sqlite3_parser::ast::Select;
use sqlite3_parser::ast::fmt::{ToTokens, TokenStream};
use sqlite3_parser::lexer::sql::TokenType;

/// Replaces the tokens from one name to another.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    /// What stands there instead.
    pub(super) text: String,
    /// Up to where the tokens are left out.
    pub(super) until: Until,
}

/// Where the tokens left out by an [`Edit`] end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// With the name at this address.
    Through(usize),
    /// With the parenthesis that closes the argument list behind the name at this address.
    ThroughCall(usize),
    /// Before the name at this address.
    Before(usize),
}

/// The edits of one statement by the address at which each begins.
pub(super) type Edits = BTreeMap<usize, Edit>;

/// Returns the address by which a name is known.
pub(super) fn address(name: &str) -> usize {
    name.as_ptr().addr()
}

/// Prints `select` with `edits` made.
pub(super) fn print(select: &Select<'_>, edits: &Edits) -> String {
    let mut printer = Printer {
        text: String::new(),
        edits,
        skipping: Skipping::No,
    };
    let Ok(()) = select.to_tokens(&mut printer);
    printer.text
}

struct Printer<'e> {
    text: String,
    edits: &'e Edits,
    skipping: Skipping,
}

#[derive(Clone, Copy)]
enum Skipping {
    No,
    Through(usize),
    ThroughCall(usize),
    Before(usize),
    /// Inside an argument list, this many parentheses deep.
    Arguments(usize),
}

impl Printer<'_> {
    fn write(&mut self, token: &str) {
        let tight_before = matches!(token, "," | ")" | "." | ";");
        let tight_after = self.text.ends_with(['(', '.']);
        if !self.text.is_empty() && !tight_before && !tight_after {
            self.text.push(' ');
        }
        self.text.push_str(token);
    }
}

impl TokenStream for Printer<'_> {
    type Error = std::convert::Infallible;

    fn append(&mut self, kind: TokenType, value: Option<&str>) -> Result<(), Self::Error> {
        let at = value.map(address);
        match self.skipping {
            Skipping::No => {}
            Skipping::Before(end) if at == Some(end) => self.skipping = Skipping::No,
            Skipping::Before(_) => return Ok(()),
            Skipping::Through(end) => {
                if at == Some(end) {
                    self.skipping = Skipping::No;
                }
                return Ok(());
            }
            Skipping::ThroughCall(end) => {
                if at == Some(end) {
                    self.skipping = Skipping::Arguments(0);
                }
                return Ok(());
            }
            Skipping::Arguments(depth) => {
                self.skipping = match kind {
                    TokenType::TK_LP => Skipping::Arguments(depth + 1),
                    TokenType::TK_RP if depth <= 1 => Skipping::No,
                    TokenType::TK_RP => Skipping::Arguments(depth - 1),
                    _ => self.skipping,
                };
                return Ok(());
            }
        }
        if let Some(edit) = at.and_then(|at| self.edits.get(&at)) {
            if !edit.text.is_empty() {
                self.write(&edit.text);
            }
            self.skipping = match edit.until {
                Until::Through(end) if at == Some(end) => Skipping::No,
                Until::Through(end) => Skipping::Through(end),
                Until::ThroughCall(end) if at == Some(end) => Skipping::Arguments(0),
                Until::ThroughCall(end) => Skipping::ThroughCall(end),
                Until::Before(end) => Skipping::Before(end),
            };
            return Ok(());
        }
        match (kind, value) {
            (TokenType::TK_BLOB, Some(digits)) => self.write(&format!("x'{digits}'")),
            (_, Some(value)) => self.write(value),
            (_, None) => {
                if let Some(keyword) = kind.as_str() {
                    self.write(keyword);
                }
            }
        }
        Ok(())
    }
}
