//! Questions that are being answered on this server: who asked one can watch it, come back after a lost connection, and
//! stop it.
//!
//! Invariant: rows are told only after the outcome is committed, because the engine returns no answer before.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::response::sse;
use engine::accounts::UserId;
use engine::ports::{Cache, Progress, Step};
use engine::question::{Answer, Outcome};
use engine::result::Value;
use engine::{Code, Error, stopping};
use futures::future::AbortHandle;
use futures::stream::{self, Stream};
use serde_json::{Value as Json, json};
use tokio::sync::{oneshot, watch};

use super::error::Failure;

/// A question that nobody watches any more is stopped after this long: who lost the connection comes back sooner.
const UNWATCHED: Duration = Duration::from_secs(15);

/// What came of a question can be watched again for this long.
const KEPT: Duration = Duration::from_secs(30);

/// Rows told at once.
const ROWS_AT_ONCE: usize = 500;

/// Answers of more rows than this are kept only for those who watch already.
const ROWS_KEPT: usize = 20_000;

/// All of them.
#[derive(Default)]
pub struct LiveQuestions(Mutex<HashMap<i64, Arc<Live>>>);

/// One of them.
pub struct Live {
    user_id: UserId,
    question: String,
    conversation_id: Option<i64>,
    request_id: String,
    abort: AbortHandle,
    since: Instant,
    told: Mutex<Told>,
    /// How much was told, for those who wait for more.
    count: watch::Sender<usize>,
    watchers: AtomicUsize,
    /// How often the last watcher went.
    left: AtomicUsize,
    begun: Mutex<Option<oneshot::Sender<i64>>>,
}

/// Stops a question whose asker goes before it can be watched.
pub struct StoppedWhenDropped(Option<Arc<Live>>);

impl StoppedWhenDropped {
    pub fn new(live: &Arc<Live>) -> Self {
        Self(Some(live.clone()))
    }

    /// From here on its watchers count.
    pub fn let_go(mut self) {
        self.0 = None;
    }
}

impl Drop for StoppedWhenDropped {
    fn drop(&mut self) {
        if let Some(live) = &self.0 {
            live.stop();
        }
    }
}

/// Sees to it that a question is over when its work is, even if that panics: nobody shall wait for ever.
pub struct OverWhenDropped(pub Arc<Live>);

impl Drop for OverWhenDropped {
    fn drop(&mut self) {
        self.0.over();
    }
}

#[derive(Default)]
struct Told {
    query_id: Option<i64>,
    events: Vec<Event>,
    rows: Arc<Vec<Vec<Value>>>,
    is_over: bool,
    /// Somebody may come back for it.
    is_worth_keeping: bool,
}

/// One event, or the rows that one tells.
#[derive(Clone)]
enum Event {
    Said { name: &'static str, data: String },
    Rows(Range<usize>),
}

impl LiveQuestions {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<Live>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a question of this user.
    pub fn find(&self, user_id: UserId, query_id: i64) -> Option<Arc<Live>> {
        let live = self.lock().get(&query_id).cloned()?;
        (live.user_id == user_id).then_some(live)
    }

    /// Keeps a question that has begun until some time after its end, and stops it when that is asked of another server.
    pub fn keep(self: &Arc<Self>, query_id: i64, live: Arc<Live>, cache: Arc<dyn Cache>) {
        self.lock().insert(query_id, live.clone());
        let all = self.clone();
        tokio::spawn(async move {
            let mut count = live.count.subscribe();
            while !live.lock().is_over {
                if tokio::time::timeout(stopping::LOOK_EVERY, count.changed())
                    .await
                    .is_err()
                    && stopping::is_requested(&*cache, query_id).await
                {
                    live.stop();
                }
            }
            let is_kept = {
                let told = live.lock();
                told.is_worth_keeping && told.rows.len() <= ROWS_KEPT
            };
            if is_kept {
                tokio::time::sleep(KEPT).await;
            }
            all.lock().remove(&query_id);
        });
    }
}

impl Live {
    /// Makes one that is about to begin; the receiver gets its identifier when it has.
    pub fn new(
        user_id: UserId,
        question: &str,
        conversation_id: Option<i64>,
        request_id: String,
        abort: AbortHandle,
    ) -> (Arc<Self>, oneshot::Receiver<i64>) {
        let (sender, receiver) = oneshot::channel();
        let live = Self {
            user_id,
            question: question.to_owned(),
            conversation_id,
            request_id,
            abort,
            since: Instant::now(),
            told: Mutex::default(),
            count: watch::Sender::new(0),
            watchers: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            begun: Mutex::new(Some(sender)),
        };
        (Arc::new(live), receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops model and database.
    pub fn stop(&self) {
        self.abort.abort();
    }

    fn tell(&self, name: &'static str, data: &Json) {
        self.push(Event::Said {
            name,
            data: data.to_string(),
        });
    }

    fn push(&self, told: Event) {
        let mut all = self.lock();
        all.events.push(told);
        self.count.send_replace(all.events.len());
    }

    /// Tells what came of the question, which is over then.
    pub fn end(&self, outcome: Result<Outcome, Error>) {
        match outcome {
            Ok(Outcome::Answered(answer)) => self.tell_answer(*answer),
            Ok(Outcome::Refused(refusal)) => {
                let name = match refusal.error.code() {
                    Code::Cancelled => "stopped",
                    _ => "refused",
                };
                self.tell_failure(name, Failure::refused(*refusal));
            }
            Err(error) => self.tell_failure("failed", error.into()),
        }
        self.lock().is_worth_keeping = true;
        self.over();
    }

    /// The question is over, and nobody is told what came of it here.
    fn over(&self) {
        self.lock().is_over = true;
        self.count.send_modify(|_| ());
    }

    /// Says whether nobody has come back since the last watcher went for the `left`th time. Who came and went again a
    /// moment ago has all the time to come back once more.
    fn is_unwatched_since(&self, left: usize) -> bool {
        self.watchers.load(Ordering::Acquire) == 0 && self.left.load(Ordering::Acquire) == left
    }

    /// Says whether the question is recorded.
    pub fn has_begun(&self) -> bool {
        self.lock().query_id.is_some()
    }

    fn tell_answer(&self, mut answer: Answer) {
        let rows = Arc::new(std::mem::take(&mut answer.rows));
        let count = rows.len();
        self.lock().rows = rows;
        let mut told = serde_json::to_value(&answer).unwrap_or_default();
        told["row_count"] = json!(count);
        self.tell("answer", &told);
        for start in (0..count).step_by(ROWS_AT_ONCE) {
            self.push(Event::Rows(start..count.min(start + ROWS_AT_ONCE)));
        }
        self.tell("finished", &json!({ "row_count": count }));
    }

    fn tell_failure(&self, name: &'static str, failure: Failure) {
        let query_id = self.lock().query_id;
        let problem = failure
            .of_query(query_id)
            .into_problem(self.request_id.clone());
        self.tell(name, &serde_json::to_value(&problem).unwrap_or_default());
    }

    /// Returns what was told after the first `after` events, and goes on until the question is over. Each event has its
    /// number from 1 as its identifier.
    pub fn watch(
        self: Arc<Self>,
        after: usize,
    ) -> impl Stream<Item = Result<sse::Event, std::convert::Infallible>> {
        let count = self.count.subscribe();
        let watcher = Watcher::of(self);
        stream::unfold(
            (watcher, count, after),
            async |(watcher, mut count, next)| {
                loop {
                    let live = &watcher.0;
                    let (told, rows, is_over) = {
                        let all = live.lock();
                        (all.events.get(next).cloned(), all.rows.clone(), all.is_over)
                    };
                    match told {
                        Some(told) => {
                            let event = told.for_sse(&rows).id((next + 1).to_string());
                            return Some((Ok(event), (watcher, count, next + 1)));
                        }
                        None if is_over => return None,
                        // The sender lives as long as the watcher.
                        None => count.changed().await.ok()?,
                    }
                }
            },
        )
    }
}

impl Event {
    fn for_sse(self, rows: &[Vec<Value>]) -> sse::Event {
        match self {
            Event::Said { name, data } => sse::Event::default().event(name).data(data),
            Event::Rows(range) => {
                let page =
                    json!({ "offset": range.start, "rows": rows.get(range).unwrap_or_default() });
                sse::Event::default().event("rows").data(page.to_string())
            }
        }
    }
}

/// One who watches. When the last one goes, the question goes on for a while, then it is stopped.
struct Watcher(Arc<Live>);

impl Watcher {
    fn of(live: Arc<Live>) -> Self {
        live.watchers.fetch_add(1, Ordering::AcqRel);
        Self(live)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let live = self.0.clone();
        if live.watchers.fetch_sub(1, Ordering::AcqRel) > 1 || live.lock().is_over {
            return;
        }
        let left = live.left.fetch_add(1, Ordering::AcqRel) + 1;
        // A server that shuts down stops its questions itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            tokio::time::sleep(UNWATCHED).await;
            if live.is_unwatched_since(left) {
                live.stop();
            }
        });
    }
}

impl Progress for Live {
    fn begun(&self, query_id: i64) {
        self.lock().query_id = Some(query_id);
        let told = json!({
            "query_id": query_id, "question": self.question, "conversation_id": self.conversation_id,
        });
        self.tell("begun", &told);
        let sender = self
            .begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(sender) = sender {
            // Nobody waits for it any more: then nobody watches either.
            let _ = sender.send(query_id);
        }
    }

    fn step(&self, step: Step) {
        let at_ms = (self.since.elapsed().as_secs_f64() * 1e4).round() / 10.0;
        self.tell("state", &json!({ "state": step, "at_ms": at_ms }));
    }

    fn writing(&self, more: &str) {
        self.tell("writing", &json!({ "more": more }));
    }

    fn sql(&self, sql: &str) {
        self.tell("sql", &json!({ "sql": sql }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> (Arc<Live>, futures::future::AbortRegistration) {
        let (abort, registration) = AbortHandle::new_pair();
        let (live, _begun) = Live::new(1, "Who is there?", None, String::new(), abort);
        (live, registration)
    }

    #[test]
    fn who_comes_back_and_goes_again_has_all_the_time_anew() {
        let (live, _registration) = live();
        drop(Watcher::of(live.clone()));
        assert!(live.is_unwatched_since(1));
        let back = Watcher::of(live.clone());
        assert!(!live.is_unwatched_since(1));
        drop(back);
        assert!(!live.is_unwatched_since(1));
        assert!(live.is_unwatched_since(2));
    }

    #[test]
    fn a_question_whose_asker_goes_before_it_is_watched_is_stopped() {
        let (watched, _registration) = live();
        StoppedWhenDropped::new(&watched).let_go();
        assert!(!watched.abort.is_aborted());
        let (live, _registration) = live();
        drop(StoppedWhenDropped::new(&live));
        assert!(live.abort.is_aborted());
    }
}
