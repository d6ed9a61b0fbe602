//! Several servers and workers on one PostgreSQL, one Redis and one Chroma, behind a client that asks them in turn.

mod killed;
mod outages;
mod together;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use crate::fixture::{Fixture, PASSWORD, Server};
use crate::remote::RemoteModel;
use crate::store::{Database, Store};

const ADMIN: &str = "admin@localhost";
const SERVERS: usize = 3;

/// Redis and Chroma of a cluster, by their addresses.
struct Services {
    redis: String,
    chroma: String,
}

impl Services {
    /// Those of all tests, with a database of Redis that no other test uses.
    ///
    /// # Panics
    ///
    /// If REQUIRE_SERVICES is 1 and there are none.
    fn of_all_tests(redis_database: u8) -> Option<Self> {
        let redis = address("TEST_REDIS_URL")?;
        Some(Self {
            redis: format!("{redis}/{redis_database}"),
            chroma: address("TEST_CHROMA_URL")?,
        })
    }
}

fn address(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if address.is_none() {
        let is_required = std::env::var("REQUIRE_SERVICES").is_ok_and(|value| value == "1");
        assert!(!is_required, "{variable} is not set");
        eprintln!("skipped: {variable} is not set");
    }
    address
}

/// Servers that share everything but their data folders, as those on several machines do.
struct Cluster {
    servers: RwLock<Vec<Server>>,
    store: Store,
    services: Services,
    model: RemoteModel,
    fixture: Fixture,
    turn: AtomicUsize,
    client: Client,
}

impl Cluster {
    /// Starts servers that do jobs too; `None` where there are no services.
    fn start(services: Option<Services>, model: RemoteModel) -> Option<Self> {
        let cluster = Self {
            servers: RwLock::default(),
            store: Store::Postgres(Database::create()?),
            services: services?,
            model,
            fixture: Fixture::new(),
            turn: AtomicUsize::new(0),
            client: Client::builder()
                .timeout(Duration::from_secs(60))
                .build()
                .unwrap(),
        };
        for number in 0..SERVERS {
            cluster.start_server(&format!("server-{number}"));
        }
        Some(cluster)
    }

    /// Returns the program with the settings of this cluster and a data folder of its own.
    fn assay(&self, name: &str) -> Command {
        let mut command = self.fixture.assay();
        let (_, address) = self.services.chroma.split_once("://").unwrap();
        let (host, port) = address.rsplit_once(':').unwrap();
        let (_, database) = self.database_url().rsplit_once('/').unwrap();
        self.store.configure(self.model.configure(&mut command));
        command
            .env("DATA_DIR", self.fixture.data_dir().join(name))
            .env("TARGET_DB_SOURCE", self.fixture.original())
            .env("REDIS_URL", &self.services.redis)
            .env("CHROMA_HOST", host)
            .env("CHROMA_PORT", port)
            .env("CHROMA_DATABASE", database);
        command
    }

    fn database_url(&self) -> &str {
        let Store::Postgres(database) = &self.store else {
            unreachable!("a cluster is on PostgreSQL");
        };
        &database.url
    }

    fn start_server(&self, name: &str) {
        let mut command = self.assay(name);
        command.arg("serve");
        let server = Server::of(command);
        self.servers.write().unwrap().push(server);
    }

    /// Kills the first server without a word to it.
    fn kill_a_server(&self) {
        // From now on nobody is sent there; whoever was is told nothing.
        let server = self.servers.write().unwrap().remove(0);
        server.kill();
    }

    fn start_worker(&self, name: &str) -> Worker {
        Worker::start(self.assay(name))
    }

    fn urls(&self) -> Vec<String> {
        let servers = self.servers.read().unwrap();
        servers.iter().map(|server| server.url.clone()).collect()
    }

    /// Returns the address of the server whose turn it is.
    fn next_url(&self) -> String {
        let urls = self.urls();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        urls[turn % urls.len()].clone()
    }

    /// Asks one server.
    fn send_to(
        &self,
        url: &str,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> reqwest::Result<Response> {
        let method = method.parse().unwrap();
        let mut request = self.client.request(method, format!("{url}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        request.send()
    }

    /// Asks the server whose turn it is and returns what it says, which is no error.
    #[track_caller]
    fn send(&self, method: &str, path: &str, token: &str, body: Value) -> Value {
        let url = self.next_url();
        let response = self.send_to(&url, method, path, Some(token), &body);
        expect(response.unwrap())
    }

    #[track_caller]
    fn get(&self, path: &str, token: &str) -> Value {
        self.send("GET", path, token, Value::Null)
    }

    #[track_caller]
    fn ask(&self, question: &str, token: &str) -> Value {
        let body = json!({ "question": question });
        self.send("POST", "/api/v1/questions", token, body)
    }

    /// Logs in at the server whose turn it is.
    #[track_caller]
    fn token(&self, email: &str) -> String {
        let body = json!({ "email": email, "password": PASSWORD });
        let url = self.next_url();
        let response = self.send_to(&url, "POST", "/api/v1/auth/login", None, &body);
        let session = expect(response.unwrap());
        session["access_token"].as_str().unwrap().to_owned()
    }

    /// Makes an account and logs in.
    #[track_caller]
    fn new_user(&self, admin: &str, name: &str, role: &str) -> String {
        let email = format!("{name}@localhost");
        let user = json!({ "email": email, "full_name": name, "role": role, "password": PASSWORD });
        self.send("POST", "/api/v1/users", admin, user);
        self.token(&email)
    }

    /// Has a verified query approved, so that questions are looked up in the vector store.
    #[track_caller]
    fn approve(&self, admin: &str, question: &str, sql: &str) {
        let boss = self.new_user(admin, "boss", "admin");
        let query = json!({ "question": question, "sql": sql });
        let made = self.send("POST", "/api/v1/verified-queries", admin, query);
        let path = format!("/api/v1/verified-queries/{}/approve", made["id"]);
        self.send("POST", &path, &boss, json!({}));
    }

    fn ready(&self, url: &str) -> (u16, Value) {
        let response = self
            .send_to(url, "GET", "/health/ready", None, &Value::Null)
            .unwrap();
        (response.status().as_u16(), response.json().unwrap())
    }
}

#[track_caller]
fn expect(response: Response) -> Value {
    let status = response.status();
    let text = response.text().unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// A running `assay worker`; killed when dropped.
struct Worker {
    process: Child,
    /// What it calls itself in the queue.
    name: String,
}

impl Worker {
    fn start(mut command: Command) -> Self {
        let mut process = command
            .arg("worker")
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let name = loop {
            let line = lines.next().expect("a worker says its name").unwrap();
            if let Some(name) = line.strip_prefix("working as ") {
                break name.to_owned();
            }
        };
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { process, name }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer that an asker got, and when.
struct Heard {
    begun: Instant,
    ended: Instant,
    answer: Value,
}

impl Heard {
    /// Says whether the answer had to do without a part.
    fn lacks(&self, part: &str) -> bool {
        lacks(&self.answer, part)
    }
}

fn lacks(answer: &Value, part: &str) -> bool {
    let degraded = answer["degraded"].as_array().unwrap();
    degraded.iter().any(|one| one["part"] == part)
}

/// What came of questions that were asked again and again.
#[derive(Default)]
struct Load {
    answers: Mutex<Vec<Heard>>,
    faults: Mutex<Vec<String>>,
    asked: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    /// Asks with each of these sessions while `meanwhile` goes on.
    fn during(cluster: &Cluster, tokens: &[String], meanwhile: impl FnOnce(&Load)) -> Self {
        struct Over<'l>(&'l Load);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.is_over.store(true, Ordering::Relaxed);
            }
        }
        let load = Self::default();
        std::thread::scope(|scope| {
            // Also when the test fails: the askers would go on for ever.
            let _over = Over(&load);
            for token in tokens {
                scope.spawn(|| load.ask(cluster, token));
            }
            meanwhile(&load);
        });
        load
    }

    /// Every other question was never asked before; the others are the same.
    fn ask(&self, cluster: &Cluster, token: &str) {
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            let question = match number % 2 {
                0 => "How many customers are there?".to_owned(),
                _ => format!("How many customers have a number other than {number}?"),
            };
            let begun = Instant::now();
            match Self::answer(cluster, token, &question) {
                Ok(answer) => self.answers.lock().unwrap().push(Heard {
                    begun,
                    ended: Instant::now(),
                    answer,
                }),
                Err(fault) => self.faults.lock().unwrap().push(fault),
            }
        }
    }

    /// Asks the next server, and another one if that server is gone meanwhile.
    fn answer(cluster: &Cluster, token: &str, question: &str) -> Result<Value, String> {
        let body = json!({ "question": question });
        loop {
            let url = cluster.next_url();
            let sent = cluster.send_to(&url, "POST", "/api/v1/questions", Some(token), &body);
            let received = sent.and_then(|response| {
                let status = response.status().as_u16();
                Ok((status, response.text()?))
            });
            match received {
                Ok((200, text)) => return Ok(serde_json::from_str(&text).unwrap()),
                Ok((status, text)) => return Err(format!("{status}: {text}")),
                Err(_) if !cluster.urls().contains(&url) => {}
                Err(fault) => return Err(format!("{fault:?}")),
            }
        }
    }

    fn count(&self) -> usize {
        self.answers.lock().unwrap().len()
    }

    /// Waits until so many answers more were heard to questions begun from now on.
    #[track_caller]
    fn wait_for_more(&self, more: usize) {
        let now = Instant::now();
        until("enough is answered", || {
            let answers = self.answers.lock().unwrap();
            let newer = answers.iter().filter(|heard| heard.begun >= now);
            (newer.count() >= more).then_some(())
        });
    }

    #[track_caller]
    fn assert_nothing_failed(&self) {
        assert_eq!(*self.faults.lock().unwrap(), [""; 0]);
    }
}

/// Looks again and again until there is something, for a minute at most.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
