//! Several replies to one prompt, drawn by the real local model.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use engine::Code;
use engine::ports::{Ahead, Candidate, Generation, GenerationLimits, Generator, Sampling};
use engine::prompt::Prompt;
use llm::gguf::GgufGenerator;

use super::{Bench, SYSTEM, ask, question, schema};
use crate::conformance::{limits, prompt};

fn sampling(count: u32, seed: u64) -> Sampling {
    Sampling {
        count,
        temperature: 1.0,
        seed,
    }
}

async fn draw(generator: &GgufGenerator, prompt: &Prompt, sampling: Sampling) -> Vec<Candidate> {
    let limits = limits(40, Duration::from_secs(180));
    let drawn = generator.sample(prompt, &limits, &sampling).await;
    drawn.expect("replies")
}

fn drawn(candidates: &[Candidate]) -> u32 {
    candidates.iter().map(|candidate| candidate.drawn).sum()
}

/// Generates what is drawn next along with it.
async fn ask_ahead(generator: &GgufGenerator, prompt: &Prompt, sampling: Sampling) -> Generation {
    let limits = GenerationLimits {
        ahead: Some(Ahead {
            sampling,
            max_tokens: 40,
        }),
        ..limits(60, Duration::from_secs(180))
    };
    let reply = generator.generate(prompt, &limits).await;
    reply.expect("a reply")
}

/// Is answered in many ways.
fn open_question() -> Prompt {
    question("shops", "Tell me something of interest about the shops.")
}

#[tokio::test]
async fn the_same_seed_draws_the_same_candidates_and_another_others() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let asked = open_question();
    let first = draw(&generator, &asked, sampling(4, 1)).await;
    let texts = |candidates: &[Candidate]| -> Vec<String> {
        let text = |one: &Candidate| one.generation.text.clone();
        candidates.iter().map(text).collect()
    };
    let again = draw(&generator, &asked, sampling(4, 1)).await;
    assert_eq!(texts(&first), texts(&again));
    let others = draw(&generator, &asked, sampling(4, 1000)).await;
    assert_ne!(texts(&others), texts(&first));
}

/// Drawn along the greedy reply or beside it, candidates are those that are drawn from the prompt alone, but for what
/// batches of another size round otherwise: that much differs between drawing eight and drawing five.
#[tokio::test]
async fn what_is_drawn_with_the_greedy_reply_is_what_the_prompt_gives() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    // Short answers of a few kinds: in a long one some token is always so near another that rounding decides.
    let asked = question("shops", "Which shop has the highest revenue?");
    let draws = |seed| Sampling {
        temperature: 0.8,
        ..sampling(8, seed)
    };
    let mut shared = Vec::new();
    for is_beside in [false, true] {
        let (mut strayed, mut found) = (0, 0);
        for seed in [100, 200, 300] {
            let greedy = if is_beside {
                ask_ahead(&generator, &asked, draws(seed)).await
            } else {
                ask(&generator, &asked).await
            };
            let along = draw(&generator, &asked, draws(seed)).await;
            assert_eq!(drawn(&along), 8);
            let first = along[0].generation.tokens;
            assert_eq!(first.prompt_reused, first.prompt);
            // What the greedy reply chose among is forgotten with the next question.
            ask(&generator, &open_question()).await;
            let alone = draw(&generator, &asked, draws(seed)).await;
            for one in along {
                let text = one.generation.text;
                if text == greedy.text {
                    continue;
                }
                strayed += 1;
                if let Some(other) = alone.iter().find(|other| other.generation.text == text) {
                    found += 1;
                    shared.push((one.generation.likelihood, other.generation.likelihood));
                }
            }
        }
        assert!(
            found >= 4 && found * 2 >= strayed,
            "{is_beside}: {found} of {strayed}"
        );
    }
    for (along, alone) in shared {
        let (along, alone) = (along.expect("it tells"), alone.expect("it tells"));
        let difference = (along.mean_logprob - alone.mean_logprob).abs();
        assert!(difference < 0.05, "{along:?} {alone:?}");
    }
}

/// A drawing that was begun is gone on with where it was begun for; anything else finds the model as it was.
#[tokio::test]
async fn what_is_begun_beside_a_reply_is_of_that_drawing_only() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let asked = open_question();
    let texts = |candidates: &[Candidate]| -> Vec<String> {
        let text = |one: &Candidate| one.generation.text.clone();
        candidates.iter().map(text).collect()
    };
    let cold = Sampling {
        temperature: 0.0,
        ..sampling(3, 1)
    };
    let greedy = ask_ahead(&generator, &asked, cold).await;
    let same = draw(&generator, &asked, cold).await;
    assert_eq!(drawn(&same), 3);
    // It may have forty tokens and the greedy reply sixty.
    assert!(greedy.text.starts_with(&texts(&same)[0]) && same.len() == 1);

    // Another drawing than the one begun, then the one that was.
    ask_ahead(&generator, &asked, sampling(3, 7)).await;
    let other = draw(&generator, &asked, sampling(4, 900)).await;
    assert_eq!(drawn(&other), 4);
    assert!(texts(&other).len() > 1, "{other:?}");
    ask_ahead(&generator, &asked, sampling(3, 7)).await;
    let counted = question("shops", "How many shops are there?");
    let elsewhere = ask(&generator, &counted).await;
    assert!(elsewhere.tokens.prompt_reused >= elsewhere.tokens.prompt_prefix);
    let late = draw(&generator, &asked, sampling(3, 7)).await;
    assert_eq!(drawn(&late), 3);
    assert!(late[0].generation.tokens.prompt_reused < late[0].generation.tokens.prompt);
    let again = ask(&generator, &counted).await;
    assert_eq!(again.text, elsewhere.text, "nothing of it is left behind");
}

#[tokio::test]
async fn candidates_have_each_text_once_and_the_tokens_of_the_prompt_once() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let asked = question("shops", "How many shops are there?");
    let greedy = ask(&generator, &asked).await;
    let candidates = draw(&generator, &asked, sampling(8, 1)).await;
    assert_eq!(drawn(&candidates), 8);
    assert!(
        candidates.len() < 8,
        "some of the answers to this are the same"
    );
    let texts: HashSet<&str> = candidates
        .iter()
        .map(|candidate| candidate.generation.text.as_str())
        .collect();
    assert_eq!(texts.len(), candidates.len());
    for candidate in &candidates[1..] {
        assert_eq!(candidate.generation.tokens.prompt, 0);
        assert!(candidate.generation.tokens.generated > 0);
    }
    let first = candidates[0].generation.tokens;
    assert_eq!(first.prompt, greedy.tokens.prompt);
    assert_eq!(first.prompt_prefix, greedy.tokens.prompt_prefix);
    assert_eq!(
        first.prompt_reused, first.prompt,
        "what comes next is known from the greedy reply"
    );
    let more = draw(&generator, &asked, sampling(8, 9)).await;
    let more = more[0].generation.tokens;
    assert_eq!(more.prompt_reused, more.prompt, "and still");
    ask(&generator, &open_question()).await;
    let alone = draw(&generator, &asked, sampling(8, 1)).await;
    let alone = alone[0].generation.tokens;
    assert!((alone.prompt_prefix..alone.prompt).contains(&alone.prompt_reused));
}

/// A model that draws what it chose anyway has nothing left to evaluate.
#[tokio::test]
async fn drawing_the_greedy_reply_again_costs_nothing() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let asked = open_question();
    let greedy = ask(&generator, &asked).await;
    let cold = Sampling {
        temperature: 0.0,
        ..sampling(4, 1)
    };
    let limits = limits(60, Duration::from_secs(180));
    let drawn = generator.sample_measured(&asked, &limits, &cold).await;
    let drawn = drawn.expect("replies");
    assert_eq!(drawn.timings.prompt_ms, 0.0);
    let [one] = &drawn.candidates[..] else {
        panic!("{drawn:#?}");
    };
    assert_eq!((one.drawn, &one.generation.text), (4, &greedy.text));
    assert_eq!(one.generation.likelihood, greedy.likelihood);
}

#[tokio::test]
async fn the_greedy_reply_is_likelier_than_most_and_stays_the_same_after_a_drawing() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let asked = open_question();
    let before = ask(&generator, &asked).await;
    let candidates = draw(&generator, &asked, sampling(8, 3)).await;
    let after = ask(&generator, &asked).await;
    assert_eq!(after.text, before.text);
    assert_eq!(after.tokens.prompt_reused, after.tokens.prompt - 1);
    let other = ask(&generator, &question("shops", "How many shops are there?")).await;
    assert!(other.tokens.prompt_reused >= other.tokens.prompt_prefix);

    let greedy = before.likelihood.expect("the local model tells");
    assert!(
        (-5.0..0.0).contains(&greedy.mean_logprob) && greedy.least_logprob < greedy.mean_logprob,
        "{greedy:?}"
    );
    let less_likely = candidates.iter().filter(|candidate| {
        let likelihood = candidate.generation.likelihood;
        likelihood.expect("it tells of each").mean_logprob < greedy.mean_logprob
    });
    assert!(
        less_likely.count() * 2 > candidates.len(),
        "{greedy:?} {candidates:#?}"
    );
}

#[tokio::test]
async fn a_prompt_that_nobody_asked_before_is_drawn_from_too_and_its_prefix_kept() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let fresh = draw(&generator, &open_question(), sampling(2, 1)).await;
    assert_eq!(drawn(&fresh), 2);
    assert_eq!(fresh[0].generation.tokens.prompt_reused, 0);
    assert_eq!(bench.state_files().len(), 1);
    drop(generator);
    let restarted = ask(&bench.generator(), &open_question()).await;
    let tokens = restarted.tokens;
    assert_eq!(tokens.prompt_reused, tokens.prompt_prefix);
}

#[tokio::test]
async fn a_drawing_that_is_cancelled_gives_the_model_free_at_once() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let talk = prompt(
        "You are a storyteller.",
        &schema("shops"),
        "Write a long novel about a shop.\n",
    );
    let short = limits(3, Duration::from_secs(180));
    let before = generator.generate(&talk, &short).await.expect("a reply");
    let worker = generator.worker_id();
    let impatient = limits(400, Duration::from_millis(800));
    let late = generator.sample(&talk, &impatient, &sampling(8, 1)).await;
    assert_eq!(
        late.expect_err("it takes longer").code(),
        Code::GeneratorTimeout
    );
    let cancelled = Instant::now();
    let after = generator.generate(&talk, &short).await.expect("a reply");
    assert!(
        cancelled.elapsed() < Duration::from_secs(4),
        "{:?}",
        cancelled.elapsed()
    );
    assert_eq!(generator.worker_id(), worker, "it was not killed");
    assert_eq!(after.text, before.text);
    assert_eq!(after.tokens.prompt_reused, after.tokens.prompt - 1);
}

#[tokio::test]
async fn no_more_is_drawn_than_the_context_has_room_for() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let mut settings = bench.settings();
    settings.context_tokens = 512;
    // A step of a drawing is wider than this.
    settings.batch_tokens = 4;
    let generator = GgufGenerator::open(settings).expect("a model file");
    let asked = question("shops", "How many shops are there?");
    let limits = limits(150, Duration::from_secs(180));
    let few = generator.sample(&asked, &limits, &sampling(8, 1)).await;
    let few = few.expect("replies");
    let room = (512 - few[0].generation.tokens.prompt) / 150;
    assert!((1..8).contains(&room), "{room}");
    assert_eq!(u64::from(drawn(&few)), room);

    let long = prompt(SYSTEM, &schema("shops").repeat(9), "Question: How many?\n");
    let error = generator.sample(&long, &limits, &sampling(8, 1)).await;
    assert_eq!(
        error.expect_err("not even one fits").code(),
        Code::GeneratorFailed
    );
}
