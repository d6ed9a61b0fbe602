//! An index of the text values of one working copy, in a file beside it, so that words of a question can be matched
//! without reading the data. It is built in the background from the copy, which it only reads, and is there wholly or
//! not at all; it can be thrown away at any time. Why it is made as it is: docs/adr/0019.

mod build;
mod columns;
mod lookup;

pub use build::{BuiltIndex, ValueIndexLimits, build};
pub use lookup::Unusable;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::policy::VisibleSchema;
use engine::ports::{FoundValues, ValueIndexState};
use engine::schema::Schema;
use engine::{Code, Error};

use lookup::OpenIndex;

/// Raised whenever an older index no longer is what this program reads; it is then built anew.
const FORMAT: &str = "1";

/// What an index is built from, and where to.
#[derive(Debug, Clone)]
pub struct ValueIndexSource {
    /// The working copy, which nobody changes any more.
    pub copy: PathBuf,
    /// The schema of the copy.
    pub schema: Arc<Schema>,
    /// Names the content of the copy; an index of another content is built anew.
    pub content: String,
    /// The file of the index.
    pub index: PathBuf,
    /// Bounds on what it holds.
    pub limits: ValueIndexLimits,
}

impl ValueIndexSource {
    /// Returns where an index is while it is built.
    fn part(&self) -> PathBuf {
        self.index.with_extension("part")
    }

    /// Returns the file that is locked by the process that builds.
    fn lock(&self) -> PathBuf {
        self.index.with_extension("lock")
    }
}

/// The index of one working copy, in whatever state it is. Dropping it stops building.
pub struct ValueIndex {
    shared: Arc<Shared>,
}

struct Shared {
    source: ValueIndexSource,
    state: Mutex<State>,
    is_given_up: AtomicBool,
    /// Whatever must live as long as a thread of this works, such as a lease on the copy.
    _keep: Box<dyn Send + Sync>,
}

enum State {
    Building,
    Ready(Arc<OpenIndex>),
    Failed,
}

impl ValueIndex {
    /// Starts to open the index, or to build it where there is none that can be used, in a thread of its own. `keep` is
    /// dropped after that thread has ended.
    pub fn start(source: ValueIndexSource, keep: Box<dyn Send + Sync>) -> Self {
        let shared = Arc::new(Shared {
            source,
            state: Mutex::new(State::Building),
            is_given_up: AtomicBool::new(false),
            _keep: keep,
        });
        bring_in_background(&shared, Bring::AsFound);
        Self { shared }
    }

    /// Returns the values that a question mentions, with what was looked in. Never waits for the index.
    ///
    /// # Errors
    ///
    /// [`Code::Internal`] if the work was lost.
    pub async fn find(
        &self,
        question: &str,
        visible: &Arc<VisibleSchema>,
        limit: usize,
    ) -> Result<FoundValues, Error> {
        let index = match &*self.shared.state() {
            State::Ready(index) => index.clone(),
            State::Building => {
                return Ok(FoundValues::without_index(ValueIndexState::Building));
            }
            State::Failed => return Ok(FoundValues::without_index(ValueIndexState::Missing)),
        };
        let (question, visible, shared) =
            (question.to_owned(), visible.clone(), self.shared.clone());
        let look = move || match index.find(&question, &visible, limit) {
            Ok(found) => found,
            Err(unusable) => {
                shared.replace_damaged(&index, &unusable);
                FoundValues::without_index(ValueIndexState::Building)
            }
        };
        tokio::task::spawn_blocking(look).await.map_err(|cause| {
            Error::new(Code::Internal, "the look for values was lost").with_cause(cause)
        })
    }
}

impl Drop for ValueIndex {
    fn drop(&mut self) {
        self.shared.is_given_up.store(true, Ordering::Release);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bring {
    /// What is there is good enough, if it can be used.
    AsFound,
    /// What is there is damaged.
    Anew,
}

fn bring_in_background(shared: &Arc<Shared>, how: Bring) {
    let working = shared.clone();
    let work = move || {
        let state = match bring(&working, how) {
            Ok(index) => State::Ready(Arc::new(index)),
            Err(unusable) => {
                if !working.is_given_up() {
                    tracing::warn!(cause = %unusable, "there is no index of values; questions are answered without");
                }
                State::Failed
            }
        };
        *working.state() = state;
    };
    let thread = std::thread::Builder::new().name("value-index".to_owned());
    if let Err(cause) = thread.spawn(work) {
        tracing::warn!(%cause, "there is no thread to build the index of values");
        *shared.state() = State::Failed;
    }
}

/// Opens the index, or builds it first. Whoever else wants to build the same one waits and finds it.
fn bring(shared: &Shared, how: Bring) -> Result<OpenIndex, Unusable> {
    let source = &shared.source;
    if how == Bring::AsFound
        && let Ok(index) = OpenIndex::open(source)
    {
        return Ok(index);
    }
    let _lock = lock(&source.lock())?;
    if let Ok(index) = OpenIndex::open(source) {
        return Ok(index);
    }
    let part = source.part();
    let built = build(source, &part, &|| shared.is_given_up());
    let published = built.and_then(|built| {
        // Gone with its copy: nobody would remove the index any more.
        if shared.is_given_up() {
            return Err(Unusable::GivenUp);
        }
        fs::rename(&part, &source.index)?;
        Ok(built)
    });
    match published {
        Ok(built) => {
            tracing::info!(
                values = built.values,
                bytes = built.bytes,
                seconds = built.elapsed.as_secs_f64(),
                "index of values built"
            );
            OpenIndex::open(source)
        }
        Err(fault) => {
            let _ = fs::remove_file(&part);
            Err(fault)
        }
    }
}

/// Locks a file until what is returned is dropped.
fn lock(path: &Path) -> io::Result<Locked> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.lock()?;
    Ok(Locked(file))
}

struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing it would leave the lock to a child process that was just being started.
        let _ = self.0.unlock();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    /// Takes an index that cannot be read out of use and builds another, unless someone else does already.
    fn replace_damaged(self: &Arc<Self>, index: &Arc<OpenIndex>, unusable: &Unusable) {
        let mut state = self.state();
        if matches!(&*state, State::Ready(current) if Arc::ptr_eq(current, index)) {
            tracing::warn!(cause = %unusable, "the index of values is damaged; it is built anew");
            let _ = fs::remove_file(&self.source.index);
            *state = State::Building;
            drop(state);
            bring_in_background(self, Bring::Anew);
        }
    }
}
