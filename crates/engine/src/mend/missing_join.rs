//! Joins the table of a column that is named and whose table is not in FROM.

use sqlite3_parser::lexer::sql::TokenType::*;

use crate::error::MissingJoin;
use crate::guard::{Token, decode, same, tokens};

/// Returns `text` with the table joined in the SELECT that first names the column, and the column named with it there.
pub(super) fn add(text: &str, missing: &MissingJoin) -> Option<String> {
    let (tokens, _) = tokens(text);
    let places = places(&tokens);
    let named: Vec<(usize, usize)> = (0..tokens.len())
        .filter_map(|at| Some((at, named_at(text, &tokens, at, &missing.wrong)?)))
        .collect();
    let &(first, _) = named.first()?;
    let query = places[first].query;
    let is_in = |at: &usize| places[*at].query == query;
    let is_direct = |at: &usize| is_in(at) && places[*at].depth == places[query].depth;
    // One SELECT of a compound: what lies between two words that combine.
    let combines = |at: &usize| {
        is_direct(at) && matches!(tokens[*at].kind, TK_UNION | TK_EXCEPT | TK_INTERSECT)
    };
    let last = (0..tokens.len()).rev().find(is_in)?;
    let begin = (query..first).rev().find(combines).unwrap_or(query);
    let end = (first..=last).find(combines).unwrap_or(last + 1);
    let from = (begin..end).find(|at| is_direct(at) && tokens[*at].kind == TK_FROM)?;
    let ends_from = |at: &usize| {
        let kind = tokens[*at].kind;
        let is_clause = matches!(
            kind,
            TK_WHERE | TK_GROUP | TK_HAVING | TK_ORDER | TK_LIMIT | TK_WINDOW | TK_SEMI
        );
        is_clause && is_direct(at)
    };
    let behind = (from..end).find(ends_from).unwrap_or(end);
    let place = tokens[behind - 1].end;
    let mut edits = vec![(place, place, format!(" {}", missing.join))];
    for (at, last) in named {
        if (begin..end).contains(&at) && is_in(&at) {
            edits.push((tokens[at].start, tokens[last].end, missing.right.clone()));
        }
    }
    edits.sort();
    let mut out = String::with_capacity(text.len() + missing.join.len() + 16);
    let mut done = 0;
    for (start, end, new) in edits {
        out.push_str(text.get(done..start)?);
        out.push_str(&new);
        done = end;
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// Where a token stands.
struct Place {
    /// The first token of the innermost query around it.
    query: usize,
    /// The parentheses around it.
    depth: usize,
}

fn places(tokens: &[Token]) -> Vec<Place> {
    let mut places = Vec::with_capacity(tokens.len());
    let mut open = Vec::new();
    let mut query = 0;
    for (at, token) in tokens.iter().enumerate() {
        if token.kind == TK_RP {
            query = open.pop().unwrap_or(0);
        }
        places.push(Place {
            query,
            depth: open.len(),
        });
        if token.kind == TK_LP {
            open.push(query);
            let begins_query = tokens
                .get(at + 1)
                .is_some_and(|next| matches!(next.kind, TK_SELECT | TK_WITH));
            if begins_query {
                query = at + 1;
            }
        }
    }
    places
}

/// Returns the last token of the column that begins at this one, if it is the one called `wrong`.
fn named_at(text: &str, tokens: &[Token], at: usize, wrong: &str) -> Option<usize> {
    let written = |at: usize| {
        let token = tokens.get(at)?;
        Some(decode(&text[token.start..token.end]))
    };
    let is = |at: usize, kind| tokens.get(at).is_some_and(|token| token.kind == kind);
    let is_text = is(at, TK_STRING) || is(at, TK_FLOAT) || is(at, TK_INTEGER);
    if is_text || at.checked_sub(1).is_some_and(|before| is(before, TK_DOT)) {
        return None;
    }
    if is(at + 1, TK_DOT) {
        let name = format!("{}.{}", written(at)?, written(at + 2)?);
        return same(&name, wrong).then_some(at + 2);
    }
    let is_alias = at.checked_sub(1).is_some_and(|before| is(before, TK_AS));
    (same(&written(at)?, wrong) && !is(at + 1, TK_LP) && !is_alias).then_some(at)
}
