//! The cache in memory, and pairs of questions that hold the rules to what they promise.

use futures::executor::block_on;
use proptest::prelude::*;
use std::collections::HashMap;

use super::*;
use crate::conversation::{Turn, follow_up};
use crate::doubles::Remembers;
use crate::policy::{Visibility, VisibleSchema};
use crate::schema::Schema;

fn parts() -> ScopeParts<'static> {
    ScopeParts {
        visible_schema: "v",
        terms: "t",
        verified_queries: "q",
        prompt: "p",
        model: "m",
        options: "o",
        today: None,
        is_follow_up: false,
    }
}

fn question(text: &str) -> Question {
    Question::parse(text).expect("a question")
}

fn place(text: &str) -> Place {
    Place::of(&Scope::of(&parts()), &question(text))
}

fn put(cache: &Remembers, text: &str, sql: &str, query_id: i64) {
    let embedding = Embedding::normalised(vec![1.0, text.len() as f32]).expect("a vector");
    let (place, question) = (place(text), question(text));
    let sql = (sql, &Judged::default());
    let kept = remember(cache, &place, &question, sql, query_id, Some(&embedding));
    block_on(kept).expect("a cache");
}

fn found(cache: &Remembers, text: &str) -> Option<Hit> {
    block_on(look_up(cache, &place(text))).expect("a cache")
}

#[test]
fn a_question_is_found_in_its_own_words_and_in_others() {
    let cache = Remembers::default();
    put(&cache, "How many orders were shipped?", "SELECT 1", 1);
    for (text, is_exact) in [
        ("how many ORDERS were shipped", true),
        ("What is the number of orders was shipped?", false),
        ("Please tell me how many orders were shipped!", false),
    ] {
        let hit = found(&cache, text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(
            (hit.sql.as_str(), hit.is_exact),
            ("SELECT 1", is_exact),
            "{text}"
        );
    }
    assert_eq!(found(&cache, "How many orders were not shipped?"), None);
}

#[test]
fn a_bad_rating_forgets_the_sql_and_does_not_take_the_same_again() {
    let cache = Remembers::default();
    put(&cache, "Total sales?", "SELECT wrong", 1);
    block_on(note_use(&cache, &place("Total sales?"), 2)).expect("a cache");
    // Query 2 was answered from the cache; its rating reaches what query 1 left there.
    block_on(reject(&cache, 2)).expect("a cache");
    assert_eq!(found(&cache, "Total sales?"), None);
    let embedding = Embedding::normalised(vec![1.0, 12.0]).expect("a vector");
    let other = place("All sales?");
    let near = block_on(near(&cache, &other, &embedding, 0.0, 9)).expect("a cache");
    assert_eq!(near, vec![]);
    put(&cache, "Total sales?", "SELECT wrong", 3);
    assert_eq!(found(&cache, "Total sales?"), None);
    put(&cache, "Total sales?", "SELECT right", 4);
    assert!(found(&cache, "Total sales?").is_some());
    block_on(reject(&cache, 99)).expect("an unknown query changes nothing");
    assert!(found(&cache, "Total sales?").is_some());
}

#[test]
fn near_questions_are_examples_the_nearest_first() {
    let cache = Remembers::default();
    put(&cache, "abc", "SELECT 3", 1);
    put(&cache, "abcdefghij", "SELECT 10", 2);
    put(&cache, "ab", "SELECT 2", 3);
    let embedding = Embedding::normalised(vec![1.0, 3.0]).expect("a vector");
    let other = place("another");
    let near = block_on(near(&cache, &other, &embedding, 0.97, 2)).expect("a cache");
    let near: Vec<String> = near.into_iter().map(|(question, _)| question).collect();
    assert_eq!(near, ["abc", "ab"]);
}

#[test]
fn what_is_suspicious_is_reused_for_its_own_question_and_no_example_to_others() {
    let cache = Remembers::default();
    let embedding = Embedding::normalised(vec![1.0, 3.0]).expect("a vector");
    let judged = Judged {
        doubts: vec!["no row matches".into()],
        ..Judged::default()
    };
    let (here, asked) = (place("abc"), question("abc"));
    let sql = ("SELECT 3", &judged);
    block_on(remember(&cache, &here, &asked, sql, 1, Some(&embedding))).expect("a cache");
    assert_eq!(found(&cache, "abc").map(|hit| hit.judged), Some(judged));
    let other = place("another");
    let near = block_on(near(&cache, &other, &embedding, 0.97, 2)).expect("a cache");
    assert_eq!(near, vec![]);
}

#[test]
fn one_of_many_claims_a_question_and_only_its_owner_gives_it_back() {
    let cache = Remembers::default();
    let place = place("Total sales?");
    let claim = |token: &str| block_on(claim(&cache, &place, token)).expect("a cache");
    assert!(matches!(claim("1"), Claim::Mine));
    assert!(matches!(claim("2"), Claim::Another));
    block_on(release(&cache, &place, "2")).expect("a cache");
    assert!(matches!(claim("3"), Claim::Another));
    block_on(release(&cache, &place, "1")).expect("a cache");
    assert!(matches!(claim("4"), Claim::Mine));
}

#[test]
fn a_question_is_the_same_in_another_case_spacing_or_ending_and_no_other_way() {
    let asked = normalised("How many orders in 2024?");
    for same in [
        "how  many ORDERS in 2024",
        " How many orders in 2024 ?! ",
        "How many orders in ２０２４？",
        "how\tmany\norders in 2024...",
    ] {
        assert_eq!(normalised(same), asked, "{same}");
    }
    for other in [
        "How many orders in 2023?",
        "How many orders not in 2024?",
        "How many 'orders' in 2024?",
        "How many orders in 2024, and returns?",
    ] {
        assert_ne!(normalised(other), asked, "{other}");
    }
}

/// Reads `category <tab> first <tab> second` lines.
fn pairs(text: &'static str) -> Vec<(&'static str, &'static str, &'static str)> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split('\t');
            let mut next = || {
                fields
                    .next()
                    .unwrap_or_else(|| panic!("three fields: {line}"))
            };
            (next(), next(), next())
        })
        .collect()
}

fn different() -> Vec<(&'static str, &'static str, &'static str)> {
    pairs(include_str!("../../corpus/semantic_cache/different.tsv"))
}

/// SPEC and issue: at least 300 pairs, at most 0.1 % false hits. With this many pairs that is none.
#[test]
fn no_pair_of_different_questions_shares_a_meaning() {
    let pairs = different();
    assert!(pairs.len() >= 300, "{} pairs", pairs.len());
    let false_hits: Vec<_> = pairs
        .iter()
        .filter(|(_, first, second)| meaning(first) == meaning(second))
        .collect();
    assert!(
        false_hits.len() * 1000 <= pairs.len(),
        "{} of {}: {false_hits:#?}",
        false_hits.len(),
        pairs.len()
    );
}

/// The other side: what strictness costs. A miss costs one generation, so this only keeps the rules from rotting.
#[test]
fn nearly_half_of_the_ways_to_ask_the_same_share_a_meaning() {
    let pairs = pairs(include_str!("../../corpus/semantic_cache/same.tsv"));
    let missed: Vec<_> = pairs
        .iter()
        .filter(|(_, first, second)| meaning(first) != meaning(second))
        .collect();
    let hits = pairs.len() - missed.len();
    assert!(
        hits * 100 >= pairs.len() * 45,
        "{hits} of {}: {missed:#?}",
        pairs.len()
    );
}

#[test]
fn the_day_counts_where_a_question_speaks_of_relative_time() {
    for text in [
        "Orders placed today",
        "Revenue over the last 30 days",
        "How many signed up this month?",
        "Sales since last March",
        "What was sold yesterday?",
        "Revenue YTD",
        "Which invoices are overdue?",
        "current employees",
    ] {
        assert!(speaks_of_relative_time(text), "{text}");
    }
    for text in [
        "Orders placed in 2023",
        "Customers by last name",
        "the next best product",
        "How many orders were shipped?",
        "first names that occur more than once",
    ] {
        assert!(!speaks_of_relative_time(text), "{text}");
    }
}

#[test]
fn a_scope_is_made_of_all_its_parts() {
    let base = Scope::of(&parts());
    let day = NaiveDate::from_ymd_opt(2026, 1, 2).expect("a day");
    let others = [
        ScopeParts {
            visible_schema: "x",
            ..parts()
        },
        ScopeParts {
            terms: "x",
            ..parts()
        },
        ScopeParts {
            verified_queries: "x",
            ..parts()
        },
        ScopeParts {
            prompt: "x",
            ..parts()
        },
        ScopeParts {
            model: "x",
            ..parts()
        },
        ScopeParts {
            options: "x",
            ..parts()
        },
        ScopeParts {
            today: Some(day),
            ..parts()
        },
        ScopeParts {
            is_follow_up: true,
            ..parts()
        },
        // Lengths count: no part can pretend to be the end of another.
        ScopeParts {
            visible_schema: "vt",
            terms: "",
            ..parts()
        },
    ];
    for other in others {
        assert_ne!(Scope::of(&other), base, "{other:?}");
    }
    assert_eq!(Scope::of(&parts()), base);
}

proptest! {
    #[test]
    fn any_text_has_a_meaning_and_the_same_text_the_same(text in "\\PC{0,80}") {
        prop_assert_eq!(meaning(&text), meaning(&text));
        prop_assert_eq!(meaning(&format!(" {text} ")), meaning(&text));
    }

    #[test]
    fn numbers_are_never_lost(first in 0u32..100_000, second in 0u32..100_000) {
        prop_assume!(first != second);
        let ask = |number: u32| format!("Orders over {number} euros?");
        prop_assert_ne!(meaning(&ask(first)), meaning(&ask(second)));
    }

    /// What a conversation makes of a follow-up has a place of its own after each question, and none is that of a
    /// question that stands alone.
    #[test]
    fn no_hit_crosses_from_one_conversation_to_another(
        steps in proptest::collection::vec((0usize..5, 0usize..6, 0usize..6, any::<bool>()), 1..60)
    ) {
        const QUESTIONS: [&str; 5] =
            ["Total sales?", "What is the total sales?", "Average sales?", "Total sales \u{2192} by year", "Sales 'of"];
        const FOLLOW_UPS: [&str; 6] =
            ["only Germany", "Only Germany!", "by year", "and by year", "only 'Germany'", "x' \u{2192} only Germany"];
        let schema = Schema { tables: vec![] };
        let visible = VisibleSchema::new(&schema, &Visibility::everything());
        let cache = Remembers::default();
        let mut truth: HashMap<Vec<String>, String> = HashMap::new();
        for (step, (first, second, third, writes)) in steps.into_iter().enumerate() {
            // One to three turns; only what is the same in each of them may share SQL.
            let mut asked = question(QUESTIONS[first]);
            let mut key = vec![meaning(asked.as_str())];
            let mut before = None;
            for words in [second, third].map(|at| FOLLOW_UPS.get(at + 1)).into_iter().flatten() {
                let turn = Turn {
                    question: asked.as_str().to_owned(),
                    understood_as: before.take(),
                    sql: "SELECT 1".to_owned(),
                    generator: None,
                };
                let Some(follow_up) = follow_up(&turn, &question(words), &visible) else { continue };
                key.push(meaning(words));
                asked = follow_up.stand_alone;
                before = Some(asked.as_str().to_owned());
            }
            let parts = ScopeParts { is_follow_up: before.is_some(), ..parts() };
            let place = Place::of(&Scope::of(&parts), &asked);
            if writes {
                let sql = format!("SELECT {step}");
                block_on(remember(&cache, &place, &asked, (&sql, &Judged::default()), step as i64, None)).expect("a cache");
                truth.insert(key, sql);
            } else {
                let hit = block_on(look_up(&cache, &place)).expect("a cache");
                let mine = hit.is_none_or(|hit| truth.get(&key) == Some(&hit.sql));
                prop_assert!(mine, "{}", asked.as_str());
            }
        }
    }

    /// What must never happen, tried with random people and questions: SQL of one scope found in another.
    #[test]
    fn no_hit_crosses_a_scope(
        steps in proptest::collection::vec((0usize..4, 0usize..3, 0usize..3, 0usize..4, any::<bool>()), 1..60)
    ) {
        const SCHEMAS: [&str; 4] = ["admin's", "analyst's", "viewer's", "after a refresh"];
        const VERSIONS: [&str; 3] = ["1", "2", "11"];
        const QUESTIONS: [&str; 4] = ["Total sales?", "What is the total sales?", "Average sales?", "total sales"];
        let cache = Remembers::default();
        let mut truth: HashMap<(usize, usize, usize, String), String> = HashMap::new();
        for (step, (schema, terms, verified, asked, writes)) in steps.into_iter().enumerate() {
            let scope = Scope::of(&ScopeParts {
                visible_schema: SCHEMAS[schema],
                terms: VERSIONS[terms],
                verified_queries: VERSIONS[verified],
                ..parts()
            });
            let asked = question(QUESTIONS[asked]);
            let place = Place::of(&scope, &asked);
            let key = (schema, terms, verified, meaning(asked.as_str()));
            if writes {
                let sql = format!("SELECT {step}");
                block_on(remember(&cache, &place, &asked, (&sql, &Judged::default()), step as i64, None)).expect("a cache");
                truth.insert(key, sql);
            } else {
                let hit = block_on(look_up(&cache, &place)).expect("a cache");
                prop_assert_eq!(hit.map(|hit| hit.sql), truth.get(&key).cloned());
            }
        }
    }
}
