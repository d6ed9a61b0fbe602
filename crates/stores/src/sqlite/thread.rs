//! A connection with a thread of its own, so that SQLite never blocks an asynchronous worker.

use std::sync::mpsc;

use engine::{Code, Error};
use rusqlite::Connection;
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

pub(super) struct ConnectionThread {
    work: mpsc::Sender<Work>,
}

impl ConnectionThread {
    /// Starts the thread; it ends, and closes the connection, when the last sender is dropped.
    pub(super) fn start(name: &str, mut connection: Connection) -> Self {
        let (work, queue) = mpsc::channel::<Work>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                for work in queue {
                    work(&mut connection);
                }
            })
            .expect("the system has room for one more thread at start");
        Self { work }
    }

    /// Runs `work` after whatever is queued before it. It runs to its end even if the caller goes away.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job: Work = Box::new(move |connection| {
            // The caller may have gone; what was done stays done.
            let _ = reply.send(work(connection));
        });
        let gone = || Error::new(Code::SystemStoreDown, "the system store's thread has ended");
        self.work.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
