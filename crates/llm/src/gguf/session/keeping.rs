//! States of prefixes: kept once, restored instead of evaluating their tokens again.

use llama_cpp_2::context::session::LlamaStateSeqFlags;
use llama_cpp_2::token::LlamaToken;

use super::super::prefix_states::Key;
use super::{SEQUENCE, Session};

impl Session<'_> {
    pub(super) fn key(&self, prefix: &[LlamaToken]) -> Key {
        let mut hasher = self.key_base.clone();
        for token in prefix {
            hasher.update(&token.0.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// Keeps the state of what the context holds now. Failing only costs time later.
    pub(super) fn keep(&mut self, key: Key) {
        self.offered.insert(key);
        self.keep_in_memory(key);
        let Some(disk) = &self.disk else { return };
        let kept = disk.put(&key, |path| {
            self.context
                .state_seq_save_file(path, SEQUENCE, &self.held)
                .map(drop)
                .map_err(std::io::Error::other)
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "a prefix state could not be kept on disk");
        }
    }

    fn keep_in_memory(&mut self, key: Key) {
        let state = self
            .context
            .state_seq_get(SEQUENCE, LlamaStateSeqFlags::empty());
        match state {
            Ok(state) => {
                let size_bytes = state.byte_len() as u64;
                self.memory.put(key, state, size_bytes);
            }
            Err(error) => tracing::warn!(%error, "a prefix state could not be kept in memory"),
        }
    }

    /// Brings the context to the state of `prefix`, if it was kept.
    pub(super) fn restore(&mut self, key: &Key, prefix: &[LlamaToken]) -> bool {
        if let Some(state) = self.memory.get(key) {
            // Half a restored state is worse than none.
            self.context.clear_kv_cache();
            self.held.clear();
            if self.context.state_seq_set(state, SEQUENCE).is_ok() && self.is_at(prefix.len()) {
                self.held = prefix.to_vec();
                return true;
            }
            self.context.clear_kv_cache();
            self.memory.remove(key);
        }
        let Some(path) = self.disk.as_ref().and_then(|disk| disk.find(key)) else {
            return false;
        };
        self.context.clear_kv_cache();
        self.held.clear();
        let loaded = self
            .context
            .state_seq_load_file(path, SEQUENCE, prefix.len());
        if loaded.is_ok_and(|(tokens, _)| tokens == prefix) && self.is_at(prefix.len()) {
            self.held = prefix.to_vec();
            self.offered.insert(*key);
            self.keep_in_memory(*key);
            return true;
        }
        self.context.clear_kv_cache();
        if let Some(disk) = &self.disk {
            disk.remove(key);
        }
        false
    }

    fn is_at(&self, length: usize) -> bool {
        i64::from(self.context.kv_cache_seq_pos_max(SEQUENCE)) + 1 == length as i64
    }
}
