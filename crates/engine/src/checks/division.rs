//! Divisions of whole numbers, which SQLite cuts off to a whole number.

use sqlite3_parser::ast::{Expr, Literal, OneSelect, Operator, ResultColumn, UnaryOperator};

use super::statement::{Clause, Core, inside, parts, plain};
use super::{Finding, FindingKind, Subject};
use crate::guard::decode;
use crate::schema::Column;

/// Words of a question that asks for a fraction of a whole.
const FRACTIONS: [&str; 11] = [
    "ratio",
    "ratios",
    "rate",
    "percentage",
    "percentages",
    "percent",
    "proportion",
    "share",
    "fraction",
    "portion",
    "pct",
];
/// Words of one that may.
const PERHAPS: [&str; 4] = ["average", "per", "mean", "avg"];

/// Reports quotients of whole numbers in a result, in HAVING and in ORDER BY, where the question asks for a ratio.
///
/// The rewrite multiplies the dividend by 1.0. That only adds the part behind the point, which a ratio has and which
/// nobody asked to cut off. A number column divided by a written number is left alone unless a fraction is asked for by
/// name: `year / 10` is a decade.
pub(super) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let asks_fraction =
        subject.asked.has_any(&FRACTIONS) || subject.evidence.question.contains('%');
    if !asks_fraction && !subject.asked.has_any(&PERHAPS) {
        return;
    }
    let mut edits = Vec::new();
    let mut first = None;
    for core in &subject.statement.cores {
        for (clause, expr) in core.expressions() {
            let Expr::Binary(dividend, Operator::Divide, divisor) = expr else {
                continue;
            };
            let is_shown = matches!(clause, Clause::Output(_) | Clause::Having | Clause::OrderBy);
            let is_written = matches!(plain(divisor), Expr::Literal(_));
            let is_counted = inside(dividend).into_iter().any(|inner| {
                matches!(
                    inner,
                    Expr::FunctionCall { .. } | Expr::FunctionCallStar { .. }
                )
            });
            if !is_shown
                || (is_written && !asks_fraction && !is_counted)
                || !is_whole(core, dividend)
                || !is_whole(core, divisor)
                || has_remainder(dividend)
            {
                continue;
            }
            if let Some(span) = subject.statement.printed.span(*dividend) {
                first = first.or_else(|| {
                    let whole = subject.statement.printed.span(expr)?;
                    Some(subject.statement.printed.text_of(whole))
                });
                edits.push((span.start..span.start, "1.0 *".to_owned()));
            }
        }
    }
    // In `a / b / c` both quotients begin with `a`; one factor does for both.
    edits.dedup();
    if let Some(quotient) = first {
        let message = format!(
            "{quotient} divides whole numbers, so what is behind the point is cut off; multiply by 1.0 first"
        );
        let rewrite = subject.statement.printed.with(&edits);
        findings.push(Finding::new(
            FindingKind::WholeNumberDivision,
            message,
            Some(rewrite),
        ));
    }
}

/// `%` makes its operands whole numbers, so a factor in front of it would not reach the division.
fn has_remainder(dividend: &Expr<'_>) -> bool {
    match dividend {
        Expr::Binary(_, Operator::Modulus, _) => true,
        Expr::Binary(left, Operator::Multiply | Operator::Divide, _) => has_remainder(left),
        _ => false,
    }
}

/// Says whether an expression is certainly a whole number or NULL.
fn is_whole(core: &Core<'_>, expr: &Expr<'_>) -> bool {
    match plain(expr) {
        Expr::Literal(Literal::Numeric(digits)) => digits.bytes().all(|b| b.is_ascii_digit()),
        Expr::Literal(Literal::Null) => true,
        Expr::Unary(UnaryOperator::Negative | UnaryOperator::Positive, inner) => {
            is_whole(core, inner)
        }
        Expr::Binary(
            left,
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide,
            right,
        ) => is_whole(core, left) && is_whole(core, right),
        Expr::Cast { type_name, .. } => type_name
            .as_ref()
            .is_some_and(|kind| kind.name.to_ascii_uppercase().contains("INT")),
        Expr::Case {
            when_then_pairs,
            else_expr,
            ..
        } => {
            when_then_pairs.iter().all(|(_, then)| is_whole(core, then))
                && else_expr.is_none_or(|other| is_whole(core, other))
        }
        Expr::FunctionCallStar { .. } => true,
        Expr::FunctionCall { name, args, .. } => {
            let args = args.unwrap_or_default();
            match decode(name.0).to_ascii_lowercase().as_str() {
                "count" | "length" => true,
                "sum" | "abs" | "min" | "max" | "coalesce" | "ifnull" | "nullif" => {
                    !args.is_empty() && args.iter().all(|inner| is_whole(core, inner))
                }
                _ => false,
            }
        }
        Expr::Subquery(select) => match &select.body.select {
            OneSelect::Select { columns, .. } if select.body.compounds.is_none() => {
                matches!(columns, [ResultColumn::Expr(expr, _)] if is_count(expr))
            }
            _ => false,
        },
        other => core
            .column_of(other)
            .is_some_and(|(_, column)| is_whole_column(column)),
    }
}

/// Says whether a subquery's only column is a count; its own columns are another core's and are not looked up here.
fn is_count(expr: &Expr<'_>) -> bool {
    let expr = plain(expr);
    let is_called = |name: &str| decode(name).eq_ignore_ascii_case("count");
    match expr {
        Expr::FunctionCall { name, .. } | Expr::FunctionCallStar { name, .. } => is_called(name.0),
        _ => {
            parts(expr).0.is_empty()
                && matches!(expr, Expr::Literal(Literal::Numeric(digits)) if !digits.contains('.'))
        }
    }
}

/// A column of integer affinity may yet hold other numbers, so its samples must be whole ones too.
fn is_whole_column(column: &Column) -> bool {
    column.declared_type.to_ascii_uppercase().contains("INT")
        && column
            .samples
            .iter()
            .all(|sample| sample.parse::<i64>().is_ok())
}
