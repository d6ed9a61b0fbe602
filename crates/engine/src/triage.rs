//! Says why no row matches: there is nothing to read, tables have no partners, or which condition no row fulfils. An empty
//! result is the answer that is most easily believed and most often wrong, so it is looked into, with the data.
//!
//! Never runs anything itself: it writes the statements that tell, and reads what came of them. They name only what the
//! statement named, and go through the same guard.

use serde::Serialize;
use sqlite3_parser::Bump;
use sqlite3_parser::ast::{Cmd, Expr, FromClause, OneSelect, Operator, SelectTable, Stmt};
use utoipa::ToSchema;

use crate::checks;
use crate::checks::printing::Printed;
use crate::guard::{self, GuardedSql, guard};
use crate::prompt::GeneratedSql;
use crate::reading;
use crate::result::ResultSet;

/// Conditions looked at one by one; a statement with more is not looked into.
const MAX_CONDITIONS: usize = 8;

/// Why no row matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NoRows {
    /// Which kind of reason.
    pub reason: NoRowsReason,
    /// In words.
    pub text: String,
    /// The conditions that the reason is about, as they stand in the SQL.
    pub conditions: Vec<String>,
}

/// The kinds of reasons why no row matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoRowsReason {
    /// The table has no rows.
    EmptyTable,
    /// No row of one table has a partner in the other.
    NoPartners,
    /// No row fulfils the condition, whatever the others say.
    NeverTrue,
    /// Each condition is fulfilled by some row, all at once by none.
    NeverTogether,
}

/// The statements that tell why. Each asks for one row.
#[derive(Debug, Clone)]
pub struct Probes {
    /// Whether there is anything to read.
    pub anything: GuardedSql,
    /// Whether any row fulfils this condition.
    pub conditions: Vec<Probe>,
    /// The tables that FROM names; `None` if it has subqueries, of which nothing can be said.
    tables: Option<Vec<String>>,
}

/// One condition, and the statement that tells whether any row fulfils it.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Asks for one such row.
    pub sql: GuardedSql,
    words: String,
    condition: String,
}

/// Returns what to run to learn why a statement has no rows; `None` if it has some, or is of a shape that is not looked
/// into: a compound, or one whose rows go missing after WHERE.
pub fn probes(sql: &GuardedSql, rows: &ResultSet) -> Option<Probes> {
    if !checks::is_nothing(rows) || sql.tables().is_empty() {
        return None;
    }
    let arena = Bump::new();
    let Ok(Cmd::Stmt(Stmt::Select(select))) = guard::parse(sql.text(), &arena) else {
        return None;
    };
    let OneSelect::Select {
        from: Some(from),
        where_clause,
        having: None,
        ..
    } = &select.body.select
    else {
        return None;
    };
    if select
        .body
        .compounds
        .as_ref()
        .is_some_and(|parts| !parts.is_empty())
    {
        return None;
    }
    let with = select
        .with
        .as_ref()
        .map_or_else(String::new, |with| Printed::of(with).text_of_all() + " ");
    let source = Printed::of(from).text_of_all();
    let probe = |condition: &str| {
        let text = format!("{with}SELECT 1 FROM {source}{condition} LIMIT 1");
        guard(&GeneratedSql::new(text), sql.visible()).ok()
    };
    let conditions = where_clause.map(conjuncts).unwrap_or_default();
    if conditions.len() > MAX_CONDITIONS {
        return None;
    }
    let conditions = conditions.into_iter().map(|condition| {
        let text = condition.to_string();
        Some(Probe {
            sql: probe(&format!(" WHERE {text}"))?,
            words: reading::condition(condition, Some(from)),
            condition: text,
        })
    });
    Some(Probes {
        anything: probe("")?,
        conditions: conditions.collect::<Option<_>>()?,
        tables: (select.with.is_none() && is_of_tables(from)).then(|| sql.tables().to_vec()),
    })
}

fn is_of_tables(from: &FromClause<'_>) -> bool {
    let joined = from.joins.iter().flatten().map(|join| &join.table);
    from.select
        .into_iter()
        .chain(joined)
        .all(|item| matches!(item, SelectTable::Table(..)))
}

impl Probes {
    /// Returns the reason, from what came of the probes. `any` says whether there is anything to read, `fulfilled` whether
    /// any row fulfils each condition; `None` where rows went missing for another reason.
    pub fn reason(&self, any: bool, fulfilled: &[bool]) -> Option<NoRows> {
        if !any {
            let (reason, text) = match &self.tables.as_ref()?[..] {
                [table] => (
                    NoRowsReason::EmptyTable,
                    format!("the table {table} has no rows"),
                ),
                tables => (
                    NoRowsReason::NoPartners,
                    format!("no rows of {} belong together", tables.join(" and ")),
                ),
            };
            return Some(NoRows {
                reason,
                text,
                conditions: Vec::new(),
            });
        }
        let never: Vec<&Probe> = self
            .conditions
            .iter()
            .zip(fulfilled)
            .filter(|(_, fulfilled)| !**fulfilled)
            .map(|(probe, _)| probe)
            .collect();
        let (reason, about, lead) = match (never.is_empty(), self.conditions.len()) {
            (false, _) => (NoRowsReason::NeverTrue, never, "no row has"),
            (true, 2..) => (
                NoRowsReason::NeverTogether,
                self.conditions.iter().collect(),
                "some rows have each, none has all of",
            ),
            (true, _) => return None,
        };
        let words: Vec<&str> = about.iter().map(|probe| probe.words.as_str()).collect();
        let between = match reason {
            NoRowsReason::NeverTrue => ", and none has ",
            _ => " and ",
        };
        Some(NoRows {
            reason,
            text: format!("{lead} {}", words.join(between)),
            conditions: about.iter().map(|probe| probe.condition.clone()).collect(),
        })
    }
}

/// Returns the parts of a conjunction, in order.
fn conjuncts<'a, 'b>(condition: &'a Expr<'b>) -> Vec<&'a Expr<'b>> {
    match condition {
        Expr::Binary(left, Operator::And, right) => {
            let mut parts = conjuncts(left);
            parts.extend(conjuncts(right));
            parts
        }
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::tests::guarded;
    use crate::result::Value;

    fn probed(sql: &str) -> Option<Probes> {
        probes(&guarded(sql), &ResultSet::default())
    }

    #[test]
    fn each_condition_is_tried_alone_over_the_same_tables() {
        let probes = probed(
            "WITH old AS (SELECT * FROM orders) SELECT c.name FROM old AS o JOIN Customers AS c \
             ON c.CustomerID = o.customer_id WHERE o.status = 'sent' AND (c.city = 'Rome' OR o.total > 5) LIMIT 3",
        )
        .unwrap();
        let source = "WITH old AS (SELECT * FROM orders) SELECT 1 FROM old AS o JOIN Customers AS c ON c.CustomerID = \
                      o.customer_id";
        let words = |text: &str| text.split_whitespace().collect::<String>();
        let of = |condition: &str| words(&format!("{source} {condition} LIMIT 1"));
        assert_eq!(words(probes.anything.text()), of(""));
        let tried: Vec<String> = probes
            .conditions
            .iter()
            .map(|probe| words(probe.sql.text()))
            .collect();
        assert_eq!(
            tried,
            [
                of("WHERE o.status = 'sent'"),
                of("WHERE (c.city = 'Rome' OR o.total > 5)")
            ]
        );
    }

    #[test]
    fn what_is_not_empty_or_of_another_shape_is_not_looked_into() {
        let sql = "SELECT name FROM Customers WHERE city = 'Rome'";
        let rows = |rows| ResultSet {
            rows,
            ..ResultSet::default()
        };
        let one = |value| rows(vec![vec![value]]);
        assert!(probes(&guarded(sql), &one(Value::Integer(3))).is_none());
        assert!(probes(&guarded(sql), &one(Value::Integer(0))).is_some());
        assert!(probes(&guarded(sql), &one(Value::Null)).is_some());
        for sql in [
            "SELECT name FROM Customers UNION SELECT status FROM orders",
            "SELECT city FROM Customers GROUP BY city HAVING count(*) > 9",
            "SELECT 1 WHERE 1 = 2",
            "SELECT name FROM Customers WHERE 1=1 AND 1=1 AND 1=1 AND 1=1 AND 1=1 AND 1=1 AND 1=1 AND 1=1 AND 1=1",
        ] {
            assert!(probed(sql).is_none(), "{sql}");
        }
    }

    #[test]
    fn the_reason_is_the_first_thing_that_has_no_rows() {
        let check = |sql: &str, any, fulfilled: &[bool], expected: Option<(NoRowsReason, &str)>| {
            let reason = probed(sql).unwrap().reason(any, fulfilled);
            let reason = reason.as_ref().map(|one| (one.reason, one.text.as_str()));
            assert_eq!(reason, expected, "{sql}");
        };
        let two = "SELECT name FROM Customers WHERE city = 'Rome' AND name = 'Ada'";
        check(
            two,
            false,
            &[false, false],
            Some((NoRowsReason::EmptyTable, "the table Customers has no rows")),
        );
        check(
            two,
            true,
            &[true, false],
            Some((NoRowsReason::NeverTrue, "no row has name is 'Ada'")),
        );
        check(
            two,
            true,
            &[false, false],
            Some((
                NoRowsReason::NeverTrue,
                "no row has city is 'Rome', and none has name is 'Ada'",
            )),
        );
        check(
            two,
            true,
            &[true, true],
            Some((
                NoRowsReason::NeverTogether,
                "some rows have each, none has all of city is 'Rome' and name is 'Ada'",
            )),
        );
        check(
            "SELECT 1 FROM Customers JOIN orders ON CustomerID = customer_id",
            false,
            &[],
            Some((
                NoRowsReason::NoPartners,
                "no rows of Customers and orders belong together",
            )),
        );
        // A subquery may leave out what its table has.
        check(
            "SELECT 1 FROM (SELECT * FROM orders WHERE total > 5)",
            false,
            &[],
            None,
        );
        // Its one condition has rows, so they go missing later.
        check(
            "SELECT sum(total) FROM orders WHERE total > 5",
            true,
            &[true],
            None,
        );
    }
}
