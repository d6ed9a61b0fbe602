use axum::Json;
use std::time::Instant;

use engine::admission::admit;
use engine::ask::ask_in;
use engine::conversation;
use engine::question::{Answer, Outcome, Question};
use engine::{Code, Error};
use futures::future::AbortHandle;
use serde::Deserialize;
use tracing::Instrument;
use utoipa::ToSchema;

use crate::http::auth::{Require, Viewer};
use crate::http::error::{Failure, Problem};
use crate::http::extract::JsonBody;
use crate::http::openapi::{BodyProblems, CallerProblems, MissingProblems, RateProblems};
use crate::http::{Shared, metrics};

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
/// how it was taken then. A caller who goes away stops model and database.
#[utoipa::path(post, path = "/api/v1/questions", tag = "questions", request_body = Ask, security(("session" = [])), responses(
    (status = 200, body = Answer),
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
    JsonBody(body): JsonBody<Ask>,
) -> Result<Json<Answer>, Failure> {
    let question = Question::parse(&body.question)?;
    admit(&state.app.ports, state.app.questions, &caller.actor).await?;
    if let Some(id) = body.conversation_id {
        conversation::one(&state.app.ports, &caller.actor, id).await?;
    }
    answer(async move |registration| {
        ask_in(
            &state.app.ports.asking,
            &state.app.ask,
            &caller.actor,
            body.conversation_id,
            &question,
            &(),
            registration,
        )
        .await
    })
    .await
}

/// Runs a question in a task of its own, so that its outcome is recorded even when the caller goes away; then it is
/// aborted.
pub async fn answer<F>(
    work: impl FnOnce(futures::future::AbortRegistration) -> F,
) -> Result<Json<Answer>, Failure>
where
    F: Future<Output = Result<Outcome, Error>> + Send + 'static,
{
    struct AbortOnDrop(AbortHandle);
    impl Drop for AbortOnDrop {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let (abort, registration) = AbortHandle::new_pair();
    let _abort = AbortOnDrop(abort);
    let started = Instant::now();
    let outcome = tokio::spawn(work(registration).in_current_span())
        .await
        .map_err(|fault| Error::new(Code::Internal, "the question was lost").with_cause(fault))
        .flatten();
    metrics::question(&outcome, started.elapsed());
    match outcome? {
        Outcome::Answered(answer) => Ok(Json(*answer)),
        Outcome::Refused(refusal) => Err(Failure::refused(*refusal)),
    }
}
