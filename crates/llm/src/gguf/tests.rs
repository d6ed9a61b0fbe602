//! The side of Assay, with workers that misbehave. The child processes are this test program itself, told by a variable
//! to be a worker.

use std::io::{Stdin, Stdout};
use std::time::Duration;

use engine::ports::{Ahead, Embedder, Generation, GenerationLimits, Generator, Sampling};
use engine::prompt::Prompt;

use super::protocol::{
    Order, Outcome, PREAMBLE, Replies, Reply, Report, Task, WireError, WireTokens, read_frame,
    write_frame,
};
use super::*;

const ROLE: &str = "ASSAY_TEST_WORKER";

/// Not a test of its own: the entry of the child processes.
#[test]
fn worker_entry() {
    let (mut orders, mut reports) = (std::io::stdin(), std::io::stdout());
    match std::env::var(ROLE).as_deref() {
        Ok("fake") => act(&mut orders, &mut reports),
        Ok("real") => worker::run(orders, reports).unwrap(),
        Ok("unfit") => {
            use std::io::Write;
            reports.write_all(PREAMBLE).unwrap();
            read_frame::<Order>(&mut orders).unwrap();
            let error = Error::new(Code::InvalidModel, "not a model");
            write_frame(&mut reports, &Report::Unfit(error.into())).unwrap();
        }
        _ => {}
    }
}

/// A worker whose behaviour the question decides.
fn act(orders: &mut Stdin, reports: &mut Stdout) {
    use std::io::Write;
    reports.write_all(PREAMBLE).unwrap();
    while let Some(order) = read_frame(orders).unwrap() {
        match order {
            Order::Start(_) => write_frame(reports, &Report::Ready { load_ms: 0 }).unwrap(),
            Order::Work { id, task } => match said(&task) {
                "crash" => std::process::abort(),
                // Only a cancel ends the slow one; the deaf one does not hear it.
                behaviour @ ("slow" | "deaf") => {
                    let next = read_frame(orders).unwrap();
                    if let Some(Order::Cancel { id }) = next
                        && behaviour == "slow"
                    {
                        let error = WireError::from(Error::new(Code::Cancelled, "cancelled"));
                        write_frame(reports, &Report::Failed { id, error }).unwrap();
                    }
                }
                _ => {
                    if let Task::Generate { is_heard: true, .. } = task {
                        for more in ["you ", "said"] {
                            let more = more.to_owned();
                            write_frame(reports, &Report::Wrote { id, more }).unwrap();
                        }
                    }
                    let outcome = outcome(&task);
                    write_frame(reports, &Report::Done { id, outcome }).unwrap();
                }
            },
            Order::Cancel { .. } => {}
        }
    }
}

/// What a task says, which decides how it is done: the question, or the first text.
fn said(task: &Task) -> &str {
    match task {
        Task::Generate { prompt, .. } => &prompt.tail,
        Task::Embed { texts } => &texts[0],
    }
}

fn outcome(task: &Task) -> Outcome {
    let text = match task {
        // The direction of a vector tells how long the text was.
        Task::Embed { texts } => {
            let vector = |text: &String| vec![1.0, text.len() as f32];
            return Outcome::Vectors(match said(task) {
                "too few" => Vec::new(),
                _ => texts.iter().map(vector).collect(),
            });
        }
        Task::Generate { prompt, .. } if prompt.tail == "variables" => {
            let names = std::env::vars().map(|(name, _)| name);
            names.collect::<Vec<_>>().join(" ")
        }
        Task::Generate { prompt, ahead, .. } if prompt.tail == "ahead" => {
            format!("{}", ahead.is_some())
        }
        Task::Generate { prompt, .. } => format!("you said {}", prompt.tail),
    };
    let tokens = WireTokens {
        prompt: 4,
        prompt_reused: 3,
        prompt_prefix: 2,
        generated: 1,
    };
    let reply = |text| Reply {
        text,
        is_complete: true,
        tokens,
        likelihood: None,
    };
    let replies = match task {
        // Every other one says something else.
        Task::Generate {
            sampling: Some(sampling),
            ..
        } => (0..sampling.count())
            .map(|index| reply(format!("{text}{}", ["", " twice"][index as usize % 2])))
            .collect(),
        _ => vec![reply(text)],
    };
    Outcome::Replies(Replies {
        replies,
        timings: Timings::default(),
    })
}

fn command(role: &str) -> WorkerCommand {
    WorkerCommand {
        program: std::env::current_exe().unwrap(),
        args: [
            "gguf::tests::worker_entry",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ]
        .map(OsString::from)
        .to_vec(),
        envs: vec![(ROLE.into(), role.into())],
    }
}

fn model_file() -> (PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let mut header = b"GGUF".to_vec();
    header.extend(3_u32.to_le_bytes());
    header.extend([0; 16]);
    std::fs::write(&path, header).unwrap();
    (path, folder)
}

/// An embedder with a worker of this role, and the folder of its file.
fn embedder(role: &str, queue_limit: usize) -> (GgufEmbedder, tempfile::TempDir) {
    let (path, folder) = model_file();
    let mut settings = GgufEmbedderSettings::new(path);
    settings.worker = Some(command(role));
    settings.queue_limit = queue_limit;
    (GgufEmbedder::open(settings).unwrap(), folder)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A generator with a worker of this role, and the folder of its file, which is no more than a header.
fn generator(role: &str, queue_limit: usize) -> (GgufGenerator, tempfile::TempDir) {
    let (path, folder) = model_file();
    let mut settings = GgufSettings::new(path);
    settings.worker = Some(command(role));
    settings.queue_limit = queue_limit;
    (GgufGenerator::open(settings).unwrap(), folder)
}

fn prompt(tail: &str) -> Prompt {
    Prompt {
        system: String::new(),
        schema: String::new(),
        tail: tail.to_owned(),
    }
}

fn limits(timeout: Duration) -> GenerationLimits {
    GenerationLimits {
        max_tokens: 10,
        timeout,
        names: None,
        ahead: None,
    }
}

async fn ask(generator: &GgufGenerator, tail: &str) -> Result<Generation, Error> {
    generator
        .generate(&prompt(tail), &limits(Duration::from_secs(30)))
        .await
}

/// Waits until `is_so`, at most ten seconds.
async fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    for _ in 0..1000 {
        if is_so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

/// A process that has ended but was not waited for is still there.
#[cfg(target_os = "linux")]
fn is_there(process: u32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}

#[tokio::test]
async fn a_reply_comes_with_its_token_counts() {
    let (generator, _folder) = generator("fake", 0);
    let reply = ask(&generator, "hello").await.unwrap();
    assert_eq!(reply.text, "you said hello");
    assert_eq!((reply.tokens.prompt, reply.tokens.prompt_reused), (4, 3));
    assert_eq!((reply.tokens.prompt_prefix, reply.tokens.generated), (2, 1));
}

#[tokio::test]
async fn a_reply_is_heard_while_it_is_written() {
    let (generator, _folder) = generator("fake", 0);
    let heard = std::sync::Mutex::new(Vec::new());
    let hear = |more: &str| heard.lock().unwrap().push(more.to_owned());
    let limits = limits(Duration::from_secs(30));
    let reply = generator
        .generate_heard(&prompt("hello"), &limits, &hear)
        .await;
    assert_eq!(reply.unwrap().text, "you said hello");
    assert_eq!(*heard.lock().unwrap(), ["you ", "said"]);
    // Who does not listen is told nothing.
    assert_eq!(
        ask(&generator, "hello").await.unwrap().text,
        "you said hello"
    );
    assert_eq!(heard.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn nothing_is_begun_beside_a_reply_while_the_next_turn_is_anothers() {
    let (generator, _folder) = generator("fake", 2);
    generator.warm().await.unwrap();
    let said = async || {
        let sampling = Sampling {
            count: 3,
            temperature: 1.0,
            seed: 1,
        };
        let limits = GenerationLimits {
            ahead: Some(Ahead {
                sampling,
                max_tokens: 10,
            }),
            ..limits(Duration::from_secs(30))
        };
        generator
            .generate(&prompt("ahead"), &limits)
            .await
            .unwrap()
            .text
    };
    let slow = async {
        let limits = limits(Duration::from_millis(300));
        generator
            .generate(&prompt("slow"), &limits)
            .await
            .unwrap_err()
            .code()
    };
    let (code, one, other) = tokio::join!(slow, said(), said());
    assert_eq!(code, Code::GeneratorTimeout);
    assert_eq!((one.as_str(), other.as_str()), ("false", "true"));
}

#[tokio::test]
async fn a_text_that_was_drawn_often_is_one_candidate() {
    let (generator, _folder) = generator("fake", 0);
    let draw = async |count| {
        let sampling = Sampling {
            count,
            temperature: 1.0,
            seed: 1,
        };
        let limits = limits(Duration::from_secs(30));
        let drawn = generator.sample(&prompt("hello"), &limits, &sampling).await;
        let drawn = drawn.unwrap().into_iter();
        drawn
            .map(|candidate| (candidate.generation.text, candidate.drawn))
            .collect::<Vec<_>>()
    };
    let often = |one, other| {
        let texts = ["you said hello", "you said hello twice"].map(str::to_owned);
        texts.into_iter().zip([one, other]).collect::<Vec<_>>()
    };
    assert_eq!(draw(5).await, often(3, 2));
    assert_eq!(draw(100).await, often(4, 4), "at most eight");
    assert_eq!(draw(0).await, often(1, 0)[..1], "at least one");
}

#[tokio::test]
async fn a_crash_costs_one_answer() {
    let (generator, _folder) = generator("fake", 0);
    generator.warm().await.unwrap();
    let first = generator.worker_id().unwrap();
    assert_eq!(
        ask(&generator, "crash").await.unwrap_err().code(),
        Code::GeneratorFailed
    );
    assert_eq!(
        ask(&generator, "again").await.unwrap().text,
        "you said again"
    );
    assert_ne!(generator.worker_id().unwrap(), first);
    #[cfg(target_os = "linux")]
    assert!(!is_there(first));
}

#[tokio::test]
async fn a_full_queue_is_busy_and_a_free_place_is_not() {
    let (generator, _folder) = generator("fake", 0);
    generator.warm().await.unwrap();
    let mut slow = Box::pin(ask(&generator, "slow"));
    assert!(futures::poll!(slow.as_mut()).is_pending());
    assert_eq!(
        ask(&generator, "hello").await.unwrap_err().code(),
        Code::GeneratorBusy
    );
    drop(slow);
    assert!(ask(&generator, "hello").await.is_ok());
}

#[tokio::test]
async fn a_deadline_cancels_and_the_worker_stays() {
    let (generator, _folder) = generator("fake", 0);
    generator.warm().await.unwrap();
    let worker = generator.worker_id();
    let late = generator
        .generate(&prompt("slow"), &limits(Duration::from_millis(50)))
        .await;
    assert_eq!(late.unwrap_err().code(), Code::GeneratorTimeout);
    assert_eq!(
        ask(&generator, "hello").await.unwrap().text,
        "you said hello"
    );
    assert_eq!(generator.worker_id(), worker);
}

#[tokio::test]
async fn waiting_in_the_queue_counts_against_the_deadline() {
    let (generator, _folder) = generator("fake", 1);
    generator.warm().await.unwrap();
    let mut slow = Box::pin(ask(&generator, "slow"));
    assert!(futures::poll!(slow.as_mut()).is_pending());
    let waiting = generator
        .generate(&prompt("hello"), &limits(Duration::from_millis(50)))
        .await;
    assert_eq!(waiting.unwrap_err().code(), Code::GeneratorTimeout);
}

#[tokio::test]
async fn a_dropped_question_cancels_and_the_worker_stays() {
    let (generator, _folder) = generator("fake", 0);
    generator.warm().await.unwrap();
    let worker = generator.worker_id();
    let dropped = tokio::time::timeout(Duration::from_millis(50), ask(&generator, "slow")).await;
    assert!(dropped.is_err());
    assert!(ask(&generator, "hello").await.is_ok());
    assert_eq!(generator.worker_id(), worker);
}

#[tokio::test]
async fn a_worker_deaf_to_a_cancel_is_replaced() {
    let (generator, _folder) = generator("fake", 0);
    generator.warm().await.unwrap();
    let worker = generator.worker_id();
    let late = generator
        .generate(&prompt("deaf"), &limits(Duration::from_millis(50)))
        .await;
    assert_eq!(late.unwrap_err().code(), Code::GeneratorTimeout);
    assert!(ask(&generator, "hello").await.is_ok());
    assert_ne!(generator.worker_id(), worker);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_worker_ends_with_the_generator_and_leaves_no_zombie() {
    let (generator, _folder) = generator("fake", 0);
    generator.warm().await.unwrap();
    let worker = generator.worker_id().unwrap();
    assert!(is_there(worker));
    drop(generator);
    assert!(eventually(|| !is_there(worker)).await);
}

#[tokio::test]
async fn a_worker_ends_when_its_parent_dies() {
    let command = command("real");
    // The death of a parent is the end of the pipe it held.
    let mut child = std::process::Command::new(command.program)
        .args(command.args)
        .envs(command.envs)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdin.take());
    assert!(eventually(|| child.try_wait().unwrap().is_some()).await);
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn a_worker_inherits_no_variable_that_it_does_not_need() {
    let (generator, _folder) = generator("fake", 0);
    let names = ask(&generator, "variables").await.unwrap().text;
    let allowed = [
        "RUST_LOG",
        "RUST_BACKTRACE",
        "NO_COLOR",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "OMP_WAIT_POLICY",
        ROLE,
    ];
    assert!(
        std::env::var_os("PATH").is_some(),
        "there is something to keep away"
    );
    for name in names.split_whitespace() {
        assert!(allowed.contains(&name), "the worker sees {name}");
    }
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_an_error_every_time() {
    let (generator, _folder) = generator("unfit", 0);
    for _ in 0..2 {
        assert_eq!(
            ask(&generator, "hello").await.unwrap_err().code(),
            Code::InvalidModel
        );
    }
    assert_eq!(generator.worker_id(), None);
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_an_error() {
    let (generator, _folder) = generator("none of the above", 0);
    assert_eq!(
        ask(&generator, "hello").await.unwrap_err().code(),
        Code::GeneratorFailed
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// The embedder

#[tokio::test]
async fn an_embedder_crash_costs_one_call() {
    let (embedder, _folder) = embedder("fake", 0);
    embedder.warm().await.unwrap();
    let first = embedder.worker_id().unwrap();
    let error = embedder.embed(&texts(&["crash"])).await.unwrap_err();
    assert_eq!(error.code(), Code::EmbedderFailed);
    assert_eq!(embedder.embed(&texts(&["a", "b"])).await.unwrap().len(), 2);
    assert_ne!(embedder.worker_id().unwrap(), first);
}

#[tokio::test]
async fn a_model_that_cannot_embed_is_an_error_every_time() {
    let (embedder, _folder) = embedder("unfit", 0);
    for _ in 0..2 {
        let error = embedder.embed(&texts(&["a"])).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidModel);
    }
    assert_eq!(embedder.worker_id(), None);
}

#[tokio::test]
async fn a_full_queue_of_texts_is_refused_and_a_dropped_call_gives_its_place_back() {
    let (embedder, _folder) = embedder("fake", 0);
    embedder.warm().await.unwrap();
    let worker = embedder.worker_id();
    let slow = texts(&["slow"]);
    let mut slow = embedder.embed(&slow);
    assert!(futures::poll!(slow.as_mut()).is_pending());
    let error = embedder.embed(&texts(&["a"])).await.unwrap_err();
    assert_eq!(error.code(), Code::EmbedderFailed);
    assert!(error.hint().is_some());
    drop(slow);
    assert!(embedder.embed(&texts(&["a"])).await.is_ok());
    assert_eq!(embedder.worker_id(), worker, "it was cancelled, not killed");
}

#[tokio::test]
async fn a_question_does_not_wait_for_a_whole_index() {
    let (embedder, _folder) = embedder("fake", 1);
    embedder.warm().await.unwrap();
    let many: Vec<String> = (0..6400).map(|number| format!("text {number}")).collect();
    let one = texts(&["a question"]);
    let mut index = embedder.embed(&many);
    assert!(
        futures::poll!(index.as_mut()).is_pending(),
        "it has its turn"
    );
    tokio::select! {
        biased;
        vectors = embedder.embed(&one) => assert_eq!(vectors.unwrap().len(), 1),
        _ = &mut index => panic!("a hundred turns came before the question's"),
    }
    let vectors = index.await.unwrap();
    let expected = |text: &String| 1.0 / (1.0 + (text.len() as f32).powi(2)).sqrt();
    assert_eq!(vectors.len(), many.len());
    for (text, vector) in many.iter().zip(&vectors) {
        assert!(
            (vector.as_slice()[0] - expected(text)).abs() < 1e-6,
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_worker_that_leaves_texts_out_is_found_out() {
    let (embedder, _folder) = embedder("fake", 0);
    let error = embedder.embed(&texts(&["too few", "b"])).await.unwrap_err();
    assert_eq!(error.code(), Code::EmbedderFailed);
}

#[tokio::test]
async fn nothing_to_embed_starts_nothing() {
    let (embedder, _folder) = embedder("fake", 0);
    assert!(embedder.embed(&[]).await.unwrap().is_empty());
    assert_eq!(embedder.worker_id(), None);
}

#[test]
fn a_missing_embedding_model_says_what_to_do() {
    let missing = GgufEmbedder::open(GgufEmbedderSettings::new("no/such.gguf"));
    let error = missing.err().unwrap();
    assert_eq!(error.code(), Code::ModelMissing);
    let hint = error.hint().unwrap();
    assert!(hint.contains("assay model pull") && hint.contains("EMBEDDING_MODEL"));
}
