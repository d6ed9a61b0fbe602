//! Answers the questions of an evaluation the way the product answers its users: through [`engine::ask`], with every
//! port that production has.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use engine::Error;
use engine::accounts::Actor;
use engine::ask::{AskSettings, Constrained, Linking, PromptStyle, ask_in};
use engine::audit::AuditEntry;
use engine::conversation::NewConversation;
use engine::ports::{AskPorts, FinishedQuery, NewQuery, SystemStore, TargetDatabase, TokenCounts};
use engine::prompt::PROMPT_VERSION;
use engine::question::{Outcome, Question, Timings};
use engine::result::ResultSet;
use futures::future::{AbortHandle, BoxFuture};
use serde_json::json;
use tokio::sync::Mutex;

use super::replies::KeptReplies;
use super::{Arm, Prediction, Predictor, PredictorSettings, Previous};

/// Opens a database file as a target, golden copy and all.
pub type OpenTarget = Arc<
    dyn Fn(PathBuf) -> BoxFuture<'static, Result<Arc<dyn TargetDatabase>, Error>> + Send + Sync,
>;

/// Asks the engine.
pub struct EnginePredictor {
    arm: Arm,
    ports: AskPorts,
    store: Arc<dyn SystemStore>,
    open: OpenTarget,
    settings: AskSettings,
    actor: Actor,
    kept: Option<Arc<KeptReplies>>,
    /// The database of the question before, kept open because most questions are about it.
    opened: Mutex<Option<(PathBuf, Arc<dyn TargetDatabase>)>>,
}

impl EnginePredictor {
    /// Makes a predictor. `ports.target` is not used: each question has its own database, opened by `open`.
    /// An arm leaves out what it has not, whatever `settings` say. `kept` is the model of `ports`, if it keeps replies.
    pub fn new(
        arm: Arm,
        ports: AskPorts,
        store: Arc<dyn SystemStore>,
        open: OpenTarget,
        settings: AskSettings,
        actor: Actor,
        kept: Option<Arc<KeptReplies>>,
    ) -> Self {
        // Each answer is the model's own.
        let settings = AskSettings {
            reuse: false,
            ..settings
        };
        let without = |technique: Arm| arm as u8 > technique as u8;
        let mut settings = settings;
        if arm == Arm::Alone {
            settings.follow_ups = false;
        }
        if without(Arm::Product) {
            settings.deciding.insists = false;
        }
        if without(Arm::Drawn) {
            settings.deciding.always = false;
        }
        if without(Arm::Doubt) {
            settings.deciding.candidates = 0;
        }
        if without(Arm::Checked) {
            settings.deciding.checks = false;
        }
        if without(Arm::Linked) {
            settings.linking = Linking {
                meaning: false,
                values: false,
                examples: false,
            };
        }
        if without(Arm::Mended) {
            settings.deciding.mends = false;
            settings.max_repairs = 0;
            settings.deciding.constrained = match arm {
                Arm::Constrained => Constrained::Always,
                _ => Constrained::Never,
            };
        }
        if without(Arm::Prompt) {
            settings.style = PromptStyle::Plain;
        }
        Self {
            arm,
            ports,
            store,
            open,
            settings,
            actor,
            kept,
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

    /// Makes a conversation in which a turn was answered, as if it had just been.
    async fn conversation(&self, previous: Previous<'_>) -> Result<i64, Error> {
        let (now, user_id) = (self.ports.clock.now(), self.actor.user_id);
        let entry = |action| AuditEntry::new(now, Some(user_id), action, "conversation", json!({}));
        let new = NewConversation {
            user_id,
            title: None,
        };
        let id = self
            .store
            .create_conversation(&new, &entry("conversation_created"))
            .await?;
        let query = NewQuery {
            user_id,
            role: self.actor.role,
            question: Some(previous.question.to_owned()),
            sql: None,
            conversation_id: Some(id),
            instance_id: self.settings.instance_id.clone(),
            lease_until: now + self.settings.lease,
        };
        let begun = self.store.begin_query(&query, &entry("query")).await?;
        let finished = FinishedQuery {
            understood_as: None,
            sql: Some(previous.sql.to_owned()),
            error: None,
            result_count: None,
            duration_ms: 0,
            generator: Some(self.ports.generator.identity().name),
            cached: false,
            target_fingerprint: None,
            receipt: None,
        };
        let answered = entry("query_answered");
        self.store
            .finish_query(begun.id, &finished, &answered)
            .await?;
        Ok(id)
    }

    async fn outcome(
        &self,
        database: &Path,
        question: &str,
        previous: Option<Previous<'_>>,
    ) -> Result<Outcome, Error> {
        let question = Question::parse(question)?;
        let conversation = match previous {
            Some(previous) => Some(self.conversation(previous).await?),
            None => None,
        };
        let ports = AskPorts {
            target: self.target(database).await?,
            ..self.ports.clone()
        };
        let (_never_aborted, registration) = AbortHandle::new_pair();
        ask_in(
            &ports,
            &self.settings,
            &self.actor,
            conversation,
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
            deciding,
            linking,
            schema_format,
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
                "deciding": format!("{deciding:?}"),
                "linking": format!("{linking:?}"),
                "schema": format!("{schema_format:?}"),
            }),
        }
    }

    async fn predict(
        &self,
        database: &Path,
        question: &str,
        previous: Option<Previous<'_>>,
    ) -> Prediction {
        let started = Instant::now();
        let kept_before = self.kept_seconds();
        let mut prediction = self.prediction(database, question, previous, started).await;
        let kept = self.kept_seconds() - kept_before;
        prediction.seconds += kept;
        prediction.generate_seconds += kept;
        prediction
    }
}

impl EnginePredictor {
    /// Returns the seconds of replies that were kept and not waited for.
    fn kept_seconds(&self) -> f64 {
        self.kept.as_ref().map_or(0.0, |kept| kept.seconds())
    }

    async fn prediction(
        &self,
        database: &Path,
        question: &str,
        previous: Option<Previous<'_>>,
        started: Instant,
    ) -> Prediction {
        match self.outcome(database, question, previous).await {
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
                    signals: Some(answer.signals),
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
                    signals: None,
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
                signals: None,
            },
        }
    }
}
