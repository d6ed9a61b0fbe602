//! Questions of a conversation: which lean, and what of the turn before reaches the model.

use super::*;
use crate::question::Origin;

const COUNT: &str = "SELECT count(*) FROM people";
const NAMES: &str = "SELECT full_name FROM people";

fn turn(question: &str, sql: &str) -> Turn {
    Turn {
        question: question.into(),
        understood_as: None,
        sql: sql.into(),
        generator: Some("scripted".into()),
    }
}

fn after(previous: Turn, replies: &[&'static str]) -> Arc<World> {
    Arc::new(World {
        previous: Some(previous),
        ..World::replying(replies)
    })
}

fn asked_in(world: &Arc<World>, settings: &AskSettings, question: &str) -> Answer {
    let question = Question::parse(question).expect("a question");
    let (_abort, cancel) = AbortHandle::new_pair();
    let (ports, actor) = (ports(world), actor(Role::Viewer));
    let asked = ask_in(&ports, settings, &actor, Some(3), &question, &(), cancel);
    answered(block_on(asked))
}

#[test]
fn a_follow_up_is_told_with_the_turn_before_and_the_prefix_stays() {
    let world = after(turn("How many people?", COUNT), &[NAMES]);
    let answer = asked_in(&world, &AskSettings::default(), "only Ada");
    let understood = "How many people? \u{2192} only Ada";
    assert_eq!(
        (answer.question.as_str(), answer.understood_as.as_deref()),
        ("only Ada", Some(understood))
    );
    assert_eq!(answer.conversation_id, Some(3));
    let told = &world.prompts()[0];
    assert!(told.tail.contains(COUNT), "{}", told.tail);
    assert!(told.tail.contains("\"only Ada\""), "{}", told.tail);
    let alone = Arc::new(World::replying(&[NAMES]));
    answered(run_question(&alone, &AskSettings::default(), "only Ada"));
    let alone = &alone.prompts()[0];
    assert_eq!((&told.system, &told.schema), (&alone.system, &alone.schema));
}

#[test]
fn a_question_that_stands_alone_is_asked_as_if_the_conversation_were_empty() {
    let world = after(turn("How many people?", COUNT), &[NAMES]);
    let settings = AskSettings::default();
    let question = "Which salary has Ada?";
    let answer = asked_in(&world, &settings, question);
    assert_eq!(answer.understood_as, None);
    let alone = Arc::new(World::replying(&[NAMES]));
    answered(run_question(&alone, &settings, question));
    assert_eq!(world.prompts(), alone.prompts());
    // Whoever asks it elsewhere shares its SQL.
    assert!(
        answered(run_question(&world, &settings, question))
            .origin
            .is_cached()
    );
}

#[test]
fn a_follow_up_shares_sql_with_the_same_after_the_same_question_only() {
    let settings = AskSettings::default();
    let world = after(turn("How many people?", COUNT), &[NAMES]);
    assert_eq!(
        asked_in(&world, &settings, "only Ada").origin,
        Origin::Generated
    );
    assert!(asked_in(&world, &settings, "Only Ada!").origin.is_cached());
    let elsewhere = Arc::new(World {
        cache: world.cache.clone(),
        previous: Some(turn("How much salary?", "SELECT salary FROM people")),
        ..World::replying(&[COUNT])
    });
    assert_eq!(
        asked_in(&elsewhere, &settings, "only Ada").origin,
        Origin::Generated
    );
    let nowhere = Arc::new(World {
        cache: world.cache.clone(),
        ..World::replying(&[COUNT])
    });
    let answer = answered(run_question(&nowhere, &settings, "only Ada"));
    assert_eq!(answer.origin, Origin::Generated);
}

#[test]
fn sql_of_the_turn_before_that_is_hidden_by_now_reaches_neither_prompt_nor_answer() {
    let world = Arc::new(World {
        hidden: &["people.salary"],
        previous: Some(turn("Who earns most?", "SELECT max(salary) FROM people")),
        ..World::replying(&[NAMES])
    });
    let answer = asked_in(&world, &AskSettings::default(), "only Ada");
    let prompt = &world.prompts()[0];
    assert!(prompt.tail.contains("Who earns most?"), "{}", prompt.tail);
    let told = format!("{}{}{answer:?}", prompt.schema, prompt.tail);
    assert!(!told.contains("salary"), "{told}");
}

#[test]
fn a_remote_model_is_shown_no_sql_that_another_model_wrote_unless_it_may_see_values() {
    for (generator, send_values, is_told) in [
        ("scripted", SendValues::None, true),
        ("another", SendValues::None, false),
        ("another", SendValues::All, true),
    ] {
        let previous = Turn {
            generator: Some(generator.into()),
            ..turn("How many people?", COUNT)
        };
        let world = Arc::new(World {
            is_remote: true,
            previous: Some(previous),
            ..World::replying(&[NAMES])
        });
        let settings = AskSettings {
            send_values,
            ..AskSettings::default()
        };
        asked_in(&world, &settings, "only Ada");
        assert_eq!(
            world.prompts()[0].tail.contains(COUNT),
            is_told,
            "{generator}"
        );
    }
}

#[test]
fn nothing_leans_where_follow_ups_are_off() {
    let world = after(turn("How many people?", COUNT), &[NAMES]);
    let settings = AskSettings {
        follow_ups: false,
        ..AskSettings::default()
    };
    assert_eq!(asked_in(&world, &settings, "only Ada").understood_as, None);
    assert_eq!(world.prompts()[0].tail, "Question: only Ada\n");
}
