//! The real local model, in real child processes. Runs when the model file is found, else says that it is skipped.

mod sampling;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Code;
use engine::decoding::Names;
use engine::ports::{Generation, GenerationLimits, Generator, Sampling};
use engine::prompt::Prompt;
use llm::gguf::{GgufGenerator, GgufSettings, WorkerCommand};
use llm::pull;
use tokio::sync::{Mutex, MutexGuard};

use crate::conformance::{self, Subject, limits, prompt};

const ROLE: &str = "ASSAY_TEST_WORKER";

/// Not a test of its own: the entry of the child processes, which are this program itself.
#[test]
fn worker_entry() {
    if std::env::var_os(ROLE).is_some() {
        llm::gguf::worker::run(std::io::stdin(), std::io::stdout()).expect("a healthy worker");
    }
}

/// Two models at once on a small machine would only measure each other.
static ONE_MODEL_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A model file and the right to use it, with a folder for its states.
struct Bench {
    model: PathBuf,
    states: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    /// Returns `None`, and says so, when no model is installed; with `REQUIRE_SERVICES=1` that is a failure.
    async fn find() -> Option<Self> {
        let named = std::env::var_os("ASSAY_TEST_MODEL").map(PathBuf::from);
        let installed = || {
            let cache = pull::cache_dir(|name| std::env::var_os(name))?;
            Some(pull::choose(pull::Purpose::Generating, None, &pull::models_dir(&cache)).path)
        };
        let Some(model) = named.or_else(installed).filter(|path| path.exists()) else {
            let is_required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(
                !is_required,
                "the local model is required: run `assay model pull`"
            );
            eprintln!("skipped: no local model is installed and ASSAY_TEST_MODEL is not set");
            return None;
        };
        Some(Self {
            model,
            states: tempfile::tempdir().expect("a folder"),
            _turn: ONE_MODEL_AT_A_TIME.lock().await,
        })
    }

    fn settings(&self) -> GgufSettings {
        let mut settings = GgufSettings::new(&self.model);
        settings.state_dir = Some(self.states.path().to_owned());
        settings.context_tokens = 4096;
        // Other tests run beside these: a second thread would mostly wait for a processor.
        settings.threads = Some(1);
        settings.worker = Some(WorkerCommand {
            program: std::env::current_exe().expect("this program"),
            args: [
                "gguf::worker_entry",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ]
            .map(Into::into)
            .to_vec(),
            envs: vec![(ROLE.into(), "1".into())],
        });
        settings
    }

    fn generator(&self) -> GgufGenerator {
        GgufGenerator::open(self.settings()).expect("a model file")
    }

    fn state_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.states.path())
            .expect("a folder")
            .flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

const SYSTEM: &str = "You write one SQLite SELECT statement that answers the question. Answer with a ```sql block only.";

fn schema(table: &str) -> String {
    format!(
        "CREATE TABLE {table} (id INTEGER PRIMARY KEY, name TEXT, city TEXT, opened TEXT, revenue REAL);\n\
         CREATE TABLE staff (id INTEGER PRIMARY KEY, {table}_id INTEGER REFERENCES {table}(id), name TEXT, salary REAL);\n\n"
    )
}

fn question(table: &str, question: &str) -> Prompt {
    prompt(SYSTEM, &schema(table), &format!("Question: {question}\n"))
}

async fn ask(generator: &GgufGenerator, prompt: &Prompt) -> Generation {
    let limits = limits(60, Duration::from_secs(180));
    generator.generate(prompt, &limits).await.expect("a reply")
}

/// The prompt shows a column that may not be named, and the question asks for it.
#[tokio::test]
async fn a_reply_names_only_what_it_may() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let asked = question("shops", "What are the names of all shops?");
    let free = limits(60, Duration::from_secs(180));
    let names = Names::new([
        ("shops", vec!["id", "city", "opened", "revenue"]),
        ("staff", vec!["id", "shops_id", "salary"]),
    ]);
    let held = GenerationLimits {
        names: Some(Arc::new(names.clone())),
        ..free.clone()
    };
    let heard = std::sync::Mutex::new(Vec::new());
    let hear = |more: &str| heard.lock().expect("no panic").push(more.to_owned());

    let reply = generator.generate_heard(&asked, &free, &hear).await;
    let reply = reply.expect("a reply");
    assert!(!names.admit_whole(&reply.text), "{}", reply.text);
    let pieces = heard.lock().expect("no panic").clone();
    assert!(pieces.len() > 3, "{pieces:?}");
    assert_eq!(pieces.concat(), reply.text);

    let reply = generator.generate(&asked, &held).await.expect("a reply");
    assert!(names.admit_whole(&reply.text), "{}", reply.text);

    let sampling = Sampling {
        count: 3,
        temperature: 1.0,
        seed: 7,
    };
    let drawn = generator.sample(&asked, &held, &sampling).await;
    for candidate in drawn.expect("replies") {
        let text = candidate.generation.text;
        assert!(names.admit(&text), "{text}");
    }
}

#[tokio::test]
async fn local_model_conforms() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    generator.warm().await.expect("a loaded model");
    let many = "The shops of the north are older than those of the south. ".repeat(40);
    conformance::run(&Subject {
        generator: Arc::new(generator),
        sql: question("shops", "How many shops are there?"),
        prose: prompt(
            "You answer in one short sentence of plain words, without code.",
            "",
            "Who are you?",
        ),
        slow: prompt(SYSTEM, &many, "Tell it again in other words."),
    })
    .await;
}

#[tokio::test]
async fn second_question_reuses_the_whole_prefix_and_answers_as_a_fresh_model_does() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let (first, second) = (
        question("shops", "How many shops are there?"),
        question("shops", "Which city has the highest revenue?"),
    );
    let generator = bench.generator();
    let reply = ask(&generator, &first).await;
    assert_eq!(reply.tokens.prompt_reused, 0);
    assert!(
        reply.text.trim_end().ends_with("```"),
        "it stops at the closed fence: {}",
        reply.text
    );
    let reply = ask(&generator, &second).await;
    assert!(reply.tokens.prompt_prefix > 50);
    assert!(reply.tokens.prompt_reused >= reply.tokens.prompt_prefix);
    assert!(reply.tokens.prompt_reused < reply.tokens.prompt);

    let mut settings = bench.settings();
    settings.state_dir = None;
    let fresh = GgufGenerator::open(settings).expect("a model file");
    let fresh = ask(&fresh, &second).await;
    assert_eq!(fresh.tokens.prompt_reused, 0);
    assert_eq!(fresh.text, reply.text);
}

#[tokio::test]
async fn repair_reuses_the_question_too() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let mut asked = question("shops", "Which city has the highest revenue?");
    ask(&generator, &asked).await;
    asked
        .tail
        .push_str("This failed: no such column: income. Write it again.\n");
    let repair = ask(&generator, &asked).await;
    assert!(repair.tokens.prompt_reused > repair.tokens.prompt_prefix);
}

#[tokio::test]
async fn schemas_in_turn_each_find_their_prefix_and_never_another_ones() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let asked = |table| question(table, "How many are there?");
    ask(&generator, &asked("shops")).await;
    let other = ask(&generator, &asked("depots")).await;
    assert!(
        other.tokens.prompt_reused < other.tokens.prompt_prefix,
        "only the instructions are the same"
    );
    for table in ["shops", "depots"] {
        let again = ask(&generator, &asked(table)).await;
        assert_eq!(
            again.tokens.prompt_reused, again.tokens.prompt_prefix,
            "{table}"
        );
        assert!(again.text.contains(table), "{}", again.text);
    }
}

#[tokio::test]
async fn first_question_after_a_restart_reuses_the_whole_prefix() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let asked = question("shops", "How many shops are there?");
    let before = bench.generator();
    let first = ask(&before, &asked).await;
    drop(before);
    let after = bench.generator();
    let second = ask(&after, &asked).await;
    assert_eq!(second.tokens.prompt_reused, second.tokens.prompt_prefix);
    assert_eq!(second.text, first.text);
}

#[tokio::test]
async fn a_killed_worker_is_replaced_and_its_prefixes_are_not_lost() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    let asked = question("shops", "How many shops are there?");
    ask(&generator, &asked).await;
    let worker = generator.worker_id().expect("a worker").to_string();
    let killed = std::process::Command::new("kill")
        .args(["-9", &worker])
        .status();
    assert!(killed.is_ok_and(|status| status.success()));
    // The death may be seen before the question is handed over, or after, when it costs this answer.
    let limits = GenerationLimits::default();
    let reply = match generator.generate(&asked, &limits).await {
        Ok(reply) => reply,
        Err(error) => {
            assert_eq!(error.code(), Code::GeneratorFailed);
            ask(&generator, &asked).await
        }
    };
    assert_eq!(reply.tokens.prompt_reused, reply.tokens.prompt_prefix);
}

#[tokio::test]
async fn damaged_states_are_not_used_and_hurt_nobody() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let asked = question("shops", "How many shops are there?");
    let first = ask(&bench.generator(), &asked).await;
    let files = bench.state_files();
    assert_eq!(files.len(), 1);
    let whole = fs::read(&files[0]).expect("a state");
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 0xff;
    for damaged in [
        changed.as_slice(),
        &whole[..whole.len() / 2],
        b"",
        b"not a state at all",
    ] {
        fs::write(&files[0], damaged).expect("a writable state");
        let reply = ask(&bench.generator(), &asked).await;
        assert_eq!(reply.tokens.prompt_reused, 0);
        assert_eq!(reply.text, first.text);
        assert_eq!(
            fs::read(&files[0]).map(|bytes| bytes.len()).ok(),
            Some(whole.len()),
            "kept anew"
        );
    }
}

#[tokio::test]
async fn a_cancelled_question_gives_the_model_free_before_it_would_be_killed() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let generator = bench.generator();
    generator.warm().await.expect("a loaded model");
    let worker = generator.worker_id();
    let long = prompt(SYSTEM, &schema("shops").repeat(15), "Question: How many?\n");
    let limits = limits(400, Duration::from_millis(300));
    let late = generator.generate(&long, &limits).await;
    assert_eq!(
        late.expect_err("it takes longer").code(),
        Code::GeneratorTimeout
    );
    let cancelled = Instant::now();
    generator.warm().await.expect("a free worker");
    assert!(
        cancelled.elapsed() < Duration::from_secs(4),
        "{:?}",
        cancelled.elapsed()
    );
    assert_eq!(
        generator.worker_id(),
        worker,
        "it obeyed and was not killed"
    );
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_an_error_and_never_cut() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let mut settings = bench.settings();
    settings.context_tokens = 256;
    let generator = GgufGenerator::open(settings).expect("a model file");
    let long = prompt(SYSTEM, &schema("shops").repeat(5), "Question: How many?\n");
    let error = generator
        .generate(&long, &GenerationLimits::default())
        .await;
    let error = error.expect_err("it does not fit");
    assert_eq!(error.code(), Code::GeneratorFailed);
    assert!(error.message().contains("256 tokens"), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_file_that_is_no_model_is_refused_without_harm() {
    let Some(bench) = Bench::find().await else {
        return;
    };
    let path = bench.states.path().join("cut.gguf");
    let mut beginning = Vec::new();
    let file = fs::File::open(&bench.model).expect("a model");
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 1 << 20), &mut beginning)
        .expect("a beginning");
    fs::write(&path, beginning).expect("a file");
    let mut settings = bench.settings();
    settings.model_path = path;
    let generator = GgufGenerator::open(settings).expect("its header is whole");
    assert_eq!(
        generator.warm().await.expect_err("cut off").code(),
        Code::InvalidModel
    );
}

#[test]
fn a_file_that_is_not_there_is_a_missing_model() {
    let missing = GgufGenerator::open(GgufSettings::new(Path::new("no/such.gguf")));
    assert_eq!(
        missing.err().map(|error| error.code()),
        Some(Code::ModelMissing)
    );
}
