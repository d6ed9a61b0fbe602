//! bcrypt, off the threads that serve requests and only so much at once.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::accounts::Password;
use engine::ports::Passwords;
use engine::{Code, Error};
use tokio::sync::Semaphore;
use zxcvbn::matching::patterns::MatchPattern;
use zxcvbn::{Score, zxcvbn};

/// Work factor; each hash takes about a quarter of a second.
pub const COST: u32 = 12;

/// For each thread so many may wait; the last of them waits about four seconds.
const QUEUE_PER_THREAD: usize = 16;

/// How long to wait when the queue is full: until all that is in it is done.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What is compared where there is no user: the hash of a word that is never accepted, because
/// there is no user whose it could be.
const DECOY: &str = "$2b$12$SBno5NqivEwT4XuKfU87Iu4Cpwmf4M05r/5gf6w02ZYvFEfRj6EDK";

/// Hashes with bcrypt. One core is always left for everything else, however many log in.
pub struct BcryptPasswords {
    /// Those that hash or wait.
    places: Arc<Semaphore>,
    /// Those that hash.
    turns: Arc<Semaphore>,
}

impl BcryptPasswords {
    /// Hashes on all cores but one, at least on one.
    pub fn new() -> Self {
        Self::on(Self::threads(), QUEUE_PER_THREAD)
    }

    /// Returns how many hash at once.
    pub fn threads() -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        cores.saturating_sub(1).max(1)
    }

    fn on(threads: usize, queue_per_thread: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(threads * (1 + queue_per_thread))),
            turns: Arc::new(Semaphore::new(threads)),
        }
    }

    /// Runs `work` in its turn. A caller who goes away while waiting leaves the queue; work that has begun keeps its
    /// turn to the end, because it cannot be stopped.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(interrupted)?;
        tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        })
        .await
        .map_err(interrupted)
    }
}

#[async_trait]
impl Passwords for BcryptPasswords {
    async fn hash(&self, password: &Password) -> Result<String, Error> {
        let password = password.clone();
        // `Password` has at most 72 bytes, so nothing is cut; the crate's checking functions refuse the 72nd byte.
        self.run(move || bcrypt::hash(password.reveal(), COST))
            .await?
            .map_err(interrupted)
    }

    async fn verify(&self, typed: &str, stored: Option<&str>) -> Result<bool, Error> {
        let may_match = stored.is_some() && typed.len() <= Password::MAX_BYTES;
        let (typed, stored) = (typed.to_owned(), stored.unwrap_or(DECOY).to_owned());
        self.run(move || bcrypt::verify(typed, &stored).unwrap_or(false) && may_match)
            .await
    }

    async fn is_guessable(&self, password: &str, owner: &[&str]) -> Result<bool, Error> {
        let password = password.to_owned();
        let owner: Vec<String> = owner.iter().map(|text| (*text).to_owned()).collect();
        self.run(move || is_guessable(&password, &owner)).await
    }
}

/// Source: Wheeler, "zxcvbn: Low-Budget Password Strength Estimation" (2016); a score of 3 takes more than 10^8 guesses.
fn is_guessable(password: &str, owner: &[String]) -> bool {
    // Attackers try the parts of an address and a name, not only the whole.
    let parts = owner
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .filter(|part| part.chars().count() >= 3);
    let known: Vec<&str> = owner.iter().map(String::as_str).chain(parts).collect();
    let found = zxcvbn(password, &known);
    let is_one_word =
        matches!(found.sequence(), [only] if matches!(only.pattern, MatchPattern::Dictionary(_)));
    found.score() < Score::Three || is_one_word
}

fn busy() -> Error {
    Error::new(Code::RateLimited, "too many are logging in at this moment")
        .with_hint("try again in a few seconds")
        .with_retry_after(RETRY_AFTER)
}

fn interrupted(fault: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, "the password could not be hashed").with_cause(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::of_operator(text).unwrap()
    }

    #[tokio::test]
    async fn a_password_of_72_bytes_is_read_to_the_end_and_a_longer_one_never_matches() {
        let passwords = BcryptPasswords::new();
        let longest = "x".repeat(71) + "y";
        let hash = passwords.hash(&password(&longest)).await.unwrap();
        assert!(passwords.verify(&longest, Some(&hash)).await.unwrap());
        let others = ["x".repeat(71), "x".repeat(72), longest.clone() + "z"];
        for other in others {
            assert!(!passwords.verify(&other, Some(&hash)).await.unwrap());
        }
    }

    #[tokio::test]
    async fn without_a_user_the_same_work_is_done_for_nothing() {
        assert!(bcrypt::verify("decoy", DECOY).unwrap(), "it must be a hash");
        let passwords = BcryptPasswords::new();
        assert!(!passwords.verify("decoy", None).await.unwrap());
        assert!(DECOY.starts_with(&format!("$2b${COST}$")));
    }

    #[tokio::test]
    async fn a_full_queue_is_told_so_and_empties_again() {
        let passwords = BcryptPasswords::on(1, 1);
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let hashing = passwords.run(move || wait.recv().is_ok());
        let waiting = passwords.run(|| true);
        let refused = async {
            let error = passwords.run(|| ()).await.unwrap_err();
            go_on.send(()).unwrap();
            error
        };
        // Polled in this order: one hashes, one waits, the third finds no place.
        let (hashed, waited, error) = tokio::join!(biased; hashing, waiting, refused);
        assert!(hashed.unwrap() && waited.unwrap());
        assert_eq!(error.code(), Code::RateLimited);
        assert!(error.retry_after().is_some());
        assert!(passwords.run(|| true).await.unwrap());
    }

    #[test]
    fn passwords_that_attackers_try_early_are_guessable() {
        let owner = [
            "ada.lovelace@analytical.example".into(),
            "Ada Lovelace".into(),
        ];
        let cases = [
            ("password1234", true),
            ("qwertyuiop12", true),
            ("Lovelace1815", true),
            ("ada.lovelace@analytical.example", true),
            ("analytical12", true),
            ("aaaaaaaaaaaaaaaa", true),
            ("wharf-lemon-tundra-okay", false),
            ("kV3.9xTq,w7Zp", false),
        ];
        for (password, expected) in cases {
            assert_eq!(is_guessable(password, &owner), expected, "{password}");
        }
    }
}
