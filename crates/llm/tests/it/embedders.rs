//! What every embedder promises, stated once and run on each implementation.

use std::sync::Arc;
use std::time::Duration;

use engine::Code;
use engine::ports::{Embedder, Embedding};
use llm::remote::{ApiKey, RemoteEmbedder, RemoteEmbedderSettings};
use llm::scripted::NgramEmbedder;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// Runs the whole suite.
pub async fn run(embedder: &dyn Embedder) {
    let identity = embedder.identity();
    assert!(!identity.hash.is_empty() && !identity.name.is_empty());
    nothing_gives_nothing(embedder).await;
    every_text_has_a_vector_of_length_one_and_fixed_dimension(embedder).await;
    the_same_text_has_the_same_vector_again(embedder).await;
    a_text_has_the_same_vector_alone_and_among_others(embedder).await;
    near_in_words_is_near(embedder).await;
    a_dropped_call_leaves_the_embedder_fit(embedder).await;
    assert_eq!(
        embedder.identity(),
        identity,
        "an embedder is the same model for life"
    );
}

async fn embed(embedder: &dyn Embedder, texts: &[&str]) -> Vec<Embedding> {
    let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
    let embeddings = embedder.embed(&texts).await.expect("vectors");
    assert_eq!(embeddings.len(), texts.len());
    embeddings
}

/// Texts that people and databases hold, some of them odd.
fn odd_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "customer country",
        "",
        "   \n\t ",
        "Größe der Bestellung in Stück",
        "клиенты и заказы по странам",
        "顧客の国",
        "عدد العملاء",
        "🙂🙃 👩‍👩‍👧‍👦",
        "a\0b\u{1}\u{7f}\u{feff}",
        "[CLS] [SEP] [MASK] <|im_end|>",
        "\u{301}\u{301}\u{301}",
    ]
    .map(str::to_owned)
    .to_vec();
    // Longer than any model takes, in words and in one word.
    texts.push("invoices of the year by customer and country ".repeat(2_000));
    texts.push("x".repeat(100_000));
    texts.push("é".repeat(50_000));
    texts
}

async fn nothing_gives_nothing(embedder: &dyn Embedder) {
    assert!(embed(embedder, &[]).await.is_empty());
}

async fn every_text_has_a_vector_of_length_one_and_fixed_dimension(embedder: &dyn Embedder) {
    let texts = odd_texts();
    let embeddings = embedder.embed(&texts).await.expect("vectors");
    assert_eq!(embeddings.len(), texts.len());
    let dimension = embed(embedder, &["orders"]).await[0].as_slice().len();
    assert!(dimension > 0);
    for embedding in &embeddings {
        let numbers = embedding.as_slice();
        assert_eq!(numbers.len(), dimension);
        let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-4, "{length}");
    }
}

async fn the_same_text_has_the_same_vector_again(embedder: &dyn Embedder) {
    let first = embed(embedder, &["orders shipped late"]).await;
    assert_eq!(embed(embedder, &["orders shipped late"]).await, first);
}

/// In other company, a model may add in another order; that is all that may differ.
async fn a_text_has_the_same_vector_alone_and_among_others(embedder: &dyn Embedder) {
    let mut texts = odd_texts();
    // More than go into one batch or request, so that they are cut into several.
    texts.extend((0..150).map(|number| format!("column {number} of the table of orders")));
    let together = embedder.embed(&texts).await.expect("vectors");
    assert_eq!(together.len(), texts.len());
    for (text, among_others) in texts.iter().zip(&together).step_by(7) {
        let alone = &embed(embedder, &[text]).await[0];
        let cosine = alone.cosine(among_others);
        let beginning: String = text.chars().take(40).collect();
        assert!(cosine > 0.9999, "{cosine} for {beginning}");
    }
    // Were the order not kept, neighbours would be equal.
    assert!(together[20].cosine(&together[21]) < 0.9999);
}

async fn near_in_words_is_near(embedder: &dyn Embedder) {
    let texts = ["customer country", "billing country", "invoice total"];
    let [customer, billing, invoice] = &embed(embedder, &texts).await[..] else {
        panic!("three vectors");
    };
    assert!(customer.cosine(billing) > customer.cosine(invoice) + 0.1);
}

async fn a_dropped_call_leaves_the_embedder_fit(embedder: &dyn Embedder) {
    let many: Vec<_> = (0..2_000)
        .map(|number| format!("{number} orders"))
        .collect();
    let mut call = embedder.embed(&many);
    // Dropped at once, and dropped at work.
    let _ = futures::poll!(call.as_mut());
    drop(call);
    let _ = tokio::time::timeout(Duration::from_millis(50), embedder.embed(&many)).await;
    let wanted = embed(embedder, &["still here"]).await;
    assert_eq!(embed(embedder, &["still here"]).await, wanted);
}

#[tokio::test]
async fn hashed_ngrams_conform() {
    run(&NgramEmbedder).await;
}

// ---------------------------------------------------------------------------------------------------------------------
// Remote models, played by servers of the test

const KEY: &str = "sk-very-secret";

fn settings(server: &str) -> RemoteEmbedderSettings {
    let mut settings = RemoteEmbedderSettings::new("small-embedder");
    settings.base_url = Some(format!("{server}/v1"));
    settings.api_key = Some(ApiKey::new(KEY));
    settings.backoff = Duration::from_millis(1);
    settings
}

fn remote(server: &MockServer) -> RemoteEmbedder {
    RemoteEmbedder::new(settings(&server.uri())).expect("valid settings")
}

/// Replies as OpenAI does, with the vectors of n-grams, in reverse; refuses what OpenAI refuses.
fn serve_ngrams(request: &Request) -> ResponseTemplate {
    let body: Value = request.body_json().expect("JSON");
    assert_eq!(body["model"], "small-embedder");
    assert_eq!(body["encoding_format"], "float");
    let inputs = body["input"].as_array().expect("a list");
    if inputs.len() > 32 {
        return ResponseTemplate::new(422);
    }
    let mut data = Vec::new();
    for (index, text) in inputs.iter().enumerate() {
        let text = text.as_str().expect("a text");
        if text.is_empty() || text.len() > 8_191 {
            return ResponseTemplate::new(400);
        }
        let embedding = NgramEmbedder.embed_one(text).expect("a vector");
        // Not of length 1: that is left to the client.
        let numbers: Vec<_> = embedding.as_slice().iter().map(|x| x * 3.0).collect();
        data.push(json!({ "object": "embedding", "index": index, "embedding": numbers }));
    }
    data.reverse();
    ok(&json!({ "object": "list", "data": data, "usage": { "prompt_tokens": 1 } }))
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn vectors(vectors: &[(usize, &[f32])]) -> ResponseTemplate {
    let data: Vec<_> = vectors
        .iter()
        .map(|(index, embedding)| json!({ "index": index, "embedding": embedding }))
        .collect();
    ok(&json!({ "data": data }))
}

async fn server(template: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(template)
        .mount(&server)
        .await;
    server
}

async fn requests(server: &MockServer) -> usize {
    let requests = server.received_requests().await;
    requests.expect("requests are recorded").len()
}

fn one() -> Vec<String> {
    vec!["a".to_owned()]
}

#[tokio::test]
async fn remote_embedder_conforms() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/embeddings"))
        .and(header("authorization", format!("Bearer {KEY}").as_str()))
        .respond_with(serve_ngrams)
        .mount(&server)
        .await;
    run(&remote(&server)).await;
}

#[tokio::test]
async fn vectors_are_sorted_by_their_index() {
    let server = server(vectors(&[(1, &[0.0, 2.0]), (0, &[3.0, 0.0])])).await;
    let texts = ["a", "b"].map(str::to_owned);
    let found = remote(&server).embed(&texts).await.expect("vectors");
    assert_eq!(found[0].as_slice(), [1.0, 0.0]);
    assert_eq!(found[1].as_slice(), [0.0, 1.0]);
}

#[tokio::test]
async fn busy_and_broken_servers_are_asked_again() {
    for status in [429, 500, 503] {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(status).insert_header("retry-after", "0"))
            .up_to_n_times(2)
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(vectors(&[(0, &[1.0])]))
            .mount(&server)
            .await;
        assert!(remote(&server).embed(&one()).await.is_ok(), "{status}");
        assert_eq!(requests(&server).await, 3);
    }
}

#[tokio::test]
async fn attempts_to_embed_are_bounded() {
    let server = server(ResponseTemplate::new(429).set_body_string(format!("{KEY} is slow"))).await;
    let error = remote(&server).embed(&one()).await.expect_err("a limit");
    assert_eq!(error.code(), Code::EmbedderFailed);
    assert!(!format!("{error:?} {error}").contains(KEY));
    assert_eq!(requests(&server).await, 4);
}

#[tokio::test]
async fn a_request_that_is_refused_is_not_repeated() {
    for status in [400, 401, 404, 422] {
        let server = server(ResponseTemplate::new(status).set_body_string(KEY)).await;
        let error = remote(&server).embed(&one()).await.expect_err("a refusal");
        assert_eq!(error.code(), Code::EmbedderFailed);
        let hint = error.hint().expect("a hint");
        assert!(!hint.contains("LLM_"), "{hint}");
        assert!(!format!("{error:?} {error}").contains(KEY));
        assert_eq!(requests(&server).await, 1);
    }
}

#[tokio::test]
async fn replies_with_other_vectors_than_asked_for_are_failures() {
    let odd: [ResponseTemplate; 7] = [
        ok(&json!({})),
        vectors(&[]),
        vectors(&[(1, &[1.0])]),
        vectors(&[(0, &[1.0]), (0, &[1.0])]),
        vectors(&[(0, &[])]),
        vectors(&[(0, &[0.0, 0.0])]),
        ResponseTemplate::new(200).set_body_string("{\"data\": [{\"ind"),
    ];
    for template in odd {
        let server = server(template).await;
        let error = remote(&server).embed(&one()).await.expect_err("no vector");
        assert_eq!(error.code(), Code::EmbedderFailed);
        assert_eq!(
            requests(&server).await,
            1,
            "what came is not asked for again"
        );
    }
}

#[tokio::test]
async fn another_dimension_than_before_is_a_failure() {
    let server = MockServer::start().await;
    for vector in [[1.0, 2.0].as_slice(), &[1.0, 2.0, 3.0]] {
        Mock::given(method("POST"))
            .respond_with(vectors(&[(0, vector)]))
            .up_to_n_times(1)
            .mount(&server)
            .await;
    }
    let embedder = remote(&server);
    assert!(embedder.embed(&one()).await.is_ok());
    let error = embedder.embed(&one()).await.expect_err("another model");
    assert!(
        error.message().contains("2 numbers before and 3 now"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_never_replies_is_given_up_and_not_asked_again() {
    let server = server(vectors(&[(0, &[1.0])]).set_delay(Duration::from_secs(60))).await;
    let mut settings = settings(&server.uri());
    settings.timeout = Duration::from_millis(100);
    let embedder = RemoteEmbedder::new(settings).expect("valid settings");
    let error = embedder.embed(&one()).await.expect_err("no reply");
    assert!(error.message().contains("takes too long"), "{error}");
    assert_eq!(requests(&server).await, 1);
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let mut bytes = Vec::new();
        // Returns only when the other side is gone.
        connection
            .read_to_end(&mut bytes)
            .await
            .map(|_| bytes.len())
    });
    let settings = settings(&format!("http://{address}"));
    let embedder = RemoteEmbedder::new(settings).expect("valid settings");
    let texts = one();
    let given_up = tokio::time::timeout(Duration::from_millis(200), embedder.embed(&texts)).await;
    assert!(given_up.is_err());
    let read = tokio::time::timeout(Duration::from_secs(10), server).await;
    let read = read.expect("the connection is closed").expect("a server");
    assert!(read.is_ok_and(|bytes| bytes > 0));
}

#[test]
fn identities_differ_between_models_and_servers() {
    let identity = |server: &str, model: &str| {
        let mut settings = settings(server);
        settings.model = model.to_owned();
        RemoteEmbedder::new(settings)
            .expect("valid settings")
            .identity()
    };
    let embedders: [Arc<dyn Embedder>; 1] = [Arc::new(NgramEmbedder)];
    let mut hashes: Vec<_> = embedders.iter().map(|one| one.identity().hash).collect();
    hashes.push(identity("http://localhost:1", "a").hash);
    hashes.push(identity("http://localhost:1", "b").hash);
    hashes.push(identity("http://localhost:2", "a").hash);
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 4);
    assert!(!identity("http://localhost:1", "a").is_remote);
    assert!(identity("https://models.example.com", "a").is_remote);
}

#[test]
fn faults_of_the_settings_name_their_variables() {
    let check = |change: fn(&mut RemoteEmbedderSettings), variable: &str| {
        let mut settings = settings("http://localhost");
        change(&mut settings);
        let error = RemoteEmbedder::new(settings).expect_err(variable);
        assert_eq!(error.code(), Code::InvalidSetting);
        assert!(error.message().starts_with(variable), "{error}");
    };
    check(|one| one.model = " ".into(), "EMBEDDING_MODEL");
    check(
        |one| one.base_url = Some("localhost".into()),
        "EMBEDDING_BASE_URL",
    );
    check(
        |one| one.api_key = Some(ApiKey::new("a\nb")),
        "EMBEDDING_API_KEY",
    );
}
