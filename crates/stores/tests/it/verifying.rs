//! Verified queries are run again on the copy in service, and what no longer runs serves nobody.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::accounts::{Actor, Registration};
use engine::policy::{Role, Visibility, VisibleSchema};
use engine::ports::{TargetDatabase, TargetGeneration};
use engine::question::Provenance;
use engine::verified_queries::{
    Proposal, Reverified, VerifiedQuery, approve, exact_match, one, propose, verify_all,
};
use engine::{Code, Error};
use rusqlite::Connection;
use stores::target::SqliteGeneration;
use stores::target::read_schema::read_schema;

use crate::accounts::world::{World, code};

/// A target whose file can be replaced and lost.
struct Files(Mutex<Option<PathBuf>>);

#[async_trait]
impl TargetDatabase for Files {
    async fn current(&self) -> Result<Arc<dyn TargetGeneration>, Error> {
        let path = self.0.lock().unwrap().clone();
        let path = path.ok_or_else(|| Error::new(Code::TargetDatabaseDown, "it is gone"))?;
        let schema = read_schema(&path, &Default::default(), &|_, _| ())?;
        let provenance = || Provenance {
            fingerprint: "f".to_owned(),
            data_as_of: String::new(),
            copied_at: String::new(),
            original_changed: false,
        };
        Ok(Arc::new(SqliteGeneration::new(
            path,
            Arc::new(schema),
            Box::new(provenance),
        )))
    }
}

struct Scene {
    world: World,
    files: Arc<Files>,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new(Registration::Invite);
        let files = Arc::new(Files(Mutex::new(None)));
        world.ports.asking.target = files.clone();
        let folder = tempfile::tempdir().unwrap();
        Self {
            world,
            files,
            folder,
        }
    }

    /// Puts another file in service.
    fn serve(&self, name: &str, sql: &str) {
        let path = self.folder.path().join(name);
        let _ = std::fs::remove_file(&path);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        *self.files.0.lock().unwrap() = Some(path);
    }

    async fn approved(&self, analyst: &Actor, admin: &Actor, question: &str, sql: &str) -> i64 {
        let proposal = Proposal {
            question: Some(question.to_owned()),
            sql: Some(sql.to_owned()),
            query_id: None,
        };
        let ports = &self.world.ports;
        let id = propose(ports, analyst, proposal).await.unwrap().id;
        approve(ports, admin, id, None, None).await.unwrap().id
    }

    async fn get(&self, admin: &Actor, id: i64) -> VerifiedQuery {
        one(&self.world.ports, admin, id).await.unwrap()
    }

    /// Says which query answers a question, for someone who sees everything.
    async fn answering(&self, question: &str) -> Option<i64> {
        let approved = self.world.ports.store.approved_queries().await.unwrap();
        let target = self.files.current().await.unwrap();
        let visible = VisibleSchema::new(target.schema(), &Visibility::everything());
        exact_match(question, &approved, &visible).map(|(query, _)| query.id)
    }
}

const FULL: &str =
    "CREATE TABLE a (x INTEGER); CREATE TABLE b (y TEXT); INSERT INTO b VALUES ('{}');";

#[tokio::test]
async fn what_no_longer_runs_is_noted_until_it_runs_again() {
    let scene = Scene::new();
    scene.serve("full.db", FULL);
    let admin = scene.world.user("admin@x", Role::Admin).await;
    let analyst = scene.world.user("analyst@x", Role::Analyst).await;
    let ports = &scene.world.ports;
    assert_eq!(verify_all(ports).await, Ok(Reverified::default()));
    let of_a = scene
        .approved(&analyst, &admin, "A?", "SELECT count(x) FROM a")
        .await;
    let of_b = scene
        .approved(
            &analyst,
            &admin,
            "B?",
            "SELECT json_extract(y, '$.z') FROM b",
        )
        .await;
    let of = |checked, failing| Ok(Reverified { checked, failing });
    assert_eq!(verify_all(ports).await, of(2, 0));

    // One loses its table, the other meets data that it cannot read.
    scene.serve(
        "less.db",
        "CREATE TABLE b (y TEXT); INSERT INTO b VALUES ('no json');",
    );
    assert_eq!(verify_all(ports).await, of(2, 2));
    let error = scene.get(&admin, of_a).await.check_error.unwrap();
    assert!(error.starts_with("unknown_table: "), "{error}");
    let error = scene.get(&admin, of_b).await.check_error.unwrap();
    assert_eq!(error, "invalid_sql: malformed JSON");
    assert_eq!(scene.answering("b").await, None);
    let last = scene.world.audit().await.pop().unwrap();
    assert_eq!(last.action, "verified_queries_checked");
    assert_eq!(last.changes["failing"], serde_json::json!([of_a, of_b]));

    // A target that is down says nothing about them.
    let entries = scene.world.audit().await.len();
    *scene.files.0.lock().unwrap() = None;
    assert_eq!(code(verify_all(ports).await), Code::TargetDatabaseDown);
    assert_eq!(scene.world.audit().await.len(), entries);

    scene.serve("full.db", FULL);
    // Noted as failing, it serves nobody until it was seen to run.
    assert_eq!(scene.answering("b").await, None);
    assert_eq!(verify_all(ports).await, of(2, 0));
    assert_eq!(scene.answering(" B ?").await, Some(of_b));
    assert_eq!(scene.get(&admin, of_a).await.check_error, None);
}

#[tokio::test]
async fn a_proposal_that_no_longer_runs_is_not_approved() {
    let scene = Scene::new();
    scene.serve("full.db", FULL);
    let admin = scene.world.user("admin@x", Role::Admin).await;
    let analyst = scene.world.user("analyst@x", Role::Analyst).await;
    let ports = &scene.world.ports;
    let proposal = Proposal {
        question: Some("A?".to_owned()),
        sql: Some("SELECT count(x) FROM a".to_owned()),
        query_id: None,
    };
    let made = propose(ports, &analyst, proposal.clone()).await.unwrap();
    scene.serve("less.db", "CREATE TABLE b (y TEXT);");
    let refused = approve(ports, &admin, made.id, None, None).await;
    assert_eq!(code(refused), Code::UnknownTable);
    assert_eq!(
        code(propose(ports, &analyst, proposal).await),
        Code::UnknownTable
    );
    assert_eq!(scene.get(&admin, made.id).await, made);
    let actions = scene.world.actions().await;
    assert_eq!(
        actions.last().map(String::as_str),
        Some("verified_query_proposed")
    );
}
