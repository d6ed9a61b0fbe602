//! Ports kept in this process alone, for one process that runs by itself.

mod cache;
mod jobs;
mod rate_limits;
mod vectors;

pub use cache::MemoryCache;
pub use jobs::MemoryJobs;
pub use rate_limits::MemoryRateLimits;
pub use vectors::MemoryVectors;
