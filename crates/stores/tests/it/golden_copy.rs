//! The golden copy, tried on originals in every state; after each test the original is what it was.

mod random_databases;
mod scene;
mod sharing;
mod states;
mod upkeep;
