//! A remote model of the test's own that takes its time: it writes SQL and makes vectors, and counts what it was asked.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The numbers of a vector.
const DIMENSION: usize = 64;

/// A server that speaks OpenAI's protocol.
pub struct RemoteModel {
    address: std::net::SocketAddr,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    reply: fn(&str) -> String,
    takes: Duration,
    prompts: Mutex<Vec<String>>,
    /// Requests for vectors of so many texts wait; `usize::MAX` holds none.
    held_from: watch::Sender<usize>,
}

impl RemoteModel {
    /// Replies to each prompt with what `reply` makes of it, after this time.
    pub fn replying(takes: Duration, reply: fn(&str) -> String) -> Self {
        let shared = Arc::new(Shared {
            reply,
            takes,
            prompts: Mutex::default(),
            held_from: watch::Sender::new(usize::MAX),
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/chat/completions", post(write))
            .route("/v1/embeddings", post(embed))
            .with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            shared,
            _runtime: runtime,
        }
    }

    pub fn configure<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let url = format!("http://{}/v1", self.address);
        command
            .env("LLM_PROVIDER", "openai")
            // Each generation is counted here; drawing has tests of its own.
            .env("LLM_CANDIDATES", "0")
            .env("LLM_BASE_URL", &url)
            .env("LLM_MODEL", "remote")
            .env("EMBEDDING_PROVIDER", "openai")
            .env("EMBEDDING_BASE_URL", &url)
            .env("EMBEDDING_MODEL", "words")
    }

    /// Returns the prompts so far.
    pub fn prompts(&self) -> Vec<String> {
        self.shared.prompts.lock().unwrap().clone()
    }

    /// Returns how often SQL was asked for so far.
    pub fn calls(&self) -> usize {
        self.shared.prompts.lock().unwrap().len()
    }

    /// Lets requests for vectors of at least so many texts wait until [`RemoteModel::let_go`].
    pub fn hold_embeddings(&self, of_texts: usize) {
        self.shared.held_from.send_replace(of_texts);
    }

    pub fn let_go(&self) {
        self.hold_embeddings(usize::MAX);
    }
}

async fn write(State(shared): State<Arc<Shared>>, Json(request): Json<Value>) -> Json<Value> {
    let messages = request["messages"].as_array().unwrap();
    let contents = messages
        .iter()
        .filter_map(|message| message["content"].as_str());
    let prompt = contents.collect::<Vec<_>>().join("\n");
    let text = (shared.reply)(&prompt);
    shared.prompts.lock().unwrap().push(prompt);
    tokio::time::sleep(shared.takes).await;
    Json(json!({
        "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10 },
    }))
}

async fn embed(State(shared): State<Arc<Shared>>, Json(request): Json<Value>) -> Json<Value> {
    let texts = request["input"].as_array().unwrap();
    let mut held_from = shared.held_from.subscribe();
    let _ = held_from.wait_for(|from| texts.len() < *from).await;
    let vectors = texts.iter().enumerate().map(|(index, text)| {
        json!({ "object": "embedding", "index": index, "embedding": vector(text.as_str().unwrap()) })
    });
    let vectors: Vec<Value> = vectors.collect();
    Json(
        json!({ "object": "list", "data": vectors, "usage": { "prompt_tokens": 1, "total_tokens": 1 } }),
    )
}

/// Counts the words of a text: texts of like words have like vectors.
fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSION];
    // No text is without a direction.
    vector[0] = 0.1;
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        if !word.is_empty() {
            let hash = blake3::hash(word.to_lowercase().as_bytes());
            vector[usize::from(hash.as_bytes()[0]) % DIMENSION] += 1.0;
        }
    }
    vector
}
