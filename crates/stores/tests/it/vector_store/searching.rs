//! What a search finds.

use std::collections::HashSet;

use engine::Code;
use engine::ports::{Collection, EmbeddedDocument, Embedding, IndexManifest, VectorSearch};

use super::{Numbers, Opened, PLACE, document, ids, manifest, near, put, search, vector};

/// Returns similarities and identifiers of all documents, the nearest first.
fn by_brute_force(near: &Embedding, documents: &[EmbeddedDocument]) -> Vec<(f64, String)> {
    let cosine = |other: &Embedding| {
        let pairs = near.as_slice().iter().zip(other.as_slice());
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mut all: Vec<(f64, String)> = documents
        .iter()
        .map(|document| (cosine(&document.embedding), document.document.id.clone()))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    all
}

pub async fn neighbours_are_those_of_brute_force(opened: Opened) {
    let mut numbers = Numbers::from(1);
    let documents = numbers.documents(300, 33, "text");
    put(&*opened.store, &documents, "all").await;
    for _ in 0..20 {
        let asked = numbers.vector(33);
        let result = search(&*opened.store, near(asked.clone(), 12)).await;
        let expected = by_brute_force(&asked, &documents);
        assert_eq!(result.neighbours.len(), 12);
        for (neighbour, (similarity, id)) in result.neighbours.iter().zip(expected) {
            assert_eq!(neighbour.document.id, id);
            assert!((f64::from(neighbour.similarity) - similarity).abs() < 5e-4);
        }
    }
}

/// An approximate store may miss a neighbour now and then, no more.
pub async fn ten_thousand_documents_are_searched(opened: Opened) {
    let mut numbers = Numbers::from(2);
    let documents = numbers.documents(10_000, 64, "text");
    put(&*opened.store, &documents, "all").await;
    let found_manifest = opened.store.manifest(PLACE).await.unwrap();
    assert_eq!(found_manifest, Some(manifest("all", 10_000)));
    let (mut right, mut asked_for) = (0, 0);
    for _ in 0..30 {
        let asked = numbers.vector(64);
        let result = search(&*opened.store, near(asked.clone(), 10)).await;
        let mut expected = by_brute_force(&asked, &documents);
        expected.truncate(10);
        let expected: HashSet<String> = expected.into_iter().map(|(_, id)| id).collect();
        asked_for += expected.len();
        right += ids(&result)
            .iter()
            .filter(|id| expected.contains(**id))
            .count();
    }
    assert!(right * 100 >= asked_for * 98, "{right} of {asked_for}");
    assert_eq!(opened.store.documents(PLACE).await.unwrap().len(), 10_000);
}

pub async fn only_documents_with_the_value_are_found(opened: Opened) {
    let mut numbers = Numbers::from(3);
    let mut documents = numbers.documents(200, 8, "text");
    for (number, document) in documents.iter_mut().enumerate() {
        let table = if number % 50 == 0 { "rare" } else { "common" };
        let metadata = &mut document.document.metadata;
        metadata.insert("table".into(), table.into());
        // Keys that an implementation may want for itself.
        metadata.insert("generation".into(), table.into());
        metadata.insert("$and".into(), table.into());
        metadata.insert(String::new(), table.into());
    }
    put(&*opened.store, &documents, "all").await;
    for key in ["table", "generation", "$and", ""] {
        let only = |value: &str| VectorSearch {
            only: Some((key.into(), value.into())),
            ..near(vector(&[1.0; 8]), 100)
        };
        let found = search(&*opened.store, only("rare")).await;
        let mut found = ids(&found);
        found.sort_unstable();
        assert_eq!(found, ["00000", "00050", "00100", "00150"], "{key}");
        let found = search(&*opened.store, only("common")).await;
        assert_eq!(found.neighbours.len(), 100, "{key}");
        assert!(
            search(&*opened.store, only("none"))
                .await
                .neighbours
                .is_empty()
        );
    }
}

pub async fn a_limit_of_nothing_finds_nothing_and_one_of_everything_all(opened: Opened) {
    let documents = Numbers::from(4).documents(70, 5, "text");
    put(&*opened.store, &documents, "all").await;
    for (limit, expected) in [(0, 0), (1, 1), (70, 70), (71, 70), (usize::MAX, 70)] {
        let result = search(&*opened.store, near(vector(&[1.0; 5]), limit)).await;
        assert_eq!(result.neighbours.len(), expected, "{limit}");
        assert_eq!(result.manifest, Some(manifest("all", 70)));
    }
}

pub async fn equally_near_documents_come_by_identifier(opened: Opened) {
    // As many of one vector that a margin is too small, among others, written in no order.
    let mut documents = Numbers::from(7).documents(100, 3, "far");
    documents.retain(|document| document.embedding.cosine(&vector(&[0.3, -0.7, 0.2])) < 0.9);
    for number in 0..50 {
        let id = format!("{:03}", number * 27 % 50);
        documents.push(document(&id, "same", vector(&[0.3, -0.7, 0.2])));
    }
    documents.push(document("nearest", "other", vector(&[0.3, -0.7, 0.3])));
    put(&*opened.store, &documents, "all").await;
    let result = search(&*opened.store, near(vector(&[0.3, -0.7, 0.3]), 5)).await;
    assert_eq!(ids(&result), ["nearest", "000", "001", "002", "003"]);
}

pub async fn a_collection_that_is_not_there_has_neither_manifest_nor_neighbours(opened: Opened) {
    for collection in Collection::ALL {
        assert_eq!(opened.store.manifest(collection).await.unwrap(), None);
        assert!(opened.store.documents(collection).await.unwrap().is_empty());
    }
    let result = search(&*opened.store, near(vector(&[1.0]), 5)).await;
    assert_eq!(result, Default::default());
    opened.store.ping().await.unwrap();
}

pub async fn an_empty_collection_has_a_manifest_and_no_neighbours(opened: Opened) {
    put(&*opened.store, &[], "none").await;
    let result = search(&*opened.store, near(vector(&[1.0, 2.0]), 5)).await;
    assert_eq!(result.manifest, Some(manifest("none", 0)));
    assert!(result.neighbours.is_empty());
    assert!(opened.store.documents(PLACE).await.unwrap().is_empty());
    // It was never said what dimension it has.
    put(
        &*opened.store,
        &[document("a", "a", vector(&[1.0, 2.0]))],
        "one",
    )
    .await;
    put(&*opened.store, &[], "none again").await;
    let result = search(&*opened.store, near(vector(&[1.0, 2.0, 3.0]), 5)).await;
    assert_eq!(result.manifest, Some(manifest("none again", 0)));
}

pub async fn another_embedder_finds_nothing_but_hears_the_manifest(opened: Opened) {
    put(
        &*opened.store,
        &Numbers::from(5).documents(9, 4, "text"),
        "all",
    )
    .await;
    // Another model may have another dimension, too.
    for dimension in [4, 5] {
        let searches = [near(vector(&vec![1.0; dimension]), 5)];
        let results = opened.store.search_many("other", &searches).await.unwrap();
        assert!(results[0].neighbours.is_empty());
        let told: &IndexManifest = results[0].manifest.as_ref().unwrap();
        assert_eq!(told.embedder_hash, "embedder");
    }
}

pub async fn a_vector_of_another_dimension_is_refused(opened: Opened) {
    put(
        &*opened.store,
        &Numbers::from(6).documents(9, 4, "text"),
        "all",
    )
    .await;
    let searches = [near(vector(&[1.0; 5]), 5)];
    let refused = opened.store.search_many("embedder", &searches).await;
    assert_eq!(refused.unwrap_err().code(), Code::Internal);
}

pub async fn several_collections_are_searched_in_one_call(opened: Opened) {
    let documents = |text: &str| vec![document(text, text, vector(&[1.0, 0.0]))];
    for collection in [Collection::SampleQueries, Collection::BusinessTerms] {
        let text = collection.as_str();
        let written = documents(text);
        opened
            .store
            .replace(collection, &written, &manifest(text, 1), &|_| ())
            .await
            .unwrap();
    }
    let place = |collection| VectorSearch {
        collection,
        ..near(vector(&[1.0, 1.0]), 5)
    };
    let searches = [
        place(Collection::BusinessTerms),
        place(Collection::TableSchemas),
        place(Collection::SampleQueries),
        place(Collection::BusinessTerms),
    ];
    let results = opened
        .store
        .search_many("embedder", &searches)
        .await
        .unwrap();
    let found: Vec<_> = results.iter().map(ids).collect();
    assert_eq!(
        found,
        [
            vec!["business_terms"],
            vec![],
            vec!["sample_queries"],
            vec!["business_terms"]
        ]
    );
    assert!(
        opened
            .store
            .search_many("embedder", &[])
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn collections_do_not_mix(opened: Opened) {
    for collection in Collection::ALL {
        let text = collection.as_str();
        let written = [document("same", text, vector(&[1.0, 0.0]))];
        opened
            .store
            .replace(collection, &written, &manifest(text, 1), &|_| ())
            .await
            .unwrap();
    }
    for collection in Collection::ALL {
        let text = collection.as_str();
        assert_eq!(
            opened.store.manifest(collection).await.unwrap(),
            Some(manifest(text, 1))
        );
        assert_eq!(
            opened.store.documents(collection).await.unwrap()[0]
                .document
                .text,
            text
        );
    }
}
