//! Three acts make their entry that of a user who exists, so no user that is missing can make it fail. Here the database
//! itself is told to refuse entries of one action, by someone in it, and the acts must leave nothing behind.

use rusqlite::Connection;

use super::rollback::{everything, invitation};
use super::*;

/// The action whose entries are refused.
const REFUSED: &str = "refused";

async fn a_failing_entry_rolls_back_the_acts_of_no_user_yet(
    store: Store,
    refuse: impl AsyncFnOnce(),
) {
    let bad = entry(REFUSED);
    refuse().await;
    let first = new_user("first@x", Role::Admin);
    assert_eq!(
        code(store.create_first_admin(&first, &bad).await),
        Some(Code::SystemStoreDown)
    );
    assert_eq!(store.user_by_email("first@x").await, Ok(None));
    let created = store.create_first_admin(&first, &entry("created")).await;
    let admin = created.unwrap().expect("there is none yet");

    log_in(&store, admin, "first").await;
    let good = entry("done");
    let begun = store.begin_password_reset(admin, "reset", at(60), &good);
    begun.await.unwrap();
    let eve = invitation("eve@x", "eve");
    store.create_invitation(&eve, &good).await.unwrap();
    let before = everything(&store).await;
    let reset = store.reset_password("reset", "changed", &bad).await;
    assert_eq!(code(reset), Some(Code::SystemStoreDown));
    assert_eq!(everything(&store).await, before);
    let accepted = store.accept_invitation("eve", "hash", "Eve", &bad).await;
    assert_eq!(code(accepted), Some(Code::SystemStoreDown));
    assert_eq!(everything(&store).await, before);
    assert!(is_live(&store, "first").await);

    // Both letters are still good.
    let reset = store.reset_password("reset", "changed", &good).await;
    assert_eq!(reset, Ok(Some(admin)));
    let accepted = store.accept_invitation("eve", "hash", "Eve", &good).await;
    assert!(matches!(accepted, Ok(Some(_))), "{accepted:?}");
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("system.db");
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    a_failing_entry_rolls_back_the_acts_of_no_user_yet(store, async || {
        let trigger = format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON audit_logs WHEN NEW.action = '{REFUSED}'
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        );
        Connection::open(&path)
            .unwrap()
            .execute_batch(&trigger)
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn on_postgres() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let store = Arc::new(database.store().await);
    a_failing_entry_rolls_back_the_acts_of_no_user_yet(store, async || {
        let trigger = format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON audit_logs FOR EACH ROW WHEN (NEW.action = '{REFUSED}')
             EXECUTE FUNCTION refuse()"
        );
        let mut raw = database.connect().await;
        services::execute(&mut raw, &trigger).await.unwrap();
    })
    .await;
}
