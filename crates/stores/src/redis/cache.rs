use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::Error;
use engine::ports::Cache;
use redis::Script;

use super::{Call, RedisServer, milliseconds};
use crate::caching::{self, check};
use crate::fallback::SharedCache;

/// A cache that all replicas share.
///
/// A value is a string with a time to live. A group is a hash of values and, under a second key, a sorted set that has
/// the order in which they were put; either may be evicted alone, and then the group is begun anew.
pub struct RedisCache {
    server: Arc<RedisServer>,
    scripts: Scripts,
}

struct Scripts {
    remove_if: Script,
    renew_if: Script,
    put_member: Script,
    members: Script,
    remove_member: Script,
}

/// Keys looked at in one step when everything is forgotten.
const SCAN: u32 = 1_000;

impl RedisCache {
    /// Keeps values on this server.
    pub fn new(server: Arc<RedisServer>) -> Self {
        Self {
            server,
            scripts: Scripts {
                remove_if: Script::new(include_str!("cache/remove_if.lua")),
                renew_if: Script::new(include_str!("cache/renew_if.lua")),
                put_member: Script::new(include_str!("cache/put_member.lua")),
                members: Script::new(include_str!("cache/members.lua")),
                remove_member: Script::new(include_str!("cache/remove_member.lua")),
            },
        }
    }

    fn key(&self, key: &str) -> String {
        self.server.key("cache:value", key)
    }

    fn group(&self, group: &str) -> [String; 2] {
        [
            self.server.key("cache:group", group),
            self.server.key("cache:order", group),
        ]
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut get = redis::cmd("GET");
        self.server.command(get.arg(self.key(key))).await
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        check(key, value)?;
        let mut put = redis::cmd("SET");
        put.arg(self.key(key)).arg(value);
        put.arg("PX").arg(milliseconds(ttl));
        self.server.command(&put).await
    }

    async fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        check(key, value)?;
        let mut put = redis::cmd("SET");
        put.arg(self.key(key)).arg(value);
        put.arg("PX").arg(milliseconds(ttl)).arg("NX");
        self.server.command(&put).await
    }

    async fn remove(&self, key: &str) -> Result<(), Error> {
        let mut remove = redis::cmd("UNLINK");
        self.server.command(remove.arg(self.key(key))).await
    }

    async fn remove_if(&self, key: &str, value: &[u8]) -> Result<bool, Error> {
        let key = self.key(key);
        self.server
            .script(&Call {
                script: &self.scripts.remove_if,
                keys: vec![&key],
                arguments: vec![value],
            })
            .await
    }

    async fn hold(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        caching::hold(ttl, || self.renew_if(key, value, ttl)).await
    }

    async fn wait_until_absent(&self, key: &str, at_most: Duration) -> Result<(), Error> {
        caching::wait_until_absent(self, key, at_most).await
    }

    async fn put_member(
        &self,
        group: &str,
        member: &str,
        value: &[u8],
        ttl: Duration,
        max_members: usize,
    ) -> Result<(), Error> {
        check(group, value)?;
        check(member, value)?;
        let [values, order] = self.group(group);
        self.server
            .script(&Call {
                script: &self.scripts.put_member,
                keys: vec![&values, &order],
                arguments: vec![
                    member.as_bytes(),
                    value,
                    milliseconds(ttl).to_string().as_bytes(),
                    max_members.to_string().as_bytes(),
                ],
            })
            .await
    }

    async fn members(&self, group: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let [values, order] = self.group(group);
        self.server
            .script(&Call {
                script: &self.scripts.members,
                keys: vec![&values, &order],
                arguments: Vec::new(),
            })
            .await
    }

    async fn remove_member(&self, group: &str, member: &str) -> Result<(), Error> {
        let [values, order] = self.group(group);
        self.server
            .script(&Call {
                script: &self.scripts.remove_member,
                keys: vec![&values, &order],
                arguments: vec![member.as_bytes()],
            })
            .await
    }

    async fn ping(&self) -> Result<(), Error> {
        self.server.ping().await
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[async_trait]
impl SharedCache for RedisCache {
    async fn renew_if(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        let (key, ttl) = (self.key(key), milliseconds(ttl).to_string());
        self.server
            .script(&Call {
                script: &self.scripts.renew_if,
                keys: vec![&key],
                arguments: vec![value, ttl.as_bytes()],
            })
            .await
    }

    async fn clear(&self) -> Result<(), Error> {
        let pattern = format!("{}*", literal(&self.server.key("cache", "")));
        let mut cursor: u64 = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(SCAN);
            let (next, keys): (u64, Vec<Vec<u8>>) = self.server.command(&scan).await?;
            if !keys.is_empty() {
                let mut remove = redis::cmd("UNLINK");
                let () = self.server.command(remove.arg(keys)).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// Returns a pattern that stands for this text alone.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
