//! Replies of the model, kept from run to run. What comes after the model (guard, checks, choice) changes more often than
//! what it is asked, and a model on two cores takes minutes to say the same again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use engine::Error;
use engine::ports::{
    Candidate, Generation, GenerationLimits, Generator, Likelihood, ModelIdentity, Sampling,
    TokenCounts,
};
use engine::prompt::Prompt;
use serde::{Deserialize, Serialize};

use super::in_file;

/// A model that is asked each thing once.
pub struct KeptReplies {
    path: PathBuf,
    model: Arc<dyn Generator>,
    kept: Mutex<(HashMap<String, Line>, File)>,
    /// Seconds that the replies took which were found here.
    seconds: Mutex<f64>,
}

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    replies: Vec<Reply>,
    /// What the model took for them.
    seconds: f64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Reply {
    text: String,
    tokens: TokenCounts,
    is_complete: bool,
    likelihood: Option<(f64, f64)>,
    drawn: u32,
}

impl KeptReplies {
    /// Reads what is kept in a file; what is not is asked of `model`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, or holds something else.
    pub fn open(path: &Path, model: Arc<dyn Generator>) -> Result<Self, Error> {
        let mut kept = HashMap::new();
        if path.exists() {
            let text = std::fs::read_to_string(path).map_err(in_file(path))?;
            for line in text.lines() {
                let line: Line = serde_json::from_str(line).map_err(in_file(path))?;
                kept.insert(line.key.clone(), line);
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            model,
            kept: Mutex::new((kept, file.map_err(in_file(path))?)),
            seconds: Mutex::new(0.0),
        })
    }

    /// Returns how long the model took for the replies that were found here and not asked for again.
    pub fn seconds(&self) -> f64 {
        *self.seconds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        sampling: Option<&Sampling>,
    ) -> String {
        let drawn = sampling.map(|drawn| (drawn.count, drawn.temperature, drawn.seed));
        let model = self.model.identity().hash;
        let mut text = format!("{model} {} {} {drawn:?}", prompt.hash(), limits.max_tokens);
        // The prompt of a repair may be that of another database with fewer names.
        if let Some(names) = &limits.names {
            text.push_str(&format!(" {names:?}"));
        }
        // What was begun beside a reply has its share in the seconds that are kept with it.
        if limits.ahead.is_some() {
            text.push_str(" ahead");
        }
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }

    fn find(&self, key: &str) -> Option<Vec<Candidate>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let line = kept.0.get(key)?;
        *self.seconds.lock().unwrap_or_else(PoisonError::into_inner) += line.seconds;
        let replies = line.replies.iter().cloned();
        Some(replies.map(Reply::candidate).collect())
    }

    fn keep(&self, key: String, candidates: &[Candidate], since: Instant) -> Result<(), Error> {
        let replies: Vec<Reply> = candidates.iter().map(Reply::of).collect();
        let line = Line {
            key,
            replies,
            seconds: since.elapsed().as_secs_f64(),
        };
        let text = serde_json::to_string(&line).map_err(in_file(&self.path))? + "\n";
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let written = kept.1.write_all(text.as_bytes());
        written.map_err(in_file(&self.path))?;
        kept.0.insert(line.key.clone(), line);
        Ok(())
    }
}

impl Reply {
    fn of(candidate: &Candidate) -> Self {
        let Candidate { generation, drawn } = candidate;
        Self {
            text: generation.text.clone(),
            tokens: generation.tokens,
            is_complete: generation.is_complete,
            likelihood: generation
                .likelihood
                .map(|one| (one.mean_logprob, one.least_logprob)),
            drawn: *drawn,
        }
    }

    fn candidate(self) -> Candidate {
        Candidate {
            generation: Generation {
                text: self.text,
                tokens: self.tokens,
                is_complete: self.is_complete,
                likelihood: self
                    .likelihood
                    .map(|(mean_logprob, least_logprob)| Likelihood {
                        mean_logprob,
                        least_logprob,
                    }),
            },
            drawn: self.drawn,
        }
    }
}

#[async_trait]
impl Generator for KeptReplies {
    fn identity(&self) -> ModelIdentity {
        self.model.identity()
    }

    async fn generate(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<Generation, Error> {
        let key = self.key(prompt, limits, None);
        if let Some(Candidate { generation, .. }) = self.find(&key).and_then(|mut one| one.pop()) {
            return Ok(generation);
        }
        let started = Instant::now();
        let generation = self.model.generate(prompt, limits).await?;
        let candidate = Candidate {
            generation,
            drawn: 1,
        };
        self.keep(key, std::slice::from_ref(&candidate), started)?;
        Ok(candidate.generation)
    }

    async fn sample(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        sampling: &Sampling,
    ) -> Result<Vec<Candidate>, Error> {
        let key = self.key(prompt, limits, Some(sampling));
        if let Some(candidates) = self.find(&key) {
            return Ok(candidates);
        }
        let started = Instant::now();
        let candidates = self.model.sample(prompt, limits, sampling).await?;
        self.keep(key, &candidates, started)?;
        Ok(candidates)
    }
}
