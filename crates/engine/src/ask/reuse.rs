//! SQL that need not be generated: a verified query whose question this is, or what the semantic cache holds for it.
//! Either passes the guard and runs like any other. A cache that cannot be asked costs a generation, never an answer.

use std::pin::pin;

use futures::future::{self, Either};

use super::{Asked, Trace};
use crate::checks::{self, Finding, FindingKind};
use crate::confidence::{Judged, Signals};
use crate::error::{Code, Error};
use crate::policy::VisibleSchema;
use crate::ports::{AskPorts, Cache, Embedding};
use crate::prompt::PROMPT_VERSION;
use crate::question::{Answer, Origin, Question};
use crate::result::ResultSet;
use crate::retrieval::Degradation;
use crate::semantic_cache::{self, Claim, Hit, Place, Scope, ScopeParts, speaks_of_relative_time};

/// How many others are waited for, one after the other, when each ends without SQL; then nobody is.
const MAX_WAITS: usize = 2;

/// Where the SQL of a question is or will be.
pub(super) struct Reuse {
    pub(super) place: Place,
    /// The question, as it stands alone.
    question: Question,
    /// What gives the claim back that others wait for.
    claim: Option<String>,
}

impl Reuse {
    /// Names the place of a question.
    pub(super) fn of(asked: &Asked<'_>, visible: &VisibleSchema) -> Self {
        let Asked {
            ports,
            settings,
            situation,
            question,
            ..
        } = asked;
        let relative = speaks_of_relative_time(question.as_str());
        let scope = Scope::of(&ScopeParts {
            visible_schema: visible.hash(),
            terms: situation.terms.as_str(),
            verified_queries: situation.verified_queries.as_str(),
            prompt: PROMPT_VERSION,
            model: &ports.generator.identity().hash,
            options: &format!(
                "{} {:?} {} {:?}",
                settings.send_values.as_str(),
                settings.linking,
                settings.max_repairs,
                settings.deciding
            ),
            today: relative.then(|| ports.clock.now().date_naive()),
            is_follow_up: asked.follow_up.is_some(),
        });
        Self {
            place: Place::of(&scope, question),
            question: (*question).clone(),
            claim: None,
        }
    }

    /// Finds the SQL of the question. If another question is having the same SQL generated, waits for it; otherwise claims
    /// it, so that the others wait.
    pub(super) async fn find(
        &mut self,
        cache: &dyn Cache,
        query_id: i64,
        trace: &mut Trace,
    ) -> Option<Hit> {
        let found = self.find_or_claim(cache, query_id).await;
        if cache.is_degraded() {
            trace.degraded.push(Degradation {
                part: "cache",
                code: Code::CacheDown.as_str(),
                message: "the shared cache cannot be reached: this process's own was asked".into(),
            });
        }
        match found {
            Ok(found) => found,
            Err(fault) => {
                trace.degraded.push(degraded(&fault));
                None
            }
        }
    }

    async fn find_or_claim(
        &mut self,
        cache: &dyn Cache,
        query_id: i64,
    ) -> Result<Option<Hit>, Error> {
        let token = query_id.to_string();
        for _ in 0..=MAX_WAITS {
            if let Some(hit) = semantic_cache::look_up(cache, &self.place).await? {
                return Ok(Some(hit));
            }
            if semantic_cache::claim(cache, &self.place, &token).await? == Claim::Mine {
                self.claim = Some(token);
                break;
            }
        }
        // Also when the claim is ours: whoever had it may have remembered the SQL after we looked and before we claimed.
        semantic_cache::look_up(cache, &self.place).await
    }

    /// Does what the claim was made for, while it is kept from expiring.
    pub(super) async fn holding_the_claim<T>(
        &self,
        cache: &dyn Cache,
        work: impl Future<Output = T>,
    ) -> T {
        let holding = async {
            if let Some(token) = &self.claim {
                // A claim that is lost costs a generation more, at most.
                let _ = semantic_cache::hold(cache, &self.place, token).await;
            }
            std::future::pending::<()>().await
        };
        match future::select(pin!(work), pin!(holding)).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => unreachable!("nothing ends that is pending for ever"),
        }
    }

    /// Forgets SQL that no longer runs.
    pub(super) async fn forget(&self, cache: &dyn Cache) {
        // What could not be forgotten is found again, fails again and is generated again.
        let _ = semantic_cache::forget(cache, &self.place).await;
    }

    /// Remembers what was answered, if it was generated, and lets those who wait go on. Comes after the outcome is
    /// committed, and has no say in it.
    pub(super) async fn end(
        self,
        ports: &AskPorts,
        query_id: i64,
        answered: Option<&Answer>,
        embedding: Option<&Embedding>,
    ) {
        let cache = &*ports.cache;
        let (place, question) = (&self.place, &self.question);
        let kept = match answered.map(|answer| (answer, answer.origin)) {
            Some((answer, Origin::Generated)) => {
                let judged = Judged {
                    signals: answer.signals.clone(),
                    doubts: answer.doubts.clone(),
                    corrections: answer.corrections.clone(),
                };
                let sql = (answer.sql.as_str(), &judged);
                semantic_cache::remember(cache, place, question, sql, query_id, embedding).await
            }
            Some((_, Origin::SemanticCache { .. })) => {
                semantic_cache::note_use(cache, place, query_id).await
            }
            Some((_, Origin::VerifiedQuery { .. })) | None => Ok(()),
        };
        // Not kept is generated again.
        drop(kept);
        if let Some(token) = &self.claim {
            let _ = semantic_cache::release(cache, &self.place, token).await;
        }
    }
}

impl Trace {
    /// Takes over what was found out about the same SQL before; whether there are rows is seen anew.
    pub(super) fn judge_again(&mut self, judged: Judged, rows: &ResultSet) {
        let Judged {
            signals,
            doubts,
            corrections,
        } = judged;
        let findings = signals.findings.iter().zip(doubts);
        self.findings = findings
            .map(|(&kind, message)| Finding {
                kind,
                message,
                rewrite: None,
            })
            .filter(|finding| finding.kind != FindingKind::NoRows || checks::is_nothing(rows))
            .collect();
        self.signals = signals;
        self.corrections = corrections;
    }

    /// Lets go of it, for SQL that does not answer.
    pub(super) fn forget_judgement(&mut self) {
        self.findings.clear();
        self.signals = Signals::default();
        self.corrections.clear();
        self.sql = None;
    }
}

fn degraded(fault: &Error) -> Degradation {
    Degradation::because(
        "cache",
        fault,
        "the cache cannot be reached: nothing was reused",
    )
}
