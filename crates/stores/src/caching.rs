//! What caches have in common: what they take, and how they wait.

use std::time::Duration;

use engine::ports::Cache;
use engine::{Code, Error};
use tokio::time::Instant;

const MAX_KEY_BYTES: usize = 512;
const MAX_VALUE_BYTES: usize = 1 << 20;

/// Refuses keys and values that are too long: a fault of the caller's.
pub(crate) fn check(key: &str, value: &[u8]) -> Result<(), Error> {
    let fault = if key.len() > MAX_KEY_BYTES {
        format!("a key of {} bytes is too long for the cache", key.len())
    } else if value.len() > MAX_VALUE_BYTES {
        format!(
            "a value of {} bytes is too large for the cache",
            value.len()
        )
    } else {
        return Ok(());
    };
    Err(Error::new(Code::Internal, fault))
}

/// Puts off the end of a value again and again, often enough that one late time does no harm. `renew_if` does so once if
/// the value is still there, and says whether it was.
pub(crate) async fn hold<F>(ttl: Duration, renew_if: impl Fn() -> F) -> Result<(), Error>
where
    F: Future<Output = Result<bool, Error>>,
{
    while renew_if().await? {
        tokio::time::sleep(ttl / 4).await;
    }
    Ok(())
}

/// Looks again and again, ever more rarely, until there is no value under a key: who holds it may be another process,
/// or gone.
pub(crate) async fn wait_until_absent(
    cache: &impl Cache,
    key: &str,
    at_most: Duration,
) -> Result<(), Error> {
    const MAX_PAUSE: Duration = Duration::from_millis(100);
    let until = Instant::now() + at_most;
    let mut pause = Duration::from_millis(5);
    while cache.get(key).await?.is_some() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
    Ok(())
}
