//! Encryption of what must come back in clear, such as the password of a mail server. What need not come back is
//! hashed, not encrypted.
//!
//! An encrypted value reads `v1.KEY.TEXT`: the identifier of its key, then base64 of nonce and ciphertext
//! (XChaCha20-Poly1305). Table, column and row are authenticated with it, so a value that was moved does not decrypt.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use serde_json::json;

use crate::audit::{canonical_json, hex};
use crate::error::{Code, Error};

/// Characters of ENCRYPTION_KEY at least.
pub const MIN_KEY_CHARS: usize = 32;

const VERSION: &str = "v1";
const NONCE_BYTES: usize = 24;

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// What names the row and never changes.
    pub row: &'a str,
}

impl Place<'_> {
    /// Returns bytes that no other place has.
    fn bytes(&self) -> Vec<u8> {
        canonical_json(&json!([VERSION, self.table, self.column, self.row]))
    }
}

/// The keys that values are encrypted with: the current one, and earlier ones that still decrypt.
#[derive(Clone)]
pub struct KeyRing {
    current: Key,
    previous: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl Key {
    /// Source: BLAKE3's key derivation mode; one context for the key and one for its name.
    fn derive(secret: &str) -> Self {
        let secret = secret.as_bytes();
        let key = blake3::derive_key("assay 2026-11-22 encryption of stored secrets", secret);
        let id = blake3::derive_key("assay 2026-11-22 name of an encryption key", secret);
        Self {
            id: hex(&id[..4]),
            cipher: XChaCha20Poly1305::new(&key.into()),
        }
    }
}

impl KeyRing {
    /// Derives keys from ENCRYPTION_KEY and from ENCRYPTION_KEY_PREVIOUS, separated by commas.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`], naming the variable, if a key has fewer than [`MIN_KEY_CHARS`] characters.
    pub fn new<S: AsRef<str>>(current: &str, previous: &[S]) -> Result<Self, Error> {
        let derive = |variable: &str, secret: &str| {
            let chars = secret.chars().count();
            if chars < MIN_KEY_CHARS {
                return Err(Error::new(
                    Code::InvalidSetting,
                    format!(
                        "{variable} has a key of {chars} characters, at least {MIN_KEY_CHARS} are needed"
                    ),
                ));
            }
            Ok(Key::derive(secret))
        };
        Ok(Self {
            current: derive("ENCRYPTION_KEY", current)?,
            previous: previous
                .iter()
                .map(|secret| derive("ENCRYPTION_KEY_PREVIOUS", secret.as_ref()))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Encrypts a value with the current key. `random` must be fresh for each call.
    ///
    /// # Errors
    ///
    /// [`Code::Internal`] if the value is too long for the cipher.
    pub fn encrypt(
        &self,
        place: Place<'_>,
        value: &str,
        random: &[u8; 32],
    ) -> Result<String, Error> {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&random[..NONCE_BYTES]);
        let payload = Payload {
            msg: value.as_bytes(),
            aad: &place.bytes(),
        };
        let sealed = self.current.cipher.encrypt(&nonce.into(), payload);
        let sealed = sealed.map_err(|fault| {
            Error::new(Code::Internal, "the value cannot be encrypted").with_cause(fault)
        })?;
        let text = URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        Ok(format!("{VERSION}.{}.{text}", self.current.id))
    }

    /// Decrypts a value that was encrypted for this place.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if no key fits, or if the value was changed or moved.
    pub fn decrypt(&self, place: Place<'_>, text: &str) -> Result<String, Error> {
        let fails = |message: String| {
            Error::new(Code::InvalidSetting, message).with_hint(
                "give the key that it was encrypted with in ENCRYPTION_KEY_PREVIOUS, or set the value again",
            )
        };
        let spoilt = || fails(format!("the secret `{}` was changed or moved", place.row));
        let parts: Vec<&str> = text.split('.').collect();
        let [VERSION, id, body] = parts[..] else {
            return Err(spoilt());
        };
        let key = std::iter::once(&self.current)
            .chain(&self.previous)
            .find(|key| key.id == id)
            .ok_or_else(|| {
                fails(format!(
                    "the secret `{}` is encrypted with the key {id}, which is not known",
                    place.row
                ))
            })?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| spoilt())?;
        let (nonce, sealed) = bytes
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(spoilt)?;
        let payload = Payload {
            msg: sealed,
            aad: &place.bytes(),
        };
        let value = key
            .cipher
            .decrypt(&(*nonce).into(), payload)
            .map_err(|_| spoilt())?;
        String::from_utf8(value).map_err(|_| spoilt())
    }

    /// Says whether a value is encrypted with the current key.
    pub fn is_current(&self, text: &str) -> bool {
        text.split('.').nth(1) == Some(&self.current.id)
    }
}

/// Keys are never printed.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KeyRing({} and {} before)",
            self.current.id,
            self.previous.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old key of thirty-two letters";
    const NEW: &str = "a newer key of 32 letters or more";

    fn ring(current: &str, previous: &[&str]) -> KeyRing {
        KeyRing::new(current, previous).expect("keys that are long enough")
    }

    fn place(row: &str) -> Place<'_> {
        Place {
            table: "configurations",
            column: "value",
            row,
        }
    }

    #[test]
    fn a_value_comes_back_where_it_was_put_and_nowhere_else() {
        let keys = ring(NEW, &[]);
        let text = keys
            .encrypt(place("smtp.password"), "grün und geheim", &[7; 32])
            .expect("a short value");
        assert!(text.starts_with("v1."), "{text}");
        assert_eq!(
            keys.decrypt(place("smtp.password"), &text).as_deref(),
            Ok("grün und geheim")
        );
        for other in [
            place("llm.key"),
            Place {
                column: "description",
                ..place("smtp.password")
            },
            Place {
                table: "users",
                ..place("smtp.password")
            },
        ] {
            let fault = keys.decrypt(other, &text).expect_err("it was moved");
            assert_eq!(fault.code(), Code::InvalidSetting);
        }
    }

    #[test]
    fn a_changed_value_does_not_decrypt() {
        let keys = ring(NEW, &[]);
        let text = keys
            .encrypt(place("a"), "secret", &[7; 32])
            .expect("a short value");
        let cut = &text[..text.len() - 4];
        let swapped = text.replacen("v1.", "v2.", 1);
        for spoilt in [
            cut,
            &swapped,
            "v1",
            "",
            "secret",
            "v1.x.y",
            &format!("{text}A"),
        ] {
            assert!(keys.decrypt(place("a"), spoilt).is_err(), "{spoilt}");
        }
    }

    #[test]
    fn a_previous_key_decrypts_and_is_told_apart() {
        let text = ring(OLD, &[])
            .encrypt(place("a"), "secret", &[7; 32])
            .expect("a short value");
        let both = ring(NEW, &[OLD]);
        assert_eq!(both.decrypt(place("a"), &text).as_deref(), Ok("secret"));
        assert!(!both.is_current(&text));
        let again = both
            .encrypt(place("a"), "secret", &[8; 32])
            .expect("a short value");
        assert!(both.is_current(&again));
        let fault = ring(NEW, &[]).decrypt(place("a"), &text);
        assert!(
            fault.is_err_and(|fault| fault.message().contains("which is not known")),
            "the hint must name what is missing"
        );
    }

    #[test]
    fn short_keys_are_refused_by_name_and_no_key_is_printed() {
        for (current, previous, variable) in [
            ("short", vec![], "ENCRYPTION_KEY "),
            (NEW, vec!["short"], "ENCRYPTION_KEY_PREVIOUS "),
        ] {
            let fault = KeyRing::new(current, &previous).expect_err("a short key");
            assert_eq!(fault.code(), Code::InvalidSetting);
            assert!(fault.message().starts_with(variable), "{fault}");
        }
        assert!(!format!("{:?}", ring(NEW, &[OLD])).contains("key of"));
    }
}
