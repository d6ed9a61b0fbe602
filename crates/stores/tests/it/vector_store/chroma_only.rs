//! What only a server can go through.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use engine::ports::{Collection, VectorStore};
use engine::{Code, Error};
use serde_json::{Value, json};
use stores::chroma::{ChromaSettings, ChromaToken, ChromaVectors};
use wiremock::matchers::{any, header};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Numbers, PLACE, TestClock, chroma, chroma_at, manifest, near, put, search, vector};
use crate::services::{self, OwnService};

/// Asks Chroma past the store.
async fn raw(settings: &ChromaSettings, path: &str) -> Value {
    let ChromaSettings {
        url,
        tenant,
        database,
        ..
    } = settings;
    let url = format!("{url}/api/v2/tenants/{tenant}/databases/{database}/{path}");
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

/// Returns how many documents the collection holds, in service or not.
async fn stored(settings: &ChromaSettings) -> Value {
    let collection = raw(settings, "collections/table_schemas").await;
    let id = collection["id"].as_str().unwrap();
    raw(settings, &format!("collections/{id}/count")).await
}

/// Runs every method that reads; a method that does not come back fails the test.
async fn all_fail(store: &dyn VectorStore) -> Vec<Error> {
    let bounded = async {
        let searches = [near(vector(&[1.0; 4]), 3)];
        vec![
            store.ping().await.unwrap_err(),
            store.manifest(PLACE).await.unwrap_err(),
            store.documents(PLACE).await.unwrap_err(),
            store.search_many("embedder", &searches).await.unwrap_err(),
        ]
    };
    let errors = tokio::time::timeout(Duration::from_secs(60), bounded)
        .await
        .unwrap();
    for error in &errors {
        assert_eq!(error.code(), Code::VectorStoreDown, "{error:?}");
        assert!(error.hint().is_some(), "{error:?}");
    }
    errors
}

/// A store on a server of its own.
async fn own() -> Option<(OwnService, ChromaSettings, Arc<ChromaVectors>)> {
    let server = OwnService::start("chroma", "TEST_CHROMA_URL")?;
    let settings = ChromaSettings::new(server.url());
    let store = chroma(&settings);
    put(
        &*store,
        &Numbers::from(41).documents(1_500, 4, "text"),
        "all",
    )
    .await;
    Some((server, settings, store))
}

#[tokio::test]
async fn collections_have_the_names_of_the_design() {
    let Some(settings) = services::chroma() else {
        return;
    };
    let store = chroma(&settings);
    for collection in Collection::ALL {
        store
            .replace(collection, &[], &manifest("none", 0), &|_| ())
            .await
            .unwrap();
    }
    let collections = raw(&settings, "collections").await;
    let collections = collections.as_array().unwrap().iter();
    let mut names: Vec<_> = collections
        .map(|collection| collection["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["business_terms", "sample_queries", "table_schemas"]);
}

#[tokio::test]
async fn what_was_replaced_is_deleted() {
    let Some(settings) = services::chroma() else {
        return;
    };
    let store = chroma(&settings);
    for count in [600, 10, 300] {
        put(
            &*store,
            &Numbers::from(42).documents(count, 4, "text"),
            "all",
        )
        .await;
        assert_eq!(stored(&settings).await, json!(count));
    }
}

/// What was given up goes when nobody can be writing it any more, and not before.
#[tokio::test]
async fn what_was_given_up_is_deleted_after_an_hour() {
    let Some(settings) = services::chroma() else {
        return;
    };
    let clock = Arc::new(TestClock::default());
    let store = chroma_at(&settings, clock.clone());
    put(&*store, &[], "none").await;
    let documents = Numbers::from(43).documents(300, 4, "given up");
    let about = manifest("given up", 300);
    let written = tokio::sync::Notify::new();
    let listen = |_| written.notify_one();
    tokio::select! {
        biased;
        _ = written.notified() => {}
        _ = store.replace(PLACE, &documents, &about, &listen) => panic!("it was to be given up"),
    }
    let given_up = stored(&settings).await.as_u64().unwrap();
    assert!(given_up > 0);
    clock.go_on(1_800);
    put(&*store, &[], "none").await;
    // A batch that was on its way when it was given up may have arrived after all.
    assert!(stored(&settings).await.as_u64().unwrap() >= given_up);
    clock.go_on(1_801);
    put(&*store, &[], "none").await;
    assert_eq!(stored(&settings).await, json!(0));
}

#[tokio::test]
async fn a_stopped_server_is_down_and_one_that_is_back_has_everything() {
    let Some((server, _, store)) = own().await else {
        return;
    };
    let asked = || near(vector(&[1.0, 2.0, 3.0, 4.0]), 9);
    let before = search(&*store, asked()).await;
    server.run("down");
    for error in all_fail(&*store).await {
        assert!(error.message().contains("cannot be reached"), "{error:?}");
    }
    server.run("up");
    store.ping().await.unwrap();
    assert_eq!(search(&*store, asked()).await, before);
    assert_eq!(store.documents(PLACE).await.unwrap().len(), 1_500);
}

#[tokio::test]
async fn a_server_that_stands_still_is_down_in_bounded_time() {
    let Some((server, mut settings, _)) = own().await else {
        return;
    };
    settings.batch_timeout = Duration::from_secs(3);
    let store = chroma(&settings);
    store.ping().await.unwrap();
    server.run("pause");
    for error in all_fail(&*store).await {
        assert!(error.message().contains("in time"), "{error:?}");
    }
    let failed = store
        .replace(PLACE, &[], &manifest("new", 0), &|_| ())
        .await
        .unwrap_err();
    assert_eq!(failed.code(), Code::VectorStoreDown);
    server.run("resume");
    let told = store.manifest(PLACE).await.unwrap();
    assert_eq!(told, Some(manifest("all", 1_500)));
}

#[tokio::test]
async fn a_server_that_lost_everything_is_empty() {
    let Some((server, _, store)) = own().await else {
        return;
    };
    server.run("down");
    fs::remove_dir_all(server.folder().join("data")).unwrap();
    server.run("up");
    assert_eq!(store.manifest(PLACE).await.unwrap(), None);
    let result = search(&*store, near(vector(&[1.0; 4]), 3)).await;
    assert_eq!(result, Default::default());
    put(&*store, &Numbers::from(44).documents(5, 4, "text"), "again").await;
    let result = search(&*store, near(vector(&[1.0; 4]), 9)).await;
    assert_eq!(result.neighbours.len(), 5);
}

#[tokio::test]
async fn a_collection_of_another_program_is_not_touched() {
    let Some(settings) = services::chroma() else {
        return;
    };
    let store = chroma(&settings);
    // Makes the database.
    store
        .replace(
            Collection::SampleQueries,
            &[],
            &manifest("none", 0),
            &|_| (),
        )
        .await
        .unwrap();
    let ChromaSettings {
        url,
        tenant,
        database,
        ..
    } = &settings;
    let url = format!("{url}/api/v2/tenants/{tenant}/databases/{database}/collections");
    let body = json!({ "name": "table_schemas", "metadata": { "of": "another" } });
    let created = reqwest::Client::new().post(url).json(&body).send().await;
    created.unwrap().error_for_status().unwrap();
    assert_eq!(store.manifest(PLACE).await.unwrap(), None);
    let refused = store
        .replace(PLACE, &[], &manifest("none", 0), &|_| ())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::VectorStoreDown);
    assert!(refused.hint().unwrap().contains("CHROMA_DATABASE"));
    let metadata = raw(&settings, "collections/table_schemas").await["metadata"].clone();
    assert_eq!(metadata, json!({ "of": "another" }));
}

#[tokio::test]
async fn a_place_where_nobody_listens_is_named() {
    for error in all_fail(&*chroma(&ChromaSettings::new("http://127.0.0.1:1"))).await {
        assert!(error.message().contains("127.0.0.1:1"), "{error}");
        assert!(error.hint().unwrap().contains("CHROMA_HOST"), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_chroma_is_told_as_such() {
    let replies = [
        ResponseTemplate::new(404).set_body_string("<html>Not Found</html>"),
        ResponseTemplate::new(404).set_body_json(json!({ "detail": "Not Found" })),
        ResponseTemplate::new(200).set_body_string("<html>Welcome</html>"),
        ResponseTemplate::new(200).set_body_json(json!([1, 2])),
        ResponseTemplate::new(200).set_body_bytes(vec![0xff; 9]),
        ResponseTemplate::new(302).insert_header("location", "http://192.0.2.1/"),
        ResponseTemplate::new(502).set_body_string("bad gateway"),
        ResponseTemplate::new(410).set_body_string("the v1 API is gone"),
    ];
    for reply in replies {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(reply).mount(&server).await;
        for error in all_fail(&*chroma(&ChromaSettings::new(server.uri()))).await {
            assert!(error.message().contains("does not speak"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_token_is_sent_and_not_printed() {
    let server = MockServer::start().await;
    let mut settings = ChromaSettings::new(server.uri());
    settings.token = Some(ChromaToken::new(" s3cret\n"));
    assert!(!format!("{settings:?}").contains("s3cret"));
    let store = chroma(&settings);
    let refusal = json!({ "error": "AuthError", "message": "s3cret" });
    Mock::given(any())
        .respond_with(ResponseTemplate::new(401).set_body_json(refusal))
        .with_priority(9)
        .mount(&server)
        .await;
    for error in all_fail(&*chroma(&ChromaSettings::new(server.uri()))).await {
        assert!(error.hint().unwrap().contains("CHROMA_TOKEN"), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cret"));
    }
    Mock::given(header("authorization", "Bearer s3cret"))
        .and(header("x-chroma-token", "s3cret"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({ "nanosecond heartbeat": 1 })),
        )
        .mount(&server)
        .await;
    store.ping().await.unwrap();
}

#[test]
fn an_address_that_cannot_be_used_is_refused() {
    for url in ["", "chroma:8000", "ftp://chroma", "not a url"] {
        let opened = ChromaVectors::open(
            ChromaSettings::new(url),
            Arc::new(TestClock::default()),
            Arc::new(super::Counted),
        );
        assert_eq!(opened.err().unwrap().code(), Code::InvalidSetting, "{url}");
    }
}
