//! Models of other people, over HTTP: anything that speaks OpenAI's chat completions, and Anthropic. Keys appear in no
//! message, no log and no debug output.

mod anthropic;
mod openai;

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::ports::{Generation, GenerationLimits, Generator, ModelIdentity};
use engine::prompt::Prompt;
use engine::{Code, Error};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

/// A reply longer than this is a fault of the server, not an answer.
const REPLY_BYTES_AT_MOST: usize = 8 << 20;
/// How much of an error body goes to the log.
const ERROR_BYTES_AT_MOST: usize = 600;

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

/// A key that does not print.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key; white space around it is dropped.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    /// Replaces the key wherever it stands in `text`.
    fn redact(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
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
            connect_timeout: Duration::from_secs(10),
            attempts_at_most: 3,
            backoff: Duration::from_millis(500),
        }
    }
}

/// A remote model behind the port.
#[derive(Debug)]
pub struct RemoteGenerator {
    settings: RemoteSettings,
    endpoint: Url,
    headers: HeaderMap,
    client: Client,
    is_remote: bool,
    quirks: Quirks,
}

/// What this model turned out not to take. Learnt from its refusals, and kept for the next question.
#[derive(Debug, Default)]
struct Quirks {
    /// It wants `max_completion_tokens` instead of `max_tokens`.
    renamed_max_tokens: AtomicBool,
    /// It chooses its temperature itself.
    no_temperature: AtomicBool,
}

/// What a request came to.
enum Attempt {
    Reply(Value),
    /// Nothing of a reply came; another attempt may do better.
    Transient(Error),
    /// The model does not take a parameter, which is left out from now on.
    Adapted,
}

impl RemoteGenerator {
    /// Prepares to ask a remote model; asks nothing yet.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the base URL, the key or the model's name cannot be used.
    pub fn new(settings: RemoteSettings) -> Result<Self, Error> {
        if settings.model.trim().is_empty() {
            return Err(invalid("LLM_MODEL", "is needed for a remote model"));
        }
        let base = settings.base_url.as_deref();
        let base = base
            .unwrap_or(settings.provider.default_base_url())
            .trim_end_matches('/');
        let path = match settings.provider {
            Provider::OpenAi => "chat/completions",
            Provider::Anthropic => "messages",
        };
        let endpoint: Url = format!("{base}/{path}")
            .parse()
            .map_err(|error| invalid("LLM_BASE_URL", "is not a URL").with_cause(error))?;
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host_str().is_none() {
            return Err(invalid(
                "LLM_BASE_URL",
                "is neither http:// nor https:// with a host",
            ));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(invalid("LLM_BASE_URL", "holds a password; use LLM_API_KEY"));
        }
        let is_remote = !is_loopback(&endpoint);
        if is_remote && endpoint.scheme() == "http" && settings.api_key.is_some() {
            tracing::warn!(
                "LLM_BASE_URL is not https: the key and every question travel in the clear"
            );
        }
        let mut client = Client::builder()
            .connect_timeout(settings.connect_timeout)
            // A redirect would carry the key, the question and the schema to a place that nobody configured.
            .redirect(reqwest::redirect::Policy::none());
        if !is_remote {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| {
            Error::new(Code::Internal, "the HTTP client cannot be made").with_cause(error)
        })?;
        Ok(Self {
            headers: headers(&settings)?,
            settings,
            endpoint,
            client,
            is_remote,
            quirks: Quirks::default(),
        })
    }

    async fn ask(&self, prompt: &Prompt, limits: &GenerationLimits) -> Result<Generation, Error> {
        let mut failures = 0;
        let mut backoff = self.settings.backoff;
        loop {
            match self.attempt(prompt, limits).await? {
                Attempt::Reply(reply) => return self.read(&reply),
                Attempt::Adapted => {}
                Attempt::Transient(error) => {
                    failures += 1;
                    if failures >= self.settings.attempts_at_most.max(1) {
                        return Err(error);
                    }
                    tracing::debug!(cause = error.cause(), "asking the remote model again");
                    tokio::time::sleep(backoff).await;
                    backoff *= 2;
                }
            }
        }
    }

    /// Sends one request. Only what fails before a reply begins is transient: a reply that broke off was paid for.
    async fn attempt(&self, prompt: &Prompt, limits: &GenerationLimits) -> Result<Attempt, Error> {
        let (model, quirks) = (&self.settings.model, &self.quirks);
        let body = match self.settings.provider {
            Provider::OpenAi => openai::body(model, prompt, limits, quirks),
            Provider::Anthropic => anthropic::body(model, prompt, limits, quirks),
        };
        let sent = self
            .client
            .post(self.endpoint.clone())
            .headers(self.headers.clone())
            .json(&body)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => return Ok(Attempt::Transient(self.unreachable(error))),
        };
        let status = response.status();
        if status.is_success() {
            let bytes = self.read_body(response, REPLY_BYTES_AT_MOST).await?;
            let reply = serde_json::from_slice(&bytes);
            return reply
                .map(Attempt::Reply)
                .map_err(|error| malformed().with_cause(error));
        }
        // The body only explains; without it the status must do.
        let explanation = self
            .read_body(response, REPLY_BYTES_AT_MOST)
            .await
            .unwrap_or_default();
        let explanation = String::from_utf8_lossy(&explanation);
        if status == StatusCode::BAD_REQUEST && self.quirks.learn(&body, &explanation) {
            return Ok(Attempt::Adapted);
        }
        let error = self.refused(status, &explanation);
        if status.is_server_error() {
            Ok(Attempt::Transient(error))
        } else {
            Err(error)
        }
    }

    fn read(&self, reply: &Value) -> Result<Generation, Error> {
        let read = match self.settings.provider {
            Provider::OpenAi => openai::read(reply),
            Provider::Anthropic => anthropic::read(reply),
        };
        read.ok_or_else(malformed)
    }

    /// Reads a body up to a bound; more than that is an error.
    async fn read_body(
        &self,
        mut response: Response,
        bytes_at_most: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let broken = |error: reqwest::Error| {
            Error::new(
                Code::GeneratorFailed,
                "the reply of the remote model broke off",
            )
            .with_cause(causes(&error.without_url()))
        };
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if bytes.len() + chunk.len() > bytes_at_most {
                return Err(Error::new(
                    Code::GeneratorFailed,
                    "the reply of the remote model is too long",
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        let host = self.endpoint.host_str().unwrap_or_default();
        Error::new(
            Code::GeneratorFailed,
            format!("the remote model at `{host}` cannot be reached"),
        )
        .with_hint("check LLM_BASE_URL and the network")
        .with_cause(causes(&error.without_url()))
    }

    fn refused(&self, status: StatusCode, explanation: &str) -> Error {
        let cause = match status {
            // Providers repeat parts of a wrong key in their answer.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => status.to_string(),
            _ => format!("{status}: {}", self.shorten(explanation)),
        };
        let failed =
            |message: &str, hint: &str| Error::new(Code::GeneratorFailed, message).with_hint(hint);
        let error = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => failed(
                "the remote model does not accept the key",
                "check LLM_API_KEY, LLM_PROVIDER and LLM_BASE_URL",
            ),
            StatusCode::NOT_FOUND => failed(
                "the provider does not know the model or the address",
                "check LLM_MODEL and LLM_BASE_URL",
            ),
            StatusCode::TOO_MANY_REQUESTS => Error::new(
                Code::GeneratorBusy,
                "the remote model takes no more questions for now",
            )
            .with_hint("ask again in a moment, or raise the limit at the provider"),
            _ => failed(
                &format!("the remote model answered {status}"),
                "the log says what the provider wrote",
            ),
        };
        error.with_cause(cause)
    }

    fn shorten(&self, explanation: &str) -> String {
        let text = match &self.settings.api_key {
            Some(key) => key.redact(explanation),
            None => explanation.to_owned(),
        };
        let end = text.floor_char_boundary(ERROR_BYTES_AT_MOST);
        text[..end].to_owned()
    }
}

#[async_trait]
impl Generator for RemoteGenerator {
    fn identity(&self) -> ModelIdentity {
        let known_by = format!(
            "{}\n{}\n{}",
            self.settings.provider.name(),
            self.endpoint,
            self.settings.model
        );
        ModelIdentity {
            name: self.settings.model.clone(),
            hash: blake3::hash(known_by.as_bytes()).to_hex().to_string(),
            is_remote: self.is_remote,
        }
    }

    async fn generate(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<Generation, Error> {
        match tokio::time::timeout(limits.timeout, self.ask(prompt, limits)).await {
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
}

impl Quirks {
    /// Learns from a refusal of `body`; says whether a request with what was learnt differs from it.
    fn learn(&self, body: &Value, explanation: &str) -> bool {
        if explanation.contains("max_completion_tokens") && body.get("max_tokens").is_some() {
            return !self.renamed_max_tokens.swap(true, Ordering::Relaxed);
        }
        if explanation.contains("temperature") && body.get("temperature").is_some() {
            return !self.no_temperature.swap(true, Ordering::Relaxed);
        }
        false
    }
}

fn headers(settings: &RemoteSettings) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    if settings.provider == Provider::Anthropic {
        headers.insert(
            "anthropic-version",
            HeaderValue::from_static(anthropic::VERSION),
        );
    }
    if let Some(ApiKey(key)) = settings.api_key.as_ref().filter(|key| !key.0.is_empty()) {
        let (name, text) = match settings.provider {
            Provider::OpenAi => ("authorization", format!("Bearer {key}")),
            Provider::Anthropic => ("x-api-key", key.clone()),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| invalid("LLM_API_KEY", "holds a character that no key has"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn invalid(variable: &str, what: &str) -> Error {
    Error::new(Code::InvalidSetting, format!("{variable} {what}"))
}

fn malformed() -> Error {
    Error::new(
        Code::GeneratorFailed,
        "the reply of the remote model cannot be read",
    )
    .with_hint("check LLM_PROVIDER and LLM_BASE_URL: the server speaks another protocol")
}

/// An error with all its causes, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
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
            generator.shorten("Incorrect key sk-secret"),
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
