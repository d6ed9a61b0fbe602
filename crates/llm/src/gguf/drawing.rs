//! Replies that are drawn. As long as one chooses what the greedy reply has, what comes next is known from when that was
//! written: a model that is sure draws the same reply again without evaluating a token. What is drawn has the same
//! probabilities as without; the idea is that of speculative sampling (Leviathan, Kalman and Matias, arXiv 2211.17192),
//! with a draft that is there already.

use engine::Error;
use engine::decoding::Names;
use engine::ports::Ahead;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

use super::choosing::{Sampler, Top};
use super::draft::Draft;
use super::session::{Writing, improbable};

/// A reply that was written greedily, with what else could have been chosen at each place.
pub(super) struct Written {
    /// Tokens of the prompt.
    pub(super) prompt_length: usize,
    /// The tokens chosen, the one that ended it too, and what each was chosen among.
    pub(super) choices: Vec<(i32, Top)>,
    /// What was begun beside it.
    pub(super) begun: Option<Draws>,
}

impl Written {
    /// Says whether replies to this prompt may be drawn along it: as freely.
    pub(super) fn is_of(&self, prompt: &[LlamaToken], writing: &Writing<'_>) -> bool {
        self.prompt_length == prompt.len() && writing.names.is_none()
    }
}

/// Replies that are drawn from one prompt at once.
pub(super) struct Draws {
    /// How they were asked for.
    pub(super) asked: Ahead,
    /// Tokens of the prompt.
    pub(super) prompt_length: usize,
    pub(super) all: Vec<Draw>,
}

impl Draws {
    /// As many as asked for, and as there are sequences from `first` on and tokens of room.
    pub(super) fn new(asked: Ahead, first: i32, prompt_length: usize, room: usize) -> Self {
        let fit = room / asked.max_tokens.max(1) as usize;
        let count = u32::try_from(fit).map_or(u32::MAX, |fit| fit.min(asked.sampling.count()));
        let all = (0..count).zip(first..);
        Self {
            asked,
            prompt_length,
            all: all
                .map(|(index, sequence)| Draw::new(index, sequence, &asked))
                .collect(),
        }
    }
}

/// A reply that is being drawn.
pub(super) struct Draw {
    /// Its own, from where it first chose otherwise than the greedy reply.
    pub(super) sequence: i32,
    /// It has chosen nothing yet but what the greedy reply has.
    pub(super) follows: bool,
    sampler: Sampler,
    pub(super) draft: Draft,
    /// Drawn, and not evaluated yet.
    pub(super) last: LlamaToken,
}

impl Draw {
    fn new(index: u32, sequence: i32, asked: &Ahead) -> Self {
        let Ahead {
            sampling,
            max_tokens,
        } = asked;
        Self {
            sequence,
            follows: true,
            sampler: Sampler::new(
                sampling.temperature,
                sampling.seed.wrapping_add(index.into()),
            ),
            draft: Draft::new(*max_tokens),
            last: LlamaToken(0),
        }
    }

    /// Chooses among what `greedy` was chosen among, if it follows still. Says whether it leaves it here and goes on.
    pub(super) fn leaves(&mut self, vocab: &LlamaVocab<'_>, greedy: i32, top: &Top) -> bool {
        if !self.follows || !self.draft.is_open() {
            return false;
        }
        let chosen = self.sampler.choose_among(top);
        self.draft.take(vocab, chosen);
        self.last = LlamaToken(chosen.id);
        self.follows = chosen.id == greedy;
        !self.follows && self.draft.is_open()
    }

    /// Says whether its last token is to be evaluated, and in its own sequence.
    pub(super) fn is_apart(&self) -> bool {
        !self.follows && self.draft.is_open()
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
