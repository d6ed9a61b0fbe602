//! Reads the audit trail from its beginning and names the first thing that does not fit.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::task::Poll;

use chrono::TimeDelta;
use futures::future::{BoxFuture, FutureExt, ready};
use futures::poll;
use serde::{Deserialize, Serialize};

use super::{Seal, SealingKey, StoredEntry, hex, root};
use crate::error::Error;
use crate::ports::AuditLog;

/// Entries read at a time.
const BATCH: u32 = 5_000;
/// Seals read at a time.
const SEALS: u32 = 200;
/// An entry is stamped just before it is committed and sealed within a second; clocks of replicas may differ.
const TOLERANCE: TimeDelta = TimeDelta::minutes(15);

/// The head of the chain as it was noted outside the database, one line of JSON each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The seal's number.
    pub number: i64,
    /// The seal's hash, in hex.
    pub hash: String,
}

impl Anchor {
    /// Notes a seal.
    pub fn of(seal: &Seal) -> Self {
        Self {
            number: seal.number,
            hash: hex(&seal.hash()),
        }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Entries in sealed blocks.
    pub sealed: u64,
    /// Entries after the last seal.
    pub unsealed: u64,
    /// Seals.
    pub seals: u64,
    /// Anchors that were compared.
    pub anchors: u64,
    /// The first thing that does not fit; null when everything does.
    pub fault: Option<Fault>,
}

/// Something that does not fit. Rows are named by their identifier, seals by their number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// Columns, canonical bytes and hash of a row disagree.
    RowChanged {
        /// The row.
        row: i64,
    },
    /// A row's time lies before the block that was closed before it was recorded.
    RowBackdated {
        /// The row.
        row: i64,
    },
    /// The rows of a block are not those that were sealed, though each agrees with its own hash: one was changed and
    /// its hash recomputed, or one was replaced.
    BlockChanged {
        /// The seal.
        seal: i64,
        /// The first row of its block.
        first_row: i64,
        /// The last row of its block.
        last_row: i64,
    },
    /// Rows of a block are gone.
    RowsRemoved {
        /// The seal.
        seal: i64,
        /// The first row of its block.
        first_row: i64,
        /// The last row of its block.
        last_row: i64,
        /// How many are gone.
        missing: u64,
    },
    /// A block has more rows than were sealed: something was inserted into it afterwards.
    RowsInserted {
        /// The seal.
        seal: i64,
        /// The first row of its block.
        first_row: i64,
        /// The last row of its block.
        last_row: i64,
        /// How many too many.
        extra: u64,
    },
    /// A seal is gone; the next one there is not its successor.
    SealRemoved {
        /// The seal.
        seal: i64,
    },
    /// A seal was changed, or made without the key.
    SealForged {
        /// The seal.
        seal: i64,
    },
    /// A seal does not follow from the one before.
    SealUnlinked {
        /// The seal.
        seal: i64,
    },
    /// The anchors know a seal that is not there: the tail of the trail was removed.
    TailRemoved {
        /// The seal.
        seal: i64,
    },
    /// The anchors know another seal of this number: the trail was rewritten.
    AnchorDiffers {
        /// The seal.
        seal: i64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::RowChanged { row } => write!(f, "row {row} was changed"),
            Fault::RowBackdated { row } => {
                write!(
                    f,
                    "row {row} claims a time before the block that was closed before it"
                )
            }
            Fault::BlockChanged {
                seal,
                first_row,
                last_row,
            } => write!(
                f,
                "the rows {first_row} to {last_row} are not those that seal {seal} closed: one was changed or replaced"
            ),
            Fault::RowsRemoved {
                seal,
                first_row,
                last_row,
                missing,
            } => write!(
                f,
                "{missing} of the rows {first_row} to {last_row} that seal {seal} closed are gone"
            ),
            Fault::RowsInserted {
                seal,
                first_row,
                last_row,
                extra,
            } => write!(
                f,
                "{extra} rows were inserted among the rows {first_row} to {last_row} after seal {seal} had closed them"
            ),
            Fault::SealRemoved { seal } => write!(f, "seal {seal} is gone"),
            Fault::SealForged { seal } => {
                write!(
                    f,
                    "seal {seal} was changed or is not signed with a known key"
                )
            }
            Fault::SealUnlinked { seal } => {
                write!(f, "seal {seal} does not follow from the one before")
            }
            Fault::TailRemoved { seal } => {
                write!(
                    f,
                    "seal {seal} stands in the anchor file and is gone with everything after it"
                )
            }
            Fault::AnchorDiffers { seal } => {
                write!(
                    f,
                    "seal {seal} is not the one in the anchor file: the trail was rewritten"
                )
            }
        }
    }
}

/// Verifies the whole trail. `progress` hears the entries read so far.
///
/// What this proves: whoever lacks the signing key cannot have changed, removed, moved or inserted a sealed entry
/// without a fault here, nor cut the tail before the newest anchor. It cannot notice what someone with database and
/// key rewrote after the newest anchor that is out of their reach, nor an entry that was kept from being recorded.
///
/// # Errors
///
/// [`crate::Code::SystemStoreDown`]. A fault in the trail is no error but part of the report.
pub async fn verify(
    log: &dyn AuditLog,
    keys: &[SealingKey],
    anchors: &[Anchor],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report, Error> {
    let mut report = Report {
        sealed: 0,
        unsealed: 0,
        seals: 0,
        anchors: 0,
        fault: None,
    };
    let mut reader = Reader {
        log,
        keys,
        progress,
        waiting: VecDeque::new(),
        coming: None,
        // Not 0: a row put below the first one must be seen too.
        read_up_to: i64::MIN,
        horizon: i64::MIN,
        expected: 0,
    };
    report.fault = reader.first_fault(anchors, &mut report).await?;
    Ok(report)
}

/// Reads the trail while others write and seal. Writers commit out of order, so what was read of rows is complete only
/// up to a seal that was read before.
struct Reader<'a> {
    log: &'a dyn AuditLog,
    keys: &'a [SealingKey],
    progress: &'a (dyn Fn(u64) + Sync),
    /// Rows to be checked.
    waiting: VecDeque<StoredEntry>,
    /// The rows after those, which are being read.
    coming: Option<BoxFuture<'a, Result<Vec<StoredEntry>, Error>>>,
    /// The identifier of the last row read.
    read_up_to: i64,
    /// Rows above this one are left for later.
    horizon: i64,
    /// The rows up to the horizon that are still to be read, if none was inserted.
    expected: i64,
}

impl<'a> Reader<'a> {
    async fn first_fault(
        &mut self,
        anchors: &[Anchor],
        report: &mut Report,
    ) -> Result<Option<Fault>, Error> {
        let anchors: BTreeMap<i64, &str> = anchors
            .iter()
            .map(|anchor| (anchor.number, anchor.hash.as_str()))
            .collect();
        let mut previous: Option<Seal> = None;
        loop {
            let after = previous.as_ref().map_or(i64::MIN, |seal| seal.number);
            let seals = self.log.seals(after, SEALS).await?;
            if seals.is_empty() {
                break;
            }
            self.look_up_to_seals(&seals);
            for seal in seals {
                if let Some(fault) = self.fault_of_seal(&seal, previous.as_ref()) {
                    return Ok(Some(fault));
                }
                if let Some(hash) = anchors.get(&seal.number) {
                    if *hash != hex(&seal.hash()) {
                        return Ok(Some(Fault::AnchorDiffers { seal: seal.number }));
                    }
                    report.anchors += 1;
                }
                let before = report.sealed;
                if let Some(fault) = self
                    .fault_of_block(&seal, previous.as_ref(), report)
                    .await?
                {
                    return Ok(Some(fault));
                }
                report.seals += 1;
                if report.sealed / 10_000 != before / 10_000 {
                    (self.progress)(report.sealed);
                }
                previous = Some(seal);
            }
        }
        let last = previous.as_ref().map_or(0, |seal| seal.number);
        if let Some((&seal, _)) = anchors.range(last + 1..).next() {
            return Ok(Some(Fault::TailRemoved { seal }));
        }
        self.look_up_to(i64::MAX, i64::MAX);
        while let Some(entry) = self.next_up_to(i64::MAX).await? {
            if let Some(fault) = fault_of_entry(&entry, previous.as_ref()) {
                return Ok(Some(fault));
            }
            report.unsealed += 1;
        }
        (self.progress)(report.sealed + report.unsealed);
        Ok(None)
    }

    fn fault_of_seal(&self, seal: &Seal, previous: Option<&Seal>) -> Option<Fault> {
        let expected = previous.map_or(0, |previous| previous.number) + 1;
        if seal.number != expected {
            return Some(Fault::SealRemoved { seal: expected });
        }
        if !seal.is_signed_by(self.keys) {
            return Some(Fault::SealForged { seal: seal.number });
        }
        let is_linked = seal.previous == previous.map_or([0; 32], Seal::hash)
            && seal.first_row > previous.map_or(0, |previous| previous.last_row);
        (!is_linked).then_some(Fault::SealUnlinked { seal: seal.number })
    }

    async fn fault_of_block(
        &mut self,
        seal: &Seal,
        previous: Option<&Seal>,
        report: &mut Report,
    ) -> Result<Option<Fault>, Error> {
        let mut leaves = Vec::new();
        while let Some(entry) = self.next_up_to(seal.last_row).await? {
            if let Some(fault) = fault_of_entry(&entry, previous) {
                return Ok(Some(fault));
            }
            leaves.push(entry.leaf());
        }
        let expected = u64::try_from(seal.row_count).unwrap_or(0);
        let found = leaves.len() as u64;
        let (number, first_row, last_row) = (seal.number, seal.first_row, seal.last_row);
        report.sealed += found;
        Ok(if found < expected {
            Some(Fault::RowsRemoved {
                seal: number,
                first_row,
                last_row,
                missing: expected - found,
            })
        } else if found > expected {
            Some(Fault::RowsInserted {
                seal: number,
                first_row,
                last_row,
                extra: found - expected,
            })
        } else if root(&leaves) != seal.root {
            Some(Fault::BlockChanged {
                seal: number,
                first_row,
                last_row,
            })
        } else {
            None
        })
    }

    /// Goes on to read the rows that these seals close. Whether they are genuine is not known yet.
    fn look_up_to_seals(&mut self, seals: &[Seal]) {
        let horizon = seals.iter().map(|seal| seal.last_row).max();
        let rows = seals
            .iter()
            .fold(0_i64, |rows, seal| rows.saturating_add(seal.row_count));
        self.look_up_to(horizon.unwrap_or(self.horizon), rows);
    }

    fn look_up_to(&mut self, horizon: i64, expected: i64) {
        self.horizon = horizon;
        self.expected = expected;
        self.coming = Some(self.rows_after(self.read_up_to));
    }

    fn rows_after(&self, id: i64) -> BoxFuture<'a, Result<Vec<StoredEntry>, Error>> {
        // One more than expected shows what was inserted; a few more cost nothing.
        let limit = self.expected.saturating_add(1).max(100);
        let limit = u32::try_from(limit).map_or(BATCH, |limit| limit.min(BATCH));
        self.log.stored_entries(id, limit)
    }

    /// Returns the next entry if its identifier is at most `last`.
    async fn next_up_to(&mut self, last: i64) -> Result<Option<StoredEntry>, Error> {
        if self.waiting.is_empty() {
            self.read_on().await?;
        }
        if self
            .waiting
            .front()
            .is_none_or(|entry| entry.record.id > last)
        {
            return Ok(None);
        }
        Ok(self.waiting.pop_front())
    }

    /// Takes the rows that were being read and begins with those after them, so that the store reads while these are
    /// checked.
    async fn read_on(&mut self) -> Result<(), Error> {
        let Some(coming) = self.coming.take() else {
            return Ok(());
        };
        let mut rows = coming.await?;
        let is_end = rows.is_empty();
        rows.retain(|entry| entry.record.id <= self.horizon);
        self.read_up_to = rows.last().map_or(self.horizon, |last| last.record.id);
        let read = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        self.expected = self.expected.saturating_sub(read);
        self.waiting = rows.into();
        if !is_end && self.read_up_to < self.horizon {
            let mut coming = self.rows_after(self.read_up_to);
            // A future does nothing until it is polled.
            self.coming = Some(match poll!(&mut coming) {
                Poll::Ready(rows) => ready(rows).boxed(),
                Poll::Pending => coming,
            });
        }
        Ok(())
    }
}

fn fault_of_entry(entry: &StoredEntry, previous: Option<&Seal>) -> Option<Fault> {
    let row = entry.record.id;
    if !entry.is_consistent() {
        return Some(Fault::RowChanged { row });
    }
    let is_backdated =
        previous.is_some_and(|seal| entry.record.timestamp + TOLERANCE < seal.sealed_at);
    is_backdated.then_some(Fault::RowBackdated { row })
}
