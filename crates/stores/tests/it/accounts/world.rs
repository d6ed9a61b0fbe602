//! A world with a clock that stands still until it is moved, letters that can be read, and passwords that cost nothing.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use engine::accounts::logging_in::{self, OpenSession};
use engine::accounts::{
    AccountSettings, Actor, Credential, Email, NewUser, Password, Registration, UserId,
};
use engine::audit::{AuditEntry, AuditFilter, AuditRecord};
use engine::policy::Role;
use engine::ports::{
    AskPorts, Clock, Generation, GenerationLimits, Generator, Letter, Mailer, ModelIdentity,
    PageRequest, Passwords, Ports, Random, TargetDatabase, TargetGeneration,
};
use engine::prompt::Prompt;
use engine::{Code, Error};
use serde_json::json;
use stores::memory::{MemoryCache, MemoryJobs, MemoryRateLimits, MemoryVectors};
use stores::sqlite::SqliteStore;

pub const PASSWORD: &str = "wharf-lemon-tundra-okay";
pub const ELSE: &str = "plinth-cobalt-vesper-nine";

pub struct World {
    pub ports: Ports,
    pub settings: AccountSettings,
    pub clock: Arc<MovedClock>,
    pub passwords: Arc<CountedPasswords>,
    pub letters: Arc<ReadLetters>,
}

impl World {
    pub fn new(registration: Registration) -> Self {
        let store = Arc::new(SqliteStore::in_memory().unwrap());
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Arc::new(MovedClock(Mutex::new(start)));
        let passwords = Arc::new(CountedPasswords::default());
        let letters = Arc::new(ReadLetters::default());
        Self {
            ports: Ports {
                asking: AskPorts {
                    store: store.clone(),
                    target: Arc::new(Nothing),
                    generator: Arc::new(Nothing),
                    cache: Arc::new(MemoryCache::new(clock.clone())),
                    vectors: Arc::new(MemoryVectors::in_memory()),
                    embedder: None,
                    known: Arc::default(),
                    clock: clock.clone(),
                },
                store,
                passwords: passwords.clone(),
                mailer: letters.clone(),
                rate_limits: Arc::new(MemoryRateLimits::default()),
                cache: Arc::new(MemoryCache::new(clock.clone())),
                jobs: Arc::new(MemoryJobs::new("here", clock.clone())),
                clock: clock.clone(),
                random: Arc::new(Counted::default()),
            },
            settings: AccountSettings {
                registration,
                public_url: "https://assay.example.org".into(),
                ..AccountSettings::default()
            },
            clock,
            passwords,
            letters,
        }
    }

    /// Creates a user whose password is [`PASSWORD`].
    pub async fn user(&self, email: &str, role: Role) -> Actor {
        let user = NewUser {
            email: Email::parse(email).unwrap(),
            password_hash: hash_of(PASSWORD),
            full_name: "Someone".into(),
            role,
        };
        let audit = AuditEntry::new(self.clock.now(), None, "user_created", "user", json!({}));
        let user_id = self.ports.store.create_user(&user, &audit).await.unwrap();
        Actor { user_id, role }
    }

    pub async fn log_in(&self, email: &str, password: &str) -> Result<OpenSession, Error> {
        logging_in::log_in(&self.ports, &self.settings, email, password, from(1)).await
    }

    /// Says whether a session is recognised.
    pub async fn lives(&self, session: &OpenSession) -> bool {
        logging_in::actor_of_session(&self.ports, &session.secret)
            .await
            .is_ok()
    }

    pub async fn audit(&self) -> Vec<AuditRecord> {
        let (all, page) = (AuditFilter::default(), PageRequest::first(500));
        let page = self.ports.store.audit_entries(&all, page).await;
        let mut entries = page.unwrap().items;
        entries.reverse();
        entries
    }

    pub async fn actions(&self) -> Vec<String> {
        let entries = self.audit().await;
        entries.into_iter().map(|entry| entry.action).collect()
    }

    pub async fn is_active(&self, id: UserId) -> bool {
        self.ports.store.user(id).await.unwrap().unwrap().is_active
    }
}

/// Returns an address of a network of its own.
pub fn from(network: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, network])
}

pub fn of_session(session: &OpenSession) -> Credential {
    Credential::Session(session.secret.clone())
}

#[track_caller]
pub fn code<T>(result: Result<T, Error>) -> Code {
    match result {
        Ok(_) => panic!("it went well"),
        Err(error) => error.code(),
    }
}

pub struct MovedClock(Mutex<DateTime<Utc>>);

impl MovedClock {
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for MovedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// Counts verifications, and calls a password guessable if it holds `123` or what is known of its owner.
#[derive(Default)]
pub struct CountedPasswords {
    verified: AtomicUsize,
}

impl CountedPasswords {
    pub fn verified(&self) -> usize {
        self.verified.load(Ordering::Relaxed)
    }
}

fn hash_of(password: &str) -> String {
    format!("hash of {password}")
}

#[async_trait]
impl Passwords for CountedPasswords {
    async fn hash(&self, password: &Password) -> Result<String, Error> {
        Ok(hash_of(password.reveal()))
    }

    async fn verify(&self, typed: &str, stored: Option<&str>) -> Result<bool, Error> {
        self.verified.fetch_add(1, Ordering::Relaxed);
        Ok(stored.is_some_and(|stored| stored == hash_of(typed)))
    }

    async fn is_guessable(&self, password: &str, owner: &[&str]) -> Result<bool, Error> {
        Ok(password.contains("123") || owner.iter().any(|known| password.contains(known)))
    }
}

#[derive(Default)]
pub struct ReadLetters {
    sent: Mutex<Vec<Letter>>,
    pub is_down: AtomicBool,
}

impl ReadLetters {
    pub fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    pub fn last_to(&self) -> String {
        let sent = self.sent.lock().unwrap();
        sent.last().unwrap().to.as_str().to_owned()
    }

    /// Returns the token in the link of the last letter.
    pub fn token(&self) -> String {
        let sent = self.sent.lock().unwrap();
        let text = &sent.last().unwrap().text;
        assert!(text.contains("https://assay.example.org/"), "{text}");
        let (_, rest) = text.split_once("#token=").unwrap();
        rest.lines().next().unwrap().to_owned()
    }
}

#[async_trait]
impl Mailer for ReadLetters {
    async fn send(&self, letter: &Letter) -> Result<(), Error> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(Error::new(Code::MailFailed, "the mail server is down"));
        }
        self.sent.lock().unwrap().push(letter.clone());
        Ok(())
    }
}

#[derive(Default)]
struct Counted(AtomicU64);

impl Random for Counted {
    fn bytes(&self) -> [u8; 32] {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        bytes
    }
}

/// Accounts need neither a target nor a model.
struct Nothing;

#[async_trait]
impl TargetDatabase for Nothing {
    async fn current(&self) -> Result<Arc<dyn TargetGeneration>, Error> {
        Err(Error::new(Code::TargetDisabled, "none"))
    }
}

#[async_trait]
impl Generator for Nothing {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: "none".into(),
            hash: String::new(),
            is_remote: false,
        }
    }

    async fn generate(&self, _: &Prompt, _: &GenerationLimits) -> Result<Generation, Error> {
        Err(Error::new(Code::ModelMissing, "none"))
    }
}
