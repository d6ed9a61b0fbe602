use axum::Json;
use axum::extract::rejection::JsonRejection;
use engine::accounts::Actor;
use engine::ask::{Asker, ask};
use engine::policy::Visibility;
use engine::question::{Answer, Outcome, Question};
use engine::{Code, Error};
use futures::future::AbortHandle;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::Shared;
use crate::http::auth::{Require, Viewer};
use crate::http::error::{Failure, Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The question, in plain language.
    question: String,
}

/// Answers a question from the target database. A caller who goes away stops model and database.
#[utoipa::path(post, path = "/api/v1/questions", tag = "questions", request_body = Ask, security(("session" = [])), responses(
    (status = 200, body = Answer),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
    (status = 504, body = Problem, content_type = "application/problem+json"),
))]
pub async fn ask_question(
    state: Shared,
    caller: Require<Viewer>,
    body: Result<Json<Ask>, JsonRejection>,
) -> Result<Json<Answer>, Failure> {
    let Json(body) = body?;
    let question = Question::parse(&body.question)?;
    let asker = asker(caller.actor);
    answer(async move |registration| {
        ask(
            &state.app.ports,
            &state.app.ask,
            &asker,
            &question,
            &(),
            registration,
        )
        .await
    })
    .await
}

/// Returns the asker of an HTTP request. Rules that hide tables and columns come with `policies`; until then there
/// are no roles but the administrator's, who sees everything.
pub fn asker(actor: Actor) -> Asker {
    Asker {
        actor,
        visibility: Visibility::everything(),
    }
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
    let outcome = tokio::spawn(work(registration))
        .await
        .map_err(|fault| Error::new(Code::Internal, "the question was lost").with_cause(fault))??;
    match outcome {
        Outcome::Answered(answer) => Ok(Json(*answer)),
        Outcome::Refused(refusal) => Err(Failure::refused(*refusal)),
    }
}
