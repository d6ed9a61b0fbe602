//! Each check on what it must find and, more often, on what it must leave alone. Clinics, shops and libraries only.

mod entities;
mod joins;
mod labels;
mod literals;
mod ratios;
mod sense;
mod shapes;
mod soup;

use std::sync::Arc;

use super::*;
use crate::policy::Visibility;
use crate::schema::{ForeignKey, Schema, Table, TableKind};

/// Makes a table of `name type flags`: `key` for the primary key, `null` for a column that may be NULL, `->t.c` for a
/// foreign key, and the samples behind a `:`, which are all values there are unless `...` ends them.
fn table(name: &str, rows: u64, columns: &[&str]) -> Table {
    let mut made = Table {
        name: name.into(),
        kind: TableKind::Table,
        columns: vec![],
        primary_key: vec![],
        foreign_keys: vec![],
        row_count: Some(rows),
        ddl: String::new(),
        reads: vec![],
    };
    for text in columns {
        let (text, samples) = text.split_once(':').unwrap_or((text, ""));
        let mut words = text.split_whitespace();
        let mut column = crate::schema::Column {
            name: words.next().expect("a name").into(),
            declared_type: words.next().expect("a type").into(),
            not_null: true,
            is_unique: Some(false),
            distinct: Some(rows / 2),
            ..Default::default()
        };
        if !samples.is_empty() {
            column.samples = samples.split(',').map(|s| s.trim().to_owned()).collect();
            if column.samples.last().is_some_and(|last| last == "...") {
                column.samples.pop();
            } else {
                column.distinct = Some(column.samples.len() as u64);
            }
        }
        for flag in words {
            match flag {
                "key" => {
                    made.primary_key.push(column.name.clone());
                    column.declared_unique = true;
                }
                "unique" => column.is_unique = Some(true),
                "null" => {
                    column.not_null = false;
                    column.null_share = Some(0.2);
                }
                reference => {
                    let (table, referred) = reference
                        .trim_start_matches("->")
                        .split_once('.')
                        .expect("a table and a column");
                    made.foreign_keys.push(ForeignKey {
                        columns: vec![column.name.clone()],
                        table: table.into(),
                        referenced: vec![referred.into()],
                        inferred: false,
                    });
                }
            }
        }
        made.columns.push(column);
    }
    made
}

/// A shop, a library and a clinic under one roof.
fn town() -> Arc<VisibleSchema> {
    let tables = vec![
        table(
            "customers",
            200,
            &[
                "id INTEGER key",
                "full_name TEXT unique",
                "country TEXT: France, Spain, Italy",
                "city TEXT",
                "birth_year INTEGER: 1970, 1981",
                "is_member TEXT: Y, N",
            ],
        ),
        table(
            "orders",
            900,
            &[
                "id INTEGER key",
                "customer_id INTEGER ->customers.id",
                "status TEXT: shipped, canceled, Not paid",
                "total INTEGER: 10, 20",
                "placed_on TEXT",
                "coupon_id INTEGER null ->coupons.id",
            ],
        ),
        table(
            "order_lines",
            3000,
            &[
                "order_id INTEGER ->orders.id",
                "product_id INTEGER ->products.id",
                "quantity INTEGER: 1, 2, 3",
            ],
        ),
        table(
            "products",
            80,
            &[
                "id INTEGER key",
                "name TEXT unique",
                "price REAL: 2.5, 3.0",
                "category_id INTEGER ->categories.id",
            ],
        ),
        table("categories", 12, &["id INTEGER key", "title TEXT unique"]),
        table(
            "coupons",
            30,
            &["id INTEGER key", "discount INTEGER: 5, 10"],
        ),
        table(
            "books",
            400,
            &[
                "isbn TEXT key",
                "title TEXT unique",
                "author_id INTEGER ->authors.author_id",
                "pages INTEGER: 100, 250",
                "published INTEGER: 1999, 2004",
            ],
        ),
        table(
            "authors",
            90,
            &[
                "author_id INTEGER key",
                "first_name TEXT",
                "last_name TEXT",
                "age INTEGER: 40, 50",
            ],
        ),
        table(
            "prizes",
            60,
            &[
                "author_id INTEGER ->authors.author_id",
                "year INTEGER: 2001, 2002",
                "jury TEXT",
            ],
        ),
        table(
            "patients",
            150,
            &[
                "patient_id INTEGER key",
                "patient_name TEXT unique",
                "ward_code TEXT ->wards.code",
                "weight INTEGER: 60, 70",
                "street TEXT: On or near Mill Lane, On or near Park Road, ...",
            ],
        ),
        table("genres", 7, &["id INTEGER key", "genre TEXT unique"]),
        table(
            "records",
            70,
            &["id INTEGER key", "genre INTEGER ->genres.id"],
        ),
        table(
            "wards",
            9,
            &[
                "code TEXT key",
                "ward_name TEXT unique",
                "beds INTEGER: 10, 20",
            ],
        ),
        table(
            "treatments",
            500,
            &[
                "id INTEGER key",
                "patient_id INTEGER ->patients.patient_id",
                "drug TEXT: aspirin, ibuprofen",
                "cost INTEGER: 5, 7",
            ],
        ),
    ];
    VisibleSchema::new(&Schema { tables }, &Visibility::everything())
}

fn findings(question: &str, sql: &str) -> Vec<Finding> {
    findings_with(question, sql, &[])
}

fn findings_with(question: &str, sql: &str, stored: &[StoredValue]) -> Vec<Finding> {
    let visible = town();
    let guarded = guard(&GeneratedSql::new(sql), &visible);
    let guarded = guarded.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let evidence = Evidence {
        question,
        note: "",
        visible: &visible,
        stored,
    };
    check(&guarded, &evidence)
}

/// Checks the findings of one kind: `None` if there must be none, else the rewrite, empty if there must be none.
fn check_kind(kind: FindingKind, question: &str, sql: &str, expected: Option<&str>) {
    let found = findings(question, sql)
        .into_iter()
        .find(|finding| finding.kind == kind)
        .map(|finding| {
            let rewrite = finding.rewrite.map(|sql| sql.as_str().to_owned());
            rewrite.unwrap_or_default()
        });
    assert_eq!(found.as_deref(), expected, "{question} | {sql}");
}
