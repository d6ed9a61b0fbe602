//! Answers the questions of an evaluation the way the product answers its users: through [`engine::ask`], with every
//! port that production has.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use engine::Error;
use engine::accounts::Actor;
use engine::ask::{AskSettings, Linking, PromptStyle, ask};
use engine::ports::{AskPorts, TargetDatabase, TokenCounts};
use engine::prompt::PROMPT_VERSION;
use engine::question::{Outcome, Question, Timings};
use engine::result::ResultSet;
use futures::future::{AbortHandle, BoxFuture};
use serde_json::json;
use tokio::sync::Mutex;

use super::{Arm, Prediction, Predictor, PredictorSettings};

/// Opens a database file as a target, golden copy and all.
pub type OpenTarget = Arc<
    dyn Fn(PathBuf) -> BoxFuture<'static, Result<Arc<dyn TargetDatabase>, Error>> + Send + Sync,
>;

/// Asks the engine.
pub struct EnginePredictor {
    arm: Arm,
    ports: AskPorts,
    open: OpenTarget,
    settings: AskSettings,
    actor: Actor,
    /// The database of the question before, kept open because most questions are about it.
    opened: Mutex<Option<(PathBuf, Arc<dyn TargetDatabase>)>>,
}

impl EnginePredictor {
    /// Makes a predictor. `ports.target` is not used: each question has its own database, opened by `open`.
    /// [`Arm::Plain`] asks with the bare prompt and repairs nothing, whatever `settings` say.
    pub fn new(
        arm: Arm,
        ports: AskPorts,
        open: OpenTarget,
        settings: AskSettings,
        actor: Actor,
    ) -> Self {
        // Each answer is the model's own.
        let settings = AskSettings {
            reuse: false,
            ..settings
        };
        let settings = match arm {
            Arm::Product => settings,
            Arm::Unlinked => AskSettings {
                linking: Linking {
                    meaning: false,
                    values: false,
                    examples: false,
                },
                ..settings
            },
            Arm::Plain => AskSettings {
                style: PromptStyle::Plain,
                max_repairs: 0,
                ..settings
            },
        };
        Self {
            arm,
            ports,
            open,
            settings,
            actor,
            opened: Mutex::new(None),
        }
    }

    async fn target(&self, database: &Path) -> Result<Arc<dyn TargetDatabase>, Error> {
        let mut opened = self.opened.lock().await;
        if let Some((path, target)) = &*opened
            && path == database
        {
            return Ok(Arc::clone(target));
        }
        let target = (self.open)(database.to_owned()).await?;
        *opened = Some((database.to_owned(), Arc::clone(&target)));
        Ok(target)
    }

    async fn outcome(&self, database: &Path, question: &str) -> Result<Outcome, Error> {
        let question = Question::parse(question)?;
        let ports = AskPorts {
            target: self.target(database).await?,
            ..self.ports.clone()
        };
        let (_never_aborted, registration) = AbortHandle::new_pair();
        ask(
            &ports,
            &self.settings,
            &self.actor,
            &question,
            &(),
            registration,
        )
        .await
    }
}

#[async_trait]
impl Predictor for EnginePredictor {
    fn arm(&self) -> Arm {
        self.arm
    }

    fn settings(&self) -> PredictorSettings {
        let AskSettings {
            style,
            max_repairs,
            send_values,
            query,
            generation,
            ..
        } = &self.settings;
        PredictorSettings {
            model: self.ports.generator.identity(),
            prompt_version: PROMPT_VERSION.to_owned(),
            options: json!({
                "style": format!("{style:?}"),
                "max_repairs": max_repairs,
                "send_values": send_values.as_str(),
                "query_timeout_seconds": query.timeout.as_secs_f64(),
                "max_rows": query.max_rows,
                "max_bytes": query.max_bytes,
                "generation_timeout_seconds": generation.timeout.as_secs_f64(),
                "max_tokens": generation.max_tokens,
            }),
        }
    }

    async fn predict(&self, database: &Path, question: &str) -> Prediction {
        let started = Instant::now();
        match self.outcome(database, question).await {
            Ok(Outcome::Answered(answer)) => {
                let answer = *answer;
                Prediction {
                    sql: Some(answer.sql),
                    result: Ok(ResultSet {
                        columns: answer.columns,
                        rows: answer.rows,
                        truncated: answer.truncated,
                    }),
                    fault: None,
                    seconds: answer.timings_ms.total / 1e3,
                    generate_seconds: answer.timings_ms.generate / 1e3,
                    tokens: answer.tokens,
                    repairs: answer.repairs,
                }
            }
            Ok(Outcome::Refused(refusal)) => {
                let Timings {
                    total, generate, ..
                } = refusal.timings_ms;
                Prediction {
                    sql: refusal.sql,
                    result: Err(refusal.error),
                    fault: Some(refusal.fault),
                    seconds: total / 1e3,
                    generate_seconds: generate / 1e3,
                    tokens: refusal.tokens,
                    repairs: refusal.repairs,
                }
            }
            Err(error) => Prediction {
                sql: None,
                fault: Some(error.code()),
                result: Err(error),
                seconds: started.elapsed().as_secs_f64(),
                generate_seconds: 0.0,
                tokens: TokenCounts::default(),
                repairs: 0,
            },
        }
    }
}
