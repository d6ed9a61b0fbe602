//! What people do with their accounts, over the system store in memory and a world that the test controls.

mod joining;
mod keys;
mod passwords;
mod sessions;
mod world;
