//! What stands inside an expression.

use sqlite3_parser::ast::{
    Distinctness, Expr, FrameBound, FunctionCallOrder, FunctionTail, Literal, Operator, Over,
    Select, Window,
};

use super::Aggregate;
use crate::guard::decode;

/// Returns the expressions and the queries directly inside one.
pub(in crate::checks) fn parts<'a>(expr: &'a Expr<'a>) -> (Vec<&'a Expr<'a>>, Vec<&'a Select<'a>>) {
    let mut inner = Vec::new();
    let mut queries = Vec::new();
    match expr {
        Expr::Literal(_)
        | Expr::Id(_)
        | Expr::Name(_)
        | Expr::Qualified(..)
        | Expr::DoublyQualified(..)
        | Expr::Raise(..)
        | Expr::Variable(_) => {}
        Expr::Binary(left, _, right) => inner.extend([*left, *right]),
        Expr::Between {
            lhs, start, end, ..
        } => inner.extend([*lhs, *start, *end]),
        Expr::Case {
            base,
            when_then_pairs,
            else_expr,
        } => {
            inner.extend(*base);
            for (when, then) in when_then_pairs.iter() {
                inner.extend([when, then]);
            }
            inner.extend(*else_expr);
        }
        Expr::Cast { expr, .. } => inner.push(expr),
        Expr::Collate(expr, _)
        | Expr::IsNull(expr)
        | Expr::NotNull(expr)
        | Expr::Unary(_, expr) => inner.push(expr),
        Expr::Exists(select) | Expr::Subquery(select) => queries.push(*select),
        Expr::FunctionCall {
            args,
            order_by,
            filter_over,
            ..
        } => {
            inner.extend(args.unwrap_or_default());
            if let Some(FunctionCallOrder::SortList(terms)) = order_by {
                inner.extend(terms.iter().map(|term| &term.expr));
            }
            tail(filter_over.as_ref(), &mut inner);
        }
        Expr::FunctionCallStar { filter_over, .. } => tail(filter_over.as_ref(), &mut inner),
        Expr::InList { lhs, rhs, .. } => {
            inner.push(lhs);
            inner.extend(rhs.unwrap_or_default());
        }
        Expr::InSelect { lhs, rhs, .. } => {
            inner.push(lhs);
            queries.push(*rhs);
        }
        Expr::InTable { lhs, .. } => inner.push(lhs),
        Expr::Like {
            lhs, rhs, escape, ..
        } => {
            inner.extend([*lhs, *rhs]);
            inner.extend(*escape);
        }
        Expr::Parenthesized(list) => inner.extend(list.iter()),
    }
    (inner, queries)
}

fn tail<'a>(tail: Option<&'a FunctionTail<'a>>, inner: &mut Vec<&'a Expr<'a>>) {
    let Some(tail) = tail else { return };
    inner.extend(tail.filter_clause);
    if let Some(Over::Window(definition)) = tail.over_clause {
        window(definition, inner);
    }
}

/// Adds the expressions of a window definition.
pub(super) fn window<'a>(window: &'a Window<'a>, inner: &mut Vec<&'a Expr<'a>>) {
    inner.extend(window.partition_by.unwrap_or_default());
    inner.extend(
        window
            .order_by
            .unwrap_or_default()
            .iter()
            .map(|term| &term.expr),
    );
    if let Some(frame) = &window.frame_clause {
        for bound in [Some(&frame.start), frame.end.as_ref()]
            .into_iter()
            .flatten()
        {
            if let FrameBound::Following(offset) | FrameBound::Preceding(offset) = bound {
                inner.push(offset);
            }
        }
    }
}

/// Returns an expression and all inside it, not going into queries.
pub(in crate::checks) fn inside<'a>(expr: &'a Expr<'a>) -> Vec<&'a Expr<'a>> {
    let mut found = Vec::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        found.push(expr);
        open.extend(parts(expr).0.into_iter().rev());
    }
    found
}

/// Takes the parentheses off an expression.
pub(in crate::checks) fn plain<'e, 'a>(expr: &'e Expr<'a>) -> &'e Expr<'a> {
    let mut expr = expr;
    while let Expr::Parenthesized(list) = expr
        && let [only] = &list[..]
    {
        expr = only;
    }
    expr
}

/// Returns the conditions that AND joins.
pub(in crate::checks) fn conjuncts<'a>(expr: &'a Expr<'a>) -> Vec<&'a Expr<'a>> {
    let mut found = Vec::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match plain(expr) {
            Expr::Binary(left, Operator::And, right) => open.extend([*right, *left]),
            _ => found.push(expr),
        }
    }
    found
}

/// Returns the text of a text literal, without its quotes.
pub(in crate::checks) fn literal_text(expr: &Expr<'_>) -> Option<String> {
    match plain(expr) {
        Expr::Literal(Literal::String(raw)) => Some(decode(raw).into_owned()),
        _ => None,
    }
}

impl<'a> Aggregate<'a> {
    /// Reads a call of an aggregate function that is not a window function.
    pub(in crate::checks) fn of(expr: &'a Expr<'a>) -> Option<Self> {
        let (name, distinctness, args, filter_over) = match expr {
            Expr::FunctionCall {
                name,
                distinctness,
                args,
                filter_over,
                ..
            } => (name, *distinctness, args.unwrap_or_default(), filter_over),
            Expr::FunctionCallStar { name, filter_over } => (name, None, &[][..], filter_over),
            _ => return None,
        };
        let function = decode(name.0).to_ascii_lowercase();
        let is_aggregate = match function.as_str() {
            "count" | "sum" | "avg" | "total" | "group_concat" | "string_agg"
            | "json_group_array" | "json_group_object" | "jsonb_group_array"
            | "jsonb_group_object" => true,
            "min" | "max" => args.len() == 1,
            _ => false,
        };
        let is_window = filter_over
            .as_ref()
            .is_some_and(|tail| tail.over_clause.is_some());
        (is_aggregate && !is_window).then(|| Self {
            function,
            argument: args.first(),
            is_distinct: distinctness == Some(Distinctness::Distinct),
        })
    }
}
