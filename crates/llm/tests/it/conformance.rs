//! What every generator promises, stated once and run on each implementation.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use engine::Code;
use engine::ports::{GenerationLimits, Generator, Sampling};
use engine::prompt::Prompt;
use llm::scripted::{Script, ScriptedGenerator};

/// A generator and prompts that make it behave.
pub struct Subject {
    pub generator: Arc<dyn Generator>,
    /// Is answered with SQL, in more than three tokens.
    pub sql: Prompt,
    /// Is answered in prose.
    pub prose: Prompt,
    /// Is not answered within a tenth of a second.
    pub slow: Prompt,
}

pub fn prompt(system: &str, schema: &str, tail: &str) -> Prompt {
    Prompt {
        system: system.to_owned(),
        schema: schema.to_owned(),
        tail: tail.to_owned(),
    }
}

pub fn limits(max_tokens: u32, timeout: Duration) -> GenerationLimits {
    GenerationLimits {
        max_tokens,
        timeout,
        names: None,
        ahead: None,
    }
}

const PATIENT: Duration = Duration::from_secs(120);
const IMPATIENT: Duration = Duration::from_millis(100);

/// Runs the whole suite.
pub async fn run(subject: &Subject) {
    let hash = subject.generator.identity().hash;
    assert!(!hash.is_empty());
    a_reply_has_text_and_token_counts(subject).await;
    what_is_heard_adds_up_to_the_reply(subject).await;
    a_reply_cut_at_the_limit_says_so(subject).await;
    prose_passes_through(subject).await;
    several_replies_differ_and_are_counted(subject).await;
    a_deadline_is_kept_and_named(subject).await;
    a_dropped_question_leaves_the_generator_fit(subject).await;
    assert_eq!(
        subject.generator.identity().hash,
        hash,
        "a generator is the same model for life"
    );
}

async fn a_reply_has_text_and_token_counts(subject: &Subject) {
    let reply = subject
        .generator
        .generate(&subject.sql, &limits(100, PATIENT))
        .await;
    let reply = reply.expect("a reply");
    assert!(
        reply.text.to_uppercase().contains("SELECT"),
        "{}",
        reply.text
    );
    assert!(reply.is_complete);
    assert!(reply.tokens.prompt > 0 && (1..=100).contains(&reply.tokens.generated));
    assert!(reply.tokens.prompt_reused <= reply.tokens.prompt);
    assert!(reply.tokens.prompt_prefix <= reply.tokens.prompt);
}

async fn what_is_heard_adds_up_to_the_reply(subject: &Subject) {
    let heard = Mutex::new(String::new());
    let hear = |more: &str| heard.lock().expect("no test panics with it").push_str(more);
    let reply = subject
        .generator
        .generate_heard(&subject.sql, &limits(100, PATIENT), &hear)
        .await;
    let text = reply.expect("a reply").text;
    assert_eq!(*heard.lock().expect("no test panics with it"), text);
}

async fn a_reply_cut_at_the_limit_says_so(subject: &Subject) {
    let reply = subject
        .generator
        .generate(&subject.sql, &limits(3, PATIENT))
        .await;
    let reply = reply.expect("a reply");
    assert!(!reply.is_complete);
    assert!(reply.tokens.generated <= 3);
}

async fn prose_passes_through(subject: &Subject) {
    let reply = subject
        .generator
        .generate(&subject.prose, &limits(40, PATIENT))
        .await;
    let text = reply.expect("prose is a reply like any other").text;
    assert!(text.contains(' ') && !text.contains("```"), "{text}");
}

async fn several_replies_differ_and_are_counted(subject: &Subject) {
    let sampling = Sampling {
        count: 3,
        temperature: 0.7,
        seed: 1,
    };
    let candidates = subject
        .generator
        .sample(&subject.sql, &limits(100, PATIENT), &sampling)
        .await;
    let candidates = candidates.expect("replies");
    let mut texts = HashSet::new();
    for candidate in &candidates {
        assert!(texts.insert(&candidate.generation.text), "{candidates:#?}");
        assert!(candidate.drawn > 0);
    }
    let drawn: u32 = candidates.iter().map(|candidate| candidate.drawn).sum();
    assert!((1..=3).contains(&drawn));
    assert!(candidates[0].generation.tokens.prompt > 0);
}

async fn a_deadline_is_kept_and_named(subject: &Subject) {
    let start = Instant::now();
    let late = subject
        .generator
        .generate(&subject.slow, &limits(400, IMPATIENT))
        .await;
    assert_eq!(
        late.expect_err("it takes longer").code(),
        Code::GeneratorTimeout
    );
    assert!(start.elapsed() < Duration::from_secs(5));
}

async fn a_dropped_question_leaves_the_generator_fit(subject: &Subject) {
    let limits_of_slow = GenerationLimits::default();
    let slow = subject.generator.generate(&subject.slow, &limits_of_slow);
    assert!(tokio::time::timeout(IMPATIENT, slow).await.is_err());
    let reply = subject
        .generator
        .generate(&subject.sql, &limits(100, PATIENT))
        .await;
    assert!(reply.expect("a reply").is_complete);
}

#[tokio::test]
async fn scripted_generator_conforms() {
    let generator = Arc::new(ScriptedGenerator::by_tail([
        ("count", Script::from("SELECT count(*) FROM orders")),
        ("hello", Script::from("I am only a script")),
        ("slow", Script::Hang),
    ]));
    let subject = Subject {
        generator: Arc::clone(&generator) as Arc<dyn Generator>,
        sql: prompt("You write SQL", "orders", "count them"),
        prose: prompt("You talk", "", "hello"),
        slow: prompt("", "", "slow"),
    };
    run(&subject).await;
    assert_eq!(generator.calls(), 8);
    assert_eq!(generator.abandoned(), 1, "only the dropped one");
}

#[tokio::test]
async fn scripts_are_done_in_turn_and_then_fail() {
    let generator = ScriptedGenerator::in_turn(["one", "two"]);
    let asked = prompt("", "", "anything");
    for expected in ["one", "two"] {
        let reply = generator
            .generate(&asked, &GenerationLimits::default())
            .await;
        assert_eq!(reply.expect("a script").text, expected);
    }
    let error = generator
        .generate(&asked, &GenerationLimits::default())
        .await;
    assert_eq!(
        error.expect_err("no third script").code(),
        Code::GeneratorFailed
    );
}
