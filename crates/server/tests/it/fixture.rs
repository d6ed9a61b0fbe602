//! A small shop to ask about, a scripted model to write SQL, and the program under test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const PASSWORD: &str = "correct horse battery staple";

/// A data folder, an original database and its state at the beginning, which every test ends by comparing.
pub struct Fixture {
    folder: TempDir,
    before: BTreeMap<PathBuf, FileState>,
}

#[derive(Debug, PartialEq)]
struct FileState {
    hash: blake3::Hash,
    modified: std::time::SystemTime,
    mode: u32,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("original")).unwrap();
        let fixture = Self {
            folder,
            before: BTreeMap::new(),
        };
        rusqlite::Connection::open(fixture.original())
            .unwrap()
            .execute_batch(
                "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT);
                 CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), total REAL);
                 INSERT INTO customers VALUES (1, 'Ada', 'Germany'), (2, 'Grace', 'France'), (3, 'Edsger', 'Germany');
                 INSERT INTO orders VALUES (1, 1, 10.5), (2, 1, 20.0), (3, 2, 5.0);",
            )
            .unwrap();
        let before = states(&fixture.original_folder());
        Self { before, ..fixture }
    }

    pub fn original_folder(&self) -> PathBuf {
        self.folder.path().join("original")
    }

    pub fn original(&self) -> PathBuf {
        self.original_folder().join("shop.db")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns the program with nothing of this machine's environment but what is set here.
    pub fn assay(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assay"));
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .env("DATA_DIR", self.data_dir())
            .env("INIT_ADMIN_PASSWORD", PASSWORD)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran(self.assay().args(args).output().unwrap())
    }

    /// Runs the program with a scripted model.
    pub fn run_with(&self, model: &ScriptedModel, args: &[&str]) -> Ran {
        Ran(model
            .configure(&mut self.assay())
            .args(args)
            .output()
            .unwrap())
    }

    pub fn original_path(&self) -> String {
        self.original().display().to_string()
    }

    pub fn system_store(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.data_dir().join("system.db")).unwrap()
    }

    /// The original's bytes, time, mode and neighbours are what they were.
    pub fn assert_original_untouched(&self) {
        assert_eq!(states(&self.original_folder()), self.before);
    }
}

fn states(folder: &Path) -> BTreeMap<PathBuf, FileState> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            use std::os::unix::fs::MetadataExt;
            let path = entry.unwrap().path();
            let metadata = std::fs::metadata(&path).unwrap();
            let state = FileState {
                hash: blake3::hash(&std::fs::read(&path).unwrap()),
                modified: metadata.modified().unwrap(),
                mode: metadata.mode(),
            };
            (path, state)
        })
        .collect()
}

/// What a run of the program left behind.
pub struct Ran(Output);

impl Ran {
    pub fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout())
            .unwrap_or_else(|fault| panic!("{fault}: {} {}", self.stdout(), self.stderr()))
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "{}\n{}",
            self.stdout(),
            self.stderr()
        );
        self
    }
}

/// A model behind the OpenAI protocol that replies in turn and remembers what it was told.
pub struct ScriptedModel {
    address: std::net::SocketAddr,
    told: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

struct Script {
    replies: Mutex<std::vec::IntoIter<String>>,
    told: Arc<Mutex<Vec<String>>>,
}

/// The reply that never comes.
pub const HANG: &str = "HANG";

impl ScriptedModel {
    pub fn replying(replies: &[&str]) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let replies: Vec<String> = replies.iter().map(|reply| (*reply).to_owned()).collect();
        let script = Arc::new(Script {
            replies: Mutex::new(replies.into_iter()),
            told: Arc::clone(&told),
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/v1/chat/completions", post(reply))
            .with_state(script);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            told,
            _runtime: runtime,
        }
    }

    pub fn configure<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("LLM_PROVIDER", "openai")
            .env("LLM_BASE_URL", format!("http://{}/v1", self.address))
            .env("LLM_MODEL", "scripted")
    }

    /// Returns the user's turn of every request so far.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

async fn reply(State(script): State<Arc<Script>>, Json(request): Json<Value>) -> Json<Value> {
    let user = request["messages"][1]["content"]
        .as_str()
        .unwrap_or_default();
    script.told.lock().unwrap().push(user.to_owned());
    let text = script.replies.lock().unwrap().next();
    if text.as_deref() == Some(HANG) {
        std::future::pending::<()>().await;
    }
    Json(json!({
        "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10 },
    }))
}

/// A running server; it is told to end when dropped.
pub struct Server {
    process: Child,
    pub url: String,
}

impl Server {
    pub fn start(fixture: &Fixture, model: &ScriptedModel) -> Self {
        let mut command = fixture.assay();
        model.configure(&mut command);
        let mut process = command
            .arg("serve")
            .env("LISTEN", "127.0.0.1:0")
            .env(
                "TARGET_DATABASE_URL",
                format!("sqlite:///{}", fixture.original_path()),
            )
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let url = loop {
            let line = lines
                .next()
                .expect("the server says where it listens")
                .unwrap();
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the server to end by itself and returns its exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
