//! Proof that one entry is in the trail, for someone who holds nothing but the public key.

use chrono::{DateTime, SubsecRound, Utc};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Hash, Seal, entry_hash, hex, inclusion_proof, leaf, root_of_proof, unhex};
use crate::error::{Code, Error};
use crate::ports::AuditLog;

/// A seal as text; all hashes, the signature and the key in hex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SealDocument {
    /// Consecutive, from 1.
    pub number: i64,
    /// The identifier of the first entry in the block.
    pub first_row: i64,
    /// The identifier of the last one.
    pub last_row: i64,
    /// The entries in the block.
    pub row_count: i64,
    /// The root of their tree (RFC 9162, SHA-256).
    pub root: String,
    /// The hash of the seal before.
    pub previous: String,
    /// When it was made.
    pub sealed_at: DateTime<Utc>,
    /// The first 16 hex digits of the SHA-256 of the public key.
    pub key_id: String,
    /// Ed25519 over the canonical bytes of all fields above.
    pub signature: String,
    /// SHA-256 of the same bytes, which the next seal carries.
    pub hash: String,
}

impl From<&Seal> for SealDocument {
    fn from(seal: &Seal) -> Self {
        Self {
            number: seal.number,
            first_row: seal.first_row,
            last_row: seal.last_row,
            row_count: seal.row_count,
            root: hex(&seal.root),
            previous: hex(&seal.previous),
            sealed_at: seal.sealed_at,
            key_id: seal.key_id.clone(),
            signature: hex(&seal.signature),
            hash: hex(&seal.hash()),
        }
    }
}

impl SealDocument {
    /// Returns the seal, or `None` if a field is no hex of the right length or the hash is not the seal's.
    pub fn seal(&self) -> Option<Seal> {
        let seal = Seal {
            number: self.number,
            first_row: self.first_row,
            last_row: self.last_row,
            row_count: self.row_count,
            root: unhex(&self.root)?,
            previous: unhex(&self.previous)?,
            sealed_at: self.sealed_at.trunc_subsecs(6),
            key_id: self.key_id.clone(),
            signature: unhex(&self.signature)?,
        };
        (hex(&seal.hash()) == self.hash).then_some(seal)
    }
}

/// What shows that an entry is in a sealed block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InclusionProof {
    /// The entry's identifier.
    pub entry_id: i64,
    /// The entry: RFC 8785 JSON of all its fields.
    pub canonical: String,
    /// SHA-256 of `canonical`, in hex.
    pub hash: String,
    /// The leaf of the tree, in hex: the identifier in 8 bytes, the highest first, then the hash.
    pub leaf: String,
    /// Where in its block the entry stands, from 0.
    pub index: u64,
    /// The entries in the block.
    pub block_size: u64,
    /// The hashes beside the way from the leaf to the root, from the bottom up, in hex (RFC 9162, section 2.1.3).
    pub proof: Vec<String>,
    /// The seal of the block.
    pub seal: SealDocument,
}

/// Returns the proof of an entry; `None` if there is no such entry.
///
/// # Errors
///
/// [`Code::NotFound`] while the entry is not sealed, [`Code::AuditTampered`] if its block is not what was sealed.
pub async fn prove(log: &dyn AuditLog, entry_id: i64) -> Result<Option<InclusionProof>, Error> {
    let found = log.stored_entries(entry_id.saturating_sub(1), 1).await?;
    let Some(entry) = found.into_iter().find(|entry| entry.record.id == entry_id) else {
        return Ok(None);
    };
    let seal = log.seal_of(entry_id).await?.ok_or_else(|| {
        Error::new(
            Code::NotFound,
            format!("entry {entry_id} is not sealed yet"),
        )
        .with_hint("entries are sealed within a second; ask again")
    })?;
    let tampered = || {
        let message = format!("the block of seal {} is not what was sealed", seal.number);
        Error::new(Code::AuditTampered, message).with_hint("run `assay audit verify`")
    };
    // One more than there should be, so that an entry that was slipped in shows.
    let limit = u32::try_from(seal.row_count).map_err(|_| tampered())? + 1;
    let mut block = log.stored_entries(seal.first_row - 1, limit).await?;
    block.retain(|entry| entry.record.id <= seal.last_row);
    let leaves: Vec<Vec<u8>> = block.iter().map(|entry| entry.leaf()).collect();
    let index = block
        .iter()
        .position(|entry| entry.record.id == entry_id)
        .ok_or_else(tampered)?;
    let proof = InclusionProof {
        entry_id,
        canonical: String::from_utf8(entry.canonical.clone()).map_err(|_| tampered())?,
        hash: hex(&entry.hash),
        leaf: hex(&entry.leaf()),
        index: index as u64,
        block_size: leaves.len() as u64,
        proof: inclusion_proof(&leaves, index)
            .iter()
            .map(|hash| hex(hash))
            .collect(),
        seal: SealDocument::from(&seal),
    };
    let fits = entry.is_consistent() && leads_to_root(&proof, &seal).unwrap_or(false);
    if fits {
        Ok(Some(proof))
    } else {
        Err(tampered())
    }
}

/// Says whether a proof holds: the entry's bytes lead to the root of a seal that the public key, in hex, signed.
pub fn check_proof(proof: &InclusionProof, public_key: &str) -> bool {
    let check = || -> Option<bool> {
        let seal = proof.seal.seal()?;
        let public = VerifyingKey::from_bytes(&unhex(public_key)?).ok()?;
        Some(seal.is_signed_with(&public) && leads_to_root(proof, &seal)?)
    };
    check().unwrap_or(false)
}

fn leads_to_root(proof: &InclusionProof, seal: &Seal) -> Option<bool> {
    let hash = entry_hash(proof.canonical.as_bytes());
    let leaf = leaf(proof.entry_id, &hash);
    let siblings = proof.proof.iter().map(|hash| unhex(hash));
    let siblings = siblings.collect::<Option<Vec<Hash>>>()?;
    let index = usize::try_from(proof.index).ok()?;
    let leaves = usize::try_from(proof.block_size).ok()?;
    Some(
        proof.hash == hex(&hash)
            && proof.leaf == hex(&leaf)
            && i64::try_from(leaves) == Ok(seal.row_count)
            && (seal.first_row..=seal.last_row).contains(&proof.entry_id)
            && root_of_proof(&leaf, index, leaves, &siblings) == Some(seal.root),
    )
}
