//! How often one person may ask.

use serde_json::json;

use crate::accounts::Actor;
use crate::audit::AuditEntry;
use crate::error::{Code, Error};
use crate::ports::{Allowance, Ports};

/// Takes one question or statement from what the actor may ask; `None` lets everyone ask as often as they like.
///
/// # Errors
///
/// [`Code::RateLimited`] with how long to wait; the denial is recorded.
pub async fn admit(
    ports: &Ports,
    allowance: Option<Allowance>,
    actor: &Actor,
) -> Result<(), Error> {
    let Some(allowance) = allowance else {
        return Ok(());
    };
    let (key, now) = (format!("questions:{}", actor.user_id), ports.clock.now());
    let Some(wait) = ports.rate_limits.take(&key, allowance, now).await? else {
        return Ok(());
    };
    let changes = json!({ "code": Code::RateLimited.as_str() });
    let entry = AuditEntry::new(now, Some(actor.user_id), "denied", "question", changes);
    ports.store.record(&entry).await?;
    let seconds = wait.as_secs() + 1;
    Err(Error::new(Code::RateLimited, "too many questions")
        .with_hint(format!("wait {seconds} s and ask again"))
        .with_retry_after(wait))
}
