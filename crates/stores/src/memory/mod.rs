//! Ports kept in this process alone, for one process that runs by itself.

mod rate_limits;

pub use rate_limits::MemoryRateLimits;
