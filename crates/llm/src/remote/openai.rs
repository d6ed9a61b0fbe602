//! OpenAI's chat completions.

use std::sync::atomic::Ordering;

use engine::ports::{Generation, GenerationLimits, TokenCounts};
use engine::prompt::Prompt;
use serde_json::{Value, json};

use super::generator::Quirks;

pub(super) fn body(
    model: &str,
    prompt: &Prompt,
    limits: &GenerationLimits,
    quirks: &Quirks,
) -> Value {
    let mut messages = Vec::new();
    if !prompt.system.is_empty() {
        messages.push(json!({ "role": "system", "content": prompt.system }));
    }
    let user = format!("{}{}", prompt.schema, prompt.tail);
    messages.push(json!({ "role": "user", "content": user }));
    let mut body = json!({ "model": model, "messages": messages, "stream": false });
    let max_tokens = if quirks.renamed_max_tokens.load(Ordering::Relaxed) {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    body[max_tokens] = limits.max_tokens.into();
    if !quirks.no_temperature.load(Ordering::Relaxed) {
        body["temperature"] = 0.into();
    }
    body
}

pub(super) fn read(reply: &Value) -> Option<Generation> {
    let choice = reply.get("choices")?.get(0)?;
    let text = choice.get("message")?.get("content")?.as_str()?;
    let usage = &reply["usage"];
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    Some(Generation {
        text: text.to_owned(),
        tokens: TokenCounts {
            prompt: count(&usage["prompt_tokens"]),
            prompt_reused: count(&usage["prompt_tokens_details"]["cached_tokens"]),
            prompt_prefix: 0,
            generated: count(&usage["completion_tokens"]),
        },
        is_complete: choice["finish_reason"] != "length",
    })
}
