use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use engine::admission::admit;
use engine::ask::ask_in;
use engine::question::{Answer, Outcome, Question};
use engine::{Code, Error, conversation, stopping};
use futures::future::{AbortHandle, AbortRegistration};
use serde::Deserialize;
use tracing::Instrument;
use utoipa::ToSchema;

use crate::http::auth::{Require, Viewer};
use crate::http::error::{Failure, Problem};
use crate::http::extract::{JsonBody, PathId};
use crate::http::live::{Live, OverWhenDropped, StoppedWhenDropped};
use crate::http::openapi::{
    AddressProblems, BodyProblems, CallerProblems, MissingProblems, RateProblems,
};
use crate::http::{REQUEST_ID, Shared, metrics};

const EVENT_STREAM: &str = "text/event-stream";

/// Proxies close a connection on which nothing is sent for long.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"question": "How many customers do we have?"}))]
pub struct Ask {
    /// The question, in plain language.
    question: String,
    /// The conversation it is asked in, one's own; left out, it is asked outside any.
    conversation_id: Option<i64>,
}

/// Answers a question from the target database. In a conversation it may lean on the one before; `understood_as` says
/// how it was taken then. A caller who goes away stops model and database. Who accepts `text/event-stream` is told what
/// goes on: `begun`, `state`, `sql`, then `answer` without rows, `rows` page by page and `finished`, or `refused`,
/// `failed` or `stopped` with the problem; a lost connection can be taken up again for 15 seconds.
#[utoipa::path(post, path = "/api/v1/questions", tag = "questions", request_body = Ask, security(("session" = [])), responses(
    (status = 200, content((Answer = "application/json"), (String = "text/event-stream"))),
    CallerProblems,
    BodyProblems,
    MissingProblems,
    RateProblems,
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub async fn ask_question(
    state: Shared,
    caller: Require<Viewer>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Ask>,
) -> Result<Response, Failure> {
    let question = Question::parse(&body.question)?;
    admit(&state.app.ports, state.app.questions, &caller.actor).await?;
    if let Some(id) = body.conversation_id {
        conversation::one(&state.app.ports, &caller.actor, id).await?;
    }
    let accepts_events = accepts_events(&headers);
    let (abort, registration) = AbortHandle::new_pair();
    let (live, begun) = Live::new(
        caller.actor.user_id,
        question.as_str(),
        body.conversation_id,
        text_of(&headers, &REQUEST_ID),
        abort.clone(),
    );
    let told = live.clone();
    let shared = state.0.clone();
    let work = async move {
        ask_in(
            &shared.app.ports.asking,
            &shared.app.ask,
            &caller.actor,
            body.conversation_id,
            &question,
            &*told,
            registration,
        )
        .await
    };
    let keep = async {
        let query_id = begun.await.ok()?;
        let cache = state.app.ports.asking.cache.clone();
        state.live.keep(query_id, live.clone(), cache);
        Some(())
    };
    if !accepts_events {
        let over = OverWhenDropped(live.clone());
        let work = async move {
            let _over = over;
            work.await
        };
        let mut answered = std::pin::pin!(answer(abort, work));
        let answered = tokio::select! {
            biased;
            Some(()) = keep => answered.await,
            answered = &mut answered => answered,
        };
        return answered.map(IntoResponse::into_response);
    }
    let mut task = tokio::spawn({
        let live = live.clone();
        let started = Instant::now();
        async move {
            let _over = OverWhenDropped(live.clone());
            let outcome = work.await;
            metrics::question(&outcome, started.elapsed());
            match (live.has_begun(), outcome) {
                (false, Err(error)) => Err(error),
                (_, outcome) => {
                    live.end(outcome);
                    Ok(())
                }
            }
        }
        .in_current_span()
    });
    let alone = StoppedWhenDropped::new(&live);
    tokio::select! {
        biased;
        Some(()) = keep => {
            let events = events(live, 0);
            alone.let_go();
            Ok(events)
        }
        ended = &mut task => {
            let fault = ended.map_err(lost).flatten().err();
            Err(fault.unwrap_or_else(|| lost("it ended before it began")).into())
        }
    }
}

/// Goes on telling what becomes of a question of one's own, after the event of `Last-Event-ID`. Known on the server that
/// answers it, until half a minute after its end.
#[utoipa::path(get, path = "/api/v1/questions/{id}/events", tag = "questions",
    params(("id" = i64, Path, example = 1), ("last-event-id" = Option<u32>, Header, description = "the last event that arrived")),
    security(("session" = [])), responses(
    (status = 200, body = String, content_type = "text/event-stream"),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn question_events(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let live = state
        .live
        .find(caller.actor.user_id, id.0)
        .ok_or_else(|| not_here(id.0))?;
    let after = text_of(&headers, &HeaderName::from_static("last-event-id"));
    Ok(events(live, after.parse().unwrap_or(0)))
}

/// Stops a question of one's own: model and database stop, and it is recorded as cancelled. One that has ended is left as
/// it is.
#[utoipa::path(delete, path = "/api/v1/questions/{id}", tag = "questions", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 204),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn stop_question(
    state: Shared,
    caller: Require<Viewer>,
    id: PathId,
) -> Result<StatusCode, Failure> {
    match state.live.find(caller.actor.user_id, id.0) {
        Some(live) => live.stop(),
        None => stopping::request(&state.app.ports, &caller.actor, id.0).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

fn events(live: Arc<Live>, after: usize) -> Response {
    Sse::new(live.watch(after))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

fn accepts_events(headers: &HeaderMap) -> bool {
    text_of(headers, &header::ACCEPT)
        .split(',')
        .any(|kind| kind.split(';').next().unwrap_or_default().trim() == EVENT_STREAM)
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn not_here(id: i64) -> Error {
    Error::new(
        Code::QueryNotFound,
        format!("question {id} is not being answered here"),
    )
    .with_hint("`GET /api/v1/queries/{id}` says what became of it")
}

fn lost(cause: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, "the question was lost").with_cause(cause)
}

/// Answers with what runs until it is told to stop.
pub async fn answered<F>(work: impl FnOnce(AbortRegistration) -> F) -> Result<Json<Answer>, Failure>
where
    F: Future<Output = Result<Outcome, Error>> + Send + 'static,
{
    let (abort, registration) = AbortHandle::new_pair();
    answer(abort, work(registration)).await
}

/// Runs a question in a task of its own, so that its outcome is recorded even when the caller goes away; then it is
/// aborted.
async fn answer(
    abort: AbortHandle,
    work: impl Future<Output = Result<Outcome, Error>> + Send + 'static,
) -> Result<Json<Answer>, Failure> {
    struct AbortOnDrop(AbortHandle);
    impl Drop for AbortOnDrop {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let _abort = AbortOnDrop(abort);
    let started = Instant::now();
    let outcome = tokio::spawn(work.in_current_span())
        .await
        .map_err(lost)
        .flatten();
    metrics::question(&outcome, started.elapsed());
    match outcome? {
        Outcome::Answered(answer) => Ok(Json(*answer)),
        Outcome::Refused(refusal) => Err(Failure::refused(*refusal)),
    }
}
