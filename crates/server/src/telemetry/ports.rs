//! One span for each call of a port that a request makes, named `store.begin_query` or `target.query`. Implementations
//! know nothing of it: `wire.rs` puts these around them where traces are exported. Of a call that failed the span has the
//! code, and of one that did well nothing but its time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::accounts::*;
use engine::audit::{AuditEntry, AuditFilter, AuditRecord, Seal, SealingKey, StoredEntry};
use engine::backups::{Backup, VerifiedBackup};
use engine::configuration::{Configuration, NewConfiguration};
use engine::conversation::{Conversation, NewConversation};
use engine::feedback::{Feedback, NewFeedback};
use engine::guard::GuardedSql;
use engine::jobs::Purged;
use engine::ontology::{BusinessTerm, Imported, NewTerm, TermChange};
use engine::policy::{NewPolicy, Policy, Role, Visibility, VisibleSchema};
use engine::ports::*;
use engine::prompt::Prompt;
use engine::question::Provenance;
use engine::result::ResultSet;
use engine::schema::Schema;
use engine::verified_queries::{
    CheckedQuery, NewVerifiedQuery, Review, VerifiedQuery, VerifiedQueryChange,
    VerifiedQueryFilter, VerifiedStatus,
};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::TARGET;

/// A port whose calls are traced.
pub struct Traced<P: ?Sized>(pub Arc<P>);

/// Opens the span of a call. What runs by itself, such as the sealing of each second, is no part of a request and has
/// none.
macro_rules! span {
    ($name:expr) => {
        if Span::current().is_none() {
            Span::none()
        } else {
            tracing::debug_span!(
                target: TARGET,
                $name,
                otel.kind = "client",
                otel.status_code = Empty,
                "error.type" = Empty,
            )
        }
    };
}

/// Implements a port by the port within. A method that is missing here does not compile.
macro_rules! traced {
    ($within:ident as $prefix:literal: $port:ident { $(fn $method:ident($($arg:ident: $kind:ty),*) -> $done:ty;)* }) => {
        #[async_trait]
        impl $port for Traced<dyn $within> {
            $(
                async fn $method(&self, $($arg: $kind),*) -> Result<$done, Error> {
                    let span = span!(concat!($prefix, ".", stringify!($method)));
                    observed(span, self.0.$method($($arg),*)).await
                }
            )*
        }
    };
}

async fn observed<T>(span: Span, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let done = call.instrument(span.clone()).await;
    if let Err(error) = &done {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", error.code().as_str());
    }
    done
}

traced!(SystemStore as "store": Users {
    fn create_first_admin(user: &NewUser, audit: &AuditEntry) -> Option<UserId>;
    fn create_user(user: &NewUser, audit: &AuditEntry) -> UserId;
    fn user_by_email(email: &str) -> Option<User>;
    fn user(id: UserId) -> Option<User>;
    fn users(filter: &UserFilter, page: PageRequest) -> Page<User>;
    fn change_user(id: UserId, change: &UserChange, audit: &AuditEntry) -> Option<User>;
    fn set_password(id: UserId, password_hash: &str, keep_session: Option<&str>, audit: &AuditEntry) -> bool;
    fn begin_password_reset(id: UserId, token_hash: &str, expires_at: DateTime<Utc>, audit: &AuditEntry) -> ();
    fn password_reset_user(token_hash: &str, now: DateTime<Utc>) -> Option<User>;
    fn reset_password(token_hash: &str, password_hash: &str, audit: &AuditEntry) -> Option<UserId>;
    fn create_invitation(invitation: &NewInvitation, audit: &AuditEntry) -> i64;
    fn invitation(token_hash: &str, now: DateTime<Utc>) -> Option<Invitation>;
    fn accept_invitation(token_hash: &str, password_hash: &str, full_name: &str, audit: &AuditEntry) -> Option<UserId>;
    fn invitations(page: PageRequest) -> Page<Invitation>;
    fn withdraw_invitation(id: i64, audit: &AuditEntry) -> bool;
});

traced!(SystemStore as "store": Sessions {
    fn create_session(session: &NewSession, audit: &AuditEntry) -> ();
    fn session_actor(token_hash: &str, now: DateTime<Utc>) -> Option<Actor>;
    fn rotate_refresh_token(rotation: &Rotation, audit: &AuditEntry) -> Rotated;
    fn end_session(token_hash: &str, audit: &AuditEntry) -> ();
    fn end_all_sessions(user_id: UserId, audit: &AuditEntry) -> u64;
    fn purge_over(before: DateTime<Utc>, audit: &AuditEntry) -> Purged;
});

traced!(SystemStore as "store": ApiKeys {
    fn create_api_key(key: &NewApiKey, audit: &AuditEntry) -> i64;
    fn api_key_actor(key_hash: &str, now: DateTime<Utc>) -> Option<Actor>;
    fn api_keys(user_id: UserId, page: PageRequest) -> Page<ApiKey>;
    fn revoke_api_key(user_id: UserId, id: i64, audit: &AuditEntry) -> bool;
});

traced!(SystemStore as "store": Conversations {
    fn create_conversation(conversation: &NewConversation, audit: &AuditEntry) -> i64;
    fn conversation(id: i64) -> Option<Conversation>;
    fn conversations(user_id: UserId, page: PageRequest) -> Page<Conversation>;
    fn rename_conversation(user_id: UserId, id: i64, title: &str, audit: &AuditEntry) -> Option<Conversation>;
    fn delete_conversation(user_id: UserId, id: i64, audit: &AuditEntry) -> bool;
});

traced!(SystemStore as "store": Queries {
    fn begin_query(query: &NewQuery, audit: &AuditEntry) -> Begun;
    fn finish_query(id: i64, finished: &FinishedQuery, audit: &AuditEntry) -> ();
    fn note_last_query(user_id: UserId, at: DateTime<Utc>) -> ();
    fn query_record(id: i64) -> Option<QueryRecord>;
    fn queries(filter: &QueryFilter, page: PageRequest) -> Page<QueryRecord>;
    fn sweep_expired(now: DateTime<Utc>) -> u64;
});

traced!(SystemStore as "store": FeedbackStore {
    fn rate(feedback: &NewFeedback, audit: &AuditEntry) -> i64;
    fn feedback(query_id: Option<i64>, page: PageRequest) -> Page<Feedback>;
});

traced!(SystemStore as "store": Policies {
    fn visibility(role: Role) -> Visibility;
    fn policies(page: PageRequest) -> Page<Policy>;
    fn create_policy(policy: &NewPolicy, audit: &AuditEntry) -> i64;
    fn delete_policy(id: i64, audit: &AuditEntry) -> bool;
});

traced!(SystemStore as "store": Ontologies {
    fn create_term(term: &NewTerm, audit: &AuditEntry) -> i64;
    fn term(id: i64) -> Option<BusinessTerm>;
    fn terms(search: Option<&str>, page: PageRequest) -> Page<BusinessTerm>;
    fn all_terms() -> Vec<BusinessTerm>;
    fn change_term(id: i64, change: &TermChange, audit: &AuditEntry) -> Option<BusinessTerm>;
    fn delete_term(id: i64, audit: &AuditEntry) -> bool;
    fn import_terms(terms: &[NewTerm], audit: &AuditEntry) -> Imported;
});

traced!(SystemStore as "store": Situations {
    fn situation(role: Role) -> Situation;
});

traced!(SystemStore as "store": VerifiedQueries {
    fn propose_query(proposal: &NewVerifiedQuery, audit: &AuditEntry) -> i64;
    fn verified_query(id: i64) -> Option<VerifiedQuery>;
    fn verified_queries(filter: &VerifiedQueryFilter, page: PageRequest) -> Page<VerifiedQuery>;
    fn approved_queries() -> Vec<VerifiedQuery>;
    fn change_proposal(id: i64, change: &VerifiedQueryChange, audit: &AuditEntry) -> Option<VerifiedQuery>;
    fn review_query(id: i64, review: &Review, audit: &AuditEntry) -> Option<VerifiedQuery>;
    fn retire_query(id: i64, status: VerifiedStatus, audit: &AuditEntry) -> bool;
    fn note_checks(checks: &[CheckedQuery], audit: &AuditEntry) -> ();
});

traced!(SystemStore as "store": Configurations {
    fn set_configuration(configuration: &NewConfiguration, audit: &AuditEntry) -> ();
    fn replace_secret(key: &str, old: &str, new: &str, audit: &AuditEntry) -> bool;
    fn configuration(key: &str) -> Option<Configuration>;
    fn configurations() -> Vec<Configuration>;
    fn delete_configuration(key: &str, audit: &AuditEntry) -> bool;
});

traced!(SystemStore as "store": AuditLog {
    fn record(audit: &AuditEntry) -> ();
    fn audit_entries(filter: &AuditFilter, page: PageRequest) -> Page<AuditRecord>;
    fn stored_entries(after: i64, limit: u32) -> Vec<StoredEntry>;
    fn seal(key: &SealingKey, at: DateTime<Utc>) -> Option<Seal>;
    fn seals(after: i64, limit: u32) -> Vec<Seal>;
    fn seal_of(entry_id: i64) -> Option<Seal>;
});

traced!(Passwords as "passwords": Passwords {
    fn hash(password: &Password) -> String;
    fn verify(typed: &str, stored: Option<&str>) -> bool;
    fn is_guessable(password: &str, owner: &[&str]) -> bool;
});

traced!(Mailer as "mailer": Mailer {
    fn send(letter: &Letter) -> ();
});

traced!(RateLimits as "rate_limits": RateLimits {
    fn take(key: &str, allowance: Allowance, now: DateTime<Utc>) -> Option<Duration>;
    fn forget(key: &str) -> ();
});

traced!(VectorStore as "vectors": VectorStore {
    fn manifest(collection: Collection) -> Option<IndexManifest>;
    fn documents(collection: Collection) -> Vec<EmbeddedDocument>;
    fn replace(
        collection: Collection,
        documents: &[EmbeddedDocument],
        manifest: &IndexManifest,
        on_written: &(dyn Fn(usize) + Send + Sync)
    ) -> ();
    fn search_many(embedder_hash: &str, searches: &[VectorSearch]) -> Vec<SearchResult>;
    fn ping() -> ();
});

traced!(Backups as "backups": Backups {
    fn create(at: DateTime<Utc>) -> Backup;
    fn list() -> Vec<Backup>;
    fn verify(name: &str, keys: &[SealingKey]) -> VerifiedBackup;
    fn restore(name: &str, replace: bool) -> Backup;
    fn retain() -> ();
});

#[async_trait]
impl Cache for Traced<dyn Cache> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        observed(span!("cache.get"), self.0.get(key)).await
    }

    async fn put(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        observed(span!("cache.put"), self.0.put(key, value, ttl)).await
    }

    async fn put_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, Error> {
        let call = self.0.put_if_absent(key, value, ttl);
        observed(span!("cache.put_if_absent"), call).await
    }

    async fn remove(&self, key: &str) -> Result<(), Error> {
        observed(span!("cache.remove"), self.0.remove(key)).await
    }

    async fn remove_if(&self, key: &str, value: &[u8]) -> Result<bool, Error> {
        observed(span!("cache.remove_if"), self.0.remove_if(key, value)).await
    }

    async fn hold(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
        observed(span!("cache.hold"), self.0.hold(key, value, ttl)).await
    }

    async fn wait_until_absent(&self, key: &str, at_most: Duration) -> Result<(), Error> {
        let call = self.0.wait_until_absent(key, at_most);
        observed(span!("cache.wait_until_absent"), call).await
    }

    async fn put_member(
        &self,
        group: &str,
        member: &str,
        value: &[u8],
        ttl: Duration,
        max_members: usize,
    ) -> Result<(), Error> {
        let call = self.0.put_member(group, member, value, ttl, max_members);
        observed(span!("cache.put_member"), call).await
    }

    async fn members(&self, group: &str) -> Result<Vec<(String, Vec<u8>)>, Error> {
        observed(span!("cache.members"), self.0.members(group)).await
    }

    async fn remove_member(&self, group: &str, member: &str) -> Result<(), Error> {
        observed(
            span!("cache.remove_member"),
            self.0.remove_member(group, member),
        )
        .await
    }

    async fn ping(&self) -> Result<(), Error> {
        observed(span!("cache.ping"), self.0.ping()).await
    }

    fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    fn is_degraded(&self) -> bool {
        self.0.is_degraded()
    }
}

#[async_trait]
impl Embedder for Traced<dyn Embedder> {
    fn identity(&self) -> EmbedderIdentity {
        self.0.identity()
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Embedding>, Error> {
        observed(span!("embedder.embed"), self.0.embed(texts)).await
    }
}

#[async_trait]
impl Generator for Traced<dyn Generator> {
    fn identity(&self) -> ModelIdentity {
        self.0.identity()
    }

    async fn generate(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<Generation, Error> {
        let call = self.0.generate(prompt, limits);
        observed(span!("generator.generate"), call).await
    }

    async fn generate_heard(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        heard: &Heard<'_>,
    ) -> Result<Generation, Error> {
        let call = self.0.generate_heard(prompt, limits, heard);
        observed(span!("generator.generate"), call).await
    }

    async fn sample(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
        sampling: &Sampling,
    ) -> Result<Vec<Candidate>, Error> {
        let call = self.0.sample(prompt, limits, sampling);
        observed(span!("generator.sample"), call).await
    }
}

#[async_trait]
impl TargetDatabase for Traced<dyn TargetDatabase> {
    async fn current(&self) -> Result<Arc<dyn TargetGeneration>, Error> {
        let generation = observed(span!("target.current"), self.0.current()).await?;
        Ok(Arc::new(Traced(generation)))
    }
}

#[async_trait]
impl TargetGeneration for Traced<dyn TargetGeneration> {
    fn schema(&self) -> &Arc<Schema> {
        self.0.schema()
    }

    fn fingerprint(&self) -> String {
        self.0.fingerprint()
    }

    fn provenance(&self) -> Provenance {
        self.0.provenance()
    }

    async fn find_values(
        &self,
        question: &str,
        visible: &Arc<VisibleSchema>,
        limit: usize,
    ) -> Result<FoundValues, Error> {
        let call = self.0.find_values(question, visible, limit);
        observed(span!("target.find_values"), call).await
    }

    async fn query(&self, sql: &GuardedSql, limits: &QueryLimits) -> Result<ResultSet, Error> {
        observed(span!("target.query"), self.0.query(sql, limits)).await
    }

    async fn each_row(
        &self,
        sql: &GuardedSql,
        limits: &QueryLimits,
        sink: Box<dyn RowSink>,
    ) -> Result<RowsTaken, Error> {
        observed(span!("target.each_row"), self.0.each_row(sql, limits, sink)).await
    }

    async fn explain(
        &self,
        sql: &GuardedSql,
        limits: &QueryLimits,
    ) -> Result<Vec<PlanStep>, Error> {
        observed(span!("target.explain"), self.0.explain(sql, limits)).await
    }
}
