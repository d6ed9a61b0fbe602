//! Remembers for a second at most whose a session is, where replicas share a cache. The system store stays the truth: a
//! session that is not remembered is read there, and so is every session while the shared cache is down.
//!
//! Whatever ends a session other than its own logout, and a change of role, holds within that second.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Actor;
use crate::error::Error;
use crate::ports::{Cache, Ports};

/// Counted from before the store was read, so that a slow answer does not make it longer.
const LIFETIME: TimeDelta = TimeDelta::seconds(1);

#[derive(Serialize, Deserialize)]
struct Remembered {
    actor: Actor,
    read_at: DateTime<Utc>,
}

/// Returns the actor of a live session of an active user.
///
/// # Errors
///
/// [`crate::Code::SystemStoreDown`]. The cache is never a reason to fail.
pub(super) async fn actor(ports: &Ports, token_hash: &str) -> Result<Option<Actor>, Error> {
    let now = ports.clock.now();
    if !ports.cache.is_shared() {
        return ports.store.session_actor(token_hash, now).await;
    }
    let key = key(token_hash);
    if let Some(actor) = remembered(&*ports.cache, &key, now).await {
        return Ok(Some(actor));
    }
    let found = ports.store.session_actor(token_hash, now).await?;
    if let Some(actor) = &found {
        let remembered = Remembered {
            actor: actor.clone(),
            read_at: now,
        };
        let value = serde_json::to_vec(&remembered).unwrap_or_default();
        let lifetime = LIFETIME.to_std().unwrap_or(Duration::ZERO);
        // One that is not remembered is read again.
        let _ = ports.cache.put(&key, &value, lifetime).await;
    }
    Ok(found)
}

/// Forgets a session that has ended.
pub(super) async fn forget(ports: &Ports, token_hash: &str) {
    // One that is not forgotten is over within the second.
    let _ = ports.cache.remove(&key(token_hash)).await;
}

/// A time ahead of ours is that of a replica whose clock is; what it read may be older than it says.
async fn remembered(cache: &dyn Cache, key: &str, now: DateTime<Utc>) -> Option<Actor> {
    let value = cache.get(key).await.ok()??;
    let remembered: Remembered = serde_json::from_slice(&value).ok()?;
    let age = now - remembered.read_at;
    (TimeDelta::zero()..LIFETIME)
        .contains(&age)
        .then_some(remembered.actor)
}

fn key(token_hash: &str) -> String {
    format!("session:{token_hash}")
}
