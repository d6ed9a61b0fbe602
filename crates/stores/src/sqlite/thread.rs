//! Connections with threads of their own, so that SQLite never blocks an asynchronous worker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use engine::{Code, Error};
use rusqlite::{Connection, Savepoint, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::{Failed, down};

/// Pieces in one transaction at most.
const BATCH: usize = 64;
/// A transaction takes no further piece after this long; whoever was first has waited enough.
const BATCH_TIME: Duration = Duration::from_millis(5);

/// The one thread that writes.
///
/// It takes whatever is waiting and commits it in one transaction, so that many callers share one sync to disk. Each
/// piece has a savepoint of its own: one that fails is rolled back alone. Nobody hears of an outcome before the commit.
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Piece>>,
}

impl Writer {
    /// Starts the thread; it ends, and closes the connection, when the writer is dropped and the queue is empty.
    pub(super) fn start(mut connection: Connection) -> Self {
        let (queue, pieces) = mpsc::channel::<Box<dyn Piece>>();
        start("system-store-writer", move || {
            let mut waiting = VecDeque::new();
            while let Some(first) = waiting.pop_front().or_else(|| pieces.recv().ok()) {
                waiting.push_front(first);
                waiting.extend(pieces.try_iter().take(BATCH - waiting.len()));
                commit_batch(&mut connection, &mut waiting);
            }
        });
        Self { queue }
    }

    /// Runs `work` in a transaction, after whatever is queued before it. It runs to its end even if the caller goes
    /// away.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Savepoint<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            work: Some(work),
            done: None,
            reply,
        };
        self.queue.send(Box::new(call)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Work waiting for the writer.
trait Piece: Send {
    /// Does the work and says whether it may stay.
    fn run(&mut self, savepoint: &Savepoint<'_>) -> bool;

    /// Tells the caller what came of it; `failure` is that of the whole transaction and replaces it.
    fn reply(self: Box<Self>, failure: Option<&Error>);
}

struct Call<T, W> {
    work: Option<W>,
    done: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T: Send, W: FnOnce(&Savepoint<'_>) -> Result<T, Failed> + Send> Piece for Call<T, W> {
    fn run(&mut self, savepoint: &Savepoint<'_>) -> bool {
        let done = self.work.take().map(|work| work(savepoint));
        self.done = done.map(|done| done.map_err(|Failed(error)| error));
        matches!(self.done, Some(Ok(_)))
    }

    fn reply(self: Box<Self>, failure: Option<&Error>) {
        let outcome = match failure {
            Some(error) => Err(error.clone()),
            None => self.done.unwrap_or_else(|| Err(gone())),
        };
        // The caller may have gone; what was done stays done.
        let _ = self.reply.send(outcome);
    }
}

/// Takes pieces from `waiting`, at least one, and commits them. If the transaction fails, each that was taken hears so.
fn commit_batch(connection: &mut Connection, waiting: &mut VecDeque<Box<dyn Piece>>) {
    let mut taken = Vec::new();
    let committed = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(mut transaction) => {
            run_pieces(&mut transaction, waiting, &mut taken).and_then(|()| transaction.commit())
        }
        Err(fault) => {
            // Those behind would wait as long for the same lock, one after the other.
            taken.extend(waiting.drain(..));
            Err(fault)
        }
    };
    let failure = committed.err().map(down);
    for piece in taken {
        piece.reply(failure.as_ref());
    }
}

fn run_pieces(
    transaction: &mut Transaction<'_>,
    waiting: &mut VecDeque<Box<dyn Piece>>,
    taken: &mut Vec<Box<dyn Piece>>,
) -> rusqlite::Result<()> {
    let started = Instant::now();
    while let Some(mut piece) = waiting.pop_front() {
        let ran = run_piece(transaction, piece.as_mut());
        taken.push(piece);
        ran?;
        if started.elapsed() > BATCH_TIME {
            break;
        }
    }
    Ok(())
}

fn run_piece(transaction: &mut Transaction<'_>, piece: &mut dyn Piece) -> rusqlite::Result<()> {
    let savepoint = transaction.savepoint()?;
    // On some faults, such as a full disk, SQLite ends the whole transaction by itself. Then the savepoint is gone, both
    // of these fail, and nothing more is run as if there were still a transaction.
    if piece.run(&savepoint) {
        savepoint.commit()
    } else {
        savepoint.finish()
    }
}

/// A few threads that read, each with a connection of its own, fed from one queue.
pub(super) struct Readers {
    queue: mpsc::Sender<Read>,
}

type Read = Box<dyn FnOnce(&Connection) + Send>;

impl Readers {
    /// Starts the threads; they end when this is dropped and the queue is empty.
    pub(super) fn start(connections: Vec<Connection>) -> Self {
        let (queue, reads) = mpsc::channel::<Read>();
        let reads = Arc::new(Mutex::new(reads));
        for connection in connections {
            let reads = reads.clone();
            start("system-store-reader", move || {
                // The lock is held while waiting for one read, never while doing it.
                let next = || {
                    reads
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .recv()
                        .ok()
                };
                while let Some(read) = next() {
                    read(&connection);
                }
            });
        }
        Self { queue }
    }

    /// Runs `work` on the next thread that is free.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let _ = reply.send(work(connection).map_err(down));
        });
        self.queue.send(read).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .expect("the system has room for a few more threads at start");
}

fn gone() -> Error {
    Error::new(Code::SystemStoreDown, "the system store's thread has ended")
}
