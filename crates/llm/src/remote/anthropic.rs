//! Anthropic's messages.

use engine::ports::{Generation, GenerationLimits, TokenCounts};
use engine::prompt::Prompt;
use serde_json::{Value, json};

use super::generator::{Drawing, Quirks};

/// The version of the protocol spoken here.
pub(super) const VERSION: &str = "2023-06-01";

pub(super) fn body(
    model: &str,
    prompt: &Prompt,
    limits: &GenerationLimits,
    drawing: Option<Drawing>,
    quirks: Quirks,
) -> Value {
    let mut content = Vec::new();
    // An empty block is refused.
    if !prompt.schema.is_empty() {
        // Everything up to here is the same for the next question: the provider may keep its state.
        content.push(json!({
            "type": "text",
            "text": prompt.schema,
            "cache_control": { "type": "ephemeral" },
        }));
    }
    if !prompt.tail.is_empty() {
        content.push(json!({ "type": "text", "text": prompt.tail }));
    }
    let mut body = json!({
        "model": model,
        "max_tokens": limits.max_tokens,
        "messages": [{ "role": "user", "content": content }],
    });
    if !prompt.system.is_empty() {
        body["system"] = prompt.system.as_str().into();
    }
    if !quirks.no_temperature {
        // It takes none above 1.
        body["temperature"] =
            drawing.map_or(json!(0), |drawing| json!(drawing.temperature.min(1.0)));
    }
    body
}

pub(super) fn read(reply: &Value) -> Option<Generation> {
    let blocks = reply.get("content")?.as_array()?;
    let text: String = blocks
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect();
    if text.is_empty() {
        return None;
    }
    let usage = &reply["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let reused = count("cache_read_input_tokens");
    Some(Generation {
        text,
        tokens: TokenCounts {
            prompt: count("input_tokens") + count("cache_creation_input_tokens") + reused,
            prompt_reused: reused,
            prompt_prefix: 0,
            generated: count("output_tokens"),
        },
        is_complete: reply["stop_reason"] != "max_tokens",
        likelihood: None,
    })
}
