//! A statement in words: what it counts or lists, of which rows, in which order. For people who do not read SQL, and so
//! that what shaped an answer stands beside it as items that can be disputed one by one.
//!
//! Words are made from names and literals of the statement alone; what has no simple wording stands as SQL. Nothing is
//! left out: a condition that is not told would be a reading of another statement.

use std::borrow::Cow;

use serde::Serialize;
use sqlite3_parser::Bump;
use sqlite3_parser::ast::{
    As, Cmd, CompoundOperator, Distinctness, Expr, FromClause, JoinConstraint, JoinOperator,
    JoinType, LikeOperator, Literal, OneSelect, Operator, ResultColumn, Select, SelectTable,
    SortOrder, Stmt, UnaryOperator,
};
use utoipa::ToSchema;

use crate::guard::{self, GuardedSql};

/// What a statement does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reading {
    /// All of it, in one sentence.
    pub sentence: String,
    /// What shaped the rows, part by part.
    pub assumptions: Vec<Assumption>,
}

/// One thing that shaped the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Assumption {
    /// What it decides.
    pub kind: AssumptionKind,
    /// In words.
    pub text: String,
    /// The part of the SQL that does it.
    pub sql: String,
}

/// What an assumption decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssumptionKind {
    /// Which rows count.
    Filter,
    /// How tables belong together; rows without a partner may be left out.
    Join,
    /// What is computed.
    Measure,
    /// For what it is computed.
    Grouping,
    /// In which order, and how many.
    Order,
}

/// Returns what an accepted statement does, in words.
pub fn read(sql: &GuardedSql) -> Reading {
    let arena = Bump::new();
    let Ok(Cmd::Stmt(Stmt::Select(select))) = guard::parse(sql.text(), &arena) else {
        return Reading::default();
    };
    let mut reader = Reader::default();
    let mut sentence = reader.select(select);
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence.push('.');
    Reading {
        sentence,
        assumptions: reader.assumptions,
    }
}

/// Returns a condition over these sources in words.
pub(crate) fn condition(condition: &Expr<'_>, from: Option<&FromClause<'_>>) -> String {
    Reader::default().expr(condition, &Names::of(from))
}

/// Collects assumptions of the outermost statement; those of statements within it are told inside its own.
#[derive(Default)]
struct Reader {
    assumptions: Vec<Assumption>,
}

/// The sources of one SELECT: what stands before a dot, and the table it is.
struct Names<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Names<'a> {
    fn of(from: Option<&FromClause<'a>>) -> Self {
        let mut names = Vec::new();
        if let Some(from) = from {
            add_sources(from, &mut names);
        }
        Self(names)
    }

    /// Returns the table that a qualifier stands for.
    fn table(&self, qualifier: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(qualifier))
            .map(|(_, table)| &**table)
    }
}

fn add_sources<'a>(from: &FromClause<'a>, names: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>) {
    let joined = from.joins.iter().flatten().map(|join| &join.table);
    for item in from.select.into_iter().chain(joined) {
        match item {
            SelectTable::Table(name, alias, _) | SelectTable::TableCall(name, _, alias) => {
                let table = guard::decode(name.name.0);
                let called = alias.as_ref().map_or_else(|| table.clone(), alias_name);
                names.push((called, table));
            }
            SelectTable::Select(_, alias) => {
                let called = alias.as_ref().map(alias_name).unwrap_or_default();
                names.push((called.clone(), called));
            }
            SelectTable::Sub(from, _) => add_sources(from, names),
        }
    }
}

fn alias_name<'a>(alias: &As<'a>) -> Cow<'a, str> {
    let (As::As(name) | As::Elided(name)) = alias;
    guard::decode(name.0)
}

impl Reader {
    fn note(&mut self, kind: AssumptionKind, text: &str, sql: String) {
        self.assumptions.push(Assumption {
            kind,
            text: text.to_owned(),
            sql,
        });
    }

    fn select(&mut self, select: &Select<'_>) -> String {
        let mut text = String::new();
        for cte in select.with.iter().flat_map(|with| with.ctes.iter()) {
            // Its conditions shape the rows as much as those outside.
            let inner = self.select(cte.select);
            let name = words(&guard::decode(cte.tbl_name.0));
            text.push_str(&format!("{name} is {inner}; "));
        }
        let parts = select.body.compounds.as_deref().unwrap_or_default();
        text.push_str(&self.one(&select.body.select));
        for part in parts {
            text.push_str(match part.operator {
                CompoundOperator::Union | CompoundOperator::UnionAll => ", together with ",
                CompoundOperator::Except => ", without ",
                CompoundOperator::Intersect => ", of which also: ",
            });
            text.push_str(&self.one(&part.select));
        }
        let names = match &select.body.select {
            OneSelect::Select { from, .. } => Names::of(from.as_ref()),
            OneSelect::Values(_) => Names::of(None),
        };
        let order = select.order_by.unwrap_or_default();
        let limit = select.limit.map(|limit| limit.expr.to_string());
        if order.is_empty() && limit.is_none() {
            return text;
        }
        let terms: Vec<String> = order
            .iter()
            .map(|term| {
                let direction = match term.order {
                    Some(SortOrder::Desc) => "from the highest down",
                    Some(SortOrder::Asc) | None => "from the lowest up",
                };
                format!("{} {direction}", self.expr(&term.expr, &names))
            })
            .collect();
        let mut told = Vec::new();
        if !terms.is_empty() {
            told.push(format!("by {}", terms.join(", then ")));
        }
        if let Some(limit) = &limit {
            told.push(format!("the first {limit}"));
        }
        let told = told.join(", ");
        let sql_terms: Vec<String> = order
            .iter()
            .map(|term| match term.order {
                Some(SortOrder::Desc) => format!("{} DESC", term.expr),
                Some(SortOrder::Asc) | None => term.expr.to_string(),
            })
            .collect();
        let mut sql = Vec::new();
        if !sql_terms.is_empty() {
            sql.push(format!("ORDER BY {}", sql_terms.join(", ")));
        }
        sql.extend(limit.map(|limit| format!("LIMIT {limit}")));
        self.note(AssumptionKind::Order, &told, sql.join(" "));
        text.push_str(", ");
        text.push_str(&told);
        text
    }

    fn one(&mut self, one: &OneSelect<'_>) -> String {
        let OneSelect::Select {
            distinctness,
            columns,
            from,
            where_clause,
            group_by,
            having,
            ..
        } = one
        else {
            return "fixed values".to_owned();
        };
        let names = Names::of(from.as_ref());
        let mut shown = Vec::new();
        for column in *columns {
            shown.push(match column {
                ResultColumn::Expr(expr, _) => {
                    let told = self.expr(expr, &names);
                    if is_computed(expr) {
                        self.note(AssumptionKind::Measure, &told, expr.to_string());
                    }
                    told
                }
                ResultColumn::Star | ResultColumn::TableStar(_) => "all columns".to_owned(),
            });
        }
        let mut text = shown.join(", ");
        if *distinctness == Some(Distinctness::Distinct) {
            text.push_str(", each once");
        }
        if let Some(from) = from {
            text.push_str(" of ");
            text.push_str(&self.from(from, &names));
        }
        if let Some(condition) = where_clause {
            let told = self.conditions(condition, &names);
            text.push_str(" where ");
            text.push_str(&told);
        }
        let group_by = group_by.unwrap_or_default();
        if !group_by.is_empty() {
            let terms: Vec<String> = group_by.iter().map(|e| self.expr(e, &names)).collect();
            let told = format!("for each {}", terms.join(" and "));
            let sql: Vec<String> = group_by.iter().map(ToString::to_string).collect();
            let sql = format!("GROUP BY {}", sql.join(", "));
            self.note(AssumptionKind::Grouping, &told, sql);
            text.push_str(", ");
            text.push_str(&told);
        }
        if let Some(condition) = having {
            text.push_str(" where ");
            text.push_str(&self.conditions(condition, &names));
        }
        text
    }

    fn from(&mut self, from: &FromClause<'_>, names: &Names<'_>) -> String {
        let mut text = from.select.map_or_else(String::new, |item| self.item(item));
        for join in from.joins.iter().flatten() {
            let other = self.item(&join.table);
            let keeps_all = matches!(join.operator, JoinOperator::TypedJoin(Some(kind)) if kind.contains(JoinType::LEFT));
            let told = if keeps_all {
                format!("with their {other} where there are any")
            } else {
                format!("with their {other}")
            };
            let sql = match &join.constraint {
                Some(JoinConstraint::On(condition)) => condition.to_string(),
                Some(JoinConstraint::Using(columns)) => {
                    let columns: Vec<_> = columns.iter().map(|name| name.0).collect();
                    format!("USING ({})", columns.join(", "))
                }
                None => String::new(),
            };
            if let Some(JoinConstraint::On(condition)) = &join.constraint
                && !is_key_match(condition)
            {
                // More than keys that match: it chooses rows.
                let conditions = self.conditions(condition, names);
                text.push_str(&format!(" {told}, matched where {conditions}"));
                continue;
            }
            let left_out = if keeps_all {
                ""
            } else {
                "; those without are left out"
            };
            self.note(AssumptionKind::Join, &format!("{told}{left_out}"), sql);
            text.push(' ');
            text.push_str(&told);
        }
        text
    }

    fn item(&mut self, item: &SelectTable<'_>) -> String {
        match item {
            SelectTable::Table(name, ..) | SelectTable::TableCall(name, ..) => {
                words(&guard::decode(name.name.0))
            }
            SelectTable::Select(select, _) => format!("({})", self.select(select)),
            SelectTable::Sub(from, _) => {
                let names = Names::of(Some(from));
                format!("({})", self.from(from, &names))
            }
        }
    }

    /// Reads a condition, noting each part of a conjunction.
    fn conditions(&mut self, condition: &Expr<'_>, names: &Names<'_>) -> String {
        if let Expr::Binary(left, Operator::And, right) = condition {
            let left = self.conditions(left, names);
            let right = self.conditions(right, names);
            return format!("{left} and {right}");
        }
        let told = self.expr(condition, names);
        self.note(AssumptionKind::Filter, &told, condition.to_string());
        told
    }

    fn expr(&mut self, expr: &Expr<'_>, names: &Names<'_>) -> String {
        match expr {
            Expr::Id(id) => words(&guard::decode(id.0)),
            Expr::Name(name) => words(&guard::decode(name.0)),
            Expr::Qualified(table, column) | Expr::DoublyQualified(_, table, column) => {
                let (table, column) = (guard::decode(table.0), guard::decode(column.0));
                if names.0.len() < 2 {
                    return words(&column);
                }
                let table = names.table(&table).unwrap_or(&table);
                format!("{} of {}", words(&column), words(table))
            }
            Expr::Literal(Literal::Null) => "not known".to_owned(),
            Expr::Parenthesized(inner) => match &inner[..] {
                [one] => format!("({})", self.expr(one, names)),
                _ => expr.to_string(),
            },
            Expr::Binary(left, operator, right) => {
                let Some(word) = operator_words(*operator) else {
                    return expr.to_string();
                };
                format!(
                    "{} {word} {}",
                    self.expr(left, names),
                    self.expr(right, names)
                )
            }
            Expr::Between {
                lhs,
                not,
                start,
                end,
            } => format!(
                "{} is {}between {} and {}",
                self.expr(lhs, names),
                negation(*not),
                self.expr(start, names),
                self.expr(end, names)
            ),
            Expr::InList { lhs, not, rhs } => {
                let list: Vec<String> = rhs
                    .unwrap_or_default()
                    .iter()
                    .map(|one| self.expr(one, names))
                    .collect();
                format!(
                    "{} is {}one of {}",
                    self.expr(lhs, names),
                    negation(*not),
                    list.join(", ")
                )
            }
            Expr::InSelect { lhs, not, rhs } => {
                let inner = Reader::default().select(rhs);
                format!(
                    "{} is {}among ({inner})",
                    self.expr(lhs, names),
                    negation(*not)
                )
            }
            Expr::Exists(select) => format!("there is ({})", Reader::default().select(select)),
            Expr::Subquery(select) => format!("({})", Reader::default().select(select)),
            Expr::IsNull(inner) => format!("{} is not known", self.expr(inner, names)),
            Expr::NotNull(inner) => format!("{} is known", self.expr(inner, names)),
            Expr::Unary(UnaryOperator::Not, inner) => format!("not {}", self.expr(inner, names)),
            Expr::Like {
                lhs,
                not,
                op: LikeOperator::Like,
                rhs: Expr::Literal(Literal::String(pattern)),
                escape: None,
            } => like_words(&self.expr(lhs, names), *not, &guard::decode(pattern))
                .unwrap_or_else(|| expr.to_string()),
            Expr::Cast { expr: inner, .. } | Expr::Collate(inner, _) => self.expr(inner, names),
            Expr::FunctionCallStar {
                name,
                filter_over: None,
            } if name.0.eq_ignore_ascii_case("count") => "the number of rows".to_owned(),
            Expr::FunctionCall {
                name,
                distinctness,
                args: Some([argument]),
                order_by: None,
                filter_over: None,
            } => {
                let of = self.expr(argument, names);
                let different = match distinctness {
                    Some(Distinctness::Distinct) => "different ",
                    Some(Distinctness::All) | None => "",
                };
                match &*name.0.to_ascii_lowercase() {
                    "count" => format!("the number of {different}{of}"),
                    "sum" | "total" => format!("the sum of {different}{of}"),
                    "avg" => format!("the average of {different}{of}"),
                    "max" => format!("the highest {of}"),
                    "min" => format!("the lowest {of}"),
                    "date" => format!("the day of {of}"),
                    _ => expr.to_string(),
                }
            }
            Expr::FunctionCall {
                name,
                args: Some([Expr::Literal(Literal::String(form)), argument]),
                filter_over: None,
                ..
            } if name.0.eq_ignore_ascii_case("strftime") => {
                let of = self.expr(argument, names);
                match &*guard::decode(form) {
                    "%Y" => format!("the year of {of}"),
                    "%m" => format!("the month of {of}"),
                    "%Y-%m" => format!("the year and month of {of}"),
                    "%d" => format!("the day of the month of {of}"),
                    "%w" => format!("the day of the week of {of} (0 is Sunday)"),
                    _ => expr.to_string(),
                }
            }
            _ => expr.to_string(),
        }
    }
}

/// Says whether a condition only compares columns: how tables belong together.
fn is_key_match(condition: &Expr<'_>) -> bool {
    let is_column = |expr: &Expr<'_>| {
        matches!(
            expr,
            Expr::Id(_) | Expr::Name(_) | Expr::Qualified(..) | Expr::DoublyQualified(..)
        )
    };
    match condition {
        Expr::Binary(left, Operator::And, right) => is_key_match(left) && is_key_match(right),
        Expr::Binary(left, Operator::Equals, right) => is_column(left) && is_column(right),
        Expr::Parenthesized(inner) => inner.len() == 1 && is_key_match(&inner[0]),
        _ => false,
    }
}

/// Says whether an output is more than a column as it stands.
fn is_computed(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Id(_) | Expr::Name(_) | Expr::Qualified(..) | Expr::DoublyQualified(..) => false,
        Expr::Parenthesized(inner) => inner.iter().any(is_computed),
        _ => true,
    }
}

fn negation(not: bool) -> &'static str {
    if not { "not " } else { "" }
}

fn operator_words(operator: Operator) -> Option<&'static str> {
    Some(match operator {
        Operator::Equals | Operator::Is => "is",
        Operator::NotEquals | Operator::IsNot => "is not",
        Operator::Greater => "is more than",
        Operator::GreaterEquals => "is at least",
        Operator::Less => "is less than",
        Operator::LessEquals => "is at most",
        Operator::And => "and",
        Operator::Or => "or",
        Operator::Add => "plus",
        Operator::Subtract => "minus",
        Operator::Multiply => "times",
        Operator::Divide => "divided by",
        _ => return None,
    })
}

/// `%x%` contains, `x%` begins with, `%x` ends with; any other pattern has no simple words.
fn like_words(of: &str, not: bool, pattern: &str) -> Option<String> {
    let inner = pattern.trim_matches('%');
    if inner.is_empty() || inner.contains(['%', '_']) {
        return None;
    }
    let (starts, ends) = (pattern.starts_with('%'), pattern.ends_with('%'));
    let verb = match (starts, ends, not) {
        (true, true, false) => "contains",
        (true, true, true) => "does not contain",
        (false, true, false) => "begins with",
        (false, true, true) => "does not begin with",
        (true, false, false) => "ends with",
        (true, false, true) => "does not end with",
        (false, false, false) => "is",
        (false, false, true) => "is not",
    };
    Some(format!("{of} {verb} '{inner}'"))
}

/// Writes a name as words: `order_date` and `OrderDate` are "order date".
fn words(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let mut before_is_lower = false;
    for c in name.chars() {
        if c == '_' || c.is_whitespace() {
            text.push(' ');
        } else {
            if c.is_uppercase() && before_is_lower {
                text.push(' ');
            }
            text.push(c);
        }
        before_is_lower = c.is_lowercase();
    }
    // An abbreviation stays as it stands.
    let lower = |word: &str| match word.chars().all(|c| !c.is_lowercase()) && word.len() > 1 {
        true if name.chars().any(char::is_lowercase) => word.to_owned(),
        _ => word.to_lowercase(),
    };
    text.split_whitespace()
        .map(lower)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
pub(crate) mod tests;
