//! What replicas share, and the spans around each port.

use std::sync::Arc;

use engine::Error;
use engine::ports::{AskPorts, Backups, Cache, Clock, Embedder, Jobs, Ports, RateLimits};
use stores::fallback::{Fallback, SharedPorts};
use stores::memory::{MemoryCache, MemoryJobs, MemoryRateLimits};
use stores::redis::{RedisCache, RedisJobs, RedisRateLimits, RedisServer, RedisSettings};

use crate::telemetry::Traced;

/// Puts a span around each call of a port.
pub(super) fn traced(
    ports: Ports,
    backups: Option<Arc<dyn Backups>>,
) -> (Ports, Option<Arc<dyn Backups>>) {
    let store = Arc::new(Traced(ports.store));
    let cache: Arc<dyn Cache> = Arc::new(Traced(ports.cache));
    let ports = Ports {
        asking: AskPorts {
            store: store.clone(),
            target: Arc::new(Traced(ports.asking.target)),
            generator: Arc::new(Traced(ports.asking.generator)),
            cache: cache.clone(),
            vectors: Arc::new(Traced(ports.asking.vectors)),
            embedder: ports
                .asking
                .embedder
                .map(|embedder| Arc::new(Traced(embedder)) as Arc<dyn Embedder>),
            known: ports.asking.known,
            clock: ports.asking.clock,
        },
        store,
        passwords: Arc::new(Traced(ports.passwords)),
        mailer: Arc::new(Traced(ports.mailer)),
        rate_limits: Arc::new(Traced(ports.rate_limits)),
        cache,
        jobs: ports.jobs,
        clock: ports.clock,
        random: ports.random,
    };
    let backups = backups.map(|backups| Arc::new(Traced(backups)) as Arc<dyn Backups>);
    (ports, backups)
}

/// The ports that replicas share, or that one process has to itself.
pub struct Shared {
    pub cache: Arc<dyn Cache>,
    pub rate_limits: Arc<dyn RateLimits>,
    pub jobs: Arc<dyn Jobs>,
}

/// Returns the ports on a Redis server, and in this process while that is down; it may be down now.
///
/// # Errors
///
/// [`engine::Code::InvalidSetting`] if the address cannot be used.
pub fn redis(
    settings: &RedisSettings,
    instance: &str,
    clock: Arc<dyn Clock>,
) -> Result<Shared, Error> {
    let server = RedisServer::new(settings)?;
    let there = SharedPorts {
        cache: Arc::new(RedisCache::new(server.clone())),
        rate_limits: Arc::new(RedisRateLimits::new(server.clone())),
        jobs: Arc::new(RedisJobs::new(server)),
    };
    let fallback = Fallback::new(there, instance, clock);
    Ok(Shared {
        cache: fallback.clone(),
        rate_limits: fallback.clone(),
        jobs: fallback,
    })
}

pub(super) fn in_process(instance: &str, clock: Arc<dyn Clock>) -> Shared {
    Shared {
        cache: Arc::new(MemoryCache::new(clock.clone())),
        rate_limits: Arc::new(MemoryRateLimits::default()),
        jobs: Arc::new(MemoryJobs::new(instance, clock)),
    }
}
