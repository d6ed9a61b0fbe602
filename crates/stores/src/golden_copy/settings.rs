//! What a golden copy is told, and what it tells while it works.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::ports::Clock;
use serde::Serialize;

use crate::target::read_schema::SchemaLimits;
use crate::target::values::ValueIndexLimits;

/// What to copy, where to, and how carefully.
#[derive(Clone)]
pub struct GoldenCopySettings {
    /// The file that is protected; links are followed.
    pub original: PathBuf,
    /// The path under which the copy in service can be opened; generations lie beside it.
    pub working_copy: PathBuf,
    /// Generations kept, the one in service included; those in use are kept besides.
    pub keep_generations: usize,
    /// Lets SQLite check each new copy, which takes longer than copying it.
    pub integrity_check: bool,
    /// Times that a copy is tried when the original changes meanwhile.
    pub attempts: u32,
    /// Pause before the second attempt; doubled before each further one.
    pub pause: Duration,
    /// Bounds on reading the schema.
    pub schema_limits: SchemaLimits,
    /// Bounds on the index of values that is built beside a generation once it is in service; `None` builds none.
    pub value_index: Option<ValueIndexLimits>,
    /// Tells when a copy was made.
    pub clock: Arc<dyn Clock>,
}

impl GoldenCopySettings {
    /// Three generations kept, integrity checked, five attempts within about 1.5 s, no index of values.
    pub fn new(original: PathBuf, working_copy: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            original,
            working_copy,
            keep_generations: 3,
            integrity_check: true,
            attempts: 5,
            pause: Duration::from_millis(100),
            schema_limits: SchemaLimits::default(),
            value_index: None,
            clock,
        }
    }
}

/// What a long operation on the golden copy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyPhase {
    /// Another process is at it; nothing is counted.
    Waiting,
    /// Reading the original to see whether it changed; bytes.
    Fingerprinting,
    /// Bytes copied.
    Copying,
    /// Bytes of original and copy read again.
    Verifying,
    /// Replaying journals; nothing is counted.
    Recovering,
    /// SQLite checks the copy; nothing is counted.
    CheckingIntegrity,
    /// Tables read.
    ReadingSchema,
    /// Putting the new generation in service; nothing is counted.
    Publishing,
}

/// How far a phase has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress {
    /// The phase.
    pub phase: CopyPhase,
    /// Done so far, in the unit of the phase.
    pub done: u64,
    /// All there is to do; 0 where nothing is counted.
    pub total: u64,
}

/// Hears of progress, from several threads at once.
pub type OnProgress<'a> = &'a (dyn Fn(CopyProgress) + Sync);
