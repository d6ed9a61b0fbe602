//! What a question must know before it is worked on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::ontology::{NewTerm, TermChange};
use engine::policy::NewPolicy;
use engine::ports::{Situation, Version};

use super::*;

pub async fn a_situation_hides_what_policies_hide(store: Store) {
    for (role, table_name, column_name) in [
        (Role::Viewer, "orders", None),
        (Role::Viewer, "a.b", Some("c\"d")),
        (Role::Analyst, "People", Some("Salary")),
        (Role::Admin, "secrets", None),
    ] {
        let policy = NewPolicy {
            role,
            table_name: table_name.into(),
            column_name: column_name.map(str::to_owned),
        };
        let created = entry("policy_created");
        store.create_policy(&policy, &created).await.unwrap();
        for role in [Role::Viewer, Role::Analyst, Role::Admin] {
            let visibility = store.visibility(role).await.unwrap();
            assert_eq!(stand(&store, role).await.visibility, visibility, "{role:?}");
        }
    }
}

pub async fn every_change_of_the_terms_gives_them_a_new_version(store: Store) {
    let verified = stand(&store, Role::Viewer).await.verified_queries;
    let mut seen = vec![terms_version(&store).await];
    let mut must_be_new = async |what: &str| {
        let version = terms_version(&store).await;
        assert!(!seen.contains(&version), "{what}");
        seen.push(version);
    };
    let created = entry("term_created");
    let id = store.create_term(&term("a"), &created).await.unwrap();
    must_be_new("one is created").await;
    // At the same time, by the clock of the test, as all that follows.
    let change = TermChange {
        description: Some("another".into()),
        ..TermChange::default()
    };
    let changed = entry("term_changed");
    store.change_term(id, &change, &changed).await.unwrap();
    must_be_new("one is changed").await;
    let back = TermChange {
        description: Some("what it means".into()),
        ..TermChange::default()
    };
    store.change_term(id, &back, &changed).await.unwrap();
    must_be_new("one is changed back").await;
    let imported = entry("terms_imported");
    let both = [term("b"), term("c")];
    store.import_terms(&both, &imported).await.unwrap();
    must_be_new("some are imported").await;
    let other = NewTerm {
        description: "another".into(),
        ..term("b")
    };
    store.import_terms(&[other], &imported).await.unwrap();
    must_be_new("an import replaces one").await;
    assert!(store.delete_term(id, &entry("term_deleted")).await.unwrap());
    must_be_new("one is deleted").await;
    // The count, the newest identifier and the newest time are what they were before the import and the removal.
    store.create_term(&term("a"), &created).await.unwrap();
    must_be_new("one is created again").await;
    assert_eq!(stand(&store, Role::Admin).await.verified_queries, verified);
}

pub async fn what_changes_no_term_keeps_their_version(store: Store) {
    let created = entry("term_created");
    let id = store.create_term(&term("a"), &created).await.unwrap();
    let before = stand(&store, Role::Viewer).await;
    assert_eq!(stand(&store, Role::Viewer).await, before);

    let taken = store.create_term(&term("A"), &created).await;
    assert_eq!(code(taken), Some(Code::NameTaken));
    let none = store.delete_term(id + 1, &entry("term_deleted")).await;
    assert_eq!(none, Ok(false));
    let change = TermChange::default();
    let changed = entry("term_changed");
    assert_eq!(store.change_term(id + 1, &change, &changed).await, Ok(None));
    let imported = entry("terms_imported");
    store.import_terms(&[term("a")], &imported).await.unwrap();
    let user_id = ada(&store).await;
    let asked = ask(&store, user_id, "How many?").await;
    let answered = entry("query_answered");
    store
        .finish_query(asked, &success(), &answered)
        .await
        .unwrap();
    store.all_terms().await.unwrap();

    assert_eq!(stand(&store, Role::Viewer).await, before);
}

pub async fn one_version_names_one_state_while_many_write(store: Store) {
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move {
            let mut states: HashMap<Version, Vec<String>> = HashMap::new();
            while !done.load(Ordering::Relaxed) {
                let version = terms_version(&store).await;
                let terms = store.all_terms().await.unwrap();
                // What was changed between the two reads has another version.
                if terms_version(&store).await != version {
                    continue;
                }
                let names: Vec<String> = terms.into_iter().map(|term| term.term_name).collect();
                let same = states.entry(version).or_insert_with(|| names.clone());
                assert_eq!(*same, names);
            }
        }
    });
    at_once(8, |number| {
        let store = store.clone();
        async move {
            for round in 0..5 {
                let new = term(&format!("{number}-{round}"));
                let created = entry("term_created");
                let id = store.create_term(&new, &created).await.unwrap();
                if round % 2 == 0 {
                    let deleted = entry("term_deleted");
                    assert!(store.delete_term(id, &deleted).await.unwrap());
                }
            }
        }
    })
    .await;
    done.store(true, Ordering::Relaxed);
    reader.await.unwrap();
}

pub async fn a_question_begins_in_the_situation_of_its_role(store: Store) {
    let user_id = ada(&store).await;
    for (role, table_name) in [(Role::Viewer, "orders"), (Role::Admin, "secrets")] {
        let policy = NewPolicy {
            role,
            table_name: table_name.into(),
            column_name: None,
        };
        let created = entry("policy_created");
        store.create_policy(&policy, &created).await.unwrap();
    }
    let created = entry("term_created");
    store.create_term(&term("a"), &created).await.unwrap();
    for role in [Role::Viewer, Role::Analyst, Role::Admin] {
        let asked = NewQuery {
            role,
            ..question(user_id, "How many?")
        };
        let begun = store.begin_query(&asked, &entry("query")).await.unwrap();
        assert_eq!(begun.situation, stand(&store, role).await, "{role:?}");
    }
}

async fn stand(store: &Store, role: Role) -> Situation {
    store.situation(role).await.unwrap()
}

async fn terms_version(store: &Store) -> Version {
    stand(store, Role::Viewer).await.terms
}

fn term(name: &str) -> NewTerm {
    NewTerm {
        term_name: name.into(),
        description: "what it means".into(),
        synonyms: vec![],
        data_source: None,
        owner: None,
    }
}
