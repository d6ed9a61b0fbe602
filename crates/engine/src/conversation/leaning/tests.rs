//! The phrases of the corpus, each way.

use std::sync::Arc;

use super::*;
use crate::policy::Visibility;
use crate::schema::{Column, Schema, Table, TableKind};

/// The tables of the demo company.
fn company() -> Arc<VisibleSchema> {
    const TABLES: &[(&str, &str)] = &[
        (
            "departments",
            "department_id department_name city annual_budget",
        ),
        (
            "employees",
            "employee_id first_name last_name email job_title department_id manager_id hired_on left_on monthly_salary",
        ),
        ("categories", "category_id category_name description"),
        (
            "suppliers",
            "supplier_id supplier_name contact_name phone city country lead_time_days",
        ),
        (
            "products",
            "product_id product_code product_name category_id supplier_id unit_price unit_cost units_in_stock \
             reorder_level discontinued_on",
        ),
        (
            "customers",
            "customer_id company_name contact_name email phone city country segment credit_limit registered_on \
             account_manager_id",
        ),
        (
            "orders",
            "order_id customer_id employee_id order_date required_date shipped_date channel payment_method status \
             total_amount",
        ),
        (
            "order_lines",
            "order_line_id order_id product_id quantity unit_price discount line_total",
        ),
        (
            "returns",
            "return_id order_line_id return_date quantity reason refund_amount",
        ),
        ("accounts", "account_id account_name account_type"),
        (
            "accounting_transactions",
            "transaction_id voucher_number transaction_date account_id debit credit description order_id supplier_id",
        ),
        ("monthly_revenue", "month order_count revenue"),
        (
            "account_balances",
            "account_id account_name account_type balance",
        ),
    ];
    let column = |name: &str| Column {
        name: name.into(),
        ..Column::default()
    };
    let table = |(name, columns): &(&str, &str)| Table {
        name: (*name).into(),
        kind: TableKind::Table,
        columns: columns.split_whitespace().map(column).collect(),
        primary_key: vec![],
        foreign_keys: vec![],
        row_count: None,
        ddl: String::new(),
        reads: vec![],
    };
    let schema = Schema {
        tables: TABLES.iter().map(table).collect(),
    };
    VisibleSchema::new(&schema, &Visibility::everything())
}

fn phrases(text: &'static str) -> Vec<&'static str> {
    let lines = text.lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

fn check(text: &'static str, expected: bool) {
    let company = company();
    let phrases = phrases(text);
    assert!(phrases.len() >= 80, "{} phrases", phrases.len());
    let wrong: Vec<&str> = phrases
        .into_iter()
        .filter(|phrase| leans(phrase, &company) != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_leans_on_the_question_before_is_known() {
    check(include_str!("../../../corpus/conversation/leans.txt"), true);
}

#[test]
fn what_stands_alone_is_known() {
    check(
        include_str!("../../../corpus/conversation/stands_alone.txt"),
        false,
    );
}

/// The two-turn cases of the evaluation say themselves which second turns are of another topic.
#[test]
fn the_second_turns_of_the_evaluation_lean_unless_the_topic_changes() {
    let company = company();
    let set = include_str!("../../../../../evals/demo_company_follow_ups.jsonl");
    let cases = set.lines().map(|line| {
        let case: serde_json::Value = serde_json::from_str(line).expect("a case");
        case
    });
    let wrong: Vec<String> = cases
        .filter(|case| case["source"] != "first turn")
        .filter(|case| {
            let question = case["question"].as_str().expect("a question");
            leans(question, &company) == (case["source"] == "topic change")
        })
        .map(|case| case["question"].to_string())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_name_that_may_not_be_seen_is_no_name() {
    // `customers` names nothing here, so nothing is asked for.
    let schema = Schema { tables: vec![] };
    let nothing = VisibleSchema::new(&schema, &Visibility::everything());
    assert!(leans("customers in Germany", &nothing));
    assert!(!leans("customers in Germany", &company()));
}

#[test]
fn a_long_question_says_all_that_it_needs() {
    let long = format!("and {}", "more ".repeat(MAX_WORDS));
    assert!(!leans(&long, &company()));
}
