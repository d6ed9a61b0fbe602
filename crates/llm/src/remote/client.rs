//! What every remote model has in common: an address, a key that stays secret, and attempts that are bounded.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::time::Duration;

use engine::ports::Heard;
use engine::{Code, Error};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::Value;

use super::streaming::{Broken, Dialect, Streamed};

/// A reply longer than this is a fault of the server, not an answer.
const REPLY_BYTES_AT_MOST: usize = 8 << 20;
/// How much of an error body goes to the log.
const ERROR_BYTES_AT_MOST: usize = 600;
/// A server may ask for a longer pause; nobody waits that long.
const PAUSE_AT_MOST: Duration = Duration::from_secs(10);

/// How errors name a model and what was configured for it.
#[derive(Debug)]
pub(super) struct Wording {
    pub model: &'static str,
    pub model_variable: &'static str,
    pub base_url_variable: &'static str,
    pub api_key_variable: &'static str,
    pub provider_variable: &'static str,
    pub failed: Code,
    pub busy: Code,
    /// "Too many requests" is asked again after a pause, instead of being an error.
    pub waits_when_busy: bool,
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
        if self.0.is_empty() {
            return text.to_owned();
        }
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How to reach a server.
pub(super) struct Reach<'a> {
    /// Up to and including the version.
    pub base_url: &'a str,
    /// What follows it.
    pub path: &'a str,
    pub model: &'a str,
    pub headers: HeaderMap,
    /// Kept out of what is logged.
    pub api_key: Option<ApiKey>,
    pub connect_timeout: Duration,
    /// For one attempt; `None` leaves it to the caller.
    pub timeout: Option<Duration>,
    pub attempts_at_most: u32,
    pub backoff: Duration,
}

/// Who is told a reply bit by bit.
pub(super) struct Listener<'h> {
    pub dialect: Dialect,
    pub heard: &'h Heard<'h>,
}

/// Asks one server in one way.
#[derive(Debug)]
pub(super) struct RemoteClient {
    endpoint: Url,
    headers: HeaderMap,
    api_key: Option<ApiKey>,
    client: Client,
    is_remote: bool,
    attempts_at_most: u32,
    backoff: Duration,
    wording: &'static Wording,
}

/// What a request came to.
enum Attempt {
    Reply(Value),
    /// Nothing of a reply came; another attempt may do better, after a pause that the server may have asked for.
    Transient(Error, Option<Duration>),
    /// The request will be another one.
    Adapted,
}

impl RemoteClient {
    /// Prepares to ask a server; asks nothing yet.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the base URL or the model's name cannot be used.
    pub(super) fn new(reach: Reach<'_>, wording: &'static Wording) -> Result<Self, Error> {
        if reach.model.trim().is_empty() {
            return Err(invalid(
                wording.model_variable,
                &format!("is needed for a {}", wording.model),
            ));
        }
        let variable = wording.base_url_variable;
        let base = reach.base_url.trim_end_matches('/');
        let endpoint: Url = format!("{base}/{}", reach.path)
            .parse()
            .map_err(|error| invalid(variable, "is not a URL").with_cause(error))?;
        if !matches!(endpoint.scheme(), "http" | "https") || endpoint.host_str().is_none() {
            return Err(invalid(
                variable,
                "is neither http:// nor https:// with a host",
            ));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            let instead = format!("holds a password; use {}", wording.api_key_variable);
            return Err(invalid(variable, &instead));
        }
        let is_remote = !is_loopback(&endpoint);
        if is_remote && endpoint.scheme() == "http" && reach.api_key.is_some() {
            tracing::warn!(
                "{variable} is not https: the key and every question travel in the clear"
            );
        }
        let mut client = Client::builder()
            .connect_timeout(reach.connect_timeout)
            // A redirect would carry the key, the question and the schema to a place that nobody configured.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(timeout) = reach.timeout {
            client = client.timeout(timeout);
        }
        if !is_remote {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| {
            Error::new(Code::Internal, "the HTTP client cannot be made").with_cause(error)
        })?;
        Ok(Self {
            endpoint,
            headers: reach.headers,
            api_key: reach.api_key,
            client,
            is_remote,
            attempts_at_most: reach.attempts_at_most,
            backoff: reach.backoff,
            wording,
        })
    }

    /// Says whether what is asked leaves this machine.
    pub(super) fn is_remote(&self) -> bool {
        self.is_remote
    }

    /// Returns what tells this model at this server apart from all others.
    pub(super) fn hash(&self, provider: &str, model: &str) -> String {
        let known_by = format!("{provider}\n{}\n{model}", self.endpoint);
        blake3::hash(known_by.as_bytes()).to_hex().to_string()
    }

    /// Asks, again after failures that may pass, and returns the reply. `adapt` hears a refusal with its body and what
    /// the server wrote, and says whether `body` will be another one from now on. `listener` hears a reply that is streamed.
    pub(super) async fn ask(
        &self,
        body: impl Fn() -> Value,
        adapt: impl Fn(StatusCode, &Value, &str) -> bool,
        listener: Option<&Listener<'_>>,
    ) -> Result<Value, Error> {
        let mut failures = 0;
        let mut backoff = self.backoff;
        loop {
            match self.attempt(&body(), &adapt, listener).await? {
                Attempt::Reply(reply) => return Ok(reply),
                Attempt::Adapted => {}
                Attempt::Transient(error, pause) => {
                    failures += 1;
                    if failures >= self.attempts_at_most.max(1) {
                        return Err(error);
                    }
                    tracing::debug!(
                        cause = error.cause(),
                        "asking the {} again",
                        self.wording.model
                    );
                    tokio::time::sleep(pause.unwrap_or(backoff).max(backoff)).await;
                    backoff *= 2;
                }
            }
        }
    }

    /// Sends one request. Only what fails before a reply begins is transient: a reply that broke off was paid for.
    async fn attempt(
        &self,
        body: &Value,
        adapt: &impl Fn(StatusCode, &Value, &str) -> bool,
        listener: Option<&Listener<'_>>,
    ) -> Result<Attempt, Error> {
        let sent = self
            .client
            .post(self.endpoint.clone())
            .headers(self.headers.clone())
            .json(body)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            // The server may be at work on it still.
            Err(error) if error.is_timeout() && !error.is_connect() => {
                return Err(self.unreachable(error));
            }
            Err(error) => return Ok(Attempt::Transient(self.unreachable(error), None)),
        };
        let status = response.status();
        if let Some(listener) = listener.filter(|_| is_stream(&response)) {
            return Ok(Attempt::Reply(self.hear(response, listener).await?));
        }
        if status.is_success() {
            let bytes = self.read_body(response).await?;
            let reply = serde_json::from_slice(&bytes);
            return reply
                .map(Attempt::Reply)
                .map_err(|error| self.malformed().with_cause(error));
        }
        let pause = pause_asked_for(&response);
        // The body only explains; without it the status must do.
        let explanation = self.read_body(response).await.unwrap_or_default();
        let explanation = String::from_utf8_lossy(&explanation);
        if adapt(status, body, &explanation) {
            return Ok(Attempt::Adapted);
        }
        let error = self.refused(status, &explanation);
        let is_busy = status == StatusCode::TOO_MANY_REQUESTS && self.wording.waits_when_busy;
        if status.is_server_error() || is_busy {
            Ok(Attempt::Transient(error, pause))
        } else {
            Err(error)
        }
    }

    /// Reads a body up to a bound; more than that is an error.
    async fn read_body(&self, mut response: Response) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.next(&mut response, bytes.len()).await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads a streamed reply up to the same bound, and tells it as it comes.
    async fn hear(&self, mut response: Response, listener: &Listener<'_>) -> Result<Value, Error> {
        let mut streamed = Streamed::new(listener.dialect);
        let mut read = 0;
        let failed = |broken| match broken {
            Broken::Off => self.broken_off(),
            Broken::Unreadable => self.malformed(),
            Broken::Failed(explanation) => self
                .failed(&format!(
                    "the {} failed while it answered",
                    self.wording.model
                ))
                .with_hint("the log says what the provider wrote")
                .with_cause(self.shorten(&explanation)),
        };
        while let Some(chunk) = self.next(&mut response, read).await? {
            read += chunk.len();
            let text = streamed.take(&chunk).map_err(failed)?;
            if !text.is_empty() {
                (listener.heard)(&text);
            }
        }
        streamed.whole().map_err(failed)
    }

    /// Returns the next bytes of a body of which so many have been read.
    async fn next(
        &self,
        response: &mut Response,
        read: usize,
    ) -> Result<Option<impl Deref<Target = [u8]> + use<>>, Error> {
        let broken =
            |error: reqwest::Error| self.broken_off().with_cause(causes(&error.without_url()));
        let chunk = response.chunk().await.map_err(broken)?;
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len());
        if read + length > REPLY_BYTES_AT_MOST {
            return Err(self.failed(&format!(
                "the reply of the {} is too long",
                self.wording.model
            )));
        }
        Ok(chunk)
    }

    fn broken_off(&self) -> Error {
        self.failed(&format!(
            "the reply of the {} broke off",
            self.wording.model
        ))
    }

    fn failed(&self, message: &str) -> Error {
        Error::new(self.wording.failed, message)
    }

    /// The reply is JSON and yet no reply.
    pub(super) fn malformed(&self) -> Error {
        let Wording {
            model,
            provider_variable,
            base_url_variable,
            ..
        } = self.wording;
        self.failed(&format!("the reply of the {model} cannot be read"))
            .with_hint(format!(
                "check {provider_variable} and {base_url_variable}: the server speaks another protocol"
            ))
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        let host = self.endpoint.host_str().unwrap_or_default();
        let what = if error.is_timeout() && !error.is_connect() {
            "takes too long"
        } else {
            "cannot be reached"
        };
        self.failed(&format!("the {} at `{host}` {what}", self.wording.model))
            .with_hint(format!(
                "check {} and the network",
                self.wording.base_url_variable
            ))
            .with_cause(causes(&error.without_url()))
    }

    fn refused(&self, status: StatusCode, explanation: &str) -> Error {
        let Wording {
            model,
            model_variable,
            base_url_variable,
            api_key_variable,
            provider_variable,
            ..
        } = self.wording;
        let cause = match status {
            // Providers repeat parts of a wrong key in their answer.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => status.to_string(),
            _ => format!("{status}: {}", self.shorten(explanation)),
        };
        let error = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self
                .failed(&format!("the {model} does not accept the key"))
                .with_hint(format!(
                    "check {api_key_variable}, {provider_variable} and {base_url_variable}"
                )),
            StatusCode::NOT_FOUND => self
                .failed("the provider does not know the model or the address")
                .with_hint(format!("check {model_variable} and {base_url_variable}")),
            StatusCode::TOO_MANY_REQUESTS => Error::new(
                self.wording.busy,
                format!("the {model} takes no more questions for now"),
            )
            .with_hint("ask again in a moment, or raise the limit at the provider"),
            _ => self
                .failed(&format!("the {model} answered {status}"))
                .with_hint("the log says what the provider wrote"),
        };
        error.with_cause(cause)
    }

    pub(super) fn shorten(&self, explanation: &str) -> String {
        let text = match &self.api_key {
            Some(key) => key.redact(explanation),
            None => explanation.to_owned(),
        };
        let end = text.floor_char_boundary(ERROR_BYTES_AT_MOST);
        text[..end].to_owned()
    }
}

/// Returns a key as the value of a header, with what stands before it; `None` if it is empty.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if it holds what no header can.
pub(super) fn secret(
    before: &str,
    ApiKey(key): &ApiKey,
    wording: &Wording,
) -> Result<Option<HeaderValue>, Error> {
    if key.is_empty() {
        return Ok(None);
    }
    let mut value = HeaderValue::from_str(&format!("{before}{key}")).map_err(|_| {
        invalid(
            wording.api_key_variable,
            "holds a character that no key has",
        )
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Returns the pause that a server asks for, in seconds; its other form, a date, is left alone.
fn pause_asked_for(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let pause = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(pause.min(PAUSE_AT_MOST))
}

/// Says whether a reply was granted and comes bit by bit; a server that does not stream answers in one piece.
fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE);
    response.status().is_success()
        && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
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
