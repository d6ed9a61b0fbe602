//! Replies that come bit by bit, as server-sent events (WHATWG HTML, "Server-sent events"), put together to what the same
//! reply is in one piece.

use std::mem;

use serde_json::Value;

/// How a protocol streams a reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    /// A reply of which nothing has come yet.
    pub(super) empty: fn() -> Value,
    /// Adds an event to a reply; returns the text in it.
    pub(super) add: fn(&mut Value, &Value) -> String,
    /// Says whether a reply has come to its end.
    pub(super) is_whole: fn(&Value) -> bool,
}

/// A reply as far as it has come.
pub(super) struct Streamed {
    dialect: Dialect,
    reply: Value,
    /// Bytes of a line whose end has not come.
    line: Vec<u8>,
    /// The server said that nothing follows.
    is_done: bool,
}

/// What is wrong with a stream.
#[derive(Debug, PartialEq)]
pub(super) enum Broken {
    /// It ended before the reply did.
    Off,
    /// An event is not JSON.
    Unreadable,
    /// The server reports an error.
    Failed(String),
}

impl Streamed {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            reply: (dialect.empty)(),
            line: Vec::new(),
            is_done: false,
        }
    }

    /// Takes bytes as they come, and returns the text of the events that end in them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<String, Broken> {
        let mut text = String::new();
        for &byte in bytes {
            if byte == b'\n' {
                let line = mem::take(&mut self.line);
                text += &self.take_line(&line)?;
            } else {
                self.line.push(byte);
            }
        }
        Ok(text)
    }

    /// Returns the reply in one piece.
    pub(super) fn whole(mut self) -> Result<Value, Broken> {
        let last = mem::take(&mut self.line);
        self.take_line(&last)?;
        if self.is_done || (self.dialect.is_whole)(&self.reply) {
            Ok(self.reply)
        } else {
            Err(Broken::Off)
        }
    }

    /// Takes one line. Each event is one line of JSON in both protocols; names of events and comments tell nothing more.
    fn take_line(&mut self, line: &[u8]) -> Result<String, Broken> {
        let Some(data) = line.strip_prefix(b"data:") else {
            return Ok(String::new());
        };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.is_done = true;
            return Ok(String::new());
        }
        let event: Value = serde_json::from_slice(data).map_err(|_| Broken::Unreadable)?;
        match event.get("error") {
            Some(error) if !error.is_null() => Err(Broken::Failed(error.to_string())),
            _ => Ok((self.dialect.add)(&mut self.reply, &event)),
        }
    }
}

/// Adds text to the string at this place.
pub(super) fn push(place: &mut Value, text: &str) {
    if let Value::String(whole) = place {
        whole.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{anthropic, openai};
    use super::*;

    fn check(dialect: Dialect, stream: &str, expected: Result<&str, Broken>) {
        // However the bytes are cut, also inside a letter.
        for size in [1, 7, stream.len()] {
            let mut streamed = Streamed::new(dialect);
            let heard = stream
                .as_bytes()
                .chunks(size)
                .map(|bytes| streamed.take(bytes))
                .collect::<Result<String, Broken>>();
            let reply = heard.and_then(|heard| Ok((heard, streamed.whole()?)));
            let heard = reply.as_ref().map(|(heard, _)| heard.as_str());
            assert_eq!(heard, expected.as_ref().copied(), "{stream}");
        }
    }

    #[test]
    fn a_reply_is_put_together_from_its_events() {
        check(
            openai::DIALECT,
            ": hello\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"SELECT 'ä\"}}]}\r\n\r\ndata: \
             {\"choices\":[{\"delta\":{\"content\":\"'\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            Ok("SELECT 'ä'"),
        );
        check(
            anthropic::DIALECT,
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\
             \"text\":\"SELECT 1\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\
             \"end_turn\"}}",
            Ok("SELECT 1"),
        );
    }

    #[test]
    fn what_breaks_off_is_no_reply() {
        let begun = "data: {\"choices\":[{\"delta\":{\"content\":\"SELECT\"}}]}\n";
        check(openai::DIALECT, begun, Err(Broken::Off));
        check(openai::DIALECT, "data: {\"cho", Err(Broken::Unreadable));
        let failed = "data: {\"error\":{\"message\":\"out of memory\"}}\n";
        let message = "{\"message\":\"out of memory\"}".to_owned();
        check(openai::DIALECT, failed, Err(Broken::Failed(message)));
    }
}
