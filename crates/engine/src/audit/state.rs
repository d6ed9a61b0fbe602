//! How far the trail is sealed.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AuditFilter, SealDocument};
use crate::error::Error;
use crate::ports::{AuditLog, PageRequest};

/// How far the trail is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SealingState {
    /// The newest seal; null before the first.
    pub last: Option<SealDocument>,
    /// Entries that no seal covers yet.
    pub unsealed: u64,
    /// When the oldest of them was recorded; null when there are none.
    pub unsealed_since: Option<DateTime<Utc>>,
}

/// Returns how far the trail is sealed. Costs little as long as sealing keeps up.
///
/// # Errors
///
/// [`crate::Code::SystemStoreDown`].
pub async fn sealing_state(log: &dyn AuditLog) -> Result<SealingState, Error> {
    let mut state = SealingState {
        last: None,
        unsealed: 0,
        unsealed_since: None,
    };
    let mut request = PageRequest::first(PageRequest::MAX_LIMIT);
    loop {
        let page = log.audit_entries(&AuditFilter::default(), request).await?;
        // What is sealed lies below what is not, so the boundary in a page, newest first, can be halved for.
        let (mut low, mut high) = (0, page.items.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match log.seal_of(page.items[middle].id).await? {
                Some(seal) => {
                    // The nearest to the boundary comes last, and none of a later block comes after it.
                    let is_newer = state
                        .last
                        .as_ref()
                        .is_none_or(|last| last.number < seal.number);
                    if is_newer {
                        state.last = Some(SealDocument::from(&seal));
                    }
                    high = middle;
                }
                None => low = middle + 1,
            }
        }
        state.unsealed += low as u64;
        if let Some(oldest) = low.checked_sub(1).and_then(|index| page.items.get(index)) {
            state.unsealed_since = Some(oldest.timestamp);
        }
        if state.last.is_some() || page.next_cursor.is_none() {
            return Ok(state);
        }
        request.cursor = page.next_cursor;
    }
}
