//! What administrators keep: policies, the business ontology, settings.

use engine::configuration::NewConfiguration;
use engine::ontology::{BusinessTerm, Imported, NewTerm, TermChange};
use engine::policy::{NewPolicy, Visibility};

use super::*;

pub async fn what_is_hidden_from_a_role_is_hidden_from_those_below(store: Store) {
    for (role, table, column) in [
        (Role::Viewer, "orders", None),
        (Role::Analyst, "People", Some("Salary")),
        (Role::Admin, "secrets", None),
    ] {
        hide(&store, role, table, column).await.unwrap();
    }
    for (role, hidden) in [
        (Role::Viewer, &["orders", "people.salary", "secrets"][..]),
        (Role::Analyst, &["people.salary", "secrets"]),
        (Role::Admin, &["secrets"]),
    ] {
        let visibility = store.visibility(role).await;
        assert_eq!(visibility, Ok(Visibility::hiding(hidden)), "{role:?}");
    }
}

pub async fn a_policy_is_made_once_in_any_case(store: Store) {
    let id = hide(&store, Role::Viewer, "People", Some("Salary")).await;
    let id = id.unwrap();
    assert_eq!(last_entry(&store).await.resource_id, Some(id));
    let same = hide(&store, Role::Viewer, "people", Some("SALARY")).await;
    assert_eq!(code(same), Some(Code::Conflict));
    for (role, table, column) in [
        (Role::Viewer, "people", None),
        (Role::Analyst, "people", Some("salary")),
        (Role::Viewer, "people", Some("name")),
    ] {
        hide(&store, role, table, column).await.unwrap();
    }
    let whole = hide(&store, Role::Viewer, "PEOPLE", None).await;
    assert_eq!(code(whole), Some(Code::Conflict));
    let codes = at_once(10, |_| {
        let store = store.clone();
        async move { code(hide(&store, Role::Admin, "t", None).await) }
    })
    .await;
    assert_eq!(codes.iter().flatten().count(), 9);
    assert_eq!(actions(&store).await.len(), 5);
}

pub async fn a_removed_policy_hides_nothing(store: Store) {
    let first = hide(&store, Role::Viewer, "orders", None).await.unwrap();
    let second = hide(&store, Role::Viewer, "people", Some("salary")).await;
    let second = second.unwrap();
    let page = store.policies(PageRequest::first(1)).await.unwrap();
    assert_eq!((page.items[0].id, page.next_cursor), (second, Some(second)));
    assert_eq!(page.items[0].column_name.as_deref(), Some("salary"));
    assert_eq!(page.items[0].created_at, at(0));
    let delete = async |id| {
        let deleted = entry("policy_deleted");
        store.delete_policy(id, &deleted).await.unwrap()
    };
    assert!(delete(first).await);
    let last = last_entry(&store).await;
    assert_eq!(last.resource_id, Some(first));
    assert_eq!(
        last.changes,
        json!({ "before": { "role": "viewer", "table_name": "orders", "column_name": null } })
    );
    assert!(!delete(first).await);
    assert_eq!(
        store.visibility(Role::Viewer).await,
        Ok(Visibility::hiding(["people.salary"]))
    );
    assert!(delete(second).await);
    assert_eq!(
        store.visibility(Role::Viewer).await,
        Ok(Visibility::everything())
    );
    assert_eq!(actions(&store).await.len(), 4);
}

pub async fn a_term_is_named_once_in_any_case(store: Store) {
    let id = create(&store, &term("Net Revenue")).await.unwrap();
    assert_eq!(last_entry(&store).await.resource_id, Some(id));
    let taken = create(&store, &term("net REVENUE")).await;
    assert_eq!(code(taken), Some(Code::NameTaken));
    let churn = create(&store, &term("Churn")).await.unwrap();
    let rename = |name: &str| TermChange {
        term_name: Some(name.into()),
        ..TermChange::default()
    };
    let changed = entry("term_changed");
    let taken = store
        .change_term(churn, &rename("NET revenue"), &changed)
        .await;
    assert_eq!(code(taken), Some(Code::NameTaken));
    let own = store
        .change_term(churn, &rename("CHURN"), &changed)
        .await
        .unwrap();
    assert_eq!(own.map(|term| term.term_name), Some("CHURN".into()));
    create(&store, &term("average order")).await.unwrap();
    let names: Vec<String> = store
        .all_terms()
        .await
        .unwrap()
        .into_iter()
        .map(|term| term.term_name)
        .collect();
    assert_eq!(names, ["average order", "CHURN", "Net Revenue"]);
    assert_eq!(actions(&store).await.len(), 4);
}

pub async fn a_change_of_a_term_is_recorded_with_before_and_after(store: Store) {
    let full = NewTerm {
        synonyms: vec!["turnover".into(), "it's \"sales\"".into()],
        data_source: Some("orders.total".into()),
        owner: Some("Finance".into()),
        ..term("Revenue")
    };
    let id = create(&store, &full).await.unwrap();
    let stored = store.term(id).await.unwrap().unwrap();
    assert_eq!(content(&stored), full);
    let change = TermChange {
        synonyms: Some(vec!["sales".into()]),
        owner: Some(None),
        ..TermChange::default()
    };
    let changed = store
        .change_term(id, &change, &entry_at("term_changed", 5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.term(id).await, Ok(Some(changed.clone())));
    assert_eq!((changed.created_at, changed.updated_at), (at(0), at(5)));
    let expected = NewTerm {
        synonyms: vec!["sales".into()],
        owner: None,
        ..full.clone()
    };
    assert_eq!(content(&changed), expected);
    let last = last_entry(&store).await;
    assert_eq!(last.resource_id, Some(id));
    assert_eq!(
        last.changes,
        json!({
            "before": { "synonyms": full.synonyms, "owner": "Finance" },
            "after": { "synonyms": ["sales"], "owner": null },
        })
    );
    let missing = store
        .change_term(999, &change, &entry("term_changed"))
        .await;
    assert_eq!(missing, Ok(None));
    assert_eq!(store.term(999).await, Ok(None));
    assert_eq!(actions(&store).await.len(), 2);
}

pub async fn a_removed_term_is_recorded(store: Store) {
    let id = create(&store, &term("Revenue")).await.unwrap();
    let deleted = entry("term_deleted");
    assert_eq!(store.delete_term(id, &deleted).await, Ok(true));
    let last = last_entry(&store).await;
    assert_eq!(last.resource_id, Some(id));
    assert_eq!(last.changes["before"]["term_name"], "Revenue");
    assert_eq!(store.delete_term(id, &deleted).await, Ok(false));
    assert_eq!(store.term(id).await, Ok(None));
    assert_eq!(actions(&store).await.len(), 2);
    create(&store, &term("revenue")).await.unwrap();
}

pub async fn terms_are_searched_in_names_descriptions_and_synonyms(store: Store) {
    let revenue = NewTerm {
        synonyms: vec!["turnover".into(), "100%".into()],
        ..term("Revenue")
    };
    let churn = NewTerm {
        description: "customers who left, at last_order".into(),
        synonyms: vec!["c\"hurn".into()],
        ..term("Churn")
    };
    let revenue = create(&store, &revenue).await.unwrap();
    let churn = create(&store, &churn).await.unwrap();
    for (search, expected) in [
        (None, &[churn, revenue][..]),
        (Some("REV"), &[revenue]),
        (Some("Turn"), &[revenue]),
        (Some("WHO LEFT"), &[churn]),
        (Some("%"), &[revenue]),
        (Some("_"), &[churn]),
        (Some("c\"h"), &[churn]),
        (Some("\","), &[]),
        (Some("r"), &[churn, revenue]),
    ] {
        let page = store.terms(search, first_page()).await.unwrap();
        let ids: Vec<i64> = page.items.iter().map(|term| term.id).collect();
        assert_eq!(ids, expected, "{search:?}");
    }
    let page = store.terms(Some("r"), PageRequest::first(1)).await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor), (1, Some(churn)));
}

pub async fn an_import_creates_replaces_and_leaves(store: Store) {
    let same = create(&store, &term("Same")).await.unwrap();
    let other = create(&store, &term("Other")).await.unwrap();
    let changed = NewTerm {
        description: "something else".into(),
        ..term("OTHER")
    };
    let terms = [term("Same"), changed.clone(), term("New")];
    let import = async |seconds| {
        let imported = entry_at("terms_imported", seconds);
        store.import_terms(&terms, &imported).await.unwrap()
    };
    let expected = Imported {
        created: 1,
        changed: 1,
        unchanged: 1,
    };
    assert_eq!(import(5).await, expected);
    let last = last_entry(&store).await;
    assert_eq!(last.resource_id, None);
    assert_eq!(
        last.changes,
        json!({ "created": 1, "changed": 1, "unchanged": 1 })
    );
    let stored = store.term(other).await.unwrap().unwrap();
    assert_eq!((content(&stored), stored.updated_at), (changed, at(5)));
    let stored = store.term(same).await.unwrap().unwrap();
    assert_eq!(stored.updated_at, at(0));
    let again = Imported {
        unchanged: 3,
        ..Imported::default()
    };
    assert_eq!(import(6).await, again);
    assert_eq!(actions(&store).await.len(), 4);
}

pub async fn imports_at_once_create_each_term_once(store: Store) {
    let terms: Vec<NewTerm> = (0..20)
        .map(|number| term(&format!("term {number}")))
        .collect();
    let imports = at_once(5, |_| {
        let (store, terms) = (store.clone(), terms.clone());
        async move {
            let imported = entry("terms_imported");
            store.import_terms(&terms, &imported).await.unwrap()
        }
    })
    .await;
    let created: u32 = imports.iter().map(|imported| imported.created).sum();
    let unchanged: u32 = imports.iter().map(|imported| imported.unchanged).sum();
    assert_eq!((created, unchanged), (20, 80));
    assert_eq!(store.all_terms().await.unwrap().len(), 20);
}

pub async fn a_setting_is_replaced_with_before_and_after(store: Store) {
    set(&store, "row_limit", "100", Some("rows at most"), false, 0).await;
    let first = store.configuration("row_limit").await.unwrap().unwrap();
    let last = last_entry(&store).await;
    assert_eq!(
        (last.resource_id, last.changes),
        (Some(first.id), json!({}))
    );
    set(&store, "row_limit", "200", None, false, 5).await;
    let now = store.configuration("row_limit").await.unwrap().unwrap();
    assert_eq!((now.id, now.value.as_str()), (first.id, "200"));
    assert_eq!(
        (now.description.as_deref(), now.updated_at),
        (Some("rows at most"), at(5))
    );
    let last = last_entry(&store).await;
    assert_eq!(last.resource_id, Some(first.id));
    assert_eq!(
        last.changes,
        json!({ "before": { "value": "100" }, "after": { "value": "200" } })
    );
    assert_eq!(store.configuration("ROW_LIMIT").await, Ok(None));
}

pub async fn secret_values_are_not_recorded(store: Store) {
    set(&store, "smtp_password", "clear", None, false, 0).await;
    set(&store, "smtp_password", "sealed-1", None, true, 1).await;
    assert_eq!(
        last_entry(&store).await.changes,
        json!({ "before": { "is_secret": false }, "after": { "is_secret": true } })
    );
    set(&store, "smtp_password", "sealed-2", Some("mail"), true, 2).await;
    let stored = store.configuration("smtp_password").await.unwrap().unwrap();
    assert_eq!(
        (stored.value.as_str(), stored.is_secret),
        ("sealed-2", true)
    );
    let deleted = entry("configuration_deleted");
    assert_eq!(
        store.delete_configuration("smtp_password", &deleted).await,
        Ok(true)
    );
    for entry in entries(&store).await {
        let changes = entry.changes.to_string();
        assert!(!changes.contains("sealed"), "{changes}");
        assert!(!changes.contains("clear"), "{changes}");
    }
}

pub async fn of_several_who_replace_one_secret_at_once_one_succeeds(store: Store) {
    let secret = |value: &str| NewConfiguration {
        key: "smtp_password".into(),
        value: value.into(),
        description: Some("of the mail server".into()),
        is_secret: true,
    };
    let set = entry("configuration_set");
    store.set_configuration(&secret("old"), &set).await.unwrap();
    let outcomes = at_once(8, |number| {
        let store = store.clone();
        async move {
            let again = format!("new {number}");
            let entry = entry_at("secret_re_encrypted", 5);
            let done = store.replace_secret("smtp_password", "old", &again, &entry);
            done.await.unwrap().then_some(again)
        }
    })
    .await;
    let replaced: Vec<String> = outcomes.into_iter().flatten().collect();
    assert_eq!(replaced.len(), 1, "{replaced:?}");
    let stored = store.configuration("smtp_password").await.unwrap().unwrap();
    assert_eq!(stored.value, replaced[0]);
    assert_eq!(stored.description.as_deref(), Some("of the mail server"));
    assert_eq!((stored.is_secret, stored.updated_at), (true, at(5)));
    let last = last_entry(&store).await;
    assert_eq!(
        actions(&store).await,
        ["configuration_set", "secret_re_encrypted"]
    );
    assert_eq!(last.resource_id, Some(stored.id));
    assert!(
        !last.changes.to_string().contains("new"),
        "{}",
        last.changes
    );

    // What is no secret any more is left alone.
    let open = NewConfiguration {
        is_secret: false,
        ..secret("plain")
    };
    store.set_configuration(&open, &set).await.unwrap();
    for (key, old) in [("smtp_password", "plain"), ("there_is_none", "plain")] {
        let done = store.replace_secret(key, old, "new", &set).await;
        assert_eq!(done, Ok(false), "{key}");
    }
}

pub async fn settings_are_listed_by_key_and_removed(store: Store) {
    for key in ["beta", "alpha", "gamma"] {
        set(&store, key, "1", None, false, 0).await;
    }
    let keys = async || {
        let all = store.configurations().await.unwrap();
        all.into_iter().map(|entry| entry.key).collect::<Vec<_>>()
    };
    assert_eq!(keys().await, ["alpha", "beta", "gamma"]);
    let deleted = entry("configuration_deleted");
    assert_eq!(store.delete_configuration("beta", &deleted).await, Ok(true));
    assert_eq!(
        last_entry(&store).await.changes["before"]["value"],
        json!("1")
    );
    assert_eq!(
        store.delete_configuration("beta", &deleted).await,
        Ok(false)
    );
    assert_eq!(keys().await, ["alpha", "gamma"]);
    assert_eq!(actions(&store).await.len(), 4);
}

async fn hide(
    store: &Store,
    role: Role,
    table_name: &str,
    column_name: Option<&str>,
) -> Result<i64, Error> {
    let policy = NewPolicy {
        role,
        table_name: table_name.into(),
        column_name: column_name.map(str::to_owned),
    };
    store.create_policy(&policy, &entry("policy_created")).await
}

fn term(name: &str) -> NewTerm {
    NewTerm {
        term_name: name.into(),
        description: "what it means".into(),
        synonyms: Vec::new(),
        data_source: None,
        owner: None,
    }
}

async fn create(store: &Store, term: &NewTerm) -> Result<i64, Error> {
    store.create_term(term, &entry("term_created")).await
}

fn content(term: &BusinessTerm) -> NewTerm {
    NewTerm {
        term_name: term.term_name.clone(),
        description: term.description.clone(),
        synonyms: term.synonyms.clone(),
        data_source: term.data_source.clone(),
        owner: term.owner.clone(),
    }
}

async fn set(
    store: &Store,
    key: &str,
    value: &str,
    description: Option<&str>,
    is_secret: bool,
    seconds: i64,
) {
    let configuration = NewConfiguration {
        key: key.into(),
        value: value.into(),
        description: description.map(str::to_owned),
        is_secret,
    };
    let set = entry_at("configuration_set", seconds);
    store.set_configuration(&configuration, &set).await.unwrap();
}
