use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::ports::{Allowance, RateLimits};
use redis::Script;

use super::{Call, RedisServer};

/// Counts tries of all replicas together, by the arithmetic of [`crate::memory::MemoryRateLimits`] in microseconds.
///
/// Of each key the server keeps the time at which its bucket will be empty, until then. That time is by the clocks of
/// the replicas: to one whose clock is ahead by d, every bucket seems emptier by d, and what it takes fills it less for
/// the others. So while clocks differ by d, a key has up to d's share of an allowance more, and on a replica that is
/// behind one waits up to d longer; nothing adds up over time.
pub struct RedisRateLimits {
    server: Arc<RedisServer>,
    take: Script,
}

impl RedisRateLimits {
    /// Counts on this server.
    pub fn new(server: Arc<RedisServer>) -> Self {
        Self {
            server,
            take: Script::new(include_str!("take_try.lua")),
        }
    }

    fn key(&self, key: &str) -> String {
        self.server.key("rate", key)
    }
}

#[async_trait]
impl RateLimits for RedisRateLimits {
    async fn take(
        &self,
        key: &str,
        allowance: Allowance,
        now: DateTime<Utc>,
    ) -> Result<Option<Duration>, Error> {
        // Beyond a century numbers would no longer be exact in Lua, whose numbers have 53 bits.
        const MAX_PER: Duration = Duration::from_secs(100 * 365 * 86_400);
        let per = allowance.per.min(MAX_PER).as_micros();
        let one_try = per / u128::from(allowance.burst.max(1));
        let wait: i64 = self
            .server
            .script(&Call {
                script: &self.take,
                keys: vec![&self.key(key)],
                arguments: vec![
                    now.timestamp_micros().to_string().as_bytes(),
                    per.to_string().as_bytes(),
                    one_try.to_string().as_bytes(),
                ],
            })
            .await?;
        let wait = u64::try_from(wait).unwrap_or_default();
        Ok((wait > 0).then_some(Duration::from_micros(wait)))
    }

    async fn forget(&self, key: &str) -> Result<(), Error> {
        let mut forget = redis::cmd("DEL");
        self.server.command(forget.arg(self.key(key))).await
    }
}
