//! One model with one context: evaluates prompts, keeps the state of their stable prefix, generates greedily or draws
//! several replies at once. Looks for a cancel between batches and between generated tokens.

mod keeping;

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Instant;

use engine::decoding::Names;
use engine::ports::{Ahead, Sampling};
use engine::prompt::Prompt;
use engine::{Code, Error};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::SeqState;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::chat::ChatFormat;
use super::choosing::{Top, likeliest};
use super::cpu;
use super::draft::Draft;
use super::drawing::{Draw, Draws, Written};
use super::prefix_states::{DiskStates, Key, MemoryStates};
use super::protocol::{GeneratorSettings, Replies, Timings, WireTokens, WorkerSettings};

/// The build of llama.cpp, part of every key: another build may lay states out differently.
const LLAMA_BUILD: &str = "llama-cpp-2 0.1.160, llama-cpp-sys-2 0.1.161";

/// The sequence of prompts and of greedy replies. Whatever else is drawn has a sequence of its own after it.
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
    /// Which token of the batch is the last of those held.
    last_row: i32,
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
    /// What will be drawn from the same prompt next.
    pub ahead: Option<Ahead>,
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
            last_row: 0,
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
        let mut written =
            written.filter(|written| written.is_of(&all, writing) && self.held.starts_with(&all));
        let is_known = sampling.is_some() && written.is_some();
        let reused = if is_known {
            all.len()
        } else {
            // What was begun beside another reply.
            self.context.llama_kv_cache_seq_keep(SEQUENCE);
            self.read(&all, prefix_length, writing, &mut timings)?
        };
        let drafts = timed(&mut timings.generate_ms, || match sampling {
            Some(sampling) => {
                let asked = Ahead {
                    sampling: *sampling,
                    max_tokens: writing.max_tokens,
                };
                let drafts = self.draw(asked, all.len(), written.as_mut(), writing);
                // More may be drawn along it.
                self.written = written;
                drafts
            }
            None => self.continue_greedily(writing).map(|draft| vec![draft]),
        })?;
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
                let is_last = chunk_index * self.batch_tokens + offset == last;
                self.add(*token, self.held.len() + offset, SEQUENCE, is_last)?;
            }
            self.decode()?;
            self.held.extend(chunk);
            self.last_row = i32::try_from(chunk.len()).unwrap_or(i32::MAX) - 1;
        }
        Ok(())
    }

    /// Puts a token into the batch.
    fn add(
        &mut self,
        token: LlamaToken,
        position: usize,
        sequence: i32,
        is_read: bool,
    ) -> Result<(), Error> {
        let position = i32::try_from(position).unwrap_or(i32::MAX);
        self.batch
            .add(token, position, &[sequence], is_read)
            .map_err(failed)
    }

    /// Evaluates the batch.
    fn decode(&mut self) -> Result<(), Error> {
        let decoded = self.context.decode(&mut self.batch);
        decoded.map_err(|error| {
            self.cut(0);
            failed(error)
        })
    }

    /// Generates after a prompt that was just evaluated, and draws beside it what is to be drawn next.
    fn continue_greedily(&mut self, writing: &mut Writing<'_>) -> Result<Draft, Error> {
        let vocab = self.model.vocab();
        let prompt_length = self.held.len();
        let mut draft = Draft::new(writing.max_tokens);
        let ahead = writing.ahead.filter(|_| writing.names.is_none());
        let mut begun = ahead.map(|asked| self.draws(asked, prompt_length, writing.max_tokens));
        let mut choices = Vec::new();
        while draft.is_open() {
            let logits = self.last_logits();
            let top = Top::of(logits).ok_or_else(improbable)?;
            let chosen = draft
                .choose(&vocab, logits, writing.names, likeliest)
                .ok_or_else(improbable)?;
            draft.take(&vocab, chosen);
            let more = draft.tell();
            if !more.is_empty() {
                (writing.tell)(&more);
            }
            if let Some(draws) = &mut begun {
                self.follow(draws, self.held.len(), chosen.id, &top)?;
            }
            choices.push((chosen.id, top));
            if draft.is_open() {
                let drawn = begun.as_mut();
                self.step(Some(LlamaToken(chosen.id)), drawn, writing)?;
            }
        }
        self.written = writing.names.is_none().then_some(Written {
            prompt_length,
            choices,
            begun,
        });
        Ok(draft)
    }

    /// Returns the logits after the last token held.
    fn last_logits(&self) -> &[f32] {
        self.context.get_logits_ith(self.last_row)
    }

    /// Returns the drawing asked for, not begun, of as many replies as there is room for beside `others` tokens.
    fn draws(&self, asked: Ahead, prompt_length: usize, others: u32) -> Draws {
        let taken = self.held.len() + others as usize;
        let room = (self.context.n_ctx() as usize).saturating_sub(taken);
        Draws::new(asked, SEQUENCE + 1, prompt_length, room)
    }

    /// Lets all that follow the greedy reply choose where it chose `token`, with `length` tokens evaluated before.
    fn follow(
        &mut self,
        draws: &mut Draws,
        length: usize,
        token: i32,
        top: &Top,
    ) -> Result<(), Error> {
        let vocab = self.model.vocab();
        for draw in &mut draws.all {
            if draw.leaves(&vocab, token, top) {
                self.part(draw, length)?;
            }
        }
        Ok(())
    }

    /// Gives a drawing a sequence of its own, after as many tokens of the greedy one.
    fn part(&mut self, draw: &mut Draw, length: usize) -> Result<(), Error> {
        draw.follows = false;
        let end = u32::try_from(length).ok();
        self.context
            .copy_kv_cache_seq(SEQUENCE, draw.sequence, Some(0), end)
            .map_err(failed)
    }

    /// Evaluates the next token of the greedy reply, if there is one, and of each drawing that is apart, in one batch.
    /// The drawings choose their next.
    fn step(
        &mut self,
        greedy: Option<LlamaToken>,
        draws: Option<&mut Draws>,
        writing: &Writing<'_>,
    ) -> Result<(), Error> {
        stop_if(writing.is_cancelled)?;
        self.batch.clear();
        if let Some(token) = greedy {
            self.add(token, self.held.len(), SEQUENCE, true)?;
        }
        let mut apart = Vec::new();
        if let Some(draws) = draws {
            let prompt_length = draws.prompt_length;
            for draw in draws.all.iter_mut().filter(|draw| draw.is_apart()) {
                let position = prompt_length + draw.draft.generated() as usize - 1;
                self.add(draw.last, position, draw.sequence, true)?;
                apart.push(draw);
            }
        }
        self.decode()?;
        self.held.extend(greedy);
        self.last_row = 0;
        let vocab = self.model.vocab();
        for (row, draw) in (i32::from(greedy.is_some())..).zip(apart) {
            draw.next(&vocab, self.context.get_logits_ith(row), writing.names)?;
        }
        Ok(())
    }

    /// Draws replies to the prompt that the context begins with, as many as asked for or as it has room for. It holds the
    /// prompt and nothing else, or the greedy reply that was `written` to it too.
    fn draw(
        &mut self,
        asked: Ahead,
        prompt_length: usize,
        written: Option<&mut Written>,
        writing: &Writing<'_>,
    ) -> Result<Vec<Draft>, Error> {
        let vocab = self.model.vocab();
        let mut draws = match written {
            Some(written) => match written.begun.take().filter(|begun| begun.asked == asked) {
                Some(begun) => begun,
                None => {
                    self.context.llama_kv_cache_seq_keep(SEQUENCE);
                    let mut draws = self.draws(asked, prompt_length, 0);
                    for (length, (token, top)) in (prompt_length..).zip(&written.choices) {
                        self.follow(&mut draws, length, *token, top)?;
                    }
                    draws
                }
            },
            None => {
                let mut draws = self.draws(asked, prompt_length, 0);
                for draw in &mut draws.all {
                    self.part(draw, prompt_length)?;
                    draw.next(&vocab, self.last_logits(), writing.names)?;
                }
                draws
            }
        };
        // The last token of the greedy reply was not evaluated: whoever chose all that it has goes on from there.
        let length = self.held.len();
        for draw in &mut draws.all {
            if draw.follows && draw.draft.is_open() {
                self.part(draw, length)?;
            }
        }
        while draws.all.iter().any(Draw::is_apart) {
            self.step(None, Some(&mut draws), writing)?;
        }
        Ok(draws.all.into_iter().map(|draw| draw.draft).collect())
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
