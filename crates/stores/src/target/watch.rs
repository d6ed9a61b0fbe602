//! Deadline and cancellation of one statement. Never decides what may run, only for how long.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle};

use super::temporary_files;

/// Opcodes between two looks at the clock: some ten microseconds of work.
const OPCODES_PER_LOOK: i32 = 1_000;
/// Time between two looks at the temporary files, which cost a system call for each open file.
const BETWEEN_FILE_LOOKS: Duration = Duration::from_millis(50);

/// Why a statement was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    Deadline,
    Cancelled,
    TemporaryFiles,
}

/// One statement's deadline, shared by whoever waits for it and the thread that runs it.
pub(super) struct Watch {
    deadline: Instant,
    is_given_up: AtomicBool,
    stopped: AtomicU8,
    running: Mutex<Option<InterruptHandle>>,
}

impl Watch {
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            is_given_up: AtomicBool::new(false),
            stopped: AtomicU8::new(0),
            running: Mutex::new(None),
        }
    }

    /// Returns what gives the statement up when it goes out of scope.
    pub(super) fn stop_when_dropped(self: &Arc<Self>) -> StopWhenDropped {
        StopWhenDropped(self.clone())
    }

    /// Says why the statement was stopped, if it was.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        match self.stopped.load(Ordering::Acquire) {
            1 => Some(Stopped::Deadline),
            2 => Some(Stopped::Cancelled),
            3 => Some(Stopped::TemporaryFiles),
            // Interrupted between two looks.
            _ if self.is_given_up.load(Ordering::Acquire) => Some(Stopped::Cancelled),
            _ => None,
        }
    }

    /// Watches `connection` until the guard returned is dropped.
    ///
    /// Two ways lead to a stop. SQLite asks the progress handler after so many opcodes; and an interrupt from outside
    /// is seen at the next jump, which comes much earlier where single opcodes are slow.
    pub(super) fn attend<'c>(
        self: &Arc<Self>,
        connection: &'c Connection,
    ) -> rusqlite::Result<Attended<'c>> {
        let watch = self.clone();
        let mut next_file_look = Instant::now() + BETWEEN_FILE_LOOKS;
        let look = move || {
            let now = Instant::now();
            let stopped = if watch.is_given_up.load(Ordering::Acquire) {
                Stopped::Cancelled
            } else if now >= watch.deadline {
                Stopped::Deadline
            } else if now >= next_file_look && temporary_files::are_too_large() {
                Stopped::TemporaryFiles
            } else {
                if now >= next_file_look {
                    next_file_look = Instant::now() + BETWEEN_FILE_LOOKS;
                }
                return false;
            };
            watch.stopped.store(stopped as u8 + 1, Ordering::Release);
            true
        };
        connection.progress_handler(OPCODES_PER_LOOK, Some(look))?;
        *self.running() = Some(connection.get_interrupt_handle());
        Ok(Attended {
            watch: self.clone(),
            connection,
        })
    }

    fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
        if let Some(handle) = self.running().as_ref() {
            handle.interrupt();
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<InterruptHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a statement up when dropped.
pub(super) struct StopWhenDropped(Arc<Watch>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// A connection under watch. Dropping it takes the interrupt handle back under its lock, so that a late stop can
/// never hit the next statement of the same connection.
pub(super) struct Attended<'c> {
    watch: Arc<Watch>,
    connection: &'c Connection,
}

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        *self.watch.running() = None;
        // Fails only for connections that rusqlite does not own.
        let _ = self.connection.progress_handler(0, None::<fn() -> bool>);
    }
}
