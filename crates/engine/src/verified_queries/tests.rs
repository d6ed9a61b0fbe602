use super::*;
use crate::policy::Visibility;
use crate::schema::{Column, Schema, Table, TableKind};

fn people(hidden: &[&str]) -> Arc<VisibleSchema> {
    let column = |name: &str| Column {
        name: name.into(),
        ..Column::default()
    };
    let table = Table {
        name: "people".into(),
        kind: TableKind::Table,
        columns: vec![column("name"), column("salary")],
        primary_key: vec![],
        foreign_keys: vec![],
        row_count: Some(1),
        ddl: "CREATE TABLE people (name, salary)".into(),
        reads: vec![],
    };
    let schema = Schema {
        tables: vec![table],
    };
    VisibleSchema::new(&schema, &Visibility::hiding(hidden))
}

fn query(id: i64, question: &str, sql: &str) -> VerifiedQuery {
    VerifiedQuery {
        id,
        question: question.into(),
        sql: sql.into(),
        status: VerifiedStatus::Approved,
        query_id: None,
        proposed_by: Some(1),
        approved_by: Some(2),
        review_comment: None,
        last_checked_at: None,
        check_error: None,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::from_timestamp(id, 0).expect("a time"),
    }
}

#[test]
fn a_repeat_is_answered_by_the_query_approved_last_that_its_asker_may_run() {
    let names = query(1, "Who is there?", "SELECT name FROM people");
    let salaries = query(2, "who is THERE", "SELECT name, salary FROM people");
    let approved = [names, salaries, query(3, "Who was there?", "SELECT 1")];
    let found = |asked: &str, hidden: &[&str]| {
        exact_match(asked, &approved, &people(hidden)).map(|(query, _)| query.id)
    };
    assert_eq!(found(" Who  is there", &[]), Some(2));
    assert_eq!(found("Who is there?", &["people.salary"]), Some(1));
    assert_eq!(found("Who is there?", &["people"]), None);
    assert_eq!(found("Who is not there?", &[]), None);
}

#[test]
fn what_is_not_approved_or_no_longer_runs_serves_nobody() {
    let good = query(1, "Who?", "SELECT name FROM people");
    let visible = people(&[]);
    assert!(good.serving(&visible).is_some());
    for status in [VerifiedStatus::Proposed, VerifiedStatus::Rejected] {
        let other = VerifiedQuery {
            status,
            ..good.clone()
        };
        assert!(other.serving(&visible).is_none(), "{status:?}");
    }
    let broken = VerifiedQuery {
        check_error: Some("unknown_column: no such column".into()),
        ..good
    };
    assert!(broken.serving(&visible).is_none());
}

#[test]
fn a_proposal_is_tidied_and_bounded() {
    let proposal = |question: &str, sql: &str| NewVerifiedQuery {
        question: question.into(),
        sql: sql.into(),
        query_id: None,
        proposed_by: 1,
    };
    let tidied = proposal(" Who\nis there? ", " SELECT 1;\n").checked();
    assert_eq!(tidied, Ok(proposal("Who is there?", "SELECT 1;")));
    let long = "x".repeat(MAX_SQL_CHARS + 1);
    for (question, sql, code) in [
        (" ", "SELECT 1", Code::InvalidQuestion),
        ("Who?", " ", Code::InvalidRequest),
        ("Who?", "SELECT '\0'", Code::InvalidRequest),
        ("Who?", long.as_str(), Code::InvalidRequest),
    ] {
        let refused = proposal(question, sql)
            .checked()
            .map_err(|error| error.code());
        assert_eq!(refused, Err(code), "{question} {}", sql.len());
    }
}
