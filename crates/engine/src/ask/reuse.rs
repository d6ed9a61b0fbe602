//! SQL that need not be generated: a verified query whose question this is, or what the semantic cache holds for it.
//! Either passes the guard and runs like any other. A cache that cannot be asked costs a generation, never an answer.

use std::pin::pin;

use futures::future::{self, Either};

use super::{Asked, Trace};
use crate::error::{Code, Error};
use crate::policy::VisibleSchema;
use crate::ports::{AskPorts, Cache, Embedding};
use crate::prompt::PROMPT_VERSION;
use crate::question::{Origin, Question};
use crate::retrieval::Degradation;
use crate::semantic_cache::{self, Claim, Place, Scope, ScopeParts, speaks_of_relative_time};

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
    ) -> Option<(String, Origin)> {
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
    ) -> Result<Option<(String, Origin)>, Error> {
        let token = query_id.to_string();
        for _ in 0..=MAX_WAITS {
            if let Some(hit) = semantic_cache::look_up(cache, &self.place).await? {
                return Ok(Some((hit.sql, Origin::cached(hit.is_exact))));
            }
            if semantic_cache::claim(cache, &self.place, &token).await? == Claim::Mine {
                self.claim = Some(token);
                break;
            }
        }
        // Also when the claim is ours: whoever had it may have remembered the SQL after we looked and before we claimed.
        let hit = semantic_cache::look_up(cache, &self.place).await?;
        Ok(hit.map(|hit| (hit.sql, Origin::cached(hit.is_exact))))
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
        answered: Option<(&str, Origin)>,
        embedding: Option<&Embedding>,
    ) {
        let cache = &*ports.cache;
        let kept = match answered {
            Some((sql, Origin::Generated)) => {
                let (place, question) = (&self.place, &self.question);
                semantic_cache::remember(cache, place, question, sql, query_id, embedding).await
            }
            Some((_, Origin::SemanticCache { .. })) => {
                semantic_cache::note_use(cache, &self.place, query_id).await
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

fn degraded(fault: &Error) -> Degradation {
    Degradation::because(
        "cache",
        fault,
        "the cache cannot be reached: nothing was reused",
    )
}
