//! Connections die, callers go away, servers restart; the store goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Code;
use engine::audit::AuditFilter;
use engine::ports::{AuditLog, PageRequest, Queries};
use stores::postgres::PostgresSettings;

use super::*;
use crate::services::OwnService;

const OTHERS: &str =
    "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_in_the_pool_fails_no_question() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let store = Arc::new(database.store().await);
    let ada = ada(&store).await;
    let mut raw = database.connect().await;
    for round in 0..5 {
        // Several connections lie in the pool.
        let asked: Vec<_> = (0..8)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let question = question(ada, &format!("{round} {number}"));
                    store.begin_query(&question, &entry("query")).await
                })
            })
            .collect();
        for asked in asked {
            asked.await.unwrap().unwrap();
        }
        let idle = Instant::now();
        let terminate = format!("SELECT count(pg_terminate_backend(pid)) FROM {OTHERS}");
        let terminated: i64 = value(&mut raw, &terminate).await;
        assert!(terminated > 0);
        until(
            &mut raw,
            &format!("SELECT NOT EXISTS (SELECT FROM {OTHERS})"),
        )
        .await;
        // For 20 ms after its use a connection is taken to be alive; no server restarts so fast.
        while idle.elapsed() < Duration::from_millis(25) {
            tokio::task::yield_now().await;
        }
        let begun = store
            .begin_query(&question(ada, "after"), &entry("query"))
            .await;
        let id = begun.unwrap().id;
        assert!(store.query_record(id).await.unwrap().is_some());
    }
}

/// A caller that goes away in the middle leaves neither a transaction open nor a connection lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_no_transaction_open() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let settings = PostgresSettings {
        max_connections: 2,
        ..PostgresSettings::new(database.url())
    };
    let store = PostgresStore::open(&settings).await.unwrap();
    let ada = ada(&store).await;
    // What others are doing looks the same throughout a transaction, so another connection watches.
    let (mut raw, mut watching) = (database.connect().await, database.connect().await);
    let (asked, changed) = (question(ada, "How many?"), entry("password_changed"));
    let asked_entry = entry("query");
    let waiting = format!("SELECT count(*) = 2 FROM {OTHERS} AND wait_event_type = 'Lock'");
    for _ in 0..3 {
        execute(&mut raw, "BEGIN; LOCK TABLE users").await.unwrap();
        let mut both = Box::pin(async {
            tokio::join!(
                store.set_password(ada, "new", None, &changed),
                store.begin_query(&asked, &asked_entry),
            )
        });
        let started = Instant::now();
        while !value::<bool>(&mut watching, &waiting).await {
            assert!(started.elapsed().as_secs() < 10, "both wait for the table");
            assert!(futures::poll!(&mut both).is_pending());
        }
        drop(both);
        execute(&mut raw, "ROLLBACK").await.unwrap();
    }
    let idle = format!("SELECT NOT EXISTS (SELECT FROM {OTHERS} AND state <> 'idle')");
    until(&mut watching, &idle).await;
    let locks = "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')";
    until(&mut watching, locks).await;
    for _ in 0..4 {
        store.record(&entry("login_failed")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_more_callers_than_connections_all_get_their_turn() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let settings = PostgresSettings {
        max_connections: 3,
        ..PostgresSettings::new(database.url())
    };
    let store = Arc::new(PostgresStore::open(&settings).await.unwrap());
    let recording: Vec<_> = (0..200)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.record(&entry("login_failed")).await })
        })
        .collect();
    for recorded in recording {
        assert_eq!(recorded.await.unwrap(), Ok(()));
    }
    let open: i64 = value(
        &mut database.connect().await,
        &format!("SELECT count(*) FROM {OTHERS}"),
    )
    .await;
    assert!(open <= 3, "{open}");
}

/// The server goes away under load: what is asked meanwhile fails with a code, nothing is half-written, and the store
/// goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_goes_on_after_a_restart_of_the_server() {
    // Stopping the server of all tests would fail the others, so this one has its own.
    let Some(server) = OwnService::start("postgres", "TEST_DATABASE_URL") else {
        return;
    };
    let store = Arc::new(
        PostgresStore::open(&PostgresSettings::new(server.url()))
            .await
            .unwrap(),
    );
    let ada = ada(&store).await;
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let (mut begun, mut failed) = (Vec::new(), 0);
                // Until some were recorded after some had failed.
                let started = Instant::now();
                let mut after = 0;
                while after < 20 {
                    assert!(
                        started.elapsed().as_secs() < 60,
                        "the store never came back"
                    );
                    match store
                        .begin_query(&question(ada, "?"), &entry("query"))
                        .await
                    {
                        Ok(question) => {
                            begun.push(question.id);
                            after += usize::from(failed > 0);
                        }
                        Err(error) => {
                            assert_eq!(error.code(), Code::SystemStoreDown);
                            failed += 1;
                            tokio::task::yield_now().await;
                        }
                    }
                }
                begun
            })
        })
        .collect();
    server.run("down");
    server.run("up");
    let mut begun = Vec::new();
    for asker in askers {
        begun.extend(asker.await.unwrap());
    }
    for id in &begun {
        assert!(store.query_record(*id).await.unwrap().is_some(), "{id}");
    }
    // Every row has its entry, also of questions whose reply was lost.
    let options: sqlx::postgres::PgConnectOptions = server.url().parse().unwrap();
    let mut raw = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let unmatched = "SELECT count(*) FROM queries FULL JOIN (SELECT * FROM audit_logs WHERE action = 'query') AS entries
                     ON entries.resource_id = queries.id WHERE queries.id IS NULL OR entries.id IS NULL";
    assert_eq!(value::<i64>(&mut raw, unmatched).await, 0);
    store.seal(&sealing_key(), at(1)).await.unwrap();
    let page = store
        .audit_entries(&AuditFilter::default(), PageRequest::first(1))
        .await;
    assert_eq!(page.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_the_password() {
    let settings = PostgresSettings::new("postgres://someone:s3cret@127.0.0.1:1/store");
    let error = PostgresStore::open(&settings).await.err().unwrap();
    assert_eq!(error.code(), Code::SystemStoreDown);
    assert!(
        error
            .message()
            .contains("`store` at 127.0.0.1:1 as `someone`"),
        "{error}"
    );
    assert!(error.hint().is_some());
    assert!(!format!("{error:?} {settings:?}").contains("s3cret"));
    let settings = PostgresSettings::new("s3cret that is no URL");
    let error = PostgresStore::open(&settings).await.err().unwrap();
    assert_eq!(error.code(), Code::InvalidSetting);
    assert!(!format!("{error:?} {settings:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_database_are_told_apart() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let wrong = PostgresSettings::new(database.url_of("postgres", "wrong"));
    let error = PostgresStore::open(&wrong).await.err().unwrap();
    assert!(error.hint().unwrap().contains("password"), "{error}");
    let missing = database.url().replace(database.name(), "nowhere");
    let error = PostgresStore::open(&PostgresSettings::new(missing)).await;
    let error = error.err().unwrap();
    assert!(error.hint().unwrap().contains("createdb"), "{error}");
}
