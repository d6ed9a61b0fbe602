//! What is written is read back, whatever it is.

use std::collections::BTreeMap;

use engine::Code;
use engine::ports::{EmbeddedDocument, VectorSearch};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{Numbers, Opened, PLACE, document, ids, manifest, near, put, search, vector};

/// Asserts that documents are those of `expected`, by identifier, with the same vectors to three places.
fn assert_documents(found: &[EmbeddedDocument], mut expected: Vec<EmbeddedDocument>) {
    expected.sort_by(|a, b| a.document.id.cmp(&b.document.id));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.document, expected.document);
        assert!(found.embedding.cosine(&expected.embedding) > 0.9999);
    }
}

pub async fn documents_come_back_as_they_went_in(opened: Opened) {
    // More than any page holds.
    let mut documents = Numbers::from(11).documents(777, 16, "a text");
    documents.reverse();
    put(&*opened.store, &documents, "all").await;
    assert_documents(&opened.store.documents(PLACE).await.unwrap(), documents);
}

pub async fn any_text_is_a_value_and_a_key(opened: Opened) {
    let mut runner = TestRunner::deterministic();
    let mut numbers = Numbers::from(12);
    let mut pick =
        |strategy: &BoxedStrategy<String>| strategy.new_tree(&mut runner).unwrap().current();
    let text = any::<String>().boxed();
    let key = prop_oneof![
        any::<String>(),
        "(generation|manifest|assay:key:|chroma:|#|\\$)[a-z]{0,2}"
    ]
    .boxed();
    let mut texts: Vec<String> = (0..150).map(|_| pick(&text)).collect();
    texts.extend(
        [
            "",
            " ",
            "\u{0}",
            "\u{feff}\u{202e}",
            "'; DROP TABLE x; --",
            "\"\\",
            "\u{10ffff}",
            "a:b",
        ]
        .map(str::to_owned),
    );
    texts.sort_unstable();
    texts.dedup();
    let documents: Vec<_> = texts
        .iter()
        .filter(|text| text.len() <= 512)
        .map(|text| {
            let mut made = document(text, text, numbers.vector(8));
            let metadata: BTreeMap<_, _> = (0..3).map(|_| (pick(&key), text.clone())).collect();
            made.document.metadata = metadata;
            made
        })
        .collect();
    put(&*opened.store, &documents, "all").await;
    let found = opened.store.documents(PLACE).await.unwrap();
    assert_documents(&found, documents.clone());
    for document in &documents {
        let (key, value) = document.document.metadata.iter().next().unwrap();
        let only = VectorSearch {
            only: Some((key.clone(), value.clone())),
            ..near(document.embedding.clone(), 1)
        };
        let result = search(&*opened.store, only).await;
        assert_eq!(ids(&result), [document.document.id.as_str()], "{key:?}");
        assert_eq!(result.neighbours[0].document, document.document);
    }
}

pub async fn identifiers_occur_once(opened: Opened) {
    let documents = [
        document("a", "1", vector(&[1.0])),
        document("a", "2", vector(&[1.0])),
    ];
    let refused = opened
        .store
        .replace(PLACE, &documents, &manifest("all", 2), &|_| ())
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Internal);
    let long = [document(&"é".repeat(257), "1", vector(&[1.0]))];
    let refused = opened
        .store
        .replace(PLACE, &long, &manifest("all", 1), &|_| ())
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Internal);
    let longest = [document(&"é".repeat(256), "1", vector(&[1.0]))];
    put(&*opened.store, &longest, "longest").await;
}

pub async fn vectors_of_one_collection_have_one_dimension(opened: Opened) {
    let documents = [
        document("a", "1", vector(&[1.0, 0.0])),
        document("b", "2", vector(&[1.0])),
    ];
    let refused = opened
        .store
        .replace(PLACE, &documents, &manifest("all", 2), &|_| ())
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Internal);
    assert_eq!(opened.store.manifest(PLACE).await.unwrap(), None);
}

pub async fn what_was_written_survives_reopening(opened: Opened) {
    let Some(reopen) = &opened.reopen else {
        return;
    };
    let mut numbers = Numbers::from(13);
    let documents = numbers.documents(300, 16, "a text");
    put(&*opened.store, &documents, "all").await;
    let reopened = reopen();
    assert_eq!(
        reopened.manifest(PLACE).await.unwrap(),
        Some(manifest("all", 300))
    );
    let asked = numbers.vector(16);
    assert_eq!(
        search(&*reopened, near(asked.clone(), 9)).await,
        search(&*opened.store, near(asked, 9)).await
    );
    assert_documents(&reopened.documents(PLACE).await.unwrap(), documents);
    // What one writes, the other sees at once.
    put(&*opened.store, &[], "nothing").await;
    assert_eq!(
        reopened.manifest(PLACE).await.unwrap(),
        Some(manifest("nothing", 0))
    );
}
