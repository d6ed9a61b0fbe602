use std::sync::Mutex;

use chrono::DateTime;
use futures::executor::block_on;

use super::*;
use crate::doubles::{Vectors, WordEmbedder};
use crate::schema::ForeignKey;

struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> DateTime<chrono::Utc> {
        DateTime::UNIX_EPOCH
    }
}

fn schema(tables: &[(&str, &[&str])]) -> Schema {
    let column = |name: &&str| Column {
        name: (*name).into(),
        samples: vec!["secret value".into()],
        ..Column::default()
    };
    Schema {
        tables: tables
            .iter()
            .map(|(name, columns)| Table {
                name: (*name).into(),
                kind: TableKind::Table,
                columns: columns.iter().map(column).collect(),
                primary_key: vec![],
                foreign_keys: vec![],
                row_count: None,
                ddl: String::new(),
                reads: vec![],
            })
            .collect(),
    }
}

fn make(vectors: &Vectors, embedder: &WordEmbedder, source: &Source, force: bool) -> Indexed {
    block_on(index(
        vectors,
        embedder,
        &Epoch,
        source,
        force,
        &|_, _, _, _| (),
    ))
    .expect("indexed")
}

fn state(vectors: &Vectors, embedder: &WordEmbedder, source: &Source) -> IndexState {
    let sources = [source.clone()];
    let found = block_on(status(vectors, &embedder.identity().hash, &sources)).expect("a status");
    found[0].state
}

#[test]
fn a_schema_becomes_documents_of_names_and_never_of_values() {
    let mut schema = schema(&[
        ("SalesOrders", &["id", "customer_id"]),
        ("customers", &["id"]),
    ]);
    schema.tables[0].foreign_keys.push(ForeignKey {
        columns: vec!["customer_id".into()],
        table: "customers".into(),
        referenced: vec!["id".into()],
        inferred: true,
    });
    let source = Source::of_schema(&schema);
    let texts: Vec<(&str, &str)> = source
        .documents
        .iter()
        .map(|document| (document.id.as_str(), document.text.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            ("table:SalesOrders", "sale order"),
            ("column:SalesOrders.id", "id of sale order"),
            (
                "column:SalesOrders.customer_id",
                "customer id of sale order"
            ),
            (
                "key:SalesOrders.customer_id>customers",
                "sale order of customer"
            ),
            ("table:customers", "customer"),
            ("column:customers.id", "id of customer"),
        ]
    );
    assert!(!format!("{source:?}").contains("secret value"));
}

#[test]
fn what_is_fresh_is_left_alone_and_force_makes_it_anew() {
    let (vectors, embedder) = (Vectors::default(), WordEmbedder::new("a"));
    let source = Source::of_schema(&schema(&[("people", &["name"])]));
    assert_eq!(state(&vectors, &embedder, &source), IndexState::Missing);
    let first = make(&vectors, &embedder, &source, false);
    assert_eq!(
        (first.was_fresh, first.documents, first.embedded),
        (false, 2, 2)
    );
    assert_eq!(state(&vectors, &embedder, &source), IndexState::Fresh);
    let second = make(&vectors, &embedder, &source, false);
    assert_eq!((second.was_fresh, second.embedded), (true, 0));
    assert_eq!(make(&vectors, &embedder, &source, true).embedded, 2);
}

#[test]
fn only_what_changed_is_embedded_again() {
    let (vectors, embedder) = (Vectors::default(), WordEmbedder::new("a"));
    make(
        &vectors,
        &embedder,
        &Source::of_schema(&schema(&[("people", &["name", "age"])])),
        false,
    );
    let changed = Source::of_schema(&schema(&[
        ("people", &["name", "height"]),
        ("people2", &[]),
    ]));
    assert_eq!(state(&vectors, &embedder, &changed), IndexState::Stale);
    let done = make(&vectors, &embedder, &changed, false);
    assert_eq!((done.documents, done.embedded), (4, 2));
    assert_eq!(embedder.embedded(), 5);
    let there = block_on(vectors.documents(Collection::TableSchemas)).expect("documents");
    assert!(there.iter().all(|one| !one.document.text.contains("age")));
}

#[test]
fn another_model_embeds_everything_again() {
    let vectors = Vectors::default();
    let source = Source::of_schema(&schema(&[("people", &["name"])]));
    make(&vectors, &WordEmbedder::new("a"), &source, false);
    let other = WordEmbedder::new("b");
    assert_eq!(state(&vectors, &other, &source), IndexState::Stale);
    assert_eq!(make(&vectors, &other, &source, false).embedded, 2);
}

#[test]
fn an_embedder_that_fails_leaves_the_collection_as_it_was() {
    let vectors = Vectors::default();
    let source = Source::of_schema(&schema(&[("people", &["name"])]));
    make(&vectors, &WordEmbedder::new("a"), &source, false);
    let broken = WordEmbedder {
        is_broken: true,
        ..WordEmbedder::new("b")
    };
    let failed = block_on(index(
        &vectors,
        &broken,
        &Epoch,
        &source,
        false,
        &|_, _, _, _| (),
    ));
    assert_eq!(
        failed.map_err(|fault| fault.code()),
        Err(crate::Code::EmbedderFailed)
    );
    assert_eq!(
        state(&vectors, &WordEmbedder::new("a"), &source),
        IndexState::Fresh
    );
}

#[test]
fn progress_is_told_from_the_first_text_to_the_last_document() {
    let columns: Vec<String> = (0..200).map(|number| format!("c{number}")).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let source = Source::of_schema(&schema(&[("wide", &columns)]));
    let told = Mutex::new(Vec::new());
    let on_indexed = |_: Collection, stage: IndexStage, done: u64, total: u64| {
        told.lock()
            .expect("no test panics with it")
            .push((stage, done, total));
    };
    let (vectors, embedder) = (Vectors::default(), WordEmbedder::new("a"));
    block_on(index(
        &vectors,
        &embedder,
        &Epoch,
        &source,
        false,
        &on_indexed,
    ))
    .expect("indexed");
    let told = told.into_inner().expect("no test panics with it");
    assert_eq!(told.first(), Some(&(IndexStage::Embedding, 0, 201)));
    assert_eq!(told.last(), Some(&(IndexStage::Writing, 201, 201)));
}

#[test]
fn terms_and_verified_queries_are_found_by_what_people_say() {
    let term = BusinessTerm {
        id: 3,
        term_name: "revenue".into(),
        description: "what customers paid".into(),
        synonyms: vec!["turnover".into()],
        data_source: None,
        owner: None,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    };
    let source = Source::of_terms(&[term]);
    assert_eq!(
        source.documents[0].text,
        "revenue, turnover: what customers paid"
    );
    let example = Example {
        id: 9,
        question: "How many?".into(),
        sql: "SELECT 1".into(),
    };
    let one = Source::of_examples(std::slice::from_ref(&example));
    let other = Source::of_examples(&[Example {
        sql: "SELECT 2".into(),
        ..example
    }]);
    assert_ne!(one.fingerprint, other.fingerprint);
}
