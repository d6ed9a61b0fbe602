use std::sync::atomic::Ordering;

use chrono::DateTime;
use futures::executor::block_on;

use super::*;
use crate::doubles::{Vectors, WordEmbedder};
use crate::indexing::index;
use crate::policy::Visibility;
use crate::ports::Clock;
use crate::schema::{Column, Schema, Table, TableKind};

struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> DateTime<chrono::Utc> {
        DateTime::UNIX_EPOCH
    }
}

fn table(name: &str, columns: &[&str]) -> Table {
    Table {
        name: name.into(),
        kind: TableKind::Table,
        columns: columns
            .iter()
            .map(|name| Column {
                name: (*name).into(),
                ..Column::default()
            })
            .collect(),
        primary_key: vec![],
        foreign_keys: vec![],
        row_count: None,
        ddl: String::new(),
        reads: vec![],
    }
}

fn company() -> Schema {
    Schema {
        tables: vec![
            table("people", &["full_name", "salary"]),
            table("teams", &["title"]),
        ],
    }
}

fn indexed(source: &Source) -> Vectors {
    let vectors = Vectors::default();
    let embedder = WordEmbedder::new("a");
    block_on(index(
        &vectors,
        &embedder,
        &Epoch,
        source,
        false,
        &|_, _, _, _| (),
    ))
    .expect("indexed");
    vectors
}

fn tables_for(
    vectors: &Vectors,
    embedder: Option<&WordEmbedder>,
    source: &Source,
    visibility: &Visibility,
) -> Retrieved {
    let visible = VisibleSchema::new(&company(), visibility);
    let question = Question::parse("salary?").expect("a question");
    let wanted = Wanted {
        tables: Some(source),
        examples: None,
        terms: None,
        embedding: false,
    };
    let embedder = embedder.map(|embedder| embedder as &dyn Embedder);
    block_on(retrieve(embedder, vectors, &question, &visible, &wanted))
}

fn codes(found: &Retrieved) -> Vec<&'static str> {
    found.degraded.iter().map(|one| one.code).collect()
}

#[test]
fn tables_come_back_by_the_columns_that_are_near() {
    let source = Source::of_schema(&company());
    let vectors = indexed(&source);
    let embedder = WordEmbedder::new("a");
    let found = tables_for(
        &vectors,
        Some(&embedder),
        &source,
        &Visibility::everything(),
    );
    assert_eq!(found.clues.near[0].0, "people");
    assert_eq!(found.degraded, vec![]);
}

#[test]
fn what_is_hidden_does_not_count_for_its_table() {
    let source = Source::of_schema(&company());
    let vectors = indexed(&source);
    let embedder = WordEmbedder::new("a");
    let all = tables_for(
        &vectors,
        Some(&embedder),
        &source,
        &Visibility::everything(),
    );
    let hidden = Visibility::hiding(["people.salary"]);
    let some = tables_for(&vectors, Some(&embedder), &source, &hidden);
    let best = |found: &Retrieved| {
        let near = found.clues.near.iter().filter(|(name, _)| name == "people");
        near.map(|(_, similarity)| *similarity).fold(0.0, f32::max)
    };
    assert!(best(&some) < best(&all));
    let hidden = Visibility::hiding(["people"]);
    let none = tables_for(&vectors, Some(&embedder), &source, &hidden);
    assert!(none.clues.near.iter().all(|(name, _)| name != "people"));
}

#[test]
fn what_is_missing_is_told_and_done_without() {
    let source = Source::of_schema(&company());
    let everything = Visibility::everything();
    let embedder = WordEmbedder::new("a");

    let empty = Vectors::default();
    let found = tables_for(&empty, Some(&embedder), &source, &everything);
    assert_eq!(codes(&found), ["index_missing"]);

    let vectors = indexed(&source);
    let other = WordEmbedder::new("b");
    let found = tables_for(&vectors, Some(&other), &source, &everything);
    assert_eq!(
        (codes(&found), found.clues.near),
        (vec!["index_stale"], vec![])
    );

    let mut grown = company();
    grown.tables.push(table("more", &["x"]));
    let found = tables_for(
        &vectors,
        Some(&embedder),
        &Source::of_schema(&grown),
        &everything,
    );
    assert_eq!(codes(&found), ["index_stale"]);
    assert!(!found.clues.near.is_empty());

    let found = tables_for(&vectors, None, &source, &everything);
    assert_eq!(codes(&found), ["model_missing"]);

    let broken = WordEmbedder {
        is_broken: true,
        ..WordEmbedder::new("a")
    };
    let found = tables_for(&vectors, Some(&broken), &source, &everything);
    assert_eq!(codes(&found), ["embedder_failed"]);

    vectors.is_down.store(true, Ordering::Relaxed);
    let found = tables_for(&vectors, Some(&embedder), &source, &everything);
    assert_eq!(codes(&found), ["vector_store_down"]);
    assert!(found.embedding.is_some());
}

#[test]
fn verified_queries_and_terms_come_back_the_likest_first() {
    let examples: Vec<Example> = ["orders by country", "salary of people", "salary"]
        .iter()
        .enumerate()
        .map(|(at, question)| Example {
            id: 10 + at as i64,
            question: (*question).into(),
            sql: "SELECT 1".into(),
        })
        .collect();
    let source = Source::of_examples(&examples);
    let vectors = indexed(&source);
    let wanted = Wanted {
        tables: None,
        examples: Some((&source, &examples)),
        terms: None,
        embedding: false,
    };
    let visible = VisibleSchema::new(&company(), &Visibility::everything());
    let question = Question::parse("Salary?").expect("a question");
    let embedder = WordEmbedder::new("a");
    let found = block_on(retrieve(
        Some(&embedder),
        &vectors,
        &question,
        &visible,
        &wanted,
    ));
    assert_eq!(found.examples, [2, 1]);
    // Nothing wanted is nothing missing.
    let nothing = Wanted {
        examples: None,
        ..wanted
    };
    let found = block_on(retrieve(None, &vectors, &question, &visible, &nothing));
    assert_eq!(found.degraded, vec![]);
}
