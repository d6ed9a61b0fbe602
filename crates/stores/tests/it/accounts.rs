//! What people do with their accounts, over the system store in memory and a world that the test controls.

mod joining;
mod keys;
mod passwords;
mod session_cache;
mod sessions;
pub mod world;
