//! The audit trail: who did what to which thing, kept so that a later change shows. Every mutating method of the system
//! store takes an [`AuditEntry`], so an unaudited write does not compile.
//!
//! An entry is stored with its canonical bytes and their hash. [`Seal`]s close consecutive entries into blocks: a
//! Merkle root over the block, the hash of the seal before, a signature. [`verify`] reads all of it again and names
//! the first thing that does not fit. Nothing here can change or remove an entry.

pub mod acts;
mod merkle;
mod proof;
mod state;
mod verification;

pub use merkle::{Hash, inclusion_proof, root, root_of_proof};
pub use proof::{InclusionProof, SealDocument, check_proof, prove};
pub use state::{SealingState, sealing_state};
pub use verification::{Anchor, Fault, Report, verify};

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use ed25519_dalek::{Signer, Verifier, VerifyingKey};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::accounts::UserId;

/// Entries closed by one seal at most.
pub const MAX_SEALED_ROWS: u32 = 10_000;

/// One action, about to be recorded in the transaction of the change itself.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When, to the microsecond; rows that the action changes carry the same time.
    pub at: DateTime<Utc>,
    /// Who did it; `None` before anyone is known, as in a failed login.
    pub user_id: Option<UserId>,
    /// What was done: `login`, `query`, `query_answered`, `logout` and so on.
    pub action: &'static str,
    /// What it was done to: `user`, `query`, `session`, `target`.
    pub resource: &'static str,
    /// The identifier of what it was done to.
    pub resource_id: Option<i64>,
    /// What changed, as a JSON object, with secrets left out.
    pub changes: Json,
}

impl AuditEntry {
    /// Makes an entry. NUL characters, which PostgreSQL cannot store, become U+FFFD.
    pub fn new(
        at: DateTime<Utc>,
        user_id: Option<UserId>,
        action: &'static str,
        resource: &'static str,
        mut changes: Json,
    ) -> Self {
        make_storable(&mut changes);
        Self {
            at: at.trunc_subsecs(6),
            user_id,
            action,
            resource,
            resource_id: None,
            changes,
        }
    }

    /// Names what it was done to.
    #[must_use]
    pub fn about(mut self, resource_id: i64) -> Self {
        self.resource_id = Some(resource_id);
        self
    }

    /// Adds one more field to the changes.
    #[must_use]
    pub fn with(mut self, field: &str, mut value: Json) -> Self {
        make_storable(&mut value);
        if let Some(changes) = self.changes.as_object_mut() {
            changes.insert(field.to_owned(), value);
        }
        self
    }

    /// Adds the fields that differ between two JSON objects, as `before` and `after`.
    #[must_use]
    pub fn with_difference(self, before: &Json, after: &Json) -> Self {
        let empty = Map::new();
        let (before, after) = (
            before.as_object().unwrap_or(&empty),
            after.as_object().unwrap_or(&empty),
        );
        let only = |these: &Map<String, Json>, others: &Map<String, Json>| -> Json {
            these
                .iter()
                .filter(|(name, value)| others.get(*name) != Some(value))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Map<_, _>>()
                .into()
        };
        let (was, is) = (only(before, after), only(after, before));
        self.with("before", was).with("after", is)
    }

    /// Returns the bytes that are stored beside the columns and sealed: RFC 8785 JSON of all fields.
    pub fn canonical(&self) -> Vec<u8> {
        canonical(
            self.at,
            self.user_id,
            self.action,
            self.resource,
            self.resource_id,
            &self.changes,
        )
    }

    /// Returns [`AuditEntry::canonical`] in two parts, between which the digits of the identifier belong, for a store
    /// that draws it in the statement that records the entry.
    pub fn canonical_around_id(&self) -> (Vec<u8>, Vec<u8>) {
        const ID: &[u8] = b"\"resource_id\":";
        const NONE: &[u8] = b"null";
        let unnamed = Self {
            resource_id: None,
            ..self.clone()
        };
        let mut before = unnamed.canonical();
        // The last one: only the time and a number come after it, while the changes before it may say anything.
        let place = before.windows(ID.len()).rposition(|window| window == ID);
        let place = place.expect("every entry has the field") + ID.len();
        let after = before[place + NONE.len()..].to_vec();
        before.truncate(place);
        (before, after)
    }
}

/// Replaces the one character that PostgreSQL's text cannot hold.
pub fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn make_storable(value: &mut Json) {
    match value {
        Json::String(text) if text.contains('\0') => *text = storable(text),
        Json::Array(items) => items.iter_mut().for_each(make_storable),
        Json::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(name, value)| (storable(&name), value))
                    .collect();
            }
            fields.values_mut().for_each(make_storable);
        }
        _ => {}
    }
}

/// One action as recorded.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditRecord {
    /// The identifier; later entries have higher ones, some may be missing.
    pub id: i64,
    /// Who did it.
    pub user_id: Option<UserId>,
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub resource: String,
    /// The identifier of what it was done to.
    pub resource_id: Option<i64>,
    /// What changed.
    #[schema(value_type = Object)]
    pub changes: Json,
    /// When.
    pub timestamp: DateTime<Utc>,
}

/// Which entries are wanted; an empty filter wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By this user.
    pub user_id: Option<UserId>,
    /// Of this action.
    pub action: Option<String>,
    /// To this kind of thing.
    pub resource: Option<String>,
    /// To the thing of this identifier.
    pub resource_id: Option<i64>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}

/// An entry as stored, with what is sealed of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEntry {
    /// The columns.
    pub record: AuditRecord,
    /// The canonical bytes.
    pub canonical: Vec<u8>,
    /// Their SHA-256.
    pub hash: Vec<u8>,
}

impl StoredEntry {
    /// Returns the leaf that stands for this entry in its block's tree: the identifier, 8 bytes with the highest
    /// first, then the hash. So an entry cannot be moved to another place either.
    pub fn leaf(&self) -> Vec<u8> {
        leaf(self.record.id, &self.hash)
    }

    /// Says whether columns, canonical bytes and hash agree.
    pub fn is_consistent(&self) -> bool {
        let record = &self.record;
        self.hash == entry_hash(&self.canonical)
            && self.canonical
                == canonical(
                    record.timestamp,
                    record.user_id,
                    &record.action,
                    &record.resource,
                    record.resource_id,
                    &record.changes,
                )
    }
}

/// Returns the hash stored beside an entry's canonical bytes.
pub fn entry_hash(canonical: &[u8]) -> Hash {
    Sha256::digest(canonical).into()
}

/// Returns the leaf of an entry; see [`StoredEntry::leaf`].
pub fn leaf(id: i64, hash: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes(), hash].concat()
}

fn canonical(
    at: DateTime<Utc>,
    user_id: Option<UserId>,
    action: &str,
    resource: &str,
    resource_id: Option<i64>,
    changes: &Json,
) -> Vec<u8> {
    /// Borrows what is written, because verification does this a million times.
    #[derive(Serialize)]
    struct Fields<'a> {
        action: &'a str,
        changes: &'a Json,
        resource: &'a str,
        resource_id: Option<i64>,
        timestamp: String,
        user_id: Option<UserId>,
    }
    canonical_json(&Fields {
        action,
        changes,
        resource,
        resource_id,
        timestamp: at.to_rfc3339_opts(SecondsFormat::Micros, true),
        user_id,
    })
}

/// Writes JSON so that equal values have equal bytes. Source: RFC 8785.
pub fn canonical_json(value: &impl Serialize) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("JSON values can be written")
}

// ---------------------------------------------------------------------------------------------------------------------
// Seals

/// Closes a block of consecutive entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Consecutive, from 1.
    pub number: i64,
    /// The identifier of the first entry in the block.
    pub first_row: i64,
    /// The identifier of the last one. The block is everything above the last one of the seal before, up to this.
    pub last_row: i64,
    /// The entries in the block.
    pub row_count: i64,
    /// The root of their tree (RFC 9162, section 2.1.1, with SHA-256).
    pub root: Hash,
    /// The hash of the seal before; all zeros in the first one.
    pub previous: Hash,
    /// When it was made, to the microsecond.
    pub sealed_at: DateTime<Utc>,
    /// Which key signed; see [`SealingKey::id`].
    pub key_id: String,
    /// Ed25519 (RFC 8032) over the seal's canonical bytes.
    pub signature: [u8; 64],
}

impl Seal {
    /// Closes the block after `previous` and signs it. `leaves` are those of all entries of the block, by identifier.
    ///
    /// Returns `None` for an empty block.
    pub fn close(
        previous: Option<&Seal>,
        rows: &[(i64, Hash)],
        key: &SealingKey,
        at: DateTime<Utc>,
    ) -> Option<Self> {
        let (first_row, last_row) = (rows.first()?.0, rows.last()?.0);
        let leaves: Vec<Vec<u8>> = rows.iter().map(|(id, hash)| leaf(*id, hash)).collect();
        let mut seal = Self {
            number: previous.map_or(0, |previous| previous.number) + 1,
            first_row,
            last_row,
            row_count: i64::try_from(rows.len()).ok()?,
            root: root(&leaves),
            previous: previous.map_or([0; 32], Seal::hash),
            sealed_at: at.trunc_subsecs(6),
            key_id: key.id(),
            signature: [0; 64],
        };
        seal.signature = key.0.sign(&seal.canonical()).to_bytes();
        Some(seal)
    }

    /// Returns the bytes that are signed: RFC 8785 JSON of everything but the signature.
    pub fn canonical(&self) -> Vec<u8> {
        canonical_json(&json!({
            "first_row": self.first_row,
            "key_id": self.key_id,
            "last_row": self.last_row,
            "number": self.number,
            "previous": hex(&self.previous),
            "root": hex(&self.root),
            "row_count": self.row_count,
            "sealed_at": self.sealed_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }))
    }

    /// Returns the hash that the next seal and the anchor file carry: SHA-256 of the canonical bytes.
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.canonical()).into()
    }

    /// Says whether one of these keys signed it.
    pub fn is_signed_by(&self, keys: &[SealingKey]) -> bool {
        keys.iter()
            .any(|key| self.is_signed_with(&key.0.verifying_key()))
    }

    /// Says whether the private half of this public key signed it.
    fn is_signed_with(&self, public: &VerifyingKey) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&self.signature);
        key_id(public) == self.key_id && public.verify(&self.canonical(), &signature).is_ok()
    }
}

/// Signs seals. It is derived from ENCRYPTION_KEY, so it lies outside the database with it.
#[derive(Clone)]
pub struct SealingKey(ed25519_dalek::SigningKey);

impl SealingKey {
    /// Derives the key from a secret of at least 16 bytes.
    ///
    /// Source: BLAKE3's key derivation mode.
    pub fn derive(secret: &[u8]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&blake3::derive_key(
            "assay 2026-11-22 audit seal signing key",
            secret,
        )))
    }

    /// Returns the first 16 hex digits of the SHA-256 of the public key.
    pub fn id(&self) -> String {
        key_id(&self.0.verifying_key())
    }

    /// Returns the public key, in hex, with which anyone can check signatures.
    pub fn public(&self) -> String {
        hex(self.0.verifying_key().as_bytes())
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKey({})", self.id())
    }
}

fn key_id(public: &VerifyingKey) -> String {
    hex(&Sha256::digest(public.as_bytes())[..8])
}

/// Writes bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what [`hex`] writes; `None` for anything else.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N
        || !digits
            .iter()
            .all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
