//! Remote models, played by servers of the test.

mod sampling;
mod streaming;

use std::sync::Arc;
use std::time::Duration;

use engine::ports::{GenerationLimits, Generator, TokenCounts};
use engine::{Code, Error};
use llm::remote::{ApiKey, Provider, RemoteGenerator, RemoteSettings};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use wiremock::matchers::{body_partial_json, body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::conformance::{self, Subject, prompt};

const KEY: &str = "sk-very-secret";

fn generator(provider: Provider, server: &str) -> RemoteGenerator {
    let mut settings = RemoteSettings::new(provider, "small-model");
    settings.base_url = Some(format!("{server}/v1"));
    settings.api_key = Some(ApiKey::new(KEY));
    settings.backoff = Duration::from_millis(1);
    RemoteGenerator::new(settings).expect("valid settings")
}

fn openai_reply(text: &str, finish: &str) -> Value {
    json!({
        "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": finish }],
        "usage": {
            "prompt_tokens": 50, "completion_tokens": 3,
            "prompt_tokens_details": { "cached_tokens": 32 },
        },
    })
}

fn anthropic_reply(text: &str, stop: &str) -> Value {
    json!({
        "content": [{ "type": "text", "text": text }],
        "stop_reason": stop,
        "usage": {
            "input_tokens": 10, "output_tokens": 3,
            "cache_read_input_tokens": 32, "cache_creation_input_tokens": 8,
        },
    })
}

async fn answer(server: &MockServer, template: ResponseTemplate) {
    Mock::given(method("POST"))
        .respond_with(template)
        .mount(server)
        .await;
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

async fn ask(generator: &RemoteGenerator) -> Result<engine::ports::Generation, Error> {
    let asked = prompt("Write SQL", "CREATE TABLE t (a);\n", "How many?");
    generator
        .generate(&asked, &GenerationLimits::default())
        .await
}

/// What an error says to anybody, its cause in the log included.
fn everything(error: &Error) -> String {
    format!("{error:?} {error}")
}

async fn conforms(provider: Provider, reply: fn(&str, &str) -> Value, cut: &str) {
    let server = MockServer::start().await;
    let say = |needle: &'static str, template| {
        Mock::given(body_string_contains(needle))
            .respond_with(template)
            .mount(&server)
    };
    Mock::given(body_partial_json(json!({ "max_tokens": 3 })))
        .respond_with(ok(&reply("SELECT", cut)))
        .mount(&server)
        .await;
    say(
        "count them",
        ok(&reply("SELECT count(*) FROM orders", "stop")),
    )
    .await;
    say("hello", ok(&reply("I cannot answer that", "stop"))).await;
    say(
        "slow",
        ok(&reply("late", "stop")).set_delay(Duration::from_secs(60)),
    )
    .await;
    conformance::run(&Subject {
        generator: Arc::new(generator(provider, &server.uri())),
        sql: prompt("You write SQL", "orders", "count them"),
        prose: prompt("", "", "hello"),
        slow: prompt("", "", "slow"),
    })
    .await;
}

#[tokio::test]
async fn openai_generator_conforms() {
    conforms(Provider::OpenAi, openai_reply, "length").await;
}

#[tokio::test]
async fn anthropic_generator_conforms() {
    conforms(Provider::Anthropic, anthropic_reply, "max_tokens").await;
}

#[tokio::test]
async fn openai_is_asked_in_its_own_words() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/chat/completions"))
        .and(header("authorization", format!("Bearer {KEY}").as_str()))
        .and(body_partial_json(json!({
            "model": "small-model",
            "temperature": 0,
            "max_tokens": 400,
            "messages": [
                { "role": "system", "content": "Write SQL" },
                { "role": "user", "content": "CREATE TABLE t (a);\nHow many?" },
            ],
        })))
        .respond_with(ok(&openai_reply("SELECT 1", "stop")))
        .mount(&server)
        .await;
    let reply = ask(&generator(Provider::OpenAi, &server.uri()))
        .await
        .expect("a reply");
    let counts = TokenCounts {
        prompt: 50,
        prompt_reused: 32,
        prompt_prefix: 0,
        generated: 3,
    };
    assert_eq!(reply.tokens, counts);
}

#[tokio::test]
async fn anthropic_is_asked_in_its_own_words() {
    let server = MockServer::start().await;
    Mock::given(path("/v1/messages"))
        .and(header("x-api-key", KEY))
        .and(header("anthropic-version", "2023-06-01"))
        .and(body_partial_json(json!({
            "system": "Write SQL",
            "max_tokens": 400,
            "messages": [{ "role": "user", "content": [
                { "text": "CREATE TABLE t (a);\n", "cache_control": { "type": "ephemeral" } },
                { "text": "How many?" },
            ] }],
        })))
        .respond_with(ok(&anthropic_reply("SELECT 1", "end_turn")))
        .mount(&server)
        .await;
    let reply = ask(&generator(Provider::Anthropic, &server.uri()))
        .await
        .expect("a reply");
    let counts = TokenCounts {
        prompt: 50,
        prompt_reused: 32,
        prompt_prefix: 0,
        generated: 3,
    };
    assert_eq!(reply.tokens, counts);
}

#[tokio::test]
async fn a_server_that_recovers_is_asked_again() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(2)
        .mount(&server)
        .await;
    answer(&server, ok(&openai_reply("SELECT 1", "stop"))).await;
    let reply = ask(&generator(Provider::OpenAi, &server.uri())).await;
    assert_eq!(reply.expect("the third attempt").text, "SELECT 1");
}

#[tokio::test]
async fn attempts_are_bounded() {
    let server = MockServer::start().await;
    answer(
        &server,
        ResponseTemplate::new(500).set_body_string(format!("key {KEY} broke us")),
    )
    .await;
    let error = ask(&generator(Provider::OpenAi, &server.uri()))
        .await
        .expect_err("a broken server");
    assert_eq!(error.code(), Code::GeneratorFailed);
    assert!(!everything(&error).contains(KEY));
    assert_eq!(
        server
            .received_requests()
            .await
            .map(|requests| requests.len()),
        Some(3)
    );
}

#[tokio::test]
async fn a_reply_that_broke_off_is_not_asked_for_again() {
    let server = MockServer::start().await;
    answer(
        &server,
        ResponseTemplate::new(200).set_body_string("{\"choices\": [{\"mess"),
    )
    .await;
    let error = ask(&generator(Provider::OpenAi, &server.uri()))
        .await
        .expect_err("half a reply");
    assert_eq!(error.code(), Code::GeneratorFailed);
    assert_eq!(
        server
            .received_requests()
            .await
            .map(|requests| requests.len()),
        Some(1)
    );
}

#[tokio::test]
async fn replies_that_are_no_replies_are_failures() {
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!({ "choices": [] }),
        json!({ "content": [] }),
    ];
    for provider in [Provider::OpenAi, Provider::Anthropic] {
        for body in &odd {
            let server = MockServer::start().await;
            answer(&server, ok(body)).await;
            let error = ask(&generator(provider, &server.uri()))
                .await
                .expect_err("not a reply");
            assert_eq!(error.code(), Code::GeneratorFailed, "{body}");
            assert!(error.hint().is_some());
        }
    }
}

#[tokio::test]
async fn a_wrong_key_is_named_by_its_variable_and_never_shown() {
    for status in [401, 403] {
        let server = MockServer::start().await;
        answer(
            &server,
            ResponseTemplate::new(status).set_body_string(format!("wrong key {KEY}")),
        )
        .await;
        let error = ask(&generator(Provider::OpenAi, &server.uri()))
            .await
            .expect_err("a wrong key");
        assert_eq!(error.code(), Code::GeneratorFailed);
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("LLM_API_KEY"))
        );
        assert!(!everything(&error).contains(KEY));
        assert_eq!(
            server
                .received_requests()
                .await
                .map(|requests| requests.len()),
            Some(1)
        );
    }
}

#[tokio::test]
async fn too_many_requests_is_busy() {
    let server = MockServer::start().await;
    answer(&server, ResponseTemplate::new(429)).await;
    let error = ask(&generator(Provider::Anthropic, &server.uri()))
        .await
        .expect_err("a limit");
    assert_eq!(error.code(), Code::GeneratorBusy);
}

#[tokio::test]
async fn nobody_there_is_a_failure_after_bounded_attempts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let error = ask(&generator(Provider::OpenAi, &format!("http://{address}")))
        .await
        .expect_err("nobody");
    assert_eq!(error.code(), Code::GeneratorFailed);
    assert!(error.message().contains("127.0.0.1"));
}

#[tokio::test]
async fn a_redirect_does_not_carry_the_key_away() {
    let elsewhere = MockServer::start().await;
    answer(&elsewhere, ok(&openai_reply("SELECT 1", "stop"))).await;
    let server = MockServer::start().await;
    answer(
        &server,
        ResponseTemplate::new(307).insert_header("location", elsewhere.uri()),
    )
    .await;
    assert!(
        ask(&generator(Provider::OpenAi, &server.uri()))
            .await
            .is_err()
    );
    assert_eq!(
        elsewhere
            .received_requests()
            .await
            .map(|requests| requests.len()),
        Some(0)
    );
}

#[tokio::test]
async fn parameters_that_a_model_does_not_take_are_left_out_from_then_on() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(|request: &Request| {
            let body: Value = request.body_json().expect("JSON");
            let complaint = if body.get("max_tokens").is_some() {
                "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            } else if body.get("temperature").is_some() {
                "Unsupported value: 'temperature' does not support 0 with this model."
            } else {
                return ok(&openai_reply("SELECT 1", "stop"));
            };
            ResponseTemplate::new(400).set_body_json(json!({ "error": { "message": complaint } }))
        })
        .mount(&server)
        .await;
    let generator = generator(Provider::OpenAi, &server.uri());
    assert!(ask(&generator).await.is_ok());
    assert!(ask(&generator).await.is_ok());
    assert_eq!(
        server
            .received_requests()
            .await
            .map(|requests| requests.len()),
        Some(4)
    );
}

#[tokio::test]
async fn a_dropped_question_closes_its_connection() {
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
    let generator = generator(Provider::OpenAi, &format!("http://{address}"));
    let given_up = tokio::time::timeout(Duration::from_millis(200), ask(&generator)).await;
    assert!(given_up.is_err());
    let read = tokio::time::timeout(Duration::from_secs(10), server).await;
    assert!(
        read.expect("the connection is closed")
            .expect("a server")
            .is_ok_and(|bytes| bytes > 0)
    );
}
