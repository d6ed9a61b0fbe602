//! `assay ask`: one question from the command line, or a conversation.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use engine::accounts::Actor;
use engine::ask::ask_in;
use engine::question::{Outcome, Question};
use engine::{Code, Error, Kind, conversation};
use futures::future::{AbortHandle, AbortRegistration};

use super::output::{self, CopyBar, StepSpinner};
use crate::config::Settings;
use crate::wire::App;
use crate::{sealing, wire};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The question, in plain language.
    #[arg(
        required_unless_present = "interactive",
        conflicts_with = "interactive"
    )]
    question: Vec<String>,
    /// Read questions line by line, from a terminal or a pipe, and keep the conversation.
    #[arg(long, short)]
    interactive: bool,
    /// Go on with this conversation; a question may lean on the one before.
    #[arg(long, value_name = "ID")]
    conversation: Option<i64>,
    /// Ask this SQLite file, with nothing else set up.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Print one JSON object a question, each on one line.
    #[arg(long)]
    json: bool,
}

/// How long one question waits for the values of a file to be indexed, which is done once for each file.
const VALUES_AT_MOST: Duration = Duration::from_secs(5);

pub async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Error> {
    let question = match args.interactive {
        true => None,
        false => Some(Question::parse(&args.question.join(" "))?),
    };
    let app = {
        let bar = CopyBar::new();
        wire::open(settings, args.db.as_deref(), &|progress| {
            bar.report(progress)
        })
        .await?
    };
    let actor = super::local_actor(&app, settings).await?;
    if let Some(id) = args.conversation {
        conversation::one(&app.ports, &actor, id).await?;
    }
    wire::values_indexed(&*app.ports.asking.target, VALUES_AT_MOST).await;
    let shown = match question {
        Some(question) => {
            let outcome = answer(&app, &actor, args.conversation, &question).await;
            show(outcome, args.json)
        }
        None => converse(&app, &actor, args.conversation, args.json).await,
    };
    sealing::seal_once(&app.ports, settings).await;
    shown
}

async fn answer(
    app: &App,
    actor: &Actor,
    conversation: Option<i64>,
    question: &Question,
) -> Result<Outcome, Error> {
    let spinner = StepSpinner::start();
    ask_in(
        &app.ports.asking,
        &app.ask,
        actor,
        conversation,
        question,
        &spinner,
        on_ctrl_c(),
    )
    .await
}

/// Asks line by line until there is no more. A question without an answer is told, and the next one is read; only where
/// the next one would fare no better it ends.
async fn converse(
    app: &App,
    actor: &Actor,
    conversation: Option<i64>,
    as_json: bool,
) -> Result<ExitCode, Error> {
    let id = match conversation {
        Some(id) => id,
        None => conversation::create(&app.ports, actor, None).await?.id,
    };
    let is_terminal = std::io::stdin().is_terminal();
    if is_terminal {
        output::say(&format!(
            "Conversation {id}. A question may lean on the one before; an empty line ends."
        ));
    }
    let mut code = ExitCode::SUCCESS;
    while let Some(line) = next_line(is_terminal).await {
        if line.trim_ascii().is_empty() {
            if is_terminal {
                break;
            }
            continue;
        }
        let text = String::from_utf8(line)
            .map_err(|_| Error::new(Code::InvalidQuestion, "the question is not UTF-8"));
        let shown = match text.and_then(|text| Question::parse(&text)) {
            Ok(question) => show(answer(app, actor, Some(id), &question).await, as_json),
            Err(error) => show(Err(error), as_json),
        };
        if let Err(error) = shown {
            if matches!(error.code().kind(), Kind::Unavailable | Kind::Internal) {
                return Err(error);
            }
            code = super::fail(&error);
        }
    }
    Ok(code)
}

/// Reads a line in a thread of its own, which may stay behind: a terminal is waited for without an end. `None` at the end
/// of the input and on Ctrl-C.
async fn next_line(is_terminal: bool) -> Option<Vec<u8>> {
    if is_terminal {
        output::mark();
    }
    let (told, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = Vec::new();
        let read = std::io::stdin().lock().read_until(b'\n', &mut line);
        let _ = told.send(matches!(read, Ok(1..)).then_some(line));
    });
    tokio::select! {
        line = line => line.ok().flatten(),
        _ = tokio::signal::ctrl_c() => None,
    }
}

/// Prints what came of a question or a statement and returns the exit code.
pub fn show(outcome: Result<Outcome, Error>, as_json: bool) -> Result<ExitCode, Error> {
    match outcome {
        Ok(outcome) => {
            if as_json {
                output::json_line(&output::outcome_json(&outcome));
            }
            match outcome {
                Outcome::Answered(answer) => {
                    if !as_json {
                        output::answer(&answer);
                    }
                    Ok(ExitCode::SUCCESS)
                }
                Outcome::Refused(refusal) => {
                    if let Some(sql) = refusal.sql.as_deref().filter(|_| !as_json) {
                        output::say(&format!("{}\n", sql.trim()));
                    }
                    Err(refusal.error)
                }
            }
        }
        Err(error) => {
            if as_json {
                output::json_line(
                    &serde_json::json!({ "status": "failed", "error": output::error_json(&error) }),
                );
            }
            Err(error)
        }
    }
}

/// Returns a registration that Ctrl-C aborts: model and database stop, the question is recorded as cancelled.
pub fn on_ctrl_c() -> AbortRegistration {
    let (abort, registration) = AbortHandle::new_pair();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            abort.abort();
        }
    });
    registration
}
