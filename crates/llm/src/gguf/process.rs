//! The child process that runs the model, seen from Assay: starting, asking, cancelling, ending.

use std::fmt;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use engine::Error;
use tokio::io::BufReader;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::WorkerCommand;
use super::protocol::{
    Order, Outcome, Report, Task, WorkerSettings, receive, send, skip_to_preamble,
};

/// Loading includes hashing a file of gigabytes when its hash is not noted beside it.
const START_TIMEOUT: Duration = Duration::from_secs(180);
/// The worker looks for a cancel every 64 tokens: a second, or two and a half on a busy machine.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(4);
/// The worker reads its orders on a thread of their own.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A process whose pipe ended is gone, or sent what is not a report and has to be ended.
const DEATH_TIMEOUT: Duration = Duration::from_millis(500);

/// The variables a worker inherits. Everything else stays away from C++ code that parses files: keys and passwords most
/// of all.
const INHERITED: &[&str] = &[
    "RUST_LOG",
    "RUST_BACKTRACE",
    "NO_COLOR",
    "TMPDIR",
    "LD_LIBRARY_PATH",
];

/// A running worker with its model loaded. Dropping it kills the process.
pub(super) struct WorkerProcess {
    child: Child,
    orders: ChildStdin,
    reports: mpsc::Receiver<Report>,
    reader: JoinHandle<()>,
}

/// The process is of no more use: it must be ended.
#[derive(Debug)]
pub(super) struct Broken(io::Error);

impl WorkerProcess {
    /// Starts a worker and waits until the model is loaded.
    pub(super) async fn start(
        command: &WorkerCommand,
        settings: &WorkerSettings,
    ) -> Result<Self, Error> {
        let kind = settings.kind();
        let mut worker = Self::spawn(command).map_err(|error| {
            kind.failed("has a worker that cannot be started")
                .with_cause(error)
        })?;
        let ready = timeout(START_TIMEOUT, worker.load(settings)).await;
        let failure = match ready {
            Ok(Ok(load_ms)) => {
                tracing::info!(load_ms, model = %settings.model_path.display(), "a local model is loaded");
                return Ok(worker);
            }
            Ok(Err(error)) => error,
            Err(_) => kind.failed("takes too long to load"),
        };
        worker.kill().await;
        Err(failure)
    }

    fn spawn(command: &WorkerCommand) -> io::Result<Self> {
        let inherited = INHERITED
            .iter()
            .filter_map(|name| std::env::var_os(name).map(|value| (name, value)));
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .env_clear()
            .envs(inherited)
            // Threads that wait for each other by spinning take the processor from the one they wait for, as soon as
            // anything else runs: ten times slower on a busy machine. Heeded by builds with OpenMP.
            .env("OMP_WAIT_POLICY", "passive")
            .envs(command.envs.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let orders = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let (sender, reports) = mpsc::channel(1);
        let reader = tokio::spawn(forward_reports(stdout, sender));
        Ok(Self {
            child,
            orders,
            reports,
            reader,
        })
    }

    async fn load(&mut self, settings: &WorkerSettings) -> Result<u64, Error> {
        let died = || {
            let error = settings
                .kind()
                .failed("has a worker that died while loading it");
            error.with_hint("the log says why; too little memory is the usual cause")
        };
        send(&mut self.orders, &Order::Start(settings.clone()))
            .await
            .map_err(|error| died().with_cause(error))?;
        match self.reports.recv().await {
            Some(Report::Ready { load_ms }) => Ok(load_ms),
            Some(Report::Unfit(error)) => Err(error.into()),
            Some(_) => Err(died().with_cause("it sent another report than ready")),
            None => {
                let Broken(cause) = self.death().await;
                Err(died().with_cause(cause))
            }
        }
    }

    /// Returns the process identifier, unless the process has ended.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Says whether the process still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Hands a task over. Its outcome is read with [`Self::outcome`].
    pub(super) async fn ask(&mut self, id: u64, task: Task) -> Result<(), Broken> {
        self.order(&Order::Work { id, task }).await
    }

    /// Waits for the outcome of a task, and hands on what it writes until then. May be cancelled and called again.
    pub(super) async fn outcome(
        &mut self,
        wanted: u64,
        heard: Option<&mpsc::UnboundedSender<String>>,
    ) -> Result<Result<Outcome, Error>, Broken> {
        loop {
            match self.reports.recv().await {
                Some(Report::Done { id, outcome }) if id == wanted => return Ok(Ok(outcome)),
                Some(Report::Failed { id, error }) if id == wanted => return Ok(Err(error.into())),
                Some(Report::Wrote { id, more }) if id == wanted => {
                    // Who does not listen any more is about to cancel.
                    heard.inspect(|heard| drop(heard.send(more)));
                }
                Some(_) => {}
                None => return Err(self.death().await),
            }
        }
    }

    /// Finds out how the process ended, whose pipe has just ended.
    async fn death(&mut self) -> Broken {
        match timeout(DEATH_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) => Broken(io::Error::other(format!(
                "the model worker ended: {status}"
            ))),
            Ok(Err(error)) => Broken(error),
            Err(_) => Broken(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Stops a task that was handed over.
    ///
    /// # Errors
    ///
    /// [`Broken`] if the worker does not obey within four seconds.
    pub(super) async fn cancel(&mut self, id: u64) -> Result<(), Broken> {
        self.order(&Order::Cancel { id }).await?;
        match timeout(CANCEL_TIMEOUT, self.outcome(id, None)).await {
            Ok(outcome) => outcome.map(drop),
            Err(_) => Err(Broken(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Ends the process and waits for it, so that nothing is left of it.
    pub(super) async fn kill(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::warn!(%error, "the model worker cannot be ended");
        }
    }

    async fn order(&mut self, order: &Order) -> Result<(), Broken> {
        match timeout(SEND_TIMEOUT, send(&mut self.orders, order)).await {
            Ok(sent) => sent.map_err(Broken),
            Err(_) => Err(Broken(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads reports until the pipe ends or the worker sends what is not one. A task of its own, because half a frame must
/// not be lost when waiting for it is cancelled.
async fn forward_reports(stdout: ChildStdout, sender: mpsc::Sender<Report>) {
    let mut stdout = BufReader::new(stdout);
    if skip_to_preamble(&mut stdout).await.is_err() {
        return;
    }
    loop {
        match receive(&mut stdout).await {
            Ok(report) => {
                if sender.send(report).await.is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return,
            Err(error) => {
                tracing::warn!(%error, "the model worker sent what is not a report");
                return;
            }
        }
    }
}
