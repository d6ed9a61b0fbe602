use chrono::TimeZone;
use futures::executor::block_on;
use proptest::prelude::*;

use super::*;
use crate::error::{Code, Error};
use crate::ports::{AuditLog, Page, PageRequest};

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000 + seconds, 0).unwrap()
}

#[test]
fn canonical_bytes_do_not_depend_on_the_order_of_fields() {
    let entry = |changes| AuditEntry::new(at(0), Some(7), "query", "query", changes).about(3);
    let one = entry(json!({ "b": 1.0, "a": { "y": "é", "x": null } }));
    let other = entry(json!({ "a": { "x": null, "y": "é" }, "b": 1 }));
    assert_eq!(one.canonical(), other.canonical());
    assert_eq!(
        String::from_utf8(one.canonical()).unwrap(),
        r#"{"action":"query","changes":{"a":{"x":null,"y":"é"},"b":1},"resource":"query","resource_id":3,"timestamp":"2027-01-15T08:00:00.000000Z","user_id":7}"#
    );
}

proptest! {
    #[test]
    fn an_identifier_fits_between_the_parts_around_it(
        id in 1..=1_i64 << 53,
        user_id in prop::option::of(any::<i32>()),
        key in r#"[a-z":,{}\\]{0,5}(resource_id)?[":null0-9]{0,6}"#,
        text in r#".{0,5}("resource_id":null|"resource_id":7,)?.{0,5}"#,
    ) {
        let changes = json!({ key: text, "resource_id": null });
        let entry = AuditEntry::new(at(0), user_id.map(i64::from), "query", "query", changes);
        let (mut bytes, after) = entry.canonical_around_id();
        bytes.extend(id.to_string().into_bytes());
        bytes.extend(after);
        prop_assert_eq!(bytes, entry.clone().about(id).canonical());
        prop_assert_eq!(entry.clone().about(3).canonical_around_id(), entry.canonical_around_id());
    }
}

#[test]
fn what_no_store_can_hold_is_replaced() {
    let entry = AuditEntry::new(at(0), None, "query", "query", json!({ "a\0": ["x\0y"] }))
        .with("b", json!("\0"));
    assert_eq!(
        entry.changes,
        json!({ "a\u{fffd}": ["x\u{fffd}y"], "b": "\u{fffd}" })
    );
}

#[test]
fn a_difference_holds_what_differs_only() {
    let entry = AuditEntry::new(at(0), None, "user_changed", "user", json!({})).with_difference(
        &json!({ "role": "viewer", "name": "Ada", "gone": 1 }),
        &json!({ "role": "analyst", "name": "Ada", "new": 2 }),
    );
    assert_eq!(
        entry.changes,
        json!({ "before": { "role": "viewer", "gone": 1 }, "after": { "role": "analyst", "new": 2 } })
    );
}

/// The eight leaves and the roots of the test vectors that Certificate Transparency's implementations share.
#[test]
fn roots_are_those_of_certificate_transparency() {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    assert_eq!(
        hex(&root::<&[u8]>(&[])),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_eq!(
        hex(&root(&leaves[..1])),
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    );
    assert_eq!(
        hex(&root(&leaves)),
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    );
}

proptest! {
    #[test]
    fn every_leaf_can_be_proved_and_no_other(count in 1_usize..70, index in 0_usize..70, other in 0_usize..70) {
        let leaves: Vec<Vec<u8>> = (0..count).map(|leaf| vec![u8::try_from(leaf).unwrap()]).collect();
        let (index, other) = (index % count, other % count);
        let proof = inclusion_proof(&leaves, index);
        prop_assert_eq!(root_of_proof(&leaves[index], index, count, &proof), Some(root(&leaves)));
        if other != index {
            prop_assert_ne!(root_of_proof(&leaves[other], index, count, &proof), Some(root(&leaves)));
        }
    }
}

#[test]
fn a_seal_is_signed_by_its_key_alone() {
    let (key, other) = (
        SealingKey::derive(b"0123456789abcdef"),
        SealingKey::derive(b"fedcba9876543210"),
    );
    let mut seal = Seal::close(None, &[(1, [1; 32]), (2, [2; 32])], &key, at(0)).unwrap();
    assert!(seal.is_signed_by(&[other.clone(), key.clone()]));
    assert!(!seal.is_signed_by(&[other]));
    seal.last_row = 3;
    assert!(!seal.is_signed_by(&[key]));
    assert_eq!(
        Seal::close(None, &[], &SealingKey::derive(b"x"), at(0)),
        None
    );
}

// ---------------------------------------------------------------------------------------------------------------------
// Proofs

/// A trail in memory.
struct Trail {
    entries: Vec<StoredEntry>,
    seals: Vec<Seal>,
}

impl Trail {
    /// Seals blocks of these sizes; identifiers leave gaps, as those of a database may.
    fn sealed(key: &SealingKey, blocks: &[usize], unsealed: usize) -> Self {
        let mut trail = Self {
            entries: vec![],
            seals: vec![],
        };
        for size in blocks {
            let start = trail.entries.len();
            trail.append(*size);
            let rows: Vec<(i64, Hash)> = trail.entries[start..]
                .iter()
                .map(|entry| (entry.record.id, entry_hash(&entry.canonical)))
                .collect();
            let seal = Seal::close(trail.seals.last(), &rows, key, at(9));
            trail.seals.extend(seal);
        }
        trail.append(unsealed);
        trail
    }

    fn append(&mut self, count: usize) {
        for _ in 0..count {
            let id = 3 * i64::try_from(self.entries.len()).unwrap() + 2;
            let entry = AuditEntry::new(at(id), Some(1), "login", "session", json!({ "n": id }));
            let canonical = entry.canonical();
            self.entries.push(StoredEntry {
                record: AuditRecord {
                    id,
                    user_id: entry.user_id,
                    action: entry.action.into(),
                    resource: entry.resource.into(),
                    resource_id: entry.resource_id,
                    changes: entry.changes,
                    timestamp: entry.at,
                },
                hash: entry_hash(&canonical).to_vec(),
                canonical,
            });
        }
    }
}

#[async_trait::async_trait]
impl AuditLog for Trail {
    async fn record(&self, _: &AuditEntry) -> Result<(), Error> {
        Ok(())
    }
    async fn audit_entries(
        &self,
        _: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditRecord>, Error> {
        let below = page.cursor.unwrap_or(i64::MAX);
        let records = self.entries.iter().rev().map(|entry| entry.record.clone());
        let items = records.filter(|record| record.id < below);
        let items = items.take(page.limit as usize + 1).collect();
        Ok(Page::of(items, page.limit, |record: &AuditRecord| {
            record.id
        }))
    }
    async fn stored_entries(&self, after: i64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
        let entries = self.entries.iter().filter(|entry| entry.record.id > after);
        Ok(entries.take(limit as usize).cloned().collect())
    }
    async fn seal(&self, _: &SealingKey, _: DateTime<Utc>) -> Result<Option<Seal>, Error> {
        Ok(None)
    }
    async fn seals(&self, after: i64, limit: u32) -> Result<Vec<Seal>, Error> {
        let seals = self.seals.iter().filter(|seal| seal.number > after);
        Ok(seals.take(limit as usize).cloned().collect())
    }
    async fn seal_of(&self, entry_id: i64) -> Result<Option<Seal>, Error> {
        let mut seals = self.seals.iter();
        Ok(seals.find(|seal| seal.last_row >= entry_id).cloned())
    }
}

#[test]
fn every_sealed_entry_can_be_proved_with_the_public_key_alone() {
    let key = SealingKey::derive(b"0123456789abcdef");
    let trail = Trail::sealed(&key, &[1, 5, 8], 2);
    for entry in &trail.entries[..14] {
        let id = entry.record.id;
        let proof = block_on(prove(&trail, id)).unwrap().unwrap();
        assert!(check_proof(&proof, &key.public()), "{proof:?}");
        let text = serde_json::to_string(&proof).unwrap();
        let again: InclusionProof = serde_json::from_str(&text).unwrap();
        assert!(check_proof(&again, &key.public()), "{text}");
        let other = SealingKey::derive(b"fedcba9876543210");
        assert!(!check_proof(&proof, &other.public()));
    }
    assert_eq!(block_on(prove(&trail, 3)).unwrap(), None);
    let unsealed = block_on(prove(&trail, trail.entries[15].record.id));
    assert_eq!(unsealed.unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_proof_holds_for_its_own_entry_alone() {
    let key = SealingKey::derive(b"0123456789abcdef");
    let trail = Trail::sealed(&key, &[7], 0);
    let proof = block_on(prove(&trail, 11)).unwrap().unwrap();
    let check = |change: fn(&mut InclusionProof)| {
        let mut changed = proof.clone();
        change(&mut changed);
        assert!(!check_proof(&changed, &key.public()), "{changed:?}");
    };
    check(|proof| proof.entry_id = 14);
    check(|proof| proof.canonical = proof.canonical.replace("login", "logout"));
    check(|proof| proof.index = 4);
    check(|proof| proof.block_size = 8);
    check(|proof| drop(proof.proof.pop()));
    check(|proof| proof.hash = "00".repeat(32));
    check(|proof| proof.seal.row_count = 8);
    check(|proof| proof.seal.signature = "00".repeat(64));
    check(|proof| proof.seal.hash = "é".into());
    assert!(!check_proof(&proof, "no key"));
}

#[test]
fn a_tampered_block_is_not_proved() {
    let key = SealingKey::derive(b"0123456789abcdef");
    let tampered = |change: fn(&mut Trail)| {
        let mut trail = Trail::sealed(&key, &[7], 0);
        change(&mut trail);
        let fault = block_on(prove(&trail, 2)).unwrap_err();
        assert_eq!(fault.code(), Code::AuditTampered);
    };
    tampered(|trail| trail.entries[0].record.action = "logout".into());
    tampered(|trail| drop(trail.entries.remove(3)));
    tampered(|trail| trail.entries[3].hash = vec![0; 32]);
    tampered(|trail| {
        let mut late = trail.entries[3].clone();
        late.record.id += 1;
        trail.entries.insert(4, late);
    });
}

#[test]
fn the_state_of_sealing_counts_what_is_not_sealed() {
    let key = SealingKey::derive(b"0123456789abcdef");
    for (blocks, unsealed) in [
        (&[][..], 0_usize),
        (&[], 3),
        (&[4], 0),
        (&[4, 2], 5),
        (&[2, 600, 3], 1_100),
    ] {
        let trail = Trail::sealed(&key, blocks, unsealed);
        let state = block_on(sealing_state(&trail)).unwrap();
        assert_eq!(state.unsealed, unsealed as u64);
        assert_eq!(state.last, trail.seals.last().map(SealDocument::from));
        let oldest = trail.entries.get(trail.entries.len() - unsealed);
        let since = oldest.map(|entry| entry.record.timestamp);
        assert_eq!(state.unsealed_since, since);
    }
}
