//! One embedding model with one context: gives texts vectors, several texts at a time. Looks for a cancel between batches.

use std::num::NonZeroU32;

use engine::{Code, Error};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::protocol::EmbedderSettings;

/// Texts that are evaluated together at most. llama.cpp has room for 256 sequences; more than these gain nothing.
const TEXTS_AT_ONCE: usize = 64;

/// A loaded model at work.
pub(super) struct EmbeddingSession<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    text_tokens: usize,
    batch_tokens: usize,
}

impl<'m> EmbeddingSession<'m> {
    /// Makes a context for a model.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidModel`] if it is no encoder with pooling, [`Code::EmbedderFailed`] without memory for the context.
    pub(super) fn new(
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        threads: u32,
        role: &EmbedderSettings,
    ) -> Result<Self, Error> {
        check_is_encoder(model)?;
        // The shortest text is a beginning and an end.
        let text_tokens = role.text_tokens.min(model.n_ctx_train()).max(2);
        // Every token sees every other one, so a batch is evaluated whole, and a text is never divided.
        let batch_tokens = role.batch_tokens.max(text_tokens);
        let threads = i32::try_from(threads.max(1)).unwrap_or(1);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(batch_tokens))
            .with_n_batch(batch_tokens)
            .with_n_ubatch(batch_tokens)
            .with_n_seq_max(TEXTS_AT_ONCE as u32)
            .with_kv_unified(true)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_embeddings(true)
            .with_no_perf(true);
        let context = model.new_context(backend, params).map_err(|error| {
            Error::new(
                Code::EmbedderFailed,
                "there is not enough memory for the embedding model",
            )
            .with_cause(error)
        })?;
        Ok(Self {
            model,
            context,
            batch: LlamaBatch::new(batch_tokens as usize, 1),
            text_tokens: text_tokens as usize,
            batch_tokens: batch_tokens as usize,
        })
    }

    /// Returns one vector for each text, in order, of any length. A text with more tokens than the model takes is cut.
    ///
    /// # Errors
    ///
    /// [`Code::Cancelled`] if `is_cancelled` said so, [`Code::EmbedderFailed`] if llama.cpp fails.
    pub(super) fn embed(
        &mut self,
        texts: &[String],
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let texts: Vec<_> = texts.iter().map(|text| self.tokens(text)).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        while vectors.len() < texts.len() {
            if is_cancelled() {
                return Err(Error::new(
                    Code::Cancelled,
                    "the texts are not wanted any more",
                ));
            }
            let rest = &texts[vectors.len()..];
            let fitting = self.fitting(rest);
            self.evaluate(&rest[..fitting], &mut vectors)?;
        }
        Ok(vectors)
    }

    /// Returns the tokens of a text. Nothing in it is markup.
    fn tokens(&self, text: &str) -> Vec<LlamaToken> {
        let vocab = self.model.vocab();
        let mut tokens = vocab.tokenize(text.as_bytes(), true, false);
        if tokens.len() > self.text_tokens {
            // The end mark stays where the model expects one.
            let last = tokens.last().copied();
            tokens.truncate(self.text_tokens - 1);
            tokens.extend(last);
        }
        tokens
    }

    /// Returns how many of these texts fit one batch; at least one does.
    fn fitting(&self, texts: &[Vec<LlamaToken>]) -> usize {
        let mut tokens = 0;
        let fits = |text: &&Vec<LlamaToken>| {
            tokens += text.len();
            tokens <= self.batch_tokens
        };
        texts.iter().take(TEXTS_AT_ONCE).take_while(fits).count()
    }

    fn evaluate(
        &mut self,
        texts: &[Vec<LlamaToken>],
        vectors: &mut Vec<Vec<f32>>,
    ) -> Result<(), Error> {
        self.batch.clear();
        for (sequence, tokens) in (0..).zip(texts) {
            for (position, token) in (0..).zip(tokens) {
                self.batch
                    .add(*token, position, &[sequence], true)
                    .map_err(failed)?;
            }
        }
        self.context.encode(&mut self.batch).map_err(failed)?;
        for (sequence, _) in (0..).zip(texts) {
            let vector = self.context.embeddings_seq_ith(sequence).map_err(failed)?;
            vectors.push(vector.to_vec());
        }
        Ok(())
    }
}

/// Refuses models that do not turn a whole text into one vector.
fn check_is_encoder(model: &LlamaModel) -> Result<(), Error> {
    let architecture = model
        .meta_val_str("general.architecture")
        .unwrap_or_default();
    let key = |name: &str| model.meta_val_str(&format!("{architecture}.{name}"));
    let sees_all = key("attention.causal").is_ok_and(|value| value == "false");
    // Mean of all tokens, or the first one, in llama.cpp's numbers.
    let pools = key("pooling_type").is_ok_and(|value| matches!(value.as_str(), "1" | "2"));
    let ends_texts = model.vocab().should_add_sep() || model.vocab().should_add_eos();
    if sees_all && pools && ends_texts {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidModel,
        "the model file is not of an embedding model",
    )
    .with_hint("EMBEDDING_MODEL takes an encoder with mean or first-token pooling, such as BERT"))
}

fn failed(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::EmbedderFailed, "the local embedding model failed").with_cause(cause)
}
