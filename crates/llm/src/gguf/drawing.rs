//! Replies that are drawn. As long as one chooses what the greedy reply has, what comes next is known from when that was
//! written: a model that is sure draws the same reply again without evaluating a token. What is drawn has the same
//! probabilities as without; the idea is that of speculative sampling (Leviathan, Kalman and Matias, arXiv 2211.17192),
//! with a draft that is there already.

use engine::Error;
use engine::decoding::Names;
use engine::ports::Sampling;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::choosing::{Sampler, Top};
use super::draft::Draft;
use super::session::{Writing, improbable};

/// A reply that was written greedily, with what else could have been chosen at each place.
pub(super) struct Written {
    prompt_length: usize,
    /// Tokens that it could have had.
    max_tokens: u32,
    /// The tokens chosen, the one that ended it too, and what each was chosen among.
    pub(super) choices: Vec<(i32, Top)>,
}

impl Written {
    pub(super) fn after(prompt_length: usize, max_tokens: u32) -> Self {
        Self {
            prompt_length,
            max_tokens,
            choices: Vec::new(),
        }
    }

    /// Says whether replies to this prompt may be drawn along it: as freely, and no longer.
    pub(super) fn is_of(&self, prompt: &[LlamaToken], writing: &Writing<'_>) -> bool {
        self.prompt_length == prompt.len()
            && writing.names.is_none()
            && writing.max_tokens <= self.max_tokens
    }
}

/// A reply that is being drawn, in a sequence of its own.
pub(super) struct Draw {
    pub(super) sequence: i32,
    sampler: Sampler,
    pub(super) draft: Draft,
    /// Drawn, and not evaluated yet.
    pub(super) last: LlamaToken,
}

impl Draw {
    /// The `index`th of those drawn at once, in this sequence.
    pub(super) fn new(index: u32, sequence: i32, sampling: &Sampling, max_tokens: u32) -> Self {
        Self {
            sequence,
            sampler: Sampler::new(
                sampling.temperature,
                sampling.seed.wrapping_add(index.into()),
            ),
            draft: Draft::new(max_tokens),
            last: LlamaToken(0),
        }
    }

    /// Draws along a reply until another token is chosen than it has, and returns how many tokens they share.
    pub(super) fn follow(&mut self, vocab: &LlamaVocab<'_>, written: &Written) -> usize {
        for (shared, (token, top)) in written.choices.iter().enumerate() {
            let chosen = self.sampler.choose_among(top);
            self.draft.take(vocab, chosen);
            self.last = LlamaToken(chosen.id);
            if chosen.id != *token || !self.draft.is_open() {
                return shared;
            }
        }
        // The last one was not evaluated.
        written.choices.len().saturating_sub(1)
    }

    /// Draws the next token by the logits after the last one, if another is wanted.
    pub(super) fn next(
        &mut self,
        vocab: &LlamaVocab<'_>,
        logits: &[f32],
        names: Option<&Names>,
    ) -> Result<(), Error> {
        if self.draft.is_open() {
            let choose = |logits: &[f32]| self.sampler.choose(logits);
            let chosen = self.draft.choose(vocab, logits, names, choose);
            let chosen = chosen.ok_or_else(improbable)?;
            self.draft.take(vocab, chosen);
            self.last = LlamaToken(chosen.id);
        }
        Ok(())
    }
}
