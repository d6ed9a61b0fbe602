//! Secrets that stand for a person: of sessions, refresh tokens, letters and API keys.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ports::Random;

/// A text that only its owner may know. The store keeps its hash; it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes 32 random bytes into 43 characters that may stand in a URL.
    pub fn generate(random: &dyn Random) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random.bytes()))
    }

    /// Takes what somebody has shown.
    pub fn shown(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, for its owner only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns what the store may know: BLAKE3, in hex. A fast hash is enough, because nobody can guess 32 random bytes.
    pub fn hash(&self) -> String {
        blake3::hash(self.0.as_bytes()).to_hex().to_string()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
