//! The requests of Chroma's HTTP API v2 that are used, each bounded in time and in bytes, with its faults in words.

use std::net::IpAddr;
use std::time::Duration;

use engine::{Code, Error};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::ChromaSettings;
use super::records::Upsert;

/// A reply longer than this is none of Chroma's.
const REPLY_BYTES_AT_MOST: usize = 256 << 20;
/// How much of an error body goes to the log.
const ERROR_CHARACTERS_AT_MOST: usize = 600;
/// Documents read or deleted in one request.
const PAGE_DOCUMENTS: usize = 250;
/// Candidates that Chroma's index looks at for one search. With its own 100 it misses one in two of the ten nearest
/// among 10,000 random vectors, with 1,000 one in four hundred.
const CANDIDATES: usize = 1_000;
/// Neighbours that the index keeps of each vector. Twice as many of the lowest layer: as long as fewer documents than
/// that have one and the same vector, they cannot hide others. Chroma's own 16 makes writing a fifth faster.
const INDEX_NEIGHBOURS: usize = 32;
const CANNOT_CREATE: &str = "Chroma has no such tenant or database, and it cannot be made";

/// Chroma under one tenant and database.
pub struct Client {
    settings: ChromaSettings,
    http: reqwest::Client,
    headers: HeaderMap,
    api: Url,
}

/// A collection as Chroma describes it.
#[derive(Debug, Deserialize)]
pub struct StoredCollection {
    pub id: String,
    pub metadata: Option<Map<String, Value>>,
    /// Of its vectors; `None` until it has one.
    pub dimension: Option<usize>,
    #[serde(default)]
    configuration_json: Value,
}

/// What the server takes.
#[derive(Debug, Deserialize)]
pub struct Limits {
    /// Documents in one request.
    pub max_batch_size: usize,
    /// Vectors may be given as text.
    #[serde(default)]
    pub supports_base64_encoding: bool,
}

/// Documents as they are read, each list as long as the first, or absent if it was not asked for.
#[derive(Debug, Deserialize)]
pub struct Page {
    pub ids: Vec<String>,
    #[serde(default)]
    pub embeddings: Option<Vec<Vec<f32>>>,
    #[serde(default)]
    pub documents: Option<Vec<Option<String>>>,
    #[serde(default)]
    pub metadatas: Option<Vec<Option<Map<String, Value>>>>,
}

/// What one search found: one list for each vector that was given, here always one.
#[derive(Debug, Deserialize)]
pub struct Found {
    pub ids: Vec<Vec<String>>,
    pub documents: Vec<Vec<Option<String>>>,
    pub metadatas: Vec<Vec<Option<Map<String, Value>>>>,
    pub distances: Vec<Vec<Option<f32>>>,
}

/// What a request came to.
enum Reply<T> {
    Found(T),
    /// Chroma itself says that there is no such thing.
    Missing,
}

impl<T> Reply<T> {
    fn found(self) -> Option<T> {
        match self {
            Reply::Found(reply) => Some(reply),
            Reply::Missing => None,
        }
    }
}

impl Client {
    pub fn new(settings: ChromaSettings) -> Result<Self, Error> {
        let base: Url = settings
            .url
            .parse()
            .map_err(|error| invalid("the address of Chroma is not a URL").with_cause(error))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(invalid(
                "the address of Chroma is neither http:// nor https:// with a host",
            ));
        }
        let api = base
            .join("/api/v2/")
            .map_err(|error| invalid("the address of Chroma is not a URL").with_cause(error))?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &settings.token {
            // Chroma takes either, by its configuration; proxies before it take the first.
            for (name, value) in [
                (AUTHORIZATION.as_str(), format!("Bearer {}", token.0)),
                ("x-chroma-token", token.0.clone()),
            ] {
                let mut value = HeaderValue::from_str(&value).map_err(|_| {
                    invalid("the token of Chroma has characters that HTTP does not carry")
                })?;
                value.set_sensitive(true);
                headers.insert(
                    name.parse::<reqwest::header::HeaderName>()
                        .expect("a name of a header"),
                    value,
                );
            }
        }
        let mut http = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            // A redirect would carry the token and the texts to a place that nobody configured.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&api) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            Error::new(Code::Internal, "the HTTP client cannot be made").with_cause(error)
        })?;
        Ok(Self {
            settings,
            http,
            headers,
            api,
        })
    }

    pub fn settings(&self) -> &ChromaSettings {
        &self.settings
    }

    pub async fn heartbeat(&self) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Heartbeat {
            #[serde(rename = "nanosecond heartbeat")]
            _nanoseconds: u128,
        }
        let url = self.url(&["heartbeat"]);
        self.get::<Heartbeat>(url)
            .await?
            .found()
            .map(drop)
            .ok_or_else(|| self.not_chroma())
    }

    pub async fn limits(&self) -> Result<Limits, Error> {
        let url = self.url(&["pre-flight-checks"]);
        self.get(url)
            .await?
            .found()
            .ok_or_else(|| self.not_chroma())
    }

    /// Returns a collection; `None` if there is none of this name.
    pub async fn collection(&self, name: &str) -> Result<Option<StoredCollection>, Error> {
        self.get(self.collection_url(name, None))
            .await
            .map(Reply::found)
    }

    /// Returns a collection, made when it is missing, as are tenant and database.
    pub async fn get_or_create(&self, name: &str) -> Result<StoredCollection, Error> {
        self.create_database().await?;
        let body = json!({
            "name": name,
            "get_or_create": true,
            "configuration": { "hnsw": { "space": "cosine", "ef_search": CANDIDATES, "max_neighbors": INDEX_NEIGHBOURS } },
        });
        let url = self.database_url(&["collections"]);
        let created = self.send::<StoredCollection>(
            Method::POST,
            url,
            Some(&body),
            self.settings.batch_timeout,
        );
        let stored = created.await?.found().ok_or_else(|| down(CANNOT_CREATE))?;
        let space = stored.configuration_json.pointer("/hnsw/space");
        if space.is_some_and(|space| space != "cosine") {
            return Err(down(format!(
                "the collection `{name}` of Chroma compares vectors by another measure than the cosine"
            ))
            .with_hint("it was made by another program: choose another database with CHROMA_DATABASE"));
        }
        Ok(stored)
    }

    async fn create_database(&self) -> Result<(), Error> {
        let ChromaSettings {
            tenant, database, ..
        } = &self.settings;
        if self
            .get::<Value>(self.database_url(&[]))
            .await?
            .found()
            .is_some()
        {
            return Ok(());
        }
        for (url, name) in [
            (self.url(&["tenants"]), tenant),
            (self.url(&["tenants", tenant, "databases"]), database),
        ] {
            let body = json!({ "name": name });
            let request = self.request(Method::POST, url, self.settings.search_timeout);
            let reply = self.reply(request.json(&body)).await?;
            // Somebody else may have made it meanwhile.
            if !reply.status().is_success() && reply.status() != StatusCode::CONFLICT {
                return Err(self.refused(reply).await);
            }
        }
        Ok(())
    }

    pub async fn delete_collection(&self, name: &str) -> Result<(), Error> {
        let url = self.collection_url(name, None);
        let deleted = self.send::<Value>(
            Method::DELETE,
            url,
            None::<&Value>,
            self.settings.batch_timeout,
        );
        deleted.await.map(drop)
    }

    /// Replaces the metadata of a collection.
    pub async fn update_metadata(&self, id: &str, metadata: &Value) -> Result<(), Error> {
        let body = json!({ "new_metadata": metadata });
        self.must_find(
            Method::PUT,
            self.collection_url(id, None),
            &body,
            self.settings.batch_timeout,
        )
        .await
        .map(|_: Value| ())
    }

    pub async fn upsert(&self, id: &str, body: &Upsert<'_>) -> Result<(), Error> {
        self.must_find(
            Method::POST,
            self.collection_url(id, Some("upsert")),
            body,
            self.settings.batch_timeout,
        )
        .await
        .map(|_: Value| ())
    }

    /// Searches; `None` if the collection is gone.
    pub async fn query(
        &self,
        id: &str,
        near: &[f32],
        limit: usize,
        selected: Option<&Value>,
    ) -> Result<Option<Found>, Error> {
        let mut body = json!({
            "query_embeddings": [near],
            "n_results": limit,
            "include": ["documents", "metadatas", "distances"],
        });
        if let Some(selected) = selected {
            body["where"] = selected.clone();
        }
        let url = self.collection_url(id, Some("query"));
        self.send(Method::POST, url, Some(&body), self.settings.search_timeout)
            .await
            .map(Reply::found)
    }

    /// Reads the selected documents, page after page; `None` if the collection is gone.
    pub async fn read(&self, id: &str, selected: &Value) -> Result<Option<Vec<Page>>, Error> {
        let mut pages = Vec::new();
        loop {
            let body = json!({
                "where": selected,
                "limit": PAGE_DOCUMENTS,
                "offset": pages.len() * PAGE_DOCUMENTS,
                "include": ["documents", "metadatas", "embeddings"],
            });
            let url = self.collection_url(id, Some("get"));
            let reply = self.send(Method::POST, url, Some(&body), self.settings.batch_timeout);
            let Some::<Page>(page) = reply.await?.found() else {
                return Ok(None);
            };
            let is_last = page.ids.len() < PAGE_DOCUMENTS;
            pages.push(page);
            if is_last {
                return Ok(Some(pages));
            }
        }
    }

    /// Deletes the selected documents, a few at a time: searches wait while documents are deleted.
    pub async fn delete_where(&self, id: &str, selected: &Value) -> Result<(), Error> {
        loop {
            let body = json!({ "where": selected, "limit": PAGE_DOCUMENTS, "include": [] });
            let url = self.collection_url(id, Some("get"));
            let reply = self.send(Method::POST, url, Some(&body), self.settings.batch_timeout);
            let Some::<Page>(page) = reply.await?.found() else {
                return Ok(());
            };
            if page.ids.is_empty() {
                return Ok(());
            }
            let url = self.collection_url(id, Some("delete"));
            let body = json!({ "ids": page.ids });
            let _: Value = self
                .must_find(Method::POST, url, &body, self.settings.batch_timeout)
                .await?;
        }
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<Reply<T>, Error> {
        self.send(
            Method::GET,
            url,
            None::<&Value>,
            self.settings.search_timeout,
        )
        .await
    }

    async fn must_find<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, Error> {
        let reply = self.send(method, url, Some(body), timeout).await?;
        reply.found().ok_or_else(|| {
            down("the collection was deleted in Chroma while it was being written")
                .with_hint("index again")
        })
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<&impl Serialize>,
        timeout: Duration,
    ) -> Result<Reply<T>, Error> {
        let mut request = self.request(method, url, timeout);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = self.reply(request).await?;
        let status = reply.status();
        if status == StatusCode::NOT_FOUND {
            let body = self.body(reply).await?;
            let refusal = serde_json::from_slice::<Refusal>(&body).ok();
            // Any web server says 404; only Chroma says it so.
            return match refusal {
                Some(refusal) if refusal.error == "NotFoundError" => Ok(Reply::Missing),
                _ => Err(self.not_chroma().with_cause(shorten(&body))),
            };
        }
        if !status.is_success() {
            return Err(self.refused(reply).await);
        }
        let body = self.body(reply).await?;
        serde_json::from_slice(&body)
            .map(Reply::Found)
            .map_err(|error| self.not_chroma().with_cause(error))
    }

    /// Sends a request, twice if the first time the connection closes before a reply: it had lain idle while the server
    /// was started anew. Every request may be repeated.
    async fn reply(&self, request: RequestBuilder) -> Result<Response, Error> {
        let again = request.try_clone();
        let error = match (request.send().await, again) {
            (Ok(reply), _) => return Ok(reply),
            (Err(error), Some(again))
                if error.is_request() && !error.is_connect() && !error.is_timeout() =>
            {
                match again.send().await {
                    Ok(reply) => return Ok(reply),
                    Err(error) => error,
                }
            }
            (Err(error), _) => error,
        };
        Err(self.unreachable(&error))
    }

    fn request(&self, method: Method, url: Url, timeout: Duration) -> RequestBuilder {
        let request = self.http.request(method, url).timeout(timeout);
        request.headers(self.headers.clone())
    }

    async fn body(&self, mut reply: Response) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = reply
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if bytes.len() + chunk.len() > REPLY_BYTES_AT_MOST {
                return Err(self.not_chroma().with_cause("its reply does not end"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.api.clone();
        // Segment by segment, so that no name is more than a name.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn database_url(&self, path: &[&str]) -> Url {
        let ChromaSettings {
            tenant, database, ..
        } = &self.settings;
        self.url(&[&["tenants", tenant, "databases", database], path].concat())
    }

    fn collection_url(&self, name_or_id: &str, verb: Option<&str>) -> Url {
        let mut path = vec!["collections", name_or_id];
        path.extend(verb);
        self.database_url(&path)
    }

    fn place(&self) -> String {
        let host = self.api.host_str().unwrap_or_default();
        let port = self.api.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }

    pub fn too_slow(&self) -> Error {
        down(format!(
            "Chroma at `{}` does not answer in time",
            self.place()
        ))
        .with_hint("check its load, and that it still runs")
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        let error_in_words = if error.is_timeout() && !error.is_connect() {
            self.too_slow()
        } else {
            down(format!("Chroma at `{}` cannot be reached", self.place()))
                .with_hint("check CHROMA_HOST and CHROMA_PORT, and that Chroma runs there")
        };
        error_in_words.with_cause(causes(error))
    }

    fn not_chroma(&self) -> Error {
        down(format!("what answers at `{}` does not speak as Chroma does", self.place())).with_hint(
            "check CHROMA_HOST, CHROMA_PORT and CHROMA_SSL; Chroma 1.0 or newer with its HTTP API v2 is needed",
        )
    }

    async fn refused(&self, reply: Response) -> Error {
        let status = reply.status();
        // The body only explains; without it the status must do.
        let body = self.body(reply).await.unwrap_or_default();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return down(format!("Chroma at `{}` does not let us in", self.place()))
                .with_hint("check CHROMA_TOKEN, CHROMA_TENANT and CHROMA_DATABASE")
                .with_cause(status);
        }
        let cause = format!("{status}: {}", shorten(&body));
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => down(format!(
                "Chroma at `{}` failed: {}",
                self.place(),
                refusal.error
            ))
            .with_hint("the log says what it wrote"),
            Err(_) => self.not_chroma(),
        }
        .with_cause(cause)
    }
}

/// How Chroma says that something is wrong.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn down(message: impl Into<String>) -> Error {
    Error::new(Code::VectorStoreDown, message)
}

fn invalid(message: &str) -> Error {
    Error::new(Code::InvalidSetting, message)
        .with_hint("check CHROMA_HOST, CHROMA_PORT and CHROMA_TOKEN")
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

fn shorten(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .chars()
        .take(ERROR_CHARACTERS_AT_MOST)
        .collect()
}

/// Returns what an error says with all that caused it.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
