//! Implementations of the engine's ports.

pub mod golden_copy;
pub mod target;
