//! SQL that was there already, and what is found out before there is any.

use super::*;
use crate::indexing::{Source, index};
use crate::known::KnownVerified;
use crate::question::Origin;

const COUNT: &str = "SELECT count(*) FROM people";

fn approved(id: i64, question: &str, sql: &str) -> VerifiedQuery {
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
        updated_at: DateTime::UNIX_EPOCH,
    }
}

fn generations(world: &World) -> usize {
    world
        .log()
        .iter()
        .filter(|line| *line == "generate")
        .count()
}

fn asked(world: &Arc<World>, question: &str) -> Answer {
    answered(run_question(world, &AskSettings::default(), question))
}

#[test]
fn a_question_asked_before_is_answered_without_the_model_and_recorded_like_any_other() {
    let world = Arc::new(World::replying(&[COUNT]));
    assert_eq!(
        asked(&world, "How many people are there?").origin,
        Origin::Generated
    );
    for (question, is_exact) in [
        ("how many PEOPLE are there", true),
        ("What is the number of people?", false),
    ] {
        let answer = asked(&world, question);
        assert_eq!(
            answer.origin,
            Origin::SemanticCache { is_exact },
            "{question}"
        );
        assert_eq!(answer.sql, asked(&world, question).sql);
        assert_eq!(answer.values_sent, "nothing");
    }
    assert_eq!(generations(&world), 1);
    let recorded = world.log();
    let of = |what: &str| recorded.iter().filter(|line| *line == what).count();
    assert_eq!((of("query"), of("query_answered")), (5, 5));
}

/// What was remembered after one looked and before that one claimed used to be generated again.
#[test]
fn sql_that_is_remembered_between_the_look_and_the_claim_is_reused() {
    let world = Arc::new(World::replying(&[COUNT, COUNT]));
    asked(&world, "How many people are there?");
    world.cache.withhold();
    assert!(
        asked(&world, "How many people are there?")
            .origin
            .is_cached()
    );
    assert_eq!(generations(&world), 1);
}

#[test]
fn an_answer_from_the_cache_is_as_sure_as_it_was_and_has_the_same_doubts() {
    let world = Arc::new(World::replying(&[COUNT]));
    let question = "How many people are called 'Grace Hopper'?";
    let first = asked(&world, question);
    assert!(!first.doubts.is_empty());
    let again = asked(&world, question);
    assert!(again.origin.is_cached());
    assert_eq!(again.confidence, first.confidence);
    assert!(again.confidence.is_some_and(|confidence| confidence < 0.99));
    assert_eq!(again.doubts, first.doubts);
    assert_eq!(again.corrections, first.corrections);
    assert_eq!(again.signals, first.signals);
}

/// What was sure enough for one role is not served to another that asks for more.
#[test]
fn an_answer_from_the_cache_that_is_not_sure_enough_is_asked_back() {
    let world = Arc::new(World::replying(&[COUNT; 2]));
    let question = "How many people are called 'Grace Hopper'?";
    asked(&world, question);
    let settings = AskSettings {
        thresholds: Thresholds {
            viewer: 0.99,
            ..Thresholds::NONE
        },
        ..AskSettings::default()
    };
    let refusal = refused(run_question(&world, &settings, question));
    assert_eq!(refusal.error.code(), Code::TooUncertain);
    assert_eq!(generations(&world), 2);
    // It is still there for who may have it.
    assert!(asked(&world, question).origin.is_cached());
}

#[test]
fn nothing_is_reused_where_each_answer_must_be_the_models_own() {
    let world = Arc::new(World {
        approved: vec![approved(4, "Who is there?", COUNT)],
        ..World::replying(&[COUNT, COUNT])
    });
    let settings = AskSettings {
        reuse: false,
        ..AskSettings::default()
    };
    for _ in 0..2 {
        assert_eq!(answered(run(&world, &settings)).origin, Origin::Generated);
    }
    assert_eq!(generations(&world), 2);
}

#[test]
fn sql_that_was_refused_is_not_reused() {
    let world = Arc::new(World::replying(&["DROP TABLE people", COUNT]));
    let settings = AskSettings {
        max_repairs: 0,
        ..AskSettings::default()
    };
    refused(run(&world, &settings));
    assert_eq!(answered(run(&world, &settings)).origin, Origin::Generated);
}

#[test]
fn what_one_may_not_see_another_does_not_reuse() {
    let world = Arc::new(World::replying(&["SELECT salary FROM people"]));
    assert_eq!(asked(&world, "Who is there?").origin, Origin::Generated);
    let viewer = Arc::new(World {
        hidden: &["people.salary"],
        cache: world.cache.clone(),
        ..World::replying(&[COUNT])
    });
    let answer = asked(&viewer, "Who is there?");
    assert_eq!(
        (answer.origin, answer.sql.contains("salary")),
        (Origin::Generated, false)
    );
}

#[test]
fn sql_in_the_cache_that_does_not_pass_the_guard_is_generated_again() {
    let world = Arc::new(World::replying(&[COUNT, "SELECT full_name FROM people"]));
    asked(&world, "Who is there?");
    world.cache.rewrite("count(*)", "no_such_column");
    let answer = asked(&world, "Who is there?");
    assert_eq!(answer.origin, Origin::Generated);
    assert!(answer.sql.contains("full_name"));
    // What was generated instead is what is reused from then on.
    assert!(asked(&world, "Who is there?").origin.is_cached());
}

#[test]
fn a_verified_query_answers_its_question_even_without_a_model() {
    // A world without replies never generates.
    let world = Arc::new(World {
        approved: vec![approved(4, "How many people work here?", COUNT)],
        ..World::default()
    });
    let answer = asked(&world, "how many people work here");
    assert_eq!(answer.origin, Origin::VerifiedQuery { id: 4 });
    assert_eq!(answer.verified_queries[0].id, 4);
    assert_eq!(answer.model.name, "none");
    assert_eq!(generations(&world), 0);
}

#[test]
fn a_verified_query_over_what_is_hidden_serves_neither_as_answer_nor_as_example() {
    let world = Arc::new(World {
        hidden: &["people.salary"],
        approved: vec![approved(4, "Who earns most?", "SELECT salary FROM people")],
        ..World::replying(&[COUNT])
    });
    let answer = asked(&world, "Who earns most?");
    assert_eq!(answer.origin, Origin::Generated);
    assert_eq!(answer.verified_queries, vec![]);
    assert!(!world.prompts()[0].tail.contains("salary"));
}

#[test]
fn verified_queries_like_the_question_are_examples_in_the_prompt_and_named_in_the_answer() {
    let world = Arc::new(World {
        approved: vec![
            approved(4, "How many people work in Paris?", COUNT),
            approved(5, "Colour of the sky?", "SELECT full_name FROM people"),
        ],
        ..World::replying(&[COUNT])
    });
    let source = KnownVerified::from(world.approved.clone()).source;
    let embedder = WordEmbedder::new("words");
    let made = index(
        &*world.vectors,
        &embedder,
        &*world,
        &source,
        false,
        &|_, _, _, _| (),
    );
    block_on(made).expect("indexed");
    let answer = asked(&world, "How many people work in Rome?");
    let used: Vec<i64> = answer
        .verified_queries
        .iter()
        .map(|query| query.id)
        .collect();
    assert_eq!(used, [4]);
    assert!(world.prompts()[0].tail.contains("work in Paris"));
    assert_eq!(answer.degraded, vec![]);
    assert_eq!(Source::of_examples(&[]).documents, vec![]);
}

#[test]
fn an_index_that_was_needed_and_is_missing_is_told_with_the_answer() {
    let world = Arc::new(World {
        approved: vec![approved(4, "How many people work in Paris?", COUNT)],
        ..World::replying(&[COUNT])
    });
    let answer = asked(&world, "How many people work in Rome?");
    let codes: Vec<&str> = answer.degraded.iter().map(|one| one.code).collect();
    assert_eq!(codes, ["index_missing"]);
}

#[test]
fn values_that_the_question_mentions_are_told_to_a_local_model_and_not_to_a_remote_one() {
    for (is_remote, send_values, is_told) in [
        (false, SendValues::None, true),
        (true, SendValues::None, false),
        (true, SendValues::Samples, false),
        (true, SendValues::All, true),
    ] {
        let world = Arc::new(World {
            is_remote,
            values: vec![StoredValue {
                table: "people".into(),
                column: "full_name".into(),
                value: "Grace Hopper".into(),
                rows: 1,
                words: "grace hopper".into(),
                matched: ValueMatch::Folded,
            }],
            ..World::replying(&[COUNT])
        });
        let settings = AskSettings {
            send_values,
            ..AskSettings::default()
        };
        let answer = answered(run_question(&world, &settings, "Where is grace hopper?"));
        let prompt = &world.prompts()[0];
        let told = prompt.tail.contains("people.full_name = 'Grace Hopper'");
        assert_eq!(
            told, is_told,
            "{is_remote} {send_values:?}: {}",
            prompt.tail
        );
        assert_eq!(answer.values.len(), 1);
    }
}
