use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::executor::block_on;
use futures::future::AbortHandle;

use super::*;
use crate::accounts::UserId;
use crate::doubles::{Remembers, Vectors, WordEmbedder};
use crate::ontology::{BusinessTerm, Imported, NewTerm, TermChange};
use crate::policy::{NewPolicy, Policy, Visibility};
use crate::ports::*;
use crate::prompt::Prompt;
use crate::question::{Answer, Provenance};
use crate::result::{ResultColumn, Value};
use crate::schema::{Column, Schema, Table, TableKind};
use crate::verified_queries::{
    CheckedQuery, NewVerifiedQuery, Review, VerifiedQuery, VerifiedQueryChange,
    VerifiedQueryFilter, VerifiedStatus,
};

/// A world in memory that remembers what was done to it, in order.
#[derive(Default)]
struct World {
    log: Mutex<Vec<String>>,
    replies: Mutex<Vec<&'static str>>,
    prompts: Mutex<Vec<Prompt>>,
    /// Which generations were held to names.
    held: Mutex<Vec<bool>>,
    hidden: &'static [&'static str],
    terms: Vec<BusinessTerm>,
    approved: Vec<VerifiedQuery>,
    previous: Option<Turn>,
    values: Vec<StoredValue>,
    cache: Arc<Remembers>,
    vectors: Arc<Vectors>,
    is_remote: bool,
    begin_fails: bool,
    finish_fails: bool,
}

impl World {
    fn replying(replies: &[&'static str]) -> Self {
        Self {
            replies: Mutex::new(replies.iter().rev().copied().collect()),
            ..Self::default()
        }
    }

    fn note(&self, what: impl Into<String>) {
        self.log
            .lock()
            .expect("no test panics with it")
            .push(what.into());
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().expect("no test panics with it").clone()
    }

    fn prompts(&self) -> Vec<Prompt> {
        self.prompts.lock().expect("no test panics with it").clone()
    }
}

fn down() -> Error {
    Error::new(Code::SystemStoreDown, "the system store did not answer")
}

#[async_trait]
impl Queries for World {
    async fn begin_query(&self, query: &NewQuery, audit: &AuditEntry) -> Result<Begun, Error> {
        if self.begin_fails {
            return Err(down());
        }
        self.note(audit.action);
        Ok(Begun {
            id: 7,
            situation: self.situation(query.role).await?,
            previous: query.conversation_id.and(self.previous.clone()),
        })
    }
    async fn finish_query(
        &self,
        _: i64,
        finished: &FinishedQuery,
        audit: &AuditEntry,
    ) -> Result<(), Error> {
        if self.finish_fails {
            return Err(down());
        }
        let code = finished
            .error
            .as_ref()
            .map_or("", |(code, _)| code.as_str());
        self.note(format!("{} {code}", audit.action).trim_end());
        Ok(())
    }
    async fn note_last_query(&self, _: UserId, _: DateTime<Utc>) -> Result<(), Error> {
        Ok(())
    }
    async fn queries(&self, _: &QueryFilter, _: PageRequest) -> Result<Page<QueryRecord>, Error> {
        Ok(Page::of(vec![], 1, |query: &QueryRecord| query.id))
    }
    async fn query_record(&self, _: i64) -> Result<Option<QueryRecord>, Error> {
        Ok(None)
    }
    async fn sweep_expired(&self, _: DateTime<Utc>) -> Result<u64, Error> {
        Ok(0)
    }
}

#[async_trait]
impl Situations for World {
    async fn situation(&self, _: Role) -> Result<Situation, Error> {
        Ok(Situation {
            visibility: Visibility::hiding(self.hidden),
            terms: Version::stored("terms"),
            verified_queries: Version::stored("verified queries"),
        })
    }
}

#[async_trait]
impl Policies for World {
    async fn visibility(&self, _: Role) -> Result<Visibility, Error> {
        Ok(Visibility::hiding(self.hidden))
    }
    async fn policies(&self, _: PageRequest) -> Result<Page<Policy>, Error> {
        Ok(Page::of(vec![], 1, |policy: &Policy| policy.id))
    }
    async fn create_policy(&self, _: &NewPolicy, _: &AuditEntry) -> Result<i64, Error> {
        Err(down())
    }
    async fn delete_policy(&self, _: i64, _: &AuditEntry) -> Result<bool, Error> {
        Err(down())
    }
}

#[async_trait]
impl Ontologies for World {
    async fn create_term(&self, _: &NewTerm, _: &AuditEntry) -> Result<i64, Error> {
        Err(down())
    }
    async fn term(&self, _: i64) -> Result<Option<BusinessTerm>, Error> {
        Ok(None)
    }
    async fn terms(&self, _: Option<&str>, _: PageRequest) -> Result<Page<BusinessTerm>, Error> {
        Ok(Page::of(vec![], 1, |term: &BusinessTerm| term.id))
    }
    async fn all_terms(&self) -> Result<Vec<BusinessTerm>, Error> {
        Ok(self.terms.clone())
    }
    async fn change_term(
        &self,
        _: i64,
        _: &TermChange,
        _: &AuditEntry,
    ) -> Result<Option<BusinessTerm>, Error> {
        Err(down())
    }
    async fn delete_term(&self, _: i64, _: &AuditEntry) -> Result<bool, Error> {
        Err(down())
    }
    async fn import_terms(&self, _: &[NewTerm], _: &AuditEntry) -> Result<Imported, Error> {
        Err(down())
    }
}

#[async_trait]
impl VerifiedQueries for World {
    async fn propose_query(&self, _: &NewVerifiedQuery, _: &AuditEntry) -> Result<i64, Error> {
        Err(down())
    }
    async fn verified_query(&self, _: i64) -> Result<Option<VerifiedQuery>, Error> {
        Ok(None)
    }
    async fn verified_queries(
        &self,
        _: &VerifiedQueryFilter,
        _: PageRequest,
    ) -> Result<Page<VerifiedQuery>, Error> {
        Ok(Page::of(vec![], 1, |query: &VerifiedQuery| query.id))
    }
    async fn approved_queries(&self) -> Result<Vec<VerifiedQuery>, Error> {
        Ok(self.approved.clone())
    }
    async fn change_proposal(
        &self,
        _: i64,
        _: &VerifiedQueryChange,
        _: &AuditEntry,
    ) -> Result<Option<VerifiedQuery>, Error> {
        Err(down())
    }
    async fn review_query(
        &self,
        _: i64,
        _: &Review,
        _: &AuditEntry,
    ) -> Result<Option<VerifiedQuery>, Error> {
        Err(down())
    }
    async fn retire_query(&self, _: i64, _: VerifiedStatus, _: &AuditEntry) -> Result<bool, Error> {
        Err(down())
    }
    async fn note_checks(&self, _: &[CheckedQuery], _: &AuditEntry) -> Result<(), Error> {
        Err(down())
    }
}

#[async_trait]
impl Generator for World {
    fn identity(&self) -> ModelIdentity {
        ModelIdentity {
            name: "scripted".into(),
            hash: "h".into(),
            is_remote: self.is_remote,
        }
    }
    async fn generate(
        &self,
        prompt: &Prompt,
        limits: &GenerationLimits,
    ) -> Result<Generation, Error> {
        self.note("generate");
        let is_held = limits.names.is_some();
        self.held
            .lock()
            .expect("no test panics with it")
            .push(is_held);
        self.prompts
            .lock()
            .expect("no test panics with it")
            .push(prompt.clone());
        let reply = self.replies.lock().expect("no test panics with it").pop();
        let Some(text) = reply else {
            return std::future::pending().await;
        };
        Ok(Generation {
            text: text.into(),
            tokens: TokenCounts {
                prompt: 10,
                ..TokenCounts::default()
            },
            is_complete: true,
            likelihood: None,
        })
    }
}

impl Clock for World {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

struct People {
    schema: Arc<Schema>,
    values: Vec<StoredValue>,
}

impl People {
    fn new() -> Self {
        let column = |name: &str, sample: &str| Column {
            name: name.into(),
            declared_type: "TEXT".into(),
            samples: vec![sample.into()],
            ..Column::default()
        };
        let people = Table {
            name: "people".into(),
            kind: TableKind::Table,
            columns: vec![
                column("full_name", "Ada Lovelace"),
                column("salary", "a lot"),
            ],
            primary_key: vec![],
            foreign_keys: vec![],
            row_count: Some(1),
            ddl: "CREATE TABLE people (full_name TEXT, salary TEXT)".into(),
            reads: vec![],
        };
        Self {
            schema: Arc::new(Schema {
                tables: vec![people],
            }),
            values: vec![],
        }
    }
}

#[async_trait]
impl TargetDatabase for People {
    async fn current(&self) -> Result<Arc<dyn TargetGeneration>, Error> {
        Ok(Arc::new(People {
            schema: Arc::clone(&self.schema),
            values: self.values.clone(),
        }))
    }
}

#[async_trait]
impl TargetGeneration for People {
    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }
    fn provenance(&self) -> Provenance {
        Provenance {
            fingerprint: "copy".into(),
            data_as_of: "2026-01-01T00:00:00Z".into(),
            copied_at: "2026-01-02T00:00:00Z".into(),
            original_changed: false,
        }
    }
    async fn query(&self, _: &GuardedSql, _: &QueryLimits) -> Result<ResultSet, Error> {
        Ok(ResultSet {
            columns: vec![ResultColumn {
                name: "full_name".into(),
                kind: "text".into(),
            }],
            rows: vec![vec![Value::Text("Ada Lovelace".into())]],
            truncated: false,
        })
    }
    async fn each_row(
        &self,
        _: &GuardedSql,
        _: &QueryLimits,
        _: Box<dyn RowSink>,
    ) -> Result<RowsTaken, Error> {
        Err(down())
    }
    async fn find_values(
        &self,
        _: &str,
        _: &Arc<VisibleSchema>,
        _: usize,
    ) -> Result<FoundValues, Error> {
        Ok(FoundValues {
            values: self.values.clone(),
            index: ValueIndexState::Complete,
            left_out: vec![],
        })
    }
    async fn explain(&self, _: &GuardedSql, _: &QueryLimits) -> Result<Vec<PlanStep>, Error> {
        Ok(Vec::new())
    }
}

fn ports(world: &Arc<World>) -> AskPorts {
    AskPorts {
        store: world.clone(),
        target: Arc::new(People {
            values: world.values.clone(),
            ..People::new()
        }),
        generator: world.clone(),
        cache: world.cache.clone(),
        vectors: world.vectors.clone(),
        embedder: Some(Arc::new(WordEmbedder::new("words"))),
        known: Arc::default(),
        clock: world.clone(),
    }
}

fn actor(role: Role) -> Actor {
    Actor { user_id: 1, role }
}

fn run(world: &Arc<World>, settings: &AskSettings) -> Result<Outcome, Error> {
    run_question(world, settings, "Who is there?")
}

fn run_question(
    world: &Arc<World>,
    settings: &AskSettings,
    question: &str,
) -> Result<Outcome, Error> {
    let question = Question::parse(question).expect("a question");
    let (_abort, cancel) = AbortHandle::new_pair();
    block_on(ask(
        &ports(world),
        settings,
        &actor(Role::Viewer),
        &question,
        &(),
        cancel,
    ))
}

#[track_caller]
fn answered(outcome: Result<Outcome, Error>) -> Answer {
    match outcome {
        Ok(Outcome::Answered(answer)) => *answer,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(outcome: Result<Outcome, Error>) -> Refusal {
    match outcome {
        Ok(Outcome::Refused(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_question_is_pending_before_the_model_is_asked_and_finished_before_it_is_answered() {
    let world = Arc::new(World::replying(&["SELECT full_name FROM people"]));
    let answer = answered(run(&world, &AskSettings::default()));
    assert_eq!(world.log(), ["query", "generate", "query_answered"]);
    assert_eq!(answer.sentence, "Full name is Ada Lovelace.");
    assert_eq!(answer.tables, ["people"]);
    assert_eq!(answer.receipt.prompt_hash, world.prompts()[0].hash());
    assert_eq!(answer.receipt.row_count, 1);
}

#[test]
fn an_answer_is_withheld_when_its_outcome_cannot_be_recorded() {
    let world = Arc::new(World {
        finish_fails: true,
        ..World::replying(&["SELECT full_name FROM people"])
    });
    let outcome = run(&world, &AskSettings::default());
    let code = outcome.map_err(|error| error.code());
    assert_eq!(code, Err(Code::SystemStoreDown));
}

#[test]
fn nothing_is_done_for_a_question_that_cannot_be_recorded() {
    let world = Arc::new(World {
        begin_fails: true,
        ..World::replying(&["SELECT full_name FROM people"])
    });
    let outcome = run(&world, &AskSettings::default());
    let code = outcome.map_err(|error| error.code());
    assert_eq!(code, Err(Code::SystemStoreDown));
    assert_eq!(world.log(), Vec::<String>::new());
}

#[test]
fn a_remote_model_sees_values_only_as_far_as_allowed() {
    for (style, send_values, sees) in [
        (PromptStyle::Standard, SendValues::None, false),
        (PromptStyle::Standard, SendValues::Samples, true),
        (PromptStyle::Plain, SendValues::None, false),
        (PromptStyle::Plain, SendValues::Samples, true),
    ] {
        let world = Arc::new(World {
            is_remote: true,
            ..World::replying(&["SELECT full_name FROM people"])
        });
        let settings = AskSettings {
            style,
            send_values,
            ..AskSettings::default()
        };
        let answer = answered(run(&world, &settings));
        assert_eq!(answer.values_sent, send_values.as_str());
        let seen = world.prompts()[0].schema.contains("Ada Lovelace");
        assert_eq!(seen, sees, "{style:?} {send_values:?}");
    }
}

#[test]
fn a_hidden_column_reaches_neither_prompt_nor_answer_and_reads_like_a_missing_one() {
    let world = Arc::new(World {
        hidden: &["people.salary"],
        ..World::replying(&["SELECT salary FROM people"; 3])
    });
    let refusal = refused(run(&world, &AskSettings::default()));
    assert_eq!(refusal.error.code(), Code::CannotBeAnswered);
    assert_eq!(refusal.fault, Code::UnknownColumn);
    assert!(
        refusal.error.message().contains("no such column: salary"),
        "{}",
        refusal.error
    );
    assert!(!world.prompts()[0].schema.contains("salary"));
    assert_eq!(
        world.log().last().map(String::as_str),
        Some("query_refused cannot_be_answered")
    );
}

fn term(name: &str, description: &str, data_source: &str) -> BusinessTerm {
    BusinessTerm {
        id: 1,
        term_name: name.into(),
        description: description.into(),
        synonyms: vec![],
        data_source: Some(data_source.into()),
        owner: None,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

#[test]
fn a_term_that_is_mentioned_is_told_to_the_model_and_named_in_the_answer() {
    let world = Arc::new(World {
        terms: vec![
            term("colleague", "anyone on the list", "people.full_name"),
            term("contractor", "someone else", "people.full_name"),
        ],
        ..World::replying(&["SELECT full_name FROM people"; 2])
    });
    let settings = AskSettings::default();
    let answer = answered(run_question(&world, &settings, "Who are our colleagues?"));
    assert_eq!(answer.terms, ["colleague"]);
    let prompt = &world.prompts()[0];
    assert!(
        prompt.tail.contains("anyone on the list"),
        "{}",
        prompt.tail
    );
    assert!(!prompt.tail.contains("contractor"), "{}", prompt.tail);

    let without = answered(run_question(&world, &settings, "Who is there?"));
    assert_eq!(without.terms, Vec::<String>::new());
    assert_eq!(world.prompts()[1].tail, "Question: Who is there?\n");
    assert_eq!(world.prompts()[1].schema, prompt.schema);
}

#[test]
fn a_term_that_names_a_hidden_column_does_not_reach_the_prompt() {
    let world = Arc::new(World {
        hidden: &["people.salary"],
        terms: vec![
            term("earner", "who is paid", "people.salary"),
            term("person", "has a SALARY or not", "people.full_name"),
            term("somebody", "has a name", "people.full_name"),
        ],
        ..World::replying(&["SELECT full_name FROM people"])
    });
    let question = "Which somebody is an earner and a person?";
    let answer = answered(run_question(&world, &AskSettings::default(), question));
    assert_eq!(answer.terms, ["somebody"]);
    let prompt = &world.prompts()[0];
    let told = format!("{}{}", prompt.schema, prompt.tail).to_lowercase();
    assert!(!told.contains("salary"), "{told}");
}

#[test]
fn a_certain_slip_is_corrected_without_asking_again() {
    let world = Arc::new(World::replying(&["SELECT TOP 1 fullname FROM people"]));
    let answer = answered(run(&world, &AskSettings::default()));
    assert_eq!(answer.sql, "SELECT full_name FROM people LIMIT 1");
    assert_eq!(answer.repairs, 0);
}

#[test]
fn a_write_is_refused_at_once_and_not_repaired() {
    let world = Arc::new(World::replying(&["DROP TABLE people", "SELECT 1"]));
    let refusal = refused(run(&world, &AskSettings::default()));
    assert_eq!(refusal.error.code(), Code::SqlNotReadOnly);
    assert_eq!(
        world.log(),
        ["query", "generate", "query_refused sql_not_read_only"]
    );
}

#[test]
fn a_cancelled_question_is_recorded_as_such() {
    let world = Arc::new(World::replying(&[]));
    let question = Question::parse("Who is there?").expect("a question");
    let (abort, cancel) = AbortHandle::new_pair();
    abort.abort();
    let outcome = block_on(ask(
        &ports(&world),
        &AskSettings::default(),
        &actor(Role::Viewer),
        &question,
        &(),
        cancel,
    ));
    assert_eq!(refused(outcome).error.code(), Code::Cancelled);
    assert_eq!(
        world.log().last().map(String::as_str),
        Some("query_refused cancelled")
    );
}

mod deciding;
mod following;
mod reusing;
mod statement;
