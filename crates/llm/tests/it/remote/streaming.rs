//! Replies that come bit by bit, from servers that stream and from those that do not, and grammars.

use std::sync::Mutex;

use engine::decoding::Names;
use engine::ports::{Generation, GenerationLimits, Generator, TokenCounts};
use engine::{Code, Error};
use llm::remote::{Grammar, Provider, RemoteGenerator, RemoteSettings};
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::sampling::{asked_for, refused, server};
use super::{anthropic_reply, generator, ok, openai_reply};
use crate::conformance::prompt;

fn events(events: &[Value]) -> ResponseTemplate {
    let lines: Vec<String> = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    ResponseTemplate::new(200).set_body_raw(lines.concat(), "text/event-stream; charset=utf-8")
}

fn delta(text: &str, logprob: f64) -> Value {
    json!({ "choices": [{
        "delta": { "content": text },
        "logprobs": { "content": [{ "token": text, "logprob": logprob }] },
        "finish_reason": null,
    }] })
}

/// What was heard, bit by bit, and the reply.
async fn hear(generator: &RemoteGenerator) -> (Vec<String>, Result<Generation, Error>) {
    let heard = Mutex::new(Vec::new());
    let asked = prompt("Write SQL", "CREATE TABLE t (a);\n", "How many?");
    let reply = generator
        .generate_heard(&asked, &GenerationLimits::default(), &|more| {
            heard.lock().expect("no panic").push(more.to_owned());
        })
        .await;
    (heard.into_inner().expect("no panic"), reply)
}

async fn heard_of(provider: Provider, server: &MockServer) -> (String, Generation) {
    let (heard, reply) = hear(&generator(provider, &server.uri())).await;
    (heard.concat(), reply.expect("a reply"))
}

#[tokio::test]
async fn openai_is_heard_while_it_writes() {
    let server = server(|body| {
        assert_eq!(body["stream"], true);
        assert_eq!(body["stream_options"], json!({ "include_usage": true }));
        events(&[
            json!({ "choices": [{ "delta": { "role": "assistant", "content": null } }] }),
            delta("SELECT", -0.5),
            delta(" 1", -0.25),
            json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }),
            json!({ "choices": [], "usage": {
                "prompt_tokens": 50, "completion_tokens": 2, "prompt_tokens_details": { "cached_tokens": 32 },
            } }),
        ])
    })
    .await;
    let (heard, reply) = heard_of(Provider::OpenAi, &server).await;
    assert_eq!(heard, "SELECT 1");
    assert_eq!(reply.text, "SELECT 1");
    assert!(reply.is_complete);
    let counts = TokenCounts {
        prompt: 50,
        prompt_reused: 32,
        prompt_prefix: 0,
        generated: 2,
    };
    assert_eq!(reply.tokens, counts);
    let likelihood = reply.likelihood.expect("the server tells");
    assert_eq!(
        (likelihood.mean_logprob, likelihood.least_logprob),
        (-0.375, -0.5)
    );
}

#[tokio::test]
async fn anthropic_is_heard_while_it_writes() {
    let server = server(|body| {
        assert_eq!(body["stream"], true);
        events(&[
            json!({ "type": "message_start", "message": { "usage": {
                "input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 32, "cache_creation_input_tokens": 8,
            } } }),
            json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
            json!({ "type": "ping" }),
            json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": "SELECT" } }),
            json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": " 1" } }),
            json!({ "type": "message_delta", "delta": { "stop_reason": "max_tokens" }, "usage": { "output_tokens": 3 } }),
            json!({ "type": "message_stop" }),
        ])
    })
    .await;
    let (heard, reply) = heard_of(Provider::Anthropic, &server).await;
    assert_eq!(
        (heard.as_str(), reply.text.as_str()),
        ("SELECT 1", "SELECT 1")
    );
    assert!(!reply.is_complete);
    let counts = TokenCounts {
        prompt: 50,
        prompt_reused: 32,
        prompt_prefix: 0,
        generated: 3,
    };
    assert_eq!(reply.tokens, counts);
}

#[tokio::test]
async fn who_does_not_stream_is_heard_at_the_end() {
    for (provider, reply) in [
        (Provider::OpenAi, openai_reply("SELECT 1", "stop")),
        (Provider::Anthropic, anthropic_reply("SELECT 1", "end_turn")),
    ] {
        let server = server(move |_| ok(&reply)).await;
        let (heard, reply) = heard_of(provider, &server).await;
        assert_eq!((heard, reply.text), ("SELECT 1".into(), "SELECT 1".into()));
    }
}

#[tokio::test]
async fn who_refuses_to_stream_is_asked_without_from_then_on() {
    for complaint in [
        "Unknown field: stream_options",
        "extra fields not permitted",
    ] {
        let server = server(move |body| match body.get("stream_options") {
            Some(_) => refused(400, complaint),
            None => events(&[
                delta("SELECT 1", -0.1),
                json!({ "choices": [{ "delta": {}, "finish_reason": "length" }] }),
            ]),
        })
        .await;
        let generator = generator(Provider::OpenAi, &server.uri());
        for _ in 0..2 {
            let (heard, reply) = hear(&generator).await;
            assert_eq!(heard, ["SELECT 1"]);
            assert!(!reply.expect("a reply").is_complete);
        }
        let asked = asked_for(&server, "stream").await;
        assert_eq!(
            asked,
            [json!(true), json!(true), json!(true)],
            "{complaint}"
        );
    }
    let server = server(|body| match body["stream"] == true {
        true => refused(422, "this server does not stream"),
        false => ok(&openai_reply("SELECT 1", "stop")),
    })
    .await;
    let generator = generator(Provider::OpenAi, &server.uri());
    for _ in 0..2 {
        assert_eq!(hear(&generator).await.0, ["SELECT 1"]);
    }
    let asked = asked_for(&server, "stream").await;
    assert_eq!(asked, [json!(true), json!(false), json!(false)]);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_a_failure_and_not_asked_for_again() {
    for last in [
        json!({ "choices": [] }),
        json!({ "error": { "message": "out of memory" } }),
    ] {
        let server = server(move |_| events(&[delta("SELECT", -0.1), last.clone()])).await;
        let (_, reply) = hear(&generator(Provider::OpenAi, &server.uri())).await;
        let error = reply.expect_err("half a reply");
        assert_eq!(error.code(), Code::GeneratorFailed);
        assert_eq!(asked_for(&server, "stream").await.len(), 1);
    }
}

/// Asks for a reply that names only what a table of this schema has.
async fn ask_held(server: &MockServer, grammar: Grammar) -> RemoteGenerator {
    let mut settings = RemoteSettings::new(Provider::OpenAi, "small-model");
    settings.base_url = Some(format!("{}/v1", server.uri()));
    settings.grammar = grammar;
    let generator = RemoteGenerator::new(settings).expect("valid settings");
    ask_with_names(&generator).await;
    generator
}

async fn ask_with_names(generator: &RemoteGenerator) {
    let limits = GenerationLimits {
        names: Some(Names::new([("invoices", vec!["amount"])]).into()),
        ..GenerationLimits::default()
    };
    let asked = prompt("Write SQL", "", "How much?");
    let reply = generator.generate(&asked, &limits).await;
    assert_eq!(reply.expect("a reply").text, "SELECT 1");
}

#[tokio::test]
async fn a_server_is_told_the_names_in_its_own_way() {
    let reply = || ok(&openai_reply("SELECT 1", "stop"));
    let plain = server(move |_| reply()).await;
    ask_held(&plain, Grammar::None).await;
    assert_eq!(asked_for(&plain, "grammar").await, [json!(null)]);

    let llama = server(move |_| reply()).await;
    ask_held(&llama, Grammar::LlamaCpp).await;
    let grammar = asked_for(&llama, "grammar").await;
    let has_names = |grammar: &Value| {
        let grammar = grammar.as_str().expect("text");
        grammar.contains("[iI][nN][vV][oO][iI][cC][eE][sS]") && grammar.starts_with("root ::=")
    };
    assert!(has_names(&grammar[0]));

    let vllm = server(move |_| reply()).await;
    ask_held(&vllm, Grammar::Vllm).await;
    assert!(has_names(
        &asked_for(&vllm, "structured_outputs").await[0]["grammar"]
    ));
}

#[tokio::test]
async fn who_refuses_a_grammar_is_asked_without_from_then_on() {
    let server = server(|body| match body.get("grammar") {
        Some(_) => refused(400, "failed to parse grammar"),
        None => ok(&openai_reply("SELECT 1", "stop")),
    })
    .await;
    let generator = ask_held(&server, Grammar::LlamaCpp).await;
    ask_with_names(&generator).await;
    let asked: Vec<bool> = asked_for(&server, "grammar")
        .await
        .iter()
        .map(Value::is_string)
        .collect();
    assert_eq!(asked, [true, false, false]);
}
