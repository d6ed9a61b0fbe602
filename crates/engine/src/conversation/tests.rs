//! Questions made to stand alone.

use proptest::prelude::*;

use super::*;
use crate::policy::Visibility;
use crate::schema::{Column, Schema, Table, TableKind};

fn visible(hidden: &[&str]) -> Arc<VisibleSchema> {
    let column = |name: &str| Column {
        name: name.into(),
        ..Column::default()
    };
    let people = Table {
        name: "people".into(),
        kind: TableKind::Table,
        columns: vec![column("country"), column("salary")],
        primary_key: vec![],
        foreign_keys: vec![],
        row_count: None,
        ddl: String::new(),
        reads: vec![],
    };
    let schema = Schema {
        tables: vec![people],
    };
    VisibleSchema::new(&schema, &Visibility::hiding(hidden))
}

fn turn(question: &str, understood_as: Option<&str>, sql: &str) -> Turn {
    Turn {
        question: question.into(),
        understood_as: understood_as.map(str::to_owned),
        sql: sql.into(),
        generator: None,
    }
}

fn after(turn: &Turn, question: &str, hidden: &[&str]) -> Option<FollowUp> {
    let question = Question::parse(question).expect("a question");
    follow_up(turn, &question, &visible(hidden))
}

#[track_caller]
fn check(turn: &Turn, question: &str, expected: Option<&str>) {
    let found = after(turn, question, &[]);
    let text = found.map(|one| one.stand_alone.as_str().to_owned());
    assert_eq!(text.as_deref(), expected);
}

const COUNT: &str = "SELECT count(*) FROM people";

#[test]
fn a_follow_up_is_told_with_all_that_it_leans_on() {
    let first = turn("How many people?", None, COUNT);
    check(
        &first,
        "only Germany",
        Some("How many people? \u{2192} only Germany"),
    );
    check(&first, "How many people are there in France?", None);
    let second = turn(
        "only Germany",
        Some("How many people? \u{2192} only Germany"),
        COUNT,
    );
    check(
        &second,
        "and France?",
        Some("How many people? \u{2192} only Germany \u{2192} and France?"),
    );
}

#[test]
fn a_link_that_was_typed_is_none() {
    let typed = turn("How many people? \u{2192} only Germany", None, COUNT);
    check(
        &typed,
        "and France?",
        Some("How many people? \u{2192}\u{2192} only Germany \u{2192} and France?"),
    );
    check(
        &turn("How many people?", None, COUNT),
        "only Germany \u{2192} and France?",
        Some("How many people? \u{2192} only Germany \u{2192}\u{2192} and France?"),
    );
}

#[test]
fn a_long_conversation_is_told_by_a_hash() {
    let long = |last: char| "x".repeat(MAX_QUESTION_CHARS - 1) + &last.to_string();
    let made = |last: char| {
        let follow_up = after(&turn(&long(last), None, COUNT), "only Germany", &[]);
        follow_up.expect("a follow-up").stand_alone
    };
    let (one, other) = (made('a'), made('b'));
    assert!(one.as_str().starts_with('[') && one.as_str().ends_with(" \u{2192} only Germany"));
    assert_eq!(one.as_str().chars().count(), 34 + 3 + 12);
    assert_ne!(one, other);
    assert_eq!(one, made('a'));
}

#[test]
fn sql_that_may_no_longer_be_seen_is_left_out() {
    let paid = turn("Who earns most?", None, "SELECT max(salary) FROM people");
    let seen = after(&paid, "only Germany", &[]).expect("a follow-up");
    assert_eq!(seen.sql.as_deref(), Some("SELECT max(salary) FROM people"));
    let unseen = after(&paid, "only Germany", &["people.salary"]).expect("a follow-up");
    assert_eq!(unseen.sql, None);
    assert_eq!(unseen.stand_alone, seen.stand_alone);
}

#[test]
fn a_title_is_one_line_of_bounded_length() {
    assert_eq!(parse_title(" Sales\n2025 "), Ok("Sales 2025".to_owned()));
    for bad in ["", " \n", "a\0b", &"x".repeat(MAX_TITLE_CHARS + 1)] {
        let code = parse_title(bad).err().map(|error| error.code());
        assert_eq!(code, Some(Code::InvalidRequest), "{bad:?}");
    }
}

proptest! {
    /// Whatever is asked, only the same two questions make the same text.
    #[test]
    fn two_pairs_of_questions_make_two_texts(
        first in "[a\u{2192} ]{1,12}", second in "[a\u{2192} ]{1,12}", third in "[a\u{2192} ]{1,12}", fourth in "[a\u{2192} ]{1,12}"
    ) {
        let parsed = |text: &str| Question::parse(text).map(|one| one.as_str().to_owned());
        let pair = |before: &str, follow_up: &str| Some((parsed(before).ok()?, parsed(follow_up).ok()?));
        let (Some(one), Some(other)) = (pair(&first, &second), pair(&third, &fourth)) else { return Ok(()) };
        let text = |(before, follow_up): &(String, String)| {
            stand_alone(&turn(before, None, COUNT).stand_alone(), follow_up)
        };
        prop_assert_eq!(text(&one) == text(&other), one == other);
    }
}
