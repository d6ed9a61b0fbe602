//! A generator over HTTP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::ports::{
    Candidate, Generation, GenerationLimits, Generator, Heard, ModelIdentity, Sampling,
};
use engine::prompt::Prompt;
use engine::{Code, Error};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::client::{ApiKey, Listener, Reach, RemoteClient, Wording, secret};
use super::streaming::Dialect;
use super::{anthropic, openai};

/// How errors of a generator name what was configured.
static WORDING: Wording = Wording {
    model: "remote model",
    model_variable: "LLM_MODEL",
    base_url_variable: "LLM_BASE_URL",
    api_key_variable: "LLM_API_KEY",
    provider_variable: "LLM_PROVIDER",
    failed: Code::GeneratorFailed,
    busy: Code::GeneratorBusy,
    // A person is waiting, and is told to ask again.
    waits_when_busy: false,
};

/// Whose protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// OpenAI's chat completions, spoken by most servers.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

impl Provider {
    fn name(self) -> &'static str {
        match self {
            Provider::OpenAi => "openai",
            Provider::Anthropic => "anthropic",
        }
    }

    fn default_base_url(self) -> &'static str {
        match self {
            Provider::OpenAi => "https://api.openai.com/v1",
            Provider::Anthropic => "https://api.anthropic.com/v1",
        }
    }
}

/// How a server is told the grammar of a reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Grammar {
    /// Not at all.
    #[default]
    None,
    /// As llama.cpp's server takes it, and what is built on that: `grammar`.
    LlamaCpp,
    /// As vLLM takes it from version 0.12 on: `structured_outputs`.
    Vllm,
}

/// How to reach a remote model.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// Whose protocol is spoken.
    pub provider: Provider,
    /// Up to and including the version, as in `http://localhost:8080/v1`; `None` is the provider's own.
    pub base_url: Option<String>,
    /// The key; servers of one's own may need none.
    pub api_key: Option<ApiKey>,
    /// The model's name at the provider.
    pub model: String,
    /// Whether and how it can be held to names; for [`Provider::OpenAi`] only.
    pub grammar: Grammar,
    /// Wait for a connection.
    pub connect_timeout: Duration,
    /// Requests sent for one reply, as long as no byte of a reply has come.
    pub attempts_at_most: u32,
    /// Wait before the second attempt; doubled before each further one.
    pub backoff: Duration,
}

impl RemoteSettings {
    /// The defaults: 10 s to connect, three attempts, half a second between the first two.
    pub fn new(provider: Provider, model: impl Into<String>) -> Self {
        Self {
            provider,
            base_url: None,
            api_key: None,
            model: model.into(),
            grammar: Grammar::None,
            connect_timeout: Duration::from_secs(10),
            attempts_at_most: 3,
            backoff: Duration::from_millis(500),
        }
    }
}

/// A remote model behind the port.
#[derive(Debug)]
pub struct RemoteGenerator {
    provider: Provider,
    model: String,
    grammar: Grammar,
    client: RemoteClient,
    /// Whatever is learnt of a model is kept for the next question.
    quirks: Mutex<Quirks>,
}

/// Replies wanted of one request, and how they are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing {
    /// At least 1.
    pub count: usize,
    pub temperature: f64,
    pub seed: u64,
}

/// All that one request is made of, but for what the model does not take.
pub(super) struct Asking<'a> {
    pub model: &'a str,
    pub prompt: &'a Prompt,
    pub limits: &'a GenerationLimits,
    /// `None` is the likeliest reply.
    pub drawing: Option<Drawing>,
    /// The reply is wanted bit by bit.
    pub is_heard: bool,
    /// In GBNF.
    pub grammar: Option<String>,
    pub grammar_field: Grammar,
}

/// What this model turned out not to take, by its refusals.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quirks {
    /// It wants `max_completion_tokens` instead of `max_tokens`.
    pub renamed_max_tokens: bool,
    /// It chooses its temperature itself.
    pub no_temperature: bool,
    /// It writes one reply to one request.
    pub no_count: bool,
    /// It draws as it likes.
    pub no_seed: bool,
    /// It does not tell how likely a text is.
    pub no_logprobs: bool,
    /// It does not count tokens in a stream.
    pub no_stream_options: bool,
    /// It sends its reply in one piece.
    pub no_stream: bool,
    /// It cannot be held to a grammar, or not to ours.
    pub no_grammar: bool,
}

impl RemoteGenerator {
    /// Prepares to ask a remote model; asks nothing yet.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the base URL, the key or the model's name cannot be used.
    pub fn new(settings: RemoteSettings) -> Result<Self, Error> {
        let path = match settings.provider {
            Provider::OpenAi => "chat/completions",
            Provider::Anthropic => "messages",
        };
        let base_url = settings.base_url.as_deref();
        let reach = Reach {
            base_url: base_url.unwrap_or(settings.provider.default_base_url()),
            path,
            model: &settings.model,
            headers: headers(&settings)?,
            api_key: settings.api_key.clone(),
            connect_timeout: settings.connect_timeout,
            timeout: None,
            attempts_at_most: settings.attempts_at_most,
            backoff: settings.backoff,
        };
        Ok(Self {
            client: RemoteClient::new(reach, &WORDING)?,
            provider: settings.provider,
            model: settings.model,
            grammar: settings.grammar,
            quirks: Mutex::default(),
        })
    }

    /// Sends one request and returns its replies, at least one. `heard` is told the first bit by bit, where the server
    /// streams it.
    async fn ask(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        drawing: Option<Drawing>,
        heard: Option<&Heard<'_>>,
    ) -> Result<Vec<Generation>, Error> {
        let names = limits
            .names
            .as_ref()
            .filter(|_| self.grammar != Grammar::None);
        let asking = Asking {
            model: &self.model,
            prompt,
            limits,
            drawing,
            is_heard: heard.is_some(),
            grammar: names.and_then(|names| names.to_gbnf()),
            grammar_field: self.grammar,
        };
        // What this request learns is kept only if a reply came of it: a refusal may have had other reasons.
        let quirks = Mutex::new(*lock(&self.quirks));
        let (body, dialect): (fn(&Asking<'_>, Quirks) -> Value, Dialect) = match self.provider {
            Provider::OpenAi => (openai::body, openai::DIALECT),
            Provider::Anthropic => (anthropic::body, anthropic::DIALECT),
        };
        let adapt = |status, body: &Value, explanation: &str| {
            lock(&quirks).learn(status, body, explanation)
        };
        let listener = heard.map(|heard| Listener { dialect, heard });
        let body = || body(&asking, *lock(&quirks));
        let reply = self.client.ask(body, adapt, listener.as_ref()).await?;
        let read = match self.provider {
            Provider::OpenAi => openai::read(&reply),
            Provider::Anthropic => anthropic::read(&reply).map(|reply| vec![reply]),
        };
        let replies = read.filter(|replies| !replies.is_empty());
        let replies = replies.ok_or_else(|| self.client.malformed())?;
        lock(&self.quirks).keep(*lock(&quirks));
        Ok(replies)
    }

    async fn ask_until(
        &self,
        deadline: Instant,
        prompt: &Prompt,
        limits: &GenerationLimits,
        drawing: Option<Drawing>,
        heard: Option<&Heard<'_>>,
    ) -> Result<Vec<Generation>, Error> {
        match timeout_at(deadline, self.ask(prompt, limits, drawing, heard)).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(
                Code::GeneratorTimeout,
                format!(
                    "the remote model did not answer within {} s",
                    limits.timeout.as_secs_f64()
                ),
            )
            .with_hint("ask again, or allow more time")),
        }
    }

    async fn first(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        heard: Option<&Heard<'_>>,
    ) -> Result<Generation, Error> {
        let deadline = Instant::now() + limits.timeout;
        let replies = self
            .ask_until(deadline, prompt, limits, None, heard)
            .await?;
        let first = replies.into_iter().next();
        first.ok_or_else(|| self.client.malformed())
    }
}

#[async_trait]
impl Generator for RemoteGenerator {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: self.model.clone(),
            hash: self.client.hash(self.provider.name(), &self.model),
            is_remote: self.client.is_remote(),
        }
    }

    async fn generate(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<Generation, Error> {
        self.first(prompt, limits, None).await
    }

    async fn generate_heard(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        heard: &Heard<'_>,
    ) -> Result<Generation, Error> {
        let was_heard = AtomicBool::new(false);
        let hear = |more: &str| {
            was_heard.store(true, Ordering::Relaxed);
            heard(more);
        };
        let generation = self.first(prompt, limits, Some(&hear)).await?;
        // It was not streamed.
        if !was_heard.load(Ordering::Relaxed) {
            heard(&generation.text);
        }
        Ok(generation)
    }

    /// Asks for all in one request where the server takes that, and else one after the other; then each of them counts
    /// the tokens of the prompt, as the provider does. A failure after the first ends the drawing and costs no reply.
    async fn sample(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        sampling: &Sampling,
    ) -> Result<Vec<Candidate>, Error> {
        let deadline = Instant::now() + limits.timeout;
        let count = sampling.count() as usize;
        let mut draws: Vec<Generation> = Vec::with_capacity(count);
        while draws.len() < count {
            let drawing = Drawing {
                count: count - draws.len(),
                temperature: decimal(sampling.temperature),
                seed: sampling.seed.wrapping_add(draws.len() as u64),
            };
            match self
                .ask_until(deadline, prompt, limits, Some(drawing), None)
                .await
            {
                Ok(replies) => draws.extend(replies.into_iter().take(drawing.count)),
                Err(error) if draws.is_empty() => return Err(error),
                Err(error) => {
                    let drawn = draws.len();
                    tracing::warn!(%error, cause = error.cause(), drawn, "fewer replies were drawn");
                    break;
                }
            }
        }
        Ok(Candidate::gather(draws))
    }
}

impl Quirks {
    /// Learns from a refusal of `body`; says whether a request with what was learnt differs from it.
    fn learn(&mut self, status: StatusCode, body: &Value, explanation: &str) -> bool {
        let has = |name: &str| body.get(name).is_some();
        let names = |name: &str| explanation.contains(name) && has(name);
        let has_grammar = has("grammar") || has("structured_outputs");
        match status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {}
            // Some models may be asked, but not this.
            StatusCode::FORBIDDEN if names("logprobs") => {}
            _ => return false,
        }
        if explanation.contains("max_completion_tokens") && has("max_tokens") {
            self.renamed_max_tokens = true;
        } else if names("temperature") {
            self.no_temperature = true;
        } else if names("logprobs") {
            self.no_logprobs = true;
        } else if names("seed") {
            self.no_seed = true;
        } else if names("stream_options") {
            self.no_stream_options = true;
        } else if explanation.contains("stream") && body["stream"] == true {
            self.no_stream = true;
        } else if explanation.contains("grammar") && has_grammar {
            self.no_grammar = true;
        // The refusal does not say what it is about. What is asked for least often is left out first: what a request
        // without it was granted is likely granted again.
        } else if has_grammar {
            self.no_grammar = true;
        } else if has("n") {
            self.no_count = true;
        } else if has("seed") {
            self.no_seed = true;
        } else if has("stream_options") {
            self.no_stream_options = true;
        } else if body["stream"] == true {
            self.no_stream = true;
        } else if has("logprobs") {
            self.no_logprobs = true;
        } else {
            return false;
        }
        true
    }

    /// Adds what was learnt elsewhere.
    fn keep(&mut self, learnt: Self) {
        self.renamed_max_tokens |= learnt.renamed_max_tokens;
        self.no_temperature |= learnt.no_temperature;
        self.no_count |= learnt.no_count;
        self.no_seed |= learnt.no_seed;
        self.no_logprobs |= learnt.no_logprobs;
        self.no_stream_options |= learnt.no_stream_options;
        self.no_stream |= learnt.no_stream;
        self.no_grammar |= learnt.no_grammar;
    }
}

/// Nothing panics while it holds what was learnt.
fn lock(quirks: &Mutex<Quirks>) -> MutexGuard<'_, Quirks> {
    quirks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the number that a person would have written: 0.7, and not 0.699999988.
fn decimal(number: f32) -> f64 {
    (f64::from(number) * 1e6).round() / 1e6
}

fn headers(settings: &RemoteSettings) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if settings.provider == Provider::Anthropic {
        headers.insert(
            "anthropic-version",
            HeaderValue::from_static(anthropic::VERSION),
        );
    }
    if let Some(key) = &settings.api_key {
        let (name, before) = match settings.provider {
            Provider::OpenAi => ("authorization", "Bearer "),
            Provider::Anthropic => ("x-api-key", ""),
        };
        if let Some(value) = secret(before, key, &WORDING)? {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(base_url: &str) -> Result<RemoteGenerator, Error> {
        let mut settings = RemoteSettings::new(Provider::OpenAi, "m");
        settings.base_url = Some(base_url.to_owned());
        settings.api_key = Some(ApiKey::new("sk-secret\n"));
        RemoteGenerator::new(settings)
    }

    #[test]
    fn only_this_machine_is_not_remote() {
        let check = |base_url: &str, is_remote| {
            assert_eq!(
                generator(base_url).unwrap().identity().is_remote,
                is_remote,
                "{base_url}"
            );
        };
        check("http://localhost:8080/v1", false);
        check("http://127.0.0.1/v1/", false);
        check("http://[::1]:1/v1", false);
        check("http://192.168.0.2/v1", true);
        check("https://localhost.example.com/v1", true);
        check("https://api.openai.com/v1", true);
    }

    #[test]
    fn addresses_that_cannot_be_used_are_invalid_settings() {
        for base_url in [
            "",
            "localhost:8080",
            "ftp://host/v1",
            "https://user:pass@host/v1",
        ] {
            let error = generator(base_url).unwrap_err();
            assert_eq!(error.code(), Code::InvalidSetting, "{base_url}");
            assert!(error.message().starts_with("LLM_BASE_URL"));
        }
    }

    #[test]
    fn the_key_does_not_print() {
        let generator = generator("http://localhost/v1").unwrap();
        assert!(!format!("{generator:?}").contains("sk-secret"));
        assert_eq!(
            generator.client.shorten("Incorrect key sk-secret"),
            "Incorrect key ***"
        );
    }

    #[test]
    fn identity_tells_models_and_servers_apart() {
        let one = generator("http://localhost:1/v1").unwrap().identity();
        let other = generator("http://localhost:2/v1").unwrap().identity();
        assert_ne!(one.hash, other.hash);
    }
}
