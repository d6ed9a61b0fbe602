//! Several replies to one prompt, and how likely they are, from servers that take more or less of the protocol.

use engine::Code;
use engine::ports::{Candidate, GenerationLimits, Generator, Likelihood, Sampling};
use llm::remote::{Provider, RemoteGenerator};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{anthropic_reply, ask, generator, ok, openai_reply};
use crate::conformance::prompt;

/// A server that answers by the body of a request.
pub(super) async fn server(
    respond: impl Fn(&Value) -> ResponseTemplate + Send + Sync + 'static,
) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(move |request: &Request| respond(&request.body_json().expect("JSON")))
        .mount(&server)
        .await;
    server
}

/// The values of one parameter in all requests; null where it was left out.
pub(super) async fn asked_for(server: &MockServer, name: &str) -> Vec<Value> {
    let requests = server.received_requests().await.expect("they are recorded");
    let value = |request: &Request| request.body_json::<Value>().expect("JSON")[name].clone();
    requests.iter().map(value).collect()
}

pub(super) fn refused(status: u16, why: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "error": { "message": why } }))
}

async fn draw(generator: &RemoteGenerator, count: u32) -> Result<Vec<Candidate>, engine::Error> {
    let sampling = Sampling {
        count,
        temperature: 0.7,
        seed: 5,
    };
    let asked = prompt("Write SQL", "CREATE TABLE t (a);\n", "How many?");
    generator
        .sample(&asked, &GenerationLimits::default(), &sampling)
        .await
}

fn texts(candidates: &[Candidate]) -> Vec<(&str, u32)> {
    candidates
        .iter()
        .map(|candidate| (candidate.generation.text.as_str(), candidate.drawn))
        .collect()
}

/// A reply with one choice for each text, and log-probabilities that begin at -1 and fall.
fn with_logprobs(texts: &[&str]) -> Value {
    let mut reply = openai_reply("", "stop");
    let choice = |text: &&str| {
        json!({
            "message": { "role": "assistant", "content": text },
            "finish_reason": "stop",
            "logprobs": { "content": [{ "token": "a", "logprob": -1 }, { "token": "b", "logprob": -2.5 }] },
        })
    };
    reply["choices"] = texts.iter().map(choice).collect();
    reply
}

const AS_TOLD: Option<Likelihood> = Some(Likelihood {
    mean_logprob: -1.75,
    least_logprob: -2.5,
});

#[tokio::test]
async fn several_replies_come_of_one_request() {
    let server = server(|_| ok(&with_logprobs(&["SELECT 1", "SELECT 2", "SELECT 1"]))).await;
    let candidates = draw(&generator(Provider::OpenAi, &server.uri()), 3).await;
    let candidates = candidates.expect("replies");
    assert_eq!(texts(&candidates), [("SELECT 1", 2), ("SELECT 2", 1)]);
    for candidate in &candidates {
        assert_eq!(candidate.generation.likelihood, AS_TOLD);
    }
    assert_eq!(candidates[0].generation.tokens.prompt, 50);
    assert_eq!(candidates[0].generation.tokens.generated, 3);
    assert_eq!(candidates[1].generation.tokens.prompt, 0);
    assert_eq!(asked_for(&server, "n").await, [3]);
    assert_eq!(asked_for(&server, "seed").await, [5]);
    assert_eq!(asked_for(&server, "temperature").await, [0.7]);
    assert_eq!(asked_for(&server, "logprobs").await, [true]);
}

#[tokio::test]
async fn a_server_that_refuses_several_is_asked_one_by_one_from_then_on() {
    let server = server(|body| {
        if body.get("n").is_some() {
            return refused(400, "Only one completion choice is allowed");
        }
        ok(&with_logprobs(&[&format!("SELECT {}", body["seed"])]))
    })
    .await;
    let generator = generator(Provider::OpenAi, &server.uri());
    let expected = [("SELECT 5", 1), ("SELECT 6", 1), ("SELECT 7", 1)];
    for requests in [4, 7] {
        let candidates = draw(&generator, 3).await.expect("replies");
        assert_eq!(texts(&candidates), expected);
        for candidate in &candidates {
            assert_eq!(candidate.generation.likelihood, AS_TOLD);
            assert_eq!(candidate.generation.tokens.prompt, 50, "it was sent again");
        }
        assert_eq!(asked_for(&server, "n").await.len(), requests);
    }
}

#[tokio::test]
async fn a_server_that_writes_fewer_than_asked_for_is_asked_for_the_rest() {
    let server = server(|_| ok(&openai_reply("SELECT 1", "stop"))).await;
    let candidates = draw(&generator(Provider::OpenAi, &server.uri()), 3).await;
    assert_eq!(texts(&candidates.expect("replies")), [("SELECT 1", 3)]);
    assert_eq!(
        asked_for(&server, "n").await,
        [json!(3), json!(2), Value::Null]
    );
    assert_eq!(asked_for(&server, "seed").await, [5, 6, 7]);
}

#[tokio::test]
async fn a_failure_after_the_first_reply_costs_no_reply() {
    let server = server(|body| match body["seed"].as_u64() {
        Some(5) => ok(&openai_reply("SELECT 1", "stop")),
        _ => ResponseTemplate::new(429),
    })
    .await;
    let generator = generator(Provider::OpenAi, &server.uri());
    let candidates = draw(&generator, 3).await.expect("a reply");
    assert_eq!(texts(&candidates), [("SELECT 1", 1)]);
}

#[tokio::test]
async fn a_failure_of_the_first_is_told() {
    let server = server(|_| ResponseTemplate::new(429)).await;
    let error = draw(&generator(Provider::OpenAi, &server.uri()), 3).await;
    assert_eq!(error.expect_err("a limit").code(), Code::GeneratorBusy);
}

#[tokio::test]
async fn a_reply_has_the_likelihood_that_the_server_tells() {
    let server = server(|_| ok(&with_logprobs(&["SELECT 1"]))).await;
    let reply = ask(&generator(Provider::OpenAi, &server.uri())).await;
    assert_eq!(reply.expect("a reply").likelihood, AS_TOLD);
}

#[tokio::test]
async fn likelihoods_that_cannot_be_read_are_none() {
    for odd in [
        json!(null),
        json!({}),
        json!({ "content": null }),
        json!({ "content": [] }),
        json!({ "content": [{ "token": "a" }] }),
        json!({ "content": [{ "logprob": "-1" }] }),
    ] {
        let mut reply = openai_reply("SELECT 1", "stop");
        reply["choices"][0]["logprobs"] = odd;
        let server = server(move |_| ok(&reply)).await;
        let reply = ask(&generator(Provider::OpenAi, &server.uri())).await;
        assert_eq!(reply.expect("a reply").likelihood, None);
    }
}

#[tokio::test]
async fn a_server_that_does_not_tell_likelihoods_is_not_asked_for_them_again() {
    for (status, why) in [
        (400, "Unrecognized request argument supplied: logprobs"),
        (
            403,
            "You are not allowed to request logprobs from this model",
        ),
        (422, "extra inputs are not permitted"),
    ] {
        let server = server(move |body| {
            if body.get("logprobs").is_some() {
                return refused(status, why);
            }
            ok(&openai_reply("SELECT 1", "stop"))
        })
        .await;
        let generator = generator(Provider::OpenAi, &server.uri());
        for _ in 0..2 {
            let reply = ask(&generator).await.expect("a reply");
            assert_eq!(reply.likelihood, None, "{why}");
        }
        assert_eq!(
            asked_for(&server, "logprobs").await,
            [json!(true), Value::Null, Value::Null]
        );
    }
}

#[tokio::test]
async fn a_refusal_of_the_question_itself_teaches_nothing() {
    let server = server(|body| {
        if body["messages"][1]["content"] == "too long" {
            return refused(400, "the prompt is longer than the context");
        }
        ok(&with_logprobs(&["SELECT 1"]))
    })
    .await;
    let generator = generator(Provider::OpenAi, &server.uri());
    let long = prompt("Write SQL", "", "too long");
    let limits = GenerationLimits::default();
    let error = generator.generate(&long, &limits).await;
    assert_eq!(error.expect_err("too long").code(), Code::GeneratorFailed);
    assert_eq!(ask(&generator).await.expect("a reply").likelihood, AS_TOLD);
}

#[tokio::test]
async fn anthropic_is_asked_one_by_one() {
    let server = server(|_| ok(&anthropic_reply("SELECT 1", "end_turn"))).await;
    let candidates = draw(&generator(Provider::Anthropic, &server.uri()), 2).await;
    assert_eq!(texts(&candidates.expect("replies")), [("SELECT 1", 2)]);
    assert_eq!(asked_for(&server, "temperature").await, [0.7, 0.7]);
    for name in ["n", "seed", "logprobs"] {
        assert_eq!(asked_for(&server, name).await, [Value::Null, Value::Null]);
    }
}
