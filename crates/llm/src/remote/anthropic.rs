//! Anthropic's messages.

use engine::ports::{Generation, TokenCounts};
use serde_json::{Value, json};

use super::generator::{Asking, Quirks};
use super::streaming::{Dialect, push};

/// The version of the protocol spoken here.
pub(super) const VERSION: &str = "2023-06-01";

/// How a reply is streamed: a message that begins, bits of its blocks, and how it ends.
pub(super) const DIALECT: Dialect = Dialect {
    empty: || {
        json!({
            "content": [{ "type": "text", "text": "" }],
            "stop_reason": null,
            "usage": {},
        })
    },
    add,
    is_whole: |reply| reply["stop_reason"].is_string(),
};

pub(super) fn body(asking: &Asking<'_>, quirks: Quirks) -> Value {
    let Asking {
        prompt, drawing, ..
    } = asking;
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
        "model": asking.model,
        "max_tokens": asking.limits.max_tokens,
        "messages": [{ "role": "user", "content": content }],
    });
    if asking.is_heard && !quirks.no_stream {
        body["stream"] = true.into();
    }
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

fn add(reply: &mut Value, event: &Value) -> String {
    // The beginning has the tokens read, the end those written.
    for usage in [&event["message"]["usage"], &event["usage"]] {
        if let (Some(whole), Some(more)) = (reply["usage"].as_object_mut(), usage.as_object()) {
            let counts = more.iter().filter(|(_, count)| !count.is_null());
            whole.extend(counts.map(|(name, count)| (name.clone(), count.clone())));
        }
    }
    let delta = &event["delta"];
    if delta["stop_reason"].is_string() {
        reply["stop_reason"] = delta["stop_reason"].clone();
    }
    let text = delta["text"].as_str().unwrap_or_default();
    push(&mut reply["content"][0]["text"], text);
    text.to_owned()
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
