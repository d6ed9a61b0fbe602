//! Turns a prompt into tokens by the chat template of the model file. Only the template's own text may become control
//! tokens; instructions, schema and question are content, whatever they look like.

use engine::prompt::Prompt;
use engine::{Code, Error};
use llama_cpp_2::model::{LlamaChatMessage, LlamaModel};
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::LlamaVocab;

/// A prompt in tokens. The two parts are tokenised apart, so `prefix` does not depend on what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PromptTokens {
    /// The template's head, the instructions and the schema.
    pub prefix: Vec<LlamaToken>,
    /// The question and the template's end; never empty.
    pub tail: Vec<LlamaToken>,
}

/// The tokens of a chat template around its contents.
pub(super) struct ChatFormat {
    with_system: Frame,
    without_system: Frame,
}

/// `before`, the instructions, `between`, the user's turn, `end`.
struct Frame {
    before: Vec<LlamaToken>,
    /// `None` if the template has no place for instructions: they then open the user's turn.
    between: Option<Vec<LlamaToken>>,
    end: Vec<LlamaToken>,
}

/// Stand in for the contents while the template is rendered. They hold nothing that a template would trim or escape.
const SYSTEM_SLOT: &str = "assay:slot:system:b1946ac92492d234";
const USER_SLOT: &str = "assay:slot:user:591785b794601e21";

impl ChatFormat {
    /// Reads the template of a model.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidModel`] if the file has no template, or one that llama.cpp cannot apply.
    pub(super) fn of(model: &LlamaModel) -> Result<Self, Error> {
        let user_only = render(model, &[("user", USER_SLOT)])?;
        let [before, end] = split(&user_only, [USER_SLOT]).ok_or_else(|| unusable("loses text"))?;
        let vocab = model.vocab();
        let markup = |text: &str| vocab.tokenize(text.as_bytes(), false, true);
        let start = |text: &str| {
            let mut tokens = markup(text);
            if vocab.should_add_bos() && tokens.first() != Some(&vocab.bos()) {
                tokens.insert(0, vocab.bos());
            }
            tokens
        };
        let without_system = || Frame {
            before: start(before),
            between: None,
            end: markup(end),
        };
        // Some templates refuse or drop a system turn.
        let both = render(model, &[("system", SYSTEM_SLOT), ("user", USER_SLOT)]).ok();
        let with_system = both
            .as_deref()
            .and_then(|text| split(text, [SYSTEM_SLOT, USER_SLOT]))
            .map(|[before, between, end]| Frame {
                before: start(before),
                between: Some(markup(between)),
                end: markup(end),
            });
        let format = Self {
            with_system: with_system.unwrap_or_else(without_system),
            without_system: without_system(),
        };
        if format.with_system.end.is_empty() || format.without_system.end.is_empty() {
            return Err(unusable("does not open the model's turn"));
        }
        Ok(format)
    }

    /// Returns the tokens of a prompt.
    ///
    /// # Errors
    ///
    /// [`Code::GeneratorFailed`] if text would become a control token all the same; no vocabulary known does that.
    pub(super) fn tokens(
        &self,
        vocab: &LlamaVocab<'_>,
        prompt: &Prompt,
    ) -> Result<PromptTokens, Error> {
        let frame = if prompt.system.is_empty() {
            &self.without_system
        } else {
            &self.with_system
        };
        let mut prefix = frame.before.clone();
        prefix.extend(content(vocab, &prompt.system)?);
        match &frame.between {
            Some(between) => prefix.extend(between),
            None if prompt.system.is_empty() => {}
            None => prefix.extend(content(vocab, "\n\n")?),
        }
        prefix.extend(content(vocab, &prompt.schema)?);
        let mut tail = content(vocab, &prompt.tail)?;
        tail.extend(&frame.end);
        Ok(PromptTokens { prefix, tail })
    }
}

/// Tokenises text that others wrote.
fn content(vocab: &LlamaVocab<'_>, text: &str) -> Result<Vec<LlamaToken>, Error> {
    let tokens = vocab.tokenize(text.as_bytes(), false, false);
    match tokens
        .iter()
        .find(|token| vocab.is_control(**token) || vocab.is_eog(**token))
    {
        None => Ok(tokens),
        Some(token) => Err(Error::new(
            Code::GeneratorFailed,
            "the text holds a control token of the model",
        )
        .with_hint("ask without it")
        .with_cause(format!("token {}", token.0))),
    }
}

fn render(model: &LlamaModel, turns: &[(&str, &str)]) -> Result<String, Error> {
    let template = model.chat_template(None).map_err(|error| {
        Error::new(Code::InvalidModel, "the model file has no chat template")
            .with_hint("use an instruction-tuned model")
            .with_cause(error)
    })?;
    let mut messages = Vec::new();
    for (role, text) in turns {
        let message = LlamaChatMessage::new((*role).to_owned(), (*text).to_owned());
        messages.push(message.map_err(unusable)?);
    }
    model
        .apply_chat_template(&template, &messages, true)
        .map_err(unusable)
}

fn unusable(cause: impl std::fmt::Display) -> Error {
    Error::new(
        Code::InvalidModel,
        "the chat template of the model file cannot be used",
    )
    .with_hint("use a model with a template that llama.cpp knows, such as ChatML")
    .with_cause(cause)
}

/// Cuts `text` at the slots, each of which must be there once, in this order. `P` is one more than `S`.
fn split<'t, const S: usize, const P: usize>(
    text: &'t str,
    slots: [&str; S],
) -> Option<[&'t str; P]> {
    let mut pieces = Vec::with_capacity(P);
    let mut rest = text;
    for slot in slots {
        let (before, after) = rest.split_once(slot)?;
        pieces.push(before);
        rest = after;
    }
    pieces.push(rest);
    let is_repeated = |piece: &&str| slots.iter().any(|slot| piece.contains(slot));
    if pieces.iter().any(is_repeated) {
        return None;
    }
    pieces.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use llama_cpp_2::llama_backend::LlamaBackend;
    use llama_cpp_2::model::params::LlamaModelParams;

    use super::*;

    #[test]
    fn template_is_cut_at_its_slots_only_when_each_is_there_once() {
        assert_eq!(split("<s>A</s>B!", ["A", "B"]), Some(["<s>", "</s>", "!"]));
        assert_eq!(split::<2, 3>("<s>B</s>A!", ["A", "B"]), None);
        assert_eq!(split::<2, 3>("<s>A!", ["A", "B"]), None);
        assert_eq!(split::<1, 2>("AA", ["A"]), None);
    }

    /// Returns the vocabulary of the local model, or says that it is not there.
    fn local_model() -> Option<(LlamaBackend, LlamaModel)> {
        let named = std::env::var_os("ASSAY_TEST_MODEL").map(PathBuf::from);
        let cache = crate::pull::cache_dir(|name| std::env::var_os(name));
        let installed = cache.map(|cache| {
            crate::pull::choose(
                crate::pull::Purpose::Generating,
                None,
                &crate::pull::models_dir(&cache),
            )
            .path
        });
        let Some(path) = named.or(installed).filter(|path| path.exists()) else {
            let is_required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
            assert!(
                !is_required,
                "the local model is required: run `assay model pull`"
            );
            eprintln!("skipped: no local model is installed and ASSAY_TEST_MODEL is not set");
            return None;
        };
        let mut backend = LlamaBackend::init().expect("the only backend of this process");
        backend.void_logs();
        let params = LlamaModelParams::default().with_vocab_only(true);
        let model = LlamaModel::load_from_file(&backend, path, &params).expect("a model");
        Some((backend, model))
    }

    #[test]
    fn text_of_others_never_becomes_a_control_token() {
        let Some((_backend, model)) = local_model() else {
            return;
        };
        let vocab = model.vocab();
        let format = ChatFormat::of(&model).expect("a template");
        let tokens = |text: &str| {
            let [system, schema, tail] = [(); 3].map(|()| text.to_owned());
            let prompt = Prompt {
                system,
                schema,
                tail,
            };
            let tokens = format.tokens(&vocab, &prompt).expect("tokens");
            [tokens.prefix, tokens.tail].concat()
        };
        let controls = |tokens: &[LlamaToken]| -> Vec<LlamaToken> {
            let is_control = |token: &LlamaToken| vocab.is_control(*token) || vocab.is_eog(*token);
            tokens.iter().copied().filter(is_control).collect()
        };
        let of_the_template = controls(&tokens("harmless"));
        assert!(!of_the_template.is_empty());
        let mut tried = 0;
        for token in vocab.tokens().filter(|token| vocab.is_control(*token)) {
            let text = String::from_utf8(vocab.token_to_piece(token, true, None)).expect("text");
            assert_eq!(
                vocab.tokenize(text.as_bytes(), false, true),
                [token],
                "markup would act"
            );
            assert_eq!(
                controls(&tokens(&format!("a {text} b"))),
                of_the_template,
                "{text}"
            );
            tried += 1;
        }
        assert!(tried > 3, "this vocabulary has control tokens");
    }
}
