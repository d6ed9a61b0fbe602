//! An embedder over HTTP, by OpenAI's embeddings, which most servers speak.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use engine::ports::{Embedder, EmbedderIdentity, Embedding};
use engine::{Code, Error};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{ApiKey, Reach, RemoteClient, Wording, secret};

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// How errors of an embedder name what was configured.
static WORDING: Wording = Wording {
    model: "remote embedding model",
    model_variable: "EMBEDDING_MODEL",
    base_url_variable: "EMBEDDING_BASE_URL",
    api_key_variable: "EMBEDDING_API_KEY",
    provider_variable: "EMBEDDING_PROVIDER",
    failed: Code::EmbedderFailed,
    busy: Code::EmbedderFailed,
    // An index of many texts meets limits, and a pause is all it takes.
    waits_when_busy: true,
};

/// How to reach a remote embedding model.
#[derive(Debug, Clone)]
pub struct RemoteEmbedderSettings {
    /// Up to and including the version, as in `http://localhost:8080/v1`; `None` is OpenAI's own.
    pub base_url: Option<String>,
    /// The key; servers of one's own may need none.
    pub api_key: Option<ApiKey>,
    /// The model's name at the provider.
    pub model: String,
    /// Texts in one request.
    pub texts_at_once: usize,
    /// Bytes of a text; what is longer is cut, since a server refuses what is longer than its model takes.
    pub text_bytes_at_most: usize,
    /// Wait for a connection.
    pub connect_timeout: Duration,
    /// Wait for the reply to one request.
    pub timeout: Duration,
    /// Requests sent for one reply, as long as no byte of a reply has come.
    pub attempts_at_most: u32,
    /// Wait before the second attempt, unless the server asks for more; doubled before each further one.
    pub backoff: Duration,
}

impl RemoteEmbedderSettings {
    /// The defaults: 32 texts at once, which every known server takes, of 8,000 bytes; 10 s to connect, 60 s to reply, four
    /// attempts, half a second between the first two.
    ///
    /// Source: `--max-client-batch-size` of text-embeddings-inference is 32; models of OpenAI take 8,191 tokens, and a
    /// token is a byte at least.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            base_url: None,
            api_key: None,
            model: model.into(),
            texts_at_once: 32,
            text_bytes_at_most: 8_000,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            attempts_at_most: 4,
            backoff: Duration::from_millis(500),
        }
    }
}

/// A remote embedding model behind the port.
#[derive(Debug)]
pub struct RemoteEmbedder {
    settings: RemoteEmbedderSettings,
    client: RemoteClient,
    /// That of the first vector, and so of all.
    dimension: OnceLock<usize>,
}

#[derive(Deserialize)]
struct Reply {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

impl RemoteEmbedder {
    /// Prepares to ask a remote model; asks nothing yet.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the base URL, the key or the model's name cannot be used.
    pub fn new(settings: RemoteEmbedderSettings) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.api_key
            && let Some(value) = secret("Bearer ", key, &WORDING)?
        {
            headers.insert("authorization", value);
        }
        let reach = Reach {
            base_url: settings.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL),
            path: "embeddings",
            model: &settings.model,
            headers,
            api_key: settings.api_key.clone(),
            connect_timeout: settings.connect_timeout,
            timeout: Some(settings.timeout),
            attempts_at_most: settings.attempts_at_most,
            backoff: settings.backoff,
        };
        Ok(Self {
            client: RemoteClient::new(reach, &WORDING)?,
            settings,
            dimension: OnceLock::new(),
        })
    }

    async fn embed_at_once(&self, texts: &[String]) -> Result<Vec<Embedding>, Error> {
        let inputs: Vec<_> = texts.iter().map(|text| self.input(text)).collect();
        let body = || {
            json!({
                "model": self.settings.model,
                "input": inputs,
                "encoding_format": "float",
            })
        };
        let reply = self.client.ask(body, |_, _, _| false, None).await?;
        self.read(reply, texts.len())
    }

    /// Returns a text as servers take it: none is empty, and none is longer than the model takes.
    fn input<'t>(&self, text: &'t str) -> &'t str {
        let end = text.floor_char_boundary(self.settings.text_bytes_at_most);
        match &text[..end] {
            "" => " ",
            text => text,
        }
    }

    /// Reads the vectors in the order of the texts, which need not be the order of the reply.
    fn read(&self, reply: Value, texts: usize) -> Result<Vec<Embedding>, Error> {
        let malformed = || self.client.malformed();
        let reply: Reply =
            serde_json::from_value(reply).map_err(|error| malformed().with_cause(error))?;
        let mut vectors = vec![None; texts];
        for Item { index, embedding } in reply.data {
            let place = vectors.get_mut(index).filter(|place| place.is_none());
            let place = place.ok_or_else(|| {
                malformed().with_cause(format!(
                    "the vector {index} was not asked for, or came twice"
                ))
            })?;
            self.check_dimension(embedding.len())?;
            *place = Some(Embedding::normalised(embedding)?);
        }
        let vectors: Option<Vec<_>> = vectors.into_iter().collect();
        vectors.ok_or_else(|| malformed().with_cause("a text has no vector"))
    }

    fn check_dimension(&self, dimension: usize) -> Result<(), Error> {
        let expected = *self.dimension.get_or_init(|| dimension);
        if dimension == expected {
            return Ok(());
        }
        Err(Error::new(
            Code::EmbedderFailed,
            format!(
                "the remote embedding model gave {expected} numbers before and {dimension} now"
            ),
        )
        .with_hint("another model answers under this name; name one exactly in EMBEDDING_MODEL"))
    }
}

#[async_trait]
impl Embedder for RemoteEmbedder {
    fn identity(&self) -> EmbedderIdentity {
        EmbedderIdentity {
            name: self.settings.model.clone(),
            hash: self.client.hash("openai", &self.settings.model),
            is_remote: self.client.is_remote(),
        }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Error> {
        let mut embeddings = Vec::with_capacity(texts.len());
        for texts in texts.chunks(self.settings.texts_at_once.max(1)) {
            embeddings.extend(self.embed_at_once(texts).await?);
        }
        Ok(embeddings)
    }
}
