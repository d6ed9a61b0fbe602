//! Sessions, their refresh secrets, and API keys.

use engine::accounts::{Actor, NewInvitation, Rotated, Rotation, UserChange};
use engine::jobs::Purged;

use super::*;

pub async fn a_session_lives_until_it_ends_or_expires(store: Store) {
    let ada = ada(&store).await;
    let short = NewSession {
        expires_at: at(10),
        ..session(ada, "short")
    };
    store
        .create_session(&short, &entry_at("login", 3))
        .await
        .unwrap();
    log_in(&store, ada, "long").await;
    let actor = async |name: &str, seconds| store.session_actor(name, at(seconds)).await.unwrap();
    let expected = Some(Actor {
        user_id: ada,
        role: Role::Admin,
    });
    assert_eq!(actor("short", 9).await, expected);
    assert_eq!(actor("short", 10).await, None);
    assert_eq!(actor("other", 0).await, None);
    assert_eq!(actor("long", 3_599).await, expected);
    store.end_session("long", &entry("logout")).await.unwrap();
    assert_eq!(actor("long", 0).await, None);
    assert_eq!(
        actions(&store).await,
        ["user_created", "login", "login", "logout"]
    );
}

pub async fn ending_a_session_that_is_over_records_the_attempt(store: Store) {
    let ada = ada(&store).await;
    let login = entry_at("login", 3);
    store
        .create_session(&session(ada, "one"), &login)
        .await
        .unwrap();
    let user = store.user(ada).await.unwrap().unwrap();
    assert_eq!(user.last_login, Some(at(3)));
    for name in ["one", "one", "unknown"] {
        store.end_session(name, &entry("logout")).await.unwrap();
    }
    assert_eq!(
        actions(&store).await,
        ["user_created", "login", "logout", "logout", "logout"]
    );
}

pub async fn all_sessions_of_a_user_end_at_once(store: Store) {
    let (ada, bob) = (ada(&store).await, user(&store, "bob@x", Role::Viewer).await);
    for name in ["a", "b", "over"] {
        log_in(&store, ada, name).await;
    }
    log_in(&store, bob, "bob").await;
    let expired = NewSession {
        expires_at: at(1),
        ..session(ada, "expired")
    };
    store
        .create_session(&expired, &entry("login"))
        .await
        .unwrap();
    store.end_session("over", &entry("logout")).await.unwrap();
    let everywhere = entry_at("logout_everywhere", 1);
    assert_eq!(store.end_all_sessions(ada, &everywhere).await, Ok(2));
    assert_eq!(last_entry(&store).await.resource_id, Some(ada));
    for (name, expected) in [("a", false), ("b", false), ("bob", true)] {
        assert_eq!(is_live(&store, name).await, expected, "{name}");
    }
    assert_eq!(store.end_all_sessions(ada, &everywhere).await, Ok(0));
}

pub async fn what_is_over_is_purged_and_what_lives_stays(store: Store) {
    let ada = ada(&store).await;
    for name in ["live", "ended", "ended late"] {
        log_in(&store, ada, name).await;
    }
    let expired = NewSession {
        expires_at: at(50),
        ..session(ada, "expired")
    };
    let login = entry("login");
    store.create_session(&expired, &login).await.unwrap();
    let logout = |seconds| entry_at("logout", seconds);
    store.end_session("ended", &logout(10)).await.unwrap();
    store.end_session("ended late", &logout(100)).await.unwrap();
    for (email, token, until) in [("bob@x", "bob", 50), ("eve@x", "eve", 200)] {
        let invitation = NewInvitation {
            email: Email::parse(email).unwrap(),
            role: Role::Viewer,
            token_hash: token.into(),
            expires_at: at(until),
        };
        let entry = entry("invited");
        let invited = store.create_invitation(&invitation, &entry);
        invited.await.unwrap();
    }
    for (token, until) in [("first", 200), ("second", 200)] {
        let entry = entry("forgot");
        let begun = store.begin_password_reset(ada, token, at(until), &entry);
        begun.await.unwrap();
    }

    let purged = store.purge_over(at(100), &entry_at("purged", 500)).await;
    let expected = Purged {
        sessions: 2,
        refresh_tokens: 2,
        invitations: 1,
        password_resets: 1,
    };
    assert_eq!(purged.unwrap(), expected);
    let recorded = last_entry(&store).await;
    assert_eq!(recorded.action, "purged");
    assert_eq!(recorded.changes["deleted"], json!(expected));
    assert!(is_live(&store, "live").await);
    let open = store.invitation("eve", at(150)).await.unwrap();
    assert!(open.is_some());
    assert_eq!(
        store.invitations(first_page()).await.unwrap().items.len(),
        1
    );
    let reset = store.password_reset_user("second", at(150)).await.unwrap();
    assert!(reset.is_some());
    let again = store.purge_over(at(100), &entry_at("purged", 501)).await;
    assert_eq!(again.unwrap(), Purged::default());
    let last = last_entry(&store).await;
    assert_eq!(last, recorded, "nothing was done, so nothing is recorded");

    // The tokens of a live session that nobody can use any longer go too; the session stays.
    let later = store
        .purge_over(at(1_000), &entry_at("purged", 1_001))
        .await;
    let expected = Purged {
        sessions: 1,
        refresh_tokens: 2,
        invitations: 1,
        password_resets: 1,
    };
    assert_eq!(later.unwrap(), expected);
    assert!(is_live(&store, "live").await);
}

pub async fn a_session_shows_the_role_of_now(store: Store) {
    ada(&store).await;
    let bob = user(&store, "bob@x", Role::Analyst).await;
    log_in(&store, bob, "bob").await;
    let demotion = UserChange {
        role: Some(Role::Viewer),
        ..UserChange::default()
    };
    store
        .change_user(bob, &demotion, &entry("user_changed"))
        .await
        .unwrap();
    let actor = store.session_actor("bob", at(1)).await.unwrap();
    assert_eq!(actor.map(|actor| actor.role), Some(Role::Viewer));
}

pub async fn a_refresh_secret_is_exchanged_for_the_next(store: Store) {
    let ada = ada(&store).await;
    log_in(&store, ada, "s").await;
    let fresh = Rotated::Fresh(Actor {
        user_id: ada,
        role: Role::Admin,
    });
    for number in 1..4 {
        let rotated = rotate(&store, "s", number, number + 1, 100 * i64::from(number)).await;
        assert_eq!(rotated, fresh);
    }
    let last = last_entry(&store).await;
    assert_eq!(
        (last.action.as_str(), last.user_id),
        ("token_refreshed", Some(ada))
    );
    assert!(is_live(&store, "s").await);
    assert_eq!(actions(&store).await.len(), 5);
}

pub async fn a_used_refresh_secret_is_good_within_the_leeway(store: Store) {
    let ada = ada(&store).await;
    log_in(&store, ada, "s").await;
    let rotated = at_once(8, |number| {
        let (store, next) = (store.clone(), u32::try_from(number).unwrap() + 10);
        async move { rotate(&store, "s", 1, next, 100).await }
    })
    .await;
    assert!(
        rotated
            .iter()
            .all(|rotated| matches!(rotated, Rotated::Fresh(_))),
        "{rotated:?}"
    );
    let late = rotate(&store, "s", 1, 30, 110).await;
    assert!(matches!(late, Rotated::Fresh(_)), "to the last moment");
    for next in [10, 17, 30] {
        let rotated = rotate(&store, "s", next, next + 100, 120).await;
        assert!(matches!(rotated, Rotated::Fresh(_)), "each of them is good");
    }
}

pub async fn a_reused_refresh_secret_ends_the_session(store: Store) {
    let ada = ada(&store).await;
    log_in(&store, ada, "s").await;
    log_in(&store, ada, "other").await;
    rotate(&store, "s", 1, 2, 100).await;
    rotate(&store, "s", 1, 3, 105).await;
    let reused = rotate(&store, "s", 1, 4, 111).await;
    assert_eq!(
        reused,
        Rotated::Reused,
        "the leeway runs from the first use"
    );
    let last = last_entry(&store).await;
    assert_eq!(
        (last.action.as_str(), last.user_id),
        ("refresh_token_reused", Some(ada))
    );
    assert!(!is_live(&store, "s").await);
    assert!(is_live(&store, "other").await);
    let entries = actions(&store).await.len();
    for secret in [1, 2, 3, 4] {
        let rotated = rotate(&store, "s", secret, 5, 112).await;
        assert_eq!(rotated, Rotated::Unknown, "the session is over");
    }
    assert_eq!(actions(&store).await.len(), entries);
}

pub async fn a_refresh_secret_that_is_not_live_changes_nothing(store: Store) {
    ada(&store).await;
    let bob = user(&store, "bob@x", Role::Viewer).await;
    for name in ["s", "other", "over"] {
        log_in(&store, bob, name).await;
    }
    let short = NewSession {
        expires_at: at(50),
        ..session(bob, "short")
    };
    store.create_session(&short, &entry("login")).await.unwrap();
    store.end_session("over", &entry("logout")).await.unwrap();
    let entries = actions(&store).await.len();
    let unknown = async |name: &str, secret, seconds, why: &str| {
        let rotated = rotate(&store, name, secret, 2, seconds).await;
        assert_eq!(rotated, Rotated::Unknown, "{why}");
    };
    unknown("s", 7, 1, "no such secret").await;
    unknown("s", 1, 600, "the secret expired").await;
    unknown("short", 1, 50, "the session expired").await;
    unknown("over", 1, 1, "the session ended").await;
    let of_other = Rotation {
        token_hash: "other".into(),
        ..rotation("s", 1, 2, 1)
    };
    let refreshed = entry_at("token_refreshed", 1);
    let rotated = store.rotate_refresh_token(&of_other, &refreshed).await;
    assert_eq!(rotated, Ok(Rotated::Unknown), "it is of another session");
    assert_eq!(actions(&store).await.len(), entries);
    let rotated = rotate(&store, "s", 1, 2, 1).await;
    assert!(matches!(rotated, Rotated::Fresh(_)), "it is still unused");
    let deactivation = UserChange {
        is_active: Some(false),
        ..UserChange::default()
    };
    store
        .change_user(bob, &deactivation, &entry("user_changed"))
        .await
        .unwrap();
    unknown("s", 2, 2, "the user is inactive").await;
}

pub async fn a_key_has_the_lower_role(store: Store) {
    for (number, (of_user, of_key, expected)) in [
        (Role::Admin, Role::Viewer, Role::Viewer),
        (Role::Viewer, Role::Admin, Role::Viewer),
        (Role::Analyst, Role::Analyst, Role::Analyst),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("key-{number}");
        let id = user(&store, &format!("{number}@x"), of_user).await;
        let created = entry("api_key_created");
        let key_id = store
            .create_api_key(&key(id, &name, of_key), &created)
            .await
            .unwrap();
        assert_eq!(last_entry(&store).await.resource_id, Some(key_id));
        let actor = store.api_key_actor(&name, at(1)).await;
        let expected = Actor {
            user_id: id,
            role: expected,
        };
        assert_eq!(actor, Ok(Some(expected)));
    }
    assert_eq!(store.api_key_actor("other", at(1)).await, Ok(None));
}

pub async fn a_key_lives_until_it_is_revoked_or_expires(store: Store) {
    let (ada, bob) = (ada(&store).await, user(&store, "bob@x", Role::Viewer).await);
    let create = async |name: &str, expires_at| {
        let new = NewApiKey {
            expires_at,
            ..key(ada, name, Role::Viewer)
        };
        let created = entry("api_key_created");
        store.create_api_key(&new, &created).await.unwrap()
    };
    let forever = create("forever", None).await;
    let short = create("short", Some(at(10))).await;
    let actor = async |name: &str, seconds| {
        let actor = store.api_key_actor(name, at(seconds)).await.unwrap();
        actor.is_some()
    };
    assert!(actor("short", 9).await);
    assert!(!actor("short", 10).await);
    assert!(actor("forever", 1_000_000).await);
    let revoke = async |user_id, id| {
        let revoked = entry_at("api_key_revoked", 20);
        store.revoke_api_key(user_id, id, &revoked).await.unwrap()
    };
    assert!(!revoke(bob, forever).await, "it is not his");
    assert!(actor("forever", 20).await);
    assert!(revoke(ada, forever).await);
    assert_eq!(last_entry(&store).await.resource_id, Some(forever));
    assert!(!actor("forever", 20).await);
    assert!(!revoke(ada, forever).await, "it is revoked already");
    assert!(!revoke(ada, short).await, "it has expired");
    assert_eq!(actions(&store).await.len(), 5);
}

pub async fn the_use_of_a_key_is_noted_once_a_minute(store: Store) {
    let ada = ada(&store).await;
    store
        .create_api_key(&key(ada, "key", Role::Viewer), &entry("api_key_created"))
        .await
        .unwrap();
    for (seconds, expected) in [(1, 1), (30, 1), (60, 1), (61, 61), (500, 500)] {
        store.api_key_actor("key", at(seconds)).await.unwrap();
        let keys = store.api_keys(ada, first_page()).await.unwrap().items;
        assert_eq!(keys[0].last_used_at, Some(at(expected)), "at {seconds} s");
    }
    assert_eq!(actions(&store).await.len(), 2, "using a key is no change");
}

pub async fn keys_are_listed_for_their_owner(store: Store) {
    let (ada, bob) = (ada(&store).await, user(&store, "bob@x", Role::Viewer).await);
    let mut ids = Vec::new();
    for (owner, name) in [(ada, "1"), (bob, "2"), (ada, "3"), (ada, "4")] {
        let new = NewApiKey {
            name: format!("named {name}"),
            expires_at: Some(at(5)),
            ..key(owner, name, Role::Analyst)
        };
        let created = entry("api_key_created");
        ids.push(store.create_api_key(&new, &created).await.unwrap());
    }
    let page = store.api_keys(ada, PageRequest::first(2)).await.unwrap();
    let listed: Vec<i64> = page.items.iter().map(|key| key.id).collect();
    assert_eq!(
        (listed, page.next_cursor),
        (vec![ids[3], ids[2]], Some(ids[2]))
    );
    let key = &page.items[0];
    assert_eq!(
        (key.name.as_str(), key.scope, key.user_id),
        ("named 4", Role::Analyst, ada)
    );
    assert_eq!(
        (
            key.created_at,
            key.expires_at,
            key.revoked_at,
            key.last_used_at
        ),
        (at(0), Some(at(5)), None, None)
    );
    let rest = PageRequest {
        cursor: page.next_cursor,
        limit: 2,
    };
    let page = store.api_keys(ada, rest).await.unwrap();
    assert_eq!((page.items[0].id, page.next_cursor), (ids[0], None));
}

/// Exchanges secret `from` of a session for secret `to`, each good for 500 seconds, with a leeway of ten.
fn rotation(name: &str, from: u32, to: u32, seconds: i64) -> Rotation {
    Rotation {
        token_hash: name.into(),
        refresh_hash: format!("{name}-{from}"),
        next_hash: format!("{name}-{to}"),
        next_expires_at: at(seconds + 500),
        leeway: TimeDelta::seconds(10),
    }
}

async fn rotate(store: &Store, name: &str, from: u32, to: u32, seconds: i64) -> Rotated {
    let refreshed = entry_at("token_refreshed", seconds);
    store
        .rotate_refresh_token(&rotation(name, from, to, seconds), &refreshed)
        .await
        .unwrap()
}
