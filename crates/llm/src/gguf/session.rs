//! One model with one context: evaluates prompts, keeps the state of their stable prefix, generates greedily or draws
//! several replies at once. Looks for a cancel between batches and between generated tokens.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Instant;

use engine::decoding::Names;
use engine::ports::Sampling;
use engine::prompt::Prompt;
use engine::{Code, Error};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::chat::ChatFormat;
use super::choosing::{Top, likeliest};
use super::cpu;
use super::draft::Draft;
use super::drawing::{Draw, Written};
use super::prefix_states::{DiskStates, Key, MemoryStates};
use super::protocol::{GeneratorSettings, Replies, Timings, WireTokens, WorkerSettings};

/// The build of llama.cpp, part of every key: another build may lay states out differently.
const LLAMA_BUILD: &str = "llama-cpp-2 0.1.160, llama-cpp-sys-2 0.1.161";

/// The sequence of prompts and of greedy replies. Whatever else is drawn has a sequence of its own after it, only while
/// it is drawn.
const SEQUENCE: i32 = 0;

/// All sequences that there may be at once.
const SEQUENCES: u32 = 1 + Sampling::COUNT_AT_MOST;

/// A loaded model at work.
pub(super) struct Session<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    chat: ChatFormat,
    batch: LlamaBatch<'static>,
    batch_tokens: usize,
    /// The tokens whose state the context holds, in order.
    held: Vec<LlamaToken>,
    /// The last reply, if it was written greedily and freely.
    written: Option<Written>,
    /// What every key begins with.
    key_base: blake3::Hasher,
    memory: MemoryStates<SeqState>,
    disk: Option<DiskStates>,
    /// Prefixes that were kept once, or could not be.
    offered: HashSet<Key>,
}

/// How replies are written.
pub(super) struct Writing<'w> {
    /// Tokens of one, at most.
    pub max_tokens: u32,
    /// What the SQL in them may name.
    pub names: Option<&'w Names>,
    /// Is told a reply that is written greedily, bit by bit.
    pub tell: &'w mut dyn FnMut(&str),
    /// Looked at before each evaluation.
    pub is_cancelled: &'w dyn Fn() -> bool,
}

impl<'m> Session<'m> {
    /// Makes a context for a model.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidModel`] without a usable chat template, [`Code::GeneratorFailed`] without memory for the context.
    pub(super) fn new(
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        settings: &WorkerSettings,
        role: &GeneratorSettings,
    ) -> Result<Self, Error> {
        let chat = ChatFormat::of(model)?;
        let context_tokens = role.context_tokens.min(model.n_ctx_train());
        let batch_tokens = role.batch_tokens.clamp(1, context_tokens.max(1));
        // A step of a drawing is one batch too, and llama.cpp aborts if not every sequence can have a token in it.
        let batch_room = batch_tokens.max(SEQUENCES);
        let threads = i32::try_from(settings.threads.max(1)).unwrap_or(1);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(context_tokens))
            .with_n_batch(batch_room)
            .with_n_ubatch(batch_room)
            .with_n_seq_max(SEQUENCES)
            // All sequences share the tokens of the context, and the state of a prompt is not copied to them but shared.
            .with_kv_unified(true)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_no_perf(true);
        let layout = format!(
            "keys {:?}, values {:?}, flash attention {:?}, sequences {}, unified {}",
            params.type_k(),
            params.type_v(),
            params.flash_attention_policy(),
            params.n_seq_max(),
            params.kv_unified(),
        );
        let context = model.new_context(backend, params).map_err(|error| {
            Error::new(
                Code::GeneratorFailed,
                format!("there is not enough memory for a context of {context_tokens} tokens"),
            )
            .with_hint("choose a smaller context or a smaller model")
            .with_cause(error)
        })?;
        let mut key_base = blake3::Hasher::new();
        for part in [
            "assay prefix state",
            &settings.model_sha256,
            LLAMA_BUILD,
            cpu::BUILD,
            std::env::consts::ARCH,
            &layout,
            &context.n_ctx().to_string(),
        ] {
            key_base.update(&(part.len() as u64).to_le_bytes());
            key_base.update(part.as_bytes());
        }
        let disk = role.state_dir.as_deref().and_then(|folder| {
            DiskStates::open(folder, role.state_disk_bytes)
                .inspect_err(|error| tracing::warn!(%error, "prefix states cannot be kept on disk"))
                .ok()
        });
        Ok(Self {
            model,
            context,
            chat,
            batch: LlamaBatch::new(batch_room as usize, 1),
            batch_tokens: batch_tokens as usize,
            held: Vec::new(),
            written: None,
            key_base,
            memory: MemoryStates::new(role.state_memory_bytes),
            disk,
            offered: HashSet::new(),
        })
    }

    /// Generates replies: one greedily, or several drawn, of which the first carries the
    /// tokens of the prompt. After an error the session is fit for the next prompt.
    ///
    /// # Errors
    ///
    /// [`Code::Cancelled`] if `writing` said so, [`Code::GeneratorFailed`] if the prompt does not fit the context
    /// or llama.cpp fails.
    pub(super) fn generate(
        &mut self,
        prompt: &Prompt,
        sampling: Option<&Sampling>,
        writing: &mut Writing<'_>,
    ) -> Result<Replies, Error> {
        let mut timings = Timings::default();
        let tokens = self.chat.tokens(&self.model.vocab(), prompt)?;
        let prefix_length = tokens.prefix.len();
        let all = [tokens.prefix, tokens.tail].concat();
        let written = self.written.take();
        let written =
            written.filter(|written| written.is_of(&all, writing) && self.held.starts_with(&all));
        let (drafts, reused) = match (sampling, written) {
            (Some(sampling), Some(written)) => {
                let drafts = timed(&mut timings.generate_ms, || {
                    self.draw(sampling, writing, all.len(), Some(&written))
                })?;
                (drafts, all.len())
            }
            (Some(sampling), None) => {
                let reused = self.read(&all, prefix_length, writing, &mut timings)?;
                let drafts = timed(&mut timings.generate_ms, || {
                    self.draw(sampling, writing, all.len(), None)
                })?;
                (drafts, reused)
            }
            (None, _) => {
                let reused = self.read(&all, prefix_length, writing, &mut timings)?;
                let draft = timed(&mut timings.generate_ms, || self.continue_greedily(writing))?;
                (vec![draft], reused)
            }
        };
        let mut prompt_tokens = WireTokens {
            prompt: all.len() as u64,
            prompt_reused: reused as u64,
            prompt_prefix: prefix_length as u64,
            generated: 0,
        };
        let mut replies = Vec::with_capacity(drafts.len());
        for draft in drafts {
            replies.push(draft.finish(std::mem::take(&mut prompt_tokens)));
        }
        Ok(Replies { replies, timings })
    }

    /// Brings the context to the end of a prompt and returns how many of its tokens it had already.
    fn read(
        &mut self,
        all: &[LlamaToken],
        prefix_length: usize,
        writing: &Writing<'_>,
        timings: &mut Timings,
    ) -> Result<usize, Error> {
        let is_cancelled = writing.is_cancelled;
        self.check_fits(all.len(), writing.max_tokens)?;

        let reused = self.reuse(all, prefix_length, timings);
        let key = self.key(&all[..prefix_length]);
        if reused <= prefix_length && (reused < prefix_length || !self.offered.contains(&key)) {
            timed(&mut timings.prompt_ms, || {
                self.evaluate(&all[reused..prefix_length], is_cancelled)
            })?;
            timed(&mut timings.save_ms, || self.keep(key));
        }
        timed(&mut timings.prompt_ms, || {
            self.evaluate(&all[self.held.len()..], is_cancelled)
        })?;
        Ok(reused)
    }

    /// Nothing is ever cut: a schema with its end missing would give wrong answers that look right.
    fn check_fits(&self, prompt_tokens: usize, max_tokens: u32) -> Result<(), Error> {
        let context_tokens = self.context.n_ctx() as usize;
        if prompt_tokens + max_tokens as usize <= context_tokens {
            return Ok(());
        }
        Err(Error::new(
            Code::GeneratorFailed,
            format!(
                "the prompt of {prompt_tokens} tokens and a reply of up to {max_tokens} do not fit the model's \
                 context of {context_tokens} tokens"
            ),
        )
        .with_hint("show the model fewer tables, or choose a larger context"))
    }

    /// Brings the context to the longest known beginning of `all` and returns its length. At least one token is left to
    /// evaluate: the model's next token is read off the last one.
    fn reuse(&mut self, all: &[LlamaToken], prefix_length: usize, timings: &mut Timings) -> usize {
        let key = self.key(&all[..prefix_length]);
        let mut common = common_length(&self.held, all);
        if common < prefix_length
            && timed(&mut timings.restore_ms, || {
                self.restore(&key, &all[..prefix_length])
            })
        {
            common = prefix_length;
        } else if !self.offered.contains(&key) {
            // The prefix can only be kept while the context holds nothing beyond it.
            common = common.min(prefix_length);
        }
        common = common.min(all.len() - 1);
        self.cut(common)
    }

    /// Removes all but the first `length` tokens and returns how many are left: none, if the model cannot do that.
    fn cut(&mut self, length: usize) -> usize {
        let position = u32::try_from(length).unwrap_or(0);
        let is_cut = length > 0
            && self
                .context
                .kv_cache_seq_rm(SEQUENCE, Some(position), None)
                .is_ok();
        if !is_cut {
            self.context.clear_kv_cache();
            self.held.clear();
        }
        self.held.truncate(length);
        self.held.len()
    }

    /// Evaluates tokens after those held.
    fn evaluate(
        &mut self,
        tokens: &[LlamaToken],
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        let last = tokens.len().saturating_sub(1);
        for (chunk_index, chunk) in tokens.chunks(self.batch_tokens).enumerate() {
            stop_if(is_cancelled)?;
            self.batch.clear();
            for (offset, token) in chunk.iter().enumerate() {
                let position = i32::try_from(self.held.len() + offset).unwrap_or(i32::MAX);
                let is_last = chunk_index * self.batch_tokens + offset == last;
                self.batch
                    .add(*token, position, &[SEQUENCE], is_last)
                    .map_err(failed)?;
            }
            if let Err(error) = self.context.decode(&mut self.batch) {
                self.cut(0);
                return Err(failed(error));
            }
            self.held.extend(chunk);
        }
        Ok(())
    }

    /// Generates after a prompt that was just evaluated.
    fn continue_greedily(&mut self, writing: &mut Writing<'_>) -> Result<Draft, Error> {
        let vocab = self.model.vocab();
        let mut draft = Draft::new(writing.max_tokens);
        let mut written = Written::after(self.held.len(), writing.max_tokens);
        while draft.is_open() {
            let logits = self.last_logits();
            let chosen = draft
                .choose(&vocab, logits, writing.names, likeliest)
                .ok_or_else(improbable)?;
            written
                .choices
                .extend(Top::of(logits).map(|top| (chosen.id, top)));
            draft.take(&vocab, chosen);
            let more = draft.tell();
            if !more.is_empty() {
                (writing.tell)(&more);
            }
            if draft.is_open() {
                self.evaluate(&[LlamaToken(chosen.id)], writing.is_cancelled)?;
            }
        }
        self.written = Some(written).filter(|_| writing.names.is_none());
        Ok(draft)
    }

    /// Returns the logits after the last token evaluated.
    fn last_logits(&self) -> &[f32] {
        self.context.get_logits_ith(self.batch.n_tokens() - 1)
    }

    /// Draws replies to the prompt that the context begins with, as many as asked for or as the context has room for. It
    /// holds the prompt and nothing else, or the greedy reply that was `written` to it too. Afterwards it holds the same.
    fn draw(
        &mut self,
        sampling: &Sampling,
        writing: &Writing<'_>,
        prompt_length: usize,
        written: Option<&Written>,
    ) -> Result<Vec<Draft>, Error> {
        let max_tokens = writing.max_tokens;
        let room = (self.context.n_ctx() as usize - self.held.len()) / max_tokens.max(1) as usize;
        let count = sampling
            .count()
            .min(u32::try_from(room).unwrap_or(u32::MAX));
        let mut draws: Vec<Draw> = (0..count)
            .map(|index| Draw::new(index, SEQUENCE + 1 + index as i32, sampling, max_tokens))
            .collect();
        let drawn = self.continue_draws(&mut draws, writing, prompt_length, written);
        self.context.llama_kv_cache_seq_keep(SEQUENCE);
        drawn?;
        Ok(draws.into_iter().map(|draw| draw.draft).collect())
    }

    /// Draws token by token, one of each open draw in one batch, until none is open.
    ///
    /// Along a reply that was `written`, each begins where it first chooses otherwise.
    fn continue_draws(
        &mut self,
        draws: &mut [Draw],
        writing: &Writing<'_>,
        prompt_length: usize,
        written: Option<&Written>,
    ) -> Result<(), Error> {
        let vocab = self.model.vocab();
        for draw in &mut *draws {
            let shared = match written {
                Some(written) => draw.follow(&vocab, written),
                None => {
                    draw.next(&vocab, self.last_logits(), writing.names)?;
                    0
                }
            };
            let end = u32::try_from(prompt_length + shared).unwrap_or(u32::MAX);
            self.context
                .copy_kv_cache_seq(SEQUENCE, draw.sequence, Some(0), Some(end))
                .map_err(failed)?;
        }
        loop {
            let mut open: Vec<&mut Draw> = draws
                .iter_mut()
                .filter(|draw| draw.draft.is_open())
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            stop_if(writing.is_cancelled)?;
            self.batch.clear();
            for draw in &open {
                let position = prompt_length + draw.draft.generated() as usize - 1;
                let position = i32::try_from(position).unwrap_or(i32::MAX);
                self.batch
                    .add(draw.last, position, &[draw.sequence], true)
                    .map_err(failed)?;
            }
            if let Err(error) = self.context.decode(&mut self.batch) {
                self.cut(0);
                return Err(failed(error));
            }
            for (row, draw) in (0..).zip(&mut open) {
                draw.next(&vocab, self.context.get_logits_ith(row), writing.names)?;
            }
        }
    }

    // -----------------------------------------------------------------------------------------------------------------
    // Kept states

    fn key(&self, prefix: &[LlamaToken]) -> Key {
        let mut hasher = self.key_base.clone();
        for token in prefix {
            hasher.update(&token.0.to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// Keeps the state of what the context holds now. Failing only costs time later.
    fn keep(&mut self, key: Key) {
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
    fn restore(&mut self, key: &Key, prefix: &[LlamaToken]) -> bool {
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

fn stop_if(is_cancelled: &dyn Fn() -> bool) -> Result<(), Error> {
    if is_cancelled() {
        return Err(Error::new(Code::Cancelled, "the question was cancelled"));
    }
    Ok(())
}

pub(super) fn improbable() -> Error {
    failed("no token has a probability")
}

fn failed(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::GeneratorFailed, "the local model failed").with_cause(cause)
}

fn timed<T>(total_ms: &mut f64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *total_ms += start.elapsed().as_secs_f64() * 1000.0;
    result
}

fn common_length(one: &[LlamaToken], other: &[LlamaToken]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_in_the_key_is_the_build_linked() {
        let lock = include_str!("../../../../Cargo.lock");
        for part in LLAMA_BUILD.split(", ") {
            let (name, version) = part.split_once(' ').expect("a name and a version");
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{part} is not what Cargo.lock has");
        }
    }
}
