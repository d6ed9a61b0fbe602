//! The cache, limits and jobs that suites run on: in memory, on Redis, and with a fallback whose server is up or down.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use engine::ports::{Cache, Clock, Jobs, RateLimits};
use stores::fallback::{Fallback, SharedPorts};
use stores::memory::{MemoryCache, MemoryJobs, MemoryRateLimits};
use stores::redis::{RedisCache, RedisJobs, RedisRateLimits, RedisServer, RedisSettings};

use crate::services;

/// One implementation of the three ports.
#[derive(Clone)]
pub struct Scene {
    pub cache: Arc<dyn Cache>,
    pub rate_limits: Arc<dyn RateLimits>,
    pub jobs: Arc<dyn Jobs>,
    settings: Option<RedisSettings>,
}

/// Runs each test on each implementation.
macro_rules! shared_suite {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Scene::memory()).await;
            })*
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(scene) = super::Scene::redis() {
                    super::$name(scene).await;
                }
            })*
        }

        mod fallback_up {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(scene) = super::Scene::redis() {
                    super::$name(scene.with_fallback()).await;
                }
            })*
        }

        mod fallback_down {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(super::Scene::down()).await;
            })*
        }
    };
}
pub(crate) use shared_suite;

impl Scene {
    pub fn memory() -> Self {
        Self {
            cache: Arc::new(MemoryCache::new(Arc::new(RealClock))),
            rate_limits: Arc::new(MemoryRateLimits::default()),
            jobs: Arc::new(MemoryJobs::new("here", Arc::new(RealClock))),
            settings: None,
        }
    }

    /// On the server of TEST_REDIS_URL, with keys of its own; `None` if there is no server.
    pub fn redis() -> Option<Self> {
        Some(Self::on(services::redis()?))
    }

    pub fn on(settings: RedisSettings) -> Self {
        let server = RedisServer::new(&settings).unwrap();
        Self {
            cache: Arc::new(RedisCache::new(server.clone())),
            rate_limits: Arc::new(RedisRateLimits::new(server.clone())),
            jobs: Arc::new(RedisJobs::new(server)),
            settings: Some(settings),
        }
    }

    /// Another process on the same server; where nothing is shared, the same one.
    pub fn another(&self) -> Self {
        match &self.settings {
            Some(settings) => Self::on(settings.clone()),
            None => self.clone(),
        }
    }

    pub fn with_fallback(self) -> Self {
        let settings = self.settings.clone();
        let fallback = fallback(settings.as_ref().unwrap());
        Self {
            cache: fallback.clone(),
            rate_limits: fallback.clone(),
            jobs: fallback,
            settings,
        }
    }

    /// A fallback whose server was never there.
    pub fn down() -> Self {
        // Nobody listens on the port of TCPMUX.
        let scene = Self::on(RedisSettings::new("redis://127.0.0.1:1")).with_fallback();
        Self {
            settings: None,
            ..scene
        }
    }
}

pub fn fallback(settings: &RedisSettings) -> Arc<Fallback> {
    let server = RedisServer::new(settings).unwrap();
    let shared = SharedPorts {
        cache: Arc::new(RedisCache::new(server.clone())),
        rate_limits: Arc::new(RedisRateLimits::new(server.clone())),
        jobs: Arc::new(RedisJobs::new(server)),
    };
    Fallback::new(shared, "here", Arc::new(RealClock))
}

pub struct RealClock;

impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "what expires on a server does so in real time"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Looks again and again until there is something, half a minute at most.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
