//! The audit trail: what entries say, and how seals close them.

use engine::audit::{MAX_SEALED_ROWS, Report, Seal, SealingKey, entry_hash, verify};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;

pub async fn entries_are_filtered_and_listed_newest_first(store: Store) {
    let (ada, bob) = (ada(&store).await, user(&store, "bob@x", Role::Viewer).await);
    let record = async |user_id, action, resource, resource_id, seconds| {
        let mut entry = AuditEntry::new(at(seconds), user_id, action, resource, json!({}));
        entry.resource_id = resource_id;
        store.record(&entry).await.unwrap();
    };
    record(None, "login_failed", "user", None, 10).await;
    record(Some(ada), "login", "session", Some(1), 20).await;
    record(Some(bob), "login", "session", Some(2), 30).await;
    record(Some(ada), "logout", "session", Some(1), 40).await;
    let ids: Vec<i64> = entries(&store).await.iter().map(|entry| entry.id).collect();
    assert!(ids.is_sorted());
    let check = async |filter: AuditFilter, expected: &[usize]| {
        let page = store.audit_entries(&filter, first_page()).await.unwrap();
        let found: Vec<i64> = page.items.iter().map(|entry| entry.id).collect();
        let expected: Vec<i64> = expected.iter().map(|index| ids[*index]).collect();
        assert_eq!(found, expected, "{filter:?}");
    };
    let all = AuditFilter::default;
    check(all(), &[5, 4, 3, 2, 1, 0]).await;
    check(
        AuditFilter {
            user_id: Some(ada),
            ..all()
        },
        &[5, 3, 0],
    )
    .await;
    check(
        AuditFilter {
            action: Some("login".into()),
            ..all()
        },
        &[4, 3],
    )
    .await;
    check(
        AuditFilter {
            action: Some("log%".into()),
            ..all()
        },
        &[],
    )
    .await;
    let session = AuditFilter {
        resource: Some("session".into()),
        ..all()
    };
    check(session.clone(), &[5, 4, 3]).await;
    check(
        AuditFilter {
            resource_id: Some(1),
            ..session
        },
        &[5, 3],
    )
    .await;
    check(
        AuditFilter {
            since: Some(at(20)),
            ..all()
        },
        &[5, 4, 3],
    )
    .await;
    check(
        AuditFilter {
            until: Some(at(20)),
            ..all()
        },
        &[2, 1, 0],
    )
    .await;
    let hour = AuditFilter {
        since: Some(at(10)),
        until: Some(at(40)),
        ..all()
    };
    check(hour.clone(), &[4, 3, 2]).await;
    let page = store
        .audit_entries(&hour, PageRequest::first(2))
        .await
        .unwrap();
    assert_eq!(page.next_cursor, Some(ids[3]));
    record(None, "login_failed", "user", None, 20).await;
    let rest = PageRequest {
        cursor: page.next_cursor,
        limit: 2,
    };
    let page = store.audit_entries(&hour, rest).await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor), (1, None));
}

pub async fn entries_keep_what_they_say(store: Store) {
    let ada = ada(&store).await;
    let changes = json!({
        "text": "O'Brien said \"100 %\" \u{1f980} \\ \u{fffd}\n",
        "numbers": [0, -1, 9_007_199_254_740_991_i64],
        "nested": { "z": null, "a": [true, false, {}], "": [] },
    });
    let entry = AuditEntry::new(
        at(1) + TimeDelta::microseconds(123_456),
        Some(ada),
        "configuration_set",
        "configuration",
        changes,
    )
    .about(7);
    store.record(&entry).await.unwrap();
    let last = last_entry(&store).await;
    assert_eq!(
        (last.action.as_str(), last.resource.as_str()),
        (entry.action, entry.resource)
    );
    assert_eq!((last.user_id, last.resource_id), (Some(ada), Some(7)));
    assert_eq!((&last.changes, last.timestamp), (&entry.changes, entry.at));
    let stored = store.stored_entries(last.id - 1, 10).await.unwrap();
    assert_eq!(stored[0].canonical, entry.canonical());
    assert_eq!(stored[0].hash, entry_hash(&entry.canonical()));
    assert!(stored[0].is_consistent());
}

pub async fn entries_read_for_verification_agree_with_their_hashes(store: Store) {
    let ada = ada(&store).await;
    for number in 0..5 {
        ask(&store, ada, &number.to_string()).await;
    }
    let (first, rest) = (
        store.stored_entries(0, 2).await.unwrap(),
        store.stored_entries(2, 100).await.unwrap(),
    );
    assert_eq!(first.len(), 2);
    let all = store.stored_entries(0, 100).await.unwrap();
    assert!(all.iter().all(|entry| entry.is_consistent()));
    let records: Vec<_> = all.iter().map(|entry| entry.record.clone()).collect();
    assert_eq!(records, entries(&store).await);
    let last_of_first = first[1].record.id;
    let after: Vec<_> = all
        .into_iter()
        .filter(|entry| entry.record.id > last_of_first)
        .collect();
    assert_eq!(
        store.stored_entries(last_of_first, 100).await.unwrap(),
        after
    );
    assert!(rest.len() >= 4, "identifiers start near one");
}

pub async fn seals_close_all_entries_in_blocks(store: Store) {
    assert_eq!(store.seal(&sealing_key(), at(0)).await, Ok(None));
    let mut seals = Vec::new();
    for (number, entries) in [1_i64, 2, 5].into_iter().enumerate() {
        for _ in 0..entries {
            store.record(&entry("login_failed")).await.unwrap();
        }
        let sealed_at = at(i64::try_from(number).unwrap());
        let seal = store
            .seal(&sealing_key(), sealed_at)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((seal.row_count, seal.sealed_at), (entries, sealed_at));
        assert_eq!(store.seal(&sealing_key(), at(9)).await, Ok(None));
        seals.push(seal);
    }
    assert_eq!(store.seals(0, 100).await.unwrap(), seals);
    assert_eq!(store.seals(0, 2).await.unwrap(), seals[..2]);
    assert_eq!(store.seals(2, 100).await.unwrap(), seals[2..]);
    store.record(&entry("login_failed")).await.unwrap();
    for (index, entry) in entries(&store).await.iter().enumerate() {
        let seal = store.seal_of(entry.id).await.unwrap();
        let number = seal.map(|seal| seal.number);
        assert_eq!(number, [1, 2, 2, 3, 3, 3, 3, 3].get(index).copied());
    }
    let report = verified(&store).await;
    assert_eq!(
        (report.sealed, report.unsealed, report.seals, report.fault),
        (8, 1, 3, None)
    );
}

pub async fn a_block_has_its_most_entries(store: Store) {
    let most = MAX_SEALED_ROWS as usize;
    let writers = 50;
    at_once(writers, |number| {
        let store = store.clone();
        let entries = most / writers + usize::from(number == 0);
        async move {
            for _ in 0..entries {
                store.record(&entry("login_failed")).await.unwrap();
            }
        }
    })
    .await;
    let mut counts = Vec::new();
    while let Some(seal) = store.seal(&sealing_key(), at(0)).await.unwrap() {
        counts.push(seal.row_count);
    }
    assert_eq!(counts, [i64::from(MAX_SEALED_ROWS), 1]);
    let report = verified(&store).await;
    assert_eq!(
        (report.sealed, report.fault),
        (u64::from(MAX_SEALED_ROWS) + 1, None)
    );
}

pub async fn seals_made_at_once_never_overlap(store: Store) {
    for _ in 0..20 {
        store.record(&entry("login_failed")).await.unwrap();
    }
    let made = at_once(10, |_| {
        let store = store.clone();
        async move { store.seal(&sealing_key(), at(0)).await.unwrap() }
    })
    .await;
    let made: Vec<Seal> = made.into_iter().flatten().collect();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].row_count, 20);
    assert_eq!(verified(&store).await.fault, None);
}

/// Verification reads while entries are committed, in whatever order, and sealed.
pub async fn a_trail_sealed_while_many_write_verifies(store: Store) {
    let ada = ada(&store).await;
    let writing = tokio::spawn(at_once(50, {
        let store = store.clone();
        move |number| {
            let store = store.clone();
            async move {
                for _ in 0..10 {
                    let id = ask(&store, ada, &number.to_string()).await;
                    let answered = entry("query_answered");
                    store.finish_query(id, &success(), &answered).await.unwrap();
                }
            }
        }
    }));
    let (stop, mut stopped) = oneshot::channel::<()>();
    let sealing = tokio::spawn({
        let store = store.clone();
        async move {
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                store.seal(&sealing_key(), at(0)).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    while !writing.is_finished() {
        let report = verified(&store).await;
        assert_eq!(report.fault, None, "{report:?}");
    }
    writing.await.unwrap();
    drop(stop);
    sealing.await.unwrap();
    while store.seal(&sealing_key(), at(0)).await.unwrap().is_some() {}
    let report = verified(&store).await;
    assert_eq!(
        (report.sealed, report.unsealed, report.fault),
        (1_001, 0, None)
    );
    assert!(report.seals > 1, "some were made in between");
}

fn sealing_key() -> SealingKey {
    SealingKey::derive(b"a secret of at least 16 bytes")
}

async fn verified(store: &Store) -> Report {
    verify(store.as_ref(), &[sealing_key()], &[], &|_| {})
        .await
        .unwrap()
}
