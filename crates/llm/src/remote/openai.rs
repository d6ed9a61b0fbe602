//! OpenAI's chat completions.

use engine::ports::{Generation, Likelihood, TokenCounts};
use serde_json::{Value, json};

use super::generator::{Asking, Grammar, Quirks};
use super::streaming::{Dialect, push};

/// How a reply is streamed: chunks with a delta each, the tokens' counts in the last.
pub(super) const DIALECT: Dialect = Dialect {
    empty: || {
        json!({ "choices": [{
            "message": { "content": "" },
            "logprobs": { "content": [] },
            "finish_reason": null,
        }] })
    },
    add,
    is_whole: |reply| reply["choices"][0]["finish_reason"].is_string(),
};

pub(super) fn body(asking: &Asking<'_>, quirks: Quirks) -> Value {
    let Asking {
        prompt, drawing, ..
    } = asking;
    let mut messages = Vec::new();
    if !prompt.system.is_empty() {
        messages.push(json!({ "role": "system", "content": prompt.system }));
    }
    let user = format!("{}{}", prompt.schema, prompt.tail);
    messages.push(json!({ "role": "user", "content": user }));
    let is_streamed = asking.is_heard && !quirks.no_stream;
    let mut body = json!({ "model": asking.model, "messages": messages, "stream": is_streamed });
    if is_streamed && !quirks.no_stream_options {
        body["stream_options"] = json!({ "include_usage": true });
    }
    let max_tokens = if quirks.renamed_max_tokens {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    body[max_tokens] = asking.limits.max_tokens.into();
    if !quirks.no_temperature {
        body["temperature"] = drawing.map_or(json!(0), |drawing| json!(drawing.temperature));
    }
    if !quirks.no_logprobs {
        body["logprobs"] = true.into();
    }
    if let Some(grammar) = asking.grammar.as_deref().filter(|_| !quirks.no_grammar) {
        match asking.grammar_field {
            Grammar::None => {}
            Grammar::LlamaCpp => body["grammar"] = grammar.into(),
            Grammar::Vllm => body["structured_outputs"] = json!({ "grammar": grammar }),
        }
    }
    if let Some(drawing) = drawing {
        if drawing.count > 1 && !quirks.no_count {
            body["n"] = drawing.count.into();
        }
        if !quirks.no_seed {
            // The protocol has signed numbers.
            body["seed"] = (drawing.seed & i64::MAX.unsigned_abs()).into();
        }
    }
    body
}

fn add(reply: &mut Value, event: &Value) -> String {
    if event["usage"].is_object() {
        reply["usage"] = event["usage"].clone();
    }
    let choice = &event["choices"][0];
    let text = choice["delta"]["content"].as_str().unwrap_or_default();
    let whole = &mut reply["choices"][0];
    push(&mut whole["message"]["content"], text);
    if let (Some(logprobs), Some(more)) = (
        whole["logprobs"]["content"].as_array_mut(),
        choice["logprobs"]["content"].as_array(),
    ) {
        logprobs.extend(more.iter().cloned());
    }
    if choice["finish_reason"].is_string() {
        whole["finish_reason"] = choice["finish_reason"].clone();
    }
    text.to_owned()
}

/// Returns the replies; the first carries the tokens of all, of which the server tells only the sum.
pub(super) fn read(reply: &Value) -> Option<Vec<Generation>> {
    let usage = &reply["usage"];
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let mut tokens = TokenCounts {
        prompt: count(&usage["prompt_tokens"]),
        prompt_reused: count(&usage["prompt_tokens_details"]["cached_tokens"]),
        prompt_prefix: 0,
        generated: count(&usage["completion_tokens"]),
    };
    let mut replies = Vec::new();
    for choice in reply.get("choices")?.as_array()? {
        let Some(text) = choice["message"]["content"].as_str() else {
            continue;
        };
        replies.push(Generation {
            text: text.to_owned(),
            tokens: std::mem::take(&mut tokens),
            is_complete: choice["finish_reason"] != "length",
            likelihood: likelihood(&choice["logprobs"]["content"]),
        });
    }
    Some(replies)
}

fn likelihood(tokens: &Value) -> Option<Likelihood> {
    let tokens = tokens.as_array().filter(|tokens| !tokens.is_empty())?;
    let logprobs = tokens.iter().map(|token| token["logprob"].as_f64());
    let logprobs: Vec<f64> = logprobs.collect::<Option<_>>()?;
    Some(Likelihood {
        mean_logprob: logprobs.iter().sum::<f64>() / logprobs.len() as f64,
        least_logprob: logprobs.iter().copied().fold(0.0, f64::min),
    })
}
