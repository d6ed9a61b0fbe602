//! A small shop to ask about, a scripted model to write SQL, and the program under test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::store::Store;

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
        Self::with("")
    }

    /// Adds more to the original.
    pub fn with(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("original")).unwrap();
        let fixture = Self {
            folder,
            before: BTreeMap::new(),
        };
        let original = rusqlite::Connection::open(fixture.original()).unwrap();
        original
            .execute_batch(
                "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT);
                 CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), total REAL);
                 INSERT INTO customers VALUES (1, 'Ada', 'Germany'), (2, 'Grace', 'France'), (3, 'Edsger', 'Germany');
                 INSERT INTO orders VALUES (1, 1, 10.5), (2, 1, 20.0), (3, 2, 5.0);",
            )
            .unwrap();
        original.execute_batch(sql).unwrap();
        drop(original);
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
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
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
    pub fn of(output: Output) -> Self {
        Self(output)
    }

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

type Replies = Box<dyn Iterator<Item = String> + Send>;

struct Script {
    replies: Mutex<Replies>,
    told: Arc<Mutex<Vec<String>>>,
}

/// The reply that never comes.
pub const HANG: &str = "HANG";

impl ScriptedModel {
    pub fn replying(replies: &[&str]) -> Self {
        let replies: Vec<String> = replies.iter().map(|reply| (*reply).to_owned()).collect();
        Self::from(Box::new(replies.into_iter()))
    }

    /// Replies the same to everything.
    pub fn always(reply: &str) -> Self {
        Self::from(Box::new(std::iter::repeat(reply.to_owned())))
    }

    fn from(replies: Replies) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Script {
            replies: Mutex::new(replies),
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
            // Each generation is counted here; drawing has tests of its own.
            .env("LLM_CANDIDATES", "0")
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
    log: Log,
}

/// What a server says after it listens.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Receiver<String>>>);

impl Log {
    /// Returns every line to the server's end.
    pub fn to_the_end(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().collect()
    }
}

impl Server {
    pub fn start(fixture: &Fixture, model: &ScriptedModel) -> Self {
        Self::launch(fixture, model, &Store::Sqlite, &[], &[])
    }

    /// Starts on a store of this kind.
    pub fn start_on(fixture: &Fixture, model: &ScriptedModel, store: &Store) -> Self {
        Self::launch(fixture, model, store, &[], &[])
    }

    /// Starts with more settings than usual.
    pub fn start_with(fixture: &Fixture, model: &ScriptedModel, vars: &[(&str, &str)]) -> Self {
        Self::launch(fixture, model, &Store::Sqlite, vars, &[])
    }

    /// Starts one that leaves the jobs to others.
    pub fn start_idle(fixture: &Fixture, model: &ScriptedModel, vars: &[(&str, &str)]) -> Self {
        Self::launch(fixture, model, &Store::Sqlite, vars, &["--no-worker"])
    }

    fn launch(
        fixture: &Fixture,
        model: &ScriptedModel,
        store: &Store,
        vars: &[(&str, &str)],
        arguments: &[&str],
    ) -> Self {
        let mut command = fixture.assay();
        store
            .configure(model.configure(&mut command))
            .envs(vars.iter().copied())
            .env(
                "TARGET_DATABASE_URL",
                format!("sqlite:///{}", fixture.original_path()),
            )
            .arg("serve")
            .args(arguments);
        Self::of(command)
    }

    /// Starts `assay serve` as configured, on a free port.
    pub fn of(mut command: Command) -> Self {
        let mut process = command
            .env("LISTEN", "127.0.0.1:0")
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
        let (said, log) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| drop(said.send(line)));
        });
        let log = Log(Arc::new(Mutex::new(log)));
        Self { process, url, log }
    }

    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Logs in and returns the answer.
    pub fn log_in(&self, email: &str, password: &str) -> Response {
        Client::new()
            .post(format!("{}/api/v1/auth/login", self.url))
            .json(&json!({ "email": email, "password": password }))
            .send()
            .unwrap()
    }

    /// Logs in and returns the access token.
    pub fn token(&self, email: &str, password: &str) -> String {
        let session: Value = self.log_in(email, password).json().unwrap();
        let token = session["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{session}")).to_owned()
    }

    /// Asks for something; without a token as nobody, with `Null` without a body.
    pub fn send(&self, method: &str, path: &str, token: Option<&str>, body: &Value) -> Response {
        let method = method.parse().unwrap();
        let mut request = Client::new().request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        request.send().unwrap()
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Says whether the server has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Kills the server without a word to it.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Tells the server to end and says whether it did so well.
    pub fn stop(self) -> bool {
        let id = self.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        self.wait() == Some(0)
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
