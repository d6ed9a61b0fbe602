//! An embedder without a model, for tests and evaluations: texts are near when they share words or parts of words. It
//! knows nothing of meaning, and never stands in for a model.

use async_trait::async_trait;
use engine::Error;
use engine::ports::{Embedder, EmbedderIdentity, Embedding};

/// Numbers in a vector.
const DIMENSION: usize = 256;
/// What a part of a word counts, beside a whole word, which counts 1.
const PART: f32 = 0.25;
/// What the text as a whole counts, so that no text is without a direction.
const WHOLE: f32 = 0.05;

/// Adds up directions drawn by hash: one for each word, and one for each three letters of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NgramEmbedder;

impl NgramEmbedder {
    /// Returns the vector of a text.
    ///
    /// # Errors
    ///
    /// Never, unless all directions cancel out.
    pub fn embed_one(&self, text: &str) -> Result<Embedding, Error> {
        let text = text.to_lowercase();
        let mut vector = vec![0.0; DIMENSION];
        add(&mut vector, "text", &text, WHOLE);
        let words = text.split(|letter: char| !letter.is_alphanumeric());
        for word in words.filter(|word| !word.is_empty()) {
            add(&mut vector, "word", word, 1.0);
            let letters: Vec<char> = format!("<{word}>").chars().collect();
            for part in letters.windows(3) {
                add(&mut vector, "part", &String::from_iter(part), PART);
            }
        }
        Embedding::normalised(vector)
    }
}

/// Adds the direction of a feature: eight of the axes, each forwards or backwards.
fn add(vector: &mut [f32], kind: &str, feature: &str, weight: f32) {
    let hash = blake3::hash(format!("{kind} {feature}").as_bytes());
    for bytes in hash.as_bytes()[..16].chunks_exact(2) {
        let axis = usize::from(bytes[0]) % DIMENSION;
        let sign = if bytes[1] % 2 == 0 { 1.0 } else { -1.0 };
        vector[axis] += sign * weight;
    }
}

#[async_trait]
impl Embedder for NgramEmbedder {
    fn identity(&self) -> EmbedderIdentity {
        EmbedderIdentity {
            name: "hashed n-grams".to_owned(),
            hash: blake3::hash(b"hashed n-grams, version 1")
                .to_hex()
                .to_string(),
            is_remote: false,
        }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Error> {
        texts.iter().map(|text| self.embed_one(text)).collect()
    }
}
