//! Models for tests: a generator that says what a test told it to say, and an embedder of hashed n-grams.

mod ngrams;

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::ports::{
    Candidate, Generation, GenerationLimits, Generator, ModelIdentity, Sampling, TokenCounts,
};
use engine::prompt::Prompt;
use engine::{Code, Error};

pub use ngrams::NgramEmbedder;

/// What to do with one prompt.
#[derive(Debug, Clone)]
pub enum Script {
    /// Reply with this text.
    Say(String),
    /// Reply with this text after a while.
    SayAfter(Duration, String),
    /// Fail.
    Fail(Error),
    /// Never reply.
    Hang,
}

impl From<&str> for Script {
    fn from(text: &str) -> Self {
        Script::Say(text.to_owned())
    }
}

impl From<String> for Script {
    fn from(text: String) -> Self {
        Script::Say(text)
    }
}

type Choose = dyn Fn(&Prompt) -> Script + Send + Sync;

/// A generator without a model. Counts words as tokens, and what it saw.
pub struct ScriptedGenerator {
    choose: Box<Choose>,
    prompts: Mutex<Vec<Prompt>>,
    abandoned: AtomicU64,
}

impl ScriptedGenerator {
    /// Asks `choose` what to do with each prompt.
    pub fn new(choose: impl Fn(&Prompt) -> Script + Send + Sync + 'static) -> Self {
        Self {
            choose: Box::new(choose),
            prompts: Mutex::default(),
            abandoned: AtomicU64::new(0),
        }
    }

    /// Does these things in turn, whatever is asked, and then fails.
    pub fn in_turn(scripts: impl IntoIterator<Item = impl Into<Script>>) -> Self {
        let scripts: VecDeque<Script> = scripts.into_iter().map(Into::into).collect();
        let scripts = Mutex::new(scripts);
        Self::new(move |_| {
            let next = lock(&scripts).pop_front();
            next.unwrap_or_else(|| unscripted("there is no script for another prompt"))
        })
    }

    /// Does what stands beside the first of these texts that is found in the prompt's tail, and else fails.
    pub fn by_tail(
        scripts: impl IntoIterator<Item = (impl Into<String>, impl Into<Script>)>,
    ) -> Self {
        let scripts: Vec<(String, Script)> = scripts
            .into_iter()
            .map(|(text, script)| (text.into(), script.into()))
            .collect();
        Self::new(move |prompt| {
            let found = scripts
                .iter()
                .find(|(text, _)| prompt.tail.contains(text.as_str()));
            found.map_or_else(
                || unscripted("there is no script for this prompt"),
                |(_, script)| script.clone(),
            )
        })
    }

    /// Replies by the exact prompt, known by [`Prompt::hash`], and else fails.
    pub fn by_hash(replies: HashMap<String, String>) -> Self {
        Self::new(move |prompt| {
            let found = replies.get(&prompt.hash());
            found.map_or_else(
                || unscripted("there is no script for this prompt"),
                |text| text.clone().into(),
            )
        })
    }

    /// Returns the number of prompts seen.
    pub fn calls(&self) -> usize {
        lock(&self.prompts).len()
    }

    /// Returns the prompts seen, in order.
    pub fn prompts(&self) -> Vec<Prompt> {
        lock(&self.prompts).clone()
    }

    /// Returns the number of generations that were begun and given up before their reply.
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Ordering::SeqCst)
    }
}

fn unscripted(message: &str) -> Script {
    Script::Fail(Error::new(Code::GeneratorFailed, message))
}

/// A panic in a test leaves nothing half-done here.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[async_trait]
impl Generator for ScriptedGenerator {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: "scripted".to_owned(),
            hash: blake3::hash(b"scripted").to_hex().to_string(),
            is_remote: false,
        }
    }

    async fn generate(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<Generation, Error> {
        lock(&self.prompts).push(prompt.clone());
        let script = (self.choose)(prompt);
        let unfinished = Unfinished(Some(&self.abandoned));
        let text = match tokio::time::timeout(limits.timeout, perform(script)).await {
            Ok(text) => text,
            Err(_) => Err(Error::new(
                Code::GeneratorTimeout,
                "the script takes longer than allowed",
            )),
        };
        unfinished.finish();
        Ok(count(prompt, &text?, limits.max_tokens))
    }

    /// Draws one reply: what the script says next.
    async fn sample(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        _: &Sampling,
    ) -> Result<Vec<Candidate>, Error> {
        let generation = self.generate(prompt, limits).await?;
        Ok(Candidate::gather([generation]))
    }
}

async fn perform(script: Script) -> Result<String, Error> {
    match script {
        Script::Say(text) => Ok(text),
        Script::SayAfter(pause, text) => {
            tokio::time::sleep(pause).await;
            Ok(text)
        }
        Script::Fail(error) => Err(error),
        Script::Hang => std::future::pending().await,
    }
}

fn count(prompt: &Prompt, text: &str, max_tokens: u32) -> Generation {
    let words = |text: &str| text.split_whitespace().count() as u64;
    let prefix = words(&prompt.system) + words(&prompt.schema);
    let allowed = max_tokens as usize;
    let is_complete = text.split_whitespace().count() <= allowed;
    let text = if is_complete {
        text.to_owned()
    } else {
        text.split_whitespace()
            .take(allowed)
            .collect::<Vec<_>>()
            .join(" ")
    };
    Generation {
        tokens: TokenCounts {
            prompt: prefix + words(&prompt.tail),
            prompt_reused: 0,
            prompt_prefix: prefix,
            generated: words(&text),
        },
        text,
        is_complete,
        likelihood: None,
    }
}

/// Counts a generation whose future is dropped before its end.
struct Unfinished<'g>(Option<&'g AtomicU64>);

impl Unfinished<'_> {
    fn finish(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(abandoned) = self.0 {
            abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}
