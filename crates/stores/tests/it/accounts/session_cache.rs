//! Sessions that replicas remember for each other, a second at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use engine::Error;
use engine::accounts::logging_in::{self, OpenSession};
use engine::accounts::{Credential, Registration, UserChange};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::ports::Cache;
use serde_json::json;
use stores::memory::MemoryCache;

use super::world::{PASSWORD, World};

/// A cache that replicas share, until it is down.
struct SharedCache {
    cache: MemoryCache,
    is_down: AtomicBool,
}

#[async_trait]
impl Cache for SharedCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.cache.get(key).await
    }
    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        self.cache.put(key, value, ttl).await
    }
    async fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        self.cache.put_if_absent(key, value, ttl).await
    }
    async fn remove(&self, key: &str) -> Result<(), Error> {
        self.cache.remove(key).await
    }
    async fn remove_if(&self, key: &str, value: &[u8]) -> Result<bool, Error> {
        self.cache.remove_if(key, value).await
    }
    async fn hold(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        self.cache.hold(key, value, ttl).await
    }
    async fn wait_until_absent(&self, key: &str, at_most: Duration) -> Result<(), Error> {
        self.cache.wait_until_absent(key, at_most).await
    }
    async fn put_member(
        &self,
        group: &str,
        member: &str,
        value: &[u8],
        ttl: Duration,
        max: usize,
    ) -> Result<(), Error> {
        self.cache.put_member(group, member, value, ttl, max).await
    }
    async fn members(&self, group: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.cache.members(group).await
    }
    async fn remove_member(&self, group: &str, member: &str) -> Result<(), Error> {
        self.cache.remove_member(group, member).await
    }
    async fn ping(&self) -> Result<(), Error> {
        Ok(())
    }
    fn is_shared(&self) -> bool {
        !self.is_down.load(Ordering::SeqCst)
    }
}

async fn scene() -> (World, Arc<SharedCache>, OpenSession) {
    let mut world = World::new(Registration::Closed);
    let cache = Arc::new(SharedCache {
        cache: MemoryCache::new(world.clock.clone()),
        is_down: AtomicBool::new(false),
    });
    world.ports.cache = cache.clone();
    world.user("root@example.org", Role::Admin).await;
    world.user("ada@example.org", Role::Analyst).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    assert!(world.lives(&session).await);
    (world, cache, session)
}

/// Deactivates past the cache, as another replica does.
async fn deactivate(world: &World, session: &OpenSession) {
    let change = UserChange {
        is_active: Some(false),
        ..UserChange::default()
    };
    let now = engine::ports::Clock::now(&*world.clock);
    let audit = AuditEntry::new(now, None, "user_changed", "user", json!({}));
    let id = session.actor.user_id;
    let changed = world.ports.store.change_user(id, &change, &audit).await;
    assert!(changed.unwrap().is_some());
}

#[tokio::test]
async fn a_deactivation_holds_within_a_second() {
    let (world, _, session) = scene().await;
    deactivate(&world, &session).await;
    assert!(world.lives(&session).await, "it is still remembered");
    world.clock.advance(TimeDelta::milliseconds(999));
    assert!(world.lives(&session).await);
    world.clock.advance(TimeDelta::milliseconds(1));
    assert!(!world.lives(&session).await);
}

#[tokio::test]
async fn a_logout_holds_at_once() {
    let (world, _, session) = scene().await;
    let credential = Credential::Session(session.secret.clone());
    let ended = logging_in::log_out(&world.ports, &session.actor, &credential).await;
    ended.unwrap();
    assert!(!world.lives(&session).await);
}

#[tokio::test]
async fn with_the_shared_cache_down_the_system_store_is_asked() {
    let (world, cache, session) = scene().await;
    cache.is_down.store(true, Ordering::SeqCst);
    deactivate(&world, &session).await;
    assert!(!world.lives(&session).await);
}

#[tokio::test]
async fn what_a_replica_with_a_clock_ahead_remembered_is_not_believed() {
    let (world, _, session) = scene().await;
    deactivate(&world, &session).await;
    world.clock.advance(TimeDelta::milliseconds(-5));
    assert!(!world.lives(&session).await);
}

#[tokio::test]
async fn what_is_no_session_is_asked_for_again_each_time() {
    let (world, _, session) = scene().await;
    deactivate(&world, &session).await;
    world.clock.advance(TimeDelta::seconds(2));
    assert!(!world.lives(&session).await);
    let change = UserChange {
        is_active: Some(true),
        ..UserChange::default()
    };
    let now = engine::ports::Clock::now(&*world.clock);
    let audit = AuditEntry::new(now, None, "user_changed", "user", json!({}));
    let id = session.actor.user_id;
    let changed = world.ports.store.change_user(id, &change, &audit).await;
    changed.unwrap();
    let again = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    assert!(world.lives(&again).await);
}
