//! The real embedding model, in real child processes. Runs when the model file is found, else says that it is skipped.

use std::fs;
use std::path::PathBuf;

use engine::Code;
use engine::ports::{Embedder, Embedding};
use llm::gguf::{GgufEmbedder, GgufEmbedderSettings, WorkerCommand};
use llm::pull::{self, Purpose};
use llm::scripted::NgramEmbedder;

use crate::embedders;

const ROLE: &str = "ASSAY_TEST_WORKER";

/// Returns the file of the embedding model; `None`, and says so, when none is installed, which with
/// `REQUIRE_SERVICES=1` is a failure.
fn model_file() -> Option<PathBuf> {
    let named = std::env::var_os("ASSAY_TEST_EMBEDDING_MODEL").map(PathBuf::from);
    let installed = || {
        let cache = pull::cache_dir(|name| std::env::var_os(name))?;
        Some(pull::choose(Purpose::Embedding, None, &pull::models_dir(&cache)).path)
    };
    let found = named.or_else(installed).filter(|path| path.exists());
    if found.is_none() {
        let is_required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(
            !is_required,
            "the embedding model is required: run `assay model pull`"
        );
        eprintln!(
            "skipped: no embedding model is installed and ASSAY_TEST_EMBEDDING_MODEL is not set"
        );
    }
    found
}

fn settings(model: PathBuf) -> GgufEmbedderSettings {
    let mut settings = GgufEmbedderSettings::new(model);
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

fn embedder() -> Option<GgufEmbedder> {
    let model = model_file()?;
    Some(GgufEmbedder::open(settings(model)).expect("a model file"))
}

async fn embed(embedder: &GgufEmbedder, texts: &[&str]) -> Vec<Embedding> {
    let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
    embedder.embed(&texts).await.expect("vectors")
}

#[tokio::test]
async fn local_embedder_conforms() {
    let Some(embedder) = embedder() else { return };
    embedders::run(&embedder).await;
    let identity = embedder.identity();
    assert!(!identity.is_remote);
    assert_ne!(identity.hash, NgramEmbedder.identity().hash);
}

/// Cosines of the published weights in 32 bits, computed with numpy and the publisher's tokenizer: what was written here
/// is that model, tokenised as it was trained.
const REFERENCE: [(&str, &str, f32); 8] = [
    ("customer country", "billing country", 0.6704),
    ("customer country", "invoice total", 0.1247),
    ("customer country", "district population", 0.2227),
    (
        "How many orders were shipped to Germany?",
        "orders: ship country",
        0.5775,
    ),
    (
        "How many orders were shipped to Germany?",
        "employees: birth date",
        0.1390,
    ),
    ("Größe der Bestellung", "size of the order", 0.1178),
    ("клиенты", "customers", 0.1708),
    ("total revenue by month", "sum of sales per month", 0.8008),
];

#[tokio::test]
async fn vectors_are_those_of_the_published_model() {
    let Some(embedder) = embedder() else { return };
    for (one, other, expected) in REFERENCE {
        let vectors = embed(&embedder, &[one, other]).await;
        let cosine = vectors[0].cosine(&vectors[1]);
        // What 8 and 16 bits cost.
        assert!(
            (cosine - expected).abs() < 0.003,
            "{cosine} instead of {expected} for {one} and {other}"
        );
    }
}

#[tokio::test]
async fn a_text_beyond_the_limit_is_cut_at_a_token_and_not_refused() {
    let Some(model) = model_file() else { return };
    let mut settings = settings(model);
    // A beginning, four words, an end.
    settings.text_tokens = 6;
    let embedder = GgufEmbedder::open(settings).expect("a model file");
    let texts = [
        "orders by customer country",
        "orders by customer country and year of invoice",
        "orders by customer",
    ];
    let [whole, longer, shorter] = &embed(&embedder, &texts).await[..] else {
        panic!("three vectors");
    };
    assert!(whole.cosine(longer) > 0.9999);
    assert!(whole.cosine(shorter) < 0.99);
}

#[tokio::test]
async fn text_cannot_become_markup() {
    let Some(embedder) = embedder() else { return };
    // Were it markup, the text would be its two marks and nothing else, as the empty one is.
    let [marked, empty] = &embed(&embedder, &["[CLS] [SEP]", ""]).await[..] else {
        panic!("two vectors");
    };
    assert!(marked.cosine(empty) < 0.9);
}

#[tokio::test]
async fn a_killed_worker_is_replaced() {
    let Some(embedder) = embedder() else { return };
    let before = embed(&embedder, &["orders"]).await;
    let worker = embedder.worker_id().expect("a worker").to_string();
    let killed = std::process::Command::new("kill")
        .args(["-9", &worker])
        .status();
    assert!(killed.is_ok_and(|status| status.success()));
    // The death may be seen before the texts are handed over, or after, when it costs this call.
    let texts = ["orders".to_owned()];
    let after = match embedder.embed(&texts).await {
        Ok(after) => after,
        Err(error) => {
            assert_eq!(error.code(), Code::EmbedderFailed);
            embedder.embed(&texts).await.expect("vectors")
        }
    };
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_file_that_is_no_embedding_model_is_refused_without_harm() {
    let Some(model) = model_file() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let whole = fs::read(&model).expect("a model");
    let cut = folder.path().join("cut.gguf");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("a file");
    // As if it were a model that writes: no token sees the ones after it.
    let causal = folder.path().join("causal.gguf");
    let mut bytes = whole;
    let key = b"bert.attention.causal";
    let place = bytes.windows(key.len()).position(|window| window == key);
    bytes[place.expect("the key") + key.len() + 4] = 1;
    fs::write(&causal, bytes).expect("a file");
    for path in [cut, causal] {
        let embedder = GgufEmbedder::open(settings(path)).expect("its header is whole");
        let error = embedder.warm().await.expect_err("not an embedding model");
        assert_eq!(error.code(), Code::InvalidModel);
        assert!(error.hint().is_some());
    }
}
