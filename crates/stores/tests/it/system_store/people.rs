//! Users, their password resets and invitations.

use engine::accounts::{NewInvitation, UserChange, UserFilter};

use super::*;

pub async fn the_first_administrator_is_created_once(store: Store) {
    let first = new_user("ada@example.org", Role::Admin);
    let id = store
        .create_first_admin(&first, &entry("user_created"))
        .await
        .unwrap()
        .unwrap();
    let second = new_user("eve@example.org", Role::Admin);
    let outcome = store
        .create_first_admin(&second, &entry("user_created"))
        .await;
    assert_eq!(outcome, Ok(None));
    assert_eq!(store.user_by_email("eve@example.org").await, Ok(None));
    assert_eq!(store.user(id).await.unwrap().unwrap().role, Role::Admin);
    let entries = entries(&store).await;
    assert_eq!(entries.len(), 1, "who changed nothing left no entry");
    assert_eq!(
        (entries[0].user_id, entries[0].resource_id),
        (Some(id), Some(id))
    );
}

pub async fn first_administrators_created_at_once_are_one(store: Store) {
    let created = at_once(10, |number| {
        let store = store.clone();
        async move {
            let user = new_user(&format!("{number}@example.org"), Role::Admin);
            store
                .create_first_admin(&user, &entry("user_created"))
                .await
                .unwrap()
        }
    })
    .await;
    assert_eq!(created.iter().flatten().count(), 1);
    assert_eq!(actions(&store).await, ["user_created"]);
}

pub async fn an_entry_without_a_user_becomes_the_new_users_own(store: Store) {
    let ada = ada(&store).await;
    assert_eq!(last_entry(&store).await.user_id, Some(ada));
    let by_ada = AuditEntry {
        user_id: Some(ada),
        ..entry_at("user_created", 7)
    };
    let eve = store
        .create_user(&new_user("eve@example.org", Role::Viewer), &by_ada)
        .await
        .unwrap();
    let last = last_entry(&store).await;
    assert_eq!((last.user_id, last.resource_id), (Some(ada), Some(eve)));
    let eve = store.user(eve).await.unwrap().unwrap();
    assert_eq!((eve.created_at, eve.updated_at), (at(7), at(7)));
    assert!(eve.is_active);
    assert_eq!((eve.last_login, eve.last_query_at), (None, None));
}

pub async fn an_address_is_taken_in_any_case(store: Store) {
    let ada = ada(&store).await;
    let found = store.user_by_email("ADA@example.ORG").await.unwrap();
    let found = found.unwrap();
    assert_eq!((found.id, found.email.as_str()), (ada, "Ada@Example.org"));
    let again = store
        .create_user(
            &new_user("aDA@example.org", Role::Viewer),
            &entry("user_created"),
        )
        .await;
    assert_eq!(code(again), Some(Code::EmailTaken));
    let codes = at_once(20, |number| {
        let store = store.clone();
        async move {
            let email = if number % 2 == 0 { "eve@x" } else { "EVE@X" };
            let user = new_user(email, Role::Viewer);
            code(store.create_user(&user, &entry("user_created")).await)
        }
    })
    .await;
    let taken = codes.iter().flatten().collect::<Vec<_>>();
    assert_eq!(taken, [&Code::EmailTaken; 19]);
    assert_eq!(actions(&store).await.len(), 2);
}

pub async fn users_are_filtered_and_listed_newest_first(store: Store) {
    let ada = ada(&store).await;
    let bob = user(&store, "bob_1@example.org", Role::Viewer).await;
    let eve = user(&store, "o'eve%@example.org", Role::Viewer).await;
    change(&store, bob, |change| change.is_active = Some(false)).await;
    let check = async |filter: UserFilter, expected: &[UserId]| {
        let page = store.users(&filter, first_page()).await.unwrap();
        let ids: Vec<UserId> = page.items.iter().map(|user| user.id).collect();
        assert_eq!(ids, expected, "{filter:?}");
    };
    check(UserFilter::default(), &[eve, bob, ada]).await;
    let role = |role| UserFilter {
        role: Some(role),
        ..UserFilter::default()
    };
    check(role(Role::Viewer), &[eve, bob]).await;
    check(role(Role::Analyst), &[]).await;
    let active = |is_active| UserFilter {
        is_active: Some(is_active),
        ..UserFilter::default()
    };
    check(active(true), &[eve, ada]).await;
    check(active(false), &[bob]).await;
    let search = |text: &str| UserFilter {
        search: Some(text.into()),
        ..UserFilter::default()
    };
    check(search("EXAMPLE"), &[eve, bob, ada]).await;
    check(search("%"), &[eve]).await;
    check(search("_"), &[bob]).await;
    check(search("O'E"), &[eve]).await;
    check(search("\\"), &[]).await;
    let both = UserFilter {
        role: Some(Role::Viewer),
        is_active: Some(true),
        search: Some("example".into()),
    };
    check(both, &[eve]).await;
}

pub async fn pages_join_while_users_are_added(store: Store) {
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(user(&store, &format!("{number}@x"), Role::Viewer).await);
    }
    ids.reverse();
    let mut read = Vec::new();
    let mut request = PageRequest::first(3);
    loop {
        let page = store.users(&UserFilter::default(), request).await.unwrap();
        assert!(page.items.len() <= 3);
        read.extend(page.items.iter().map(|user| user.id));
        user(&store, &format!("late-{}@x", read.len()), Role::Viewer).await;
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(read, ids);
    let all = PageRequest::first(10);
    let page = store.users(&UserFilter::default(), all).await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor), (10, None));
}

pub async fn a_change_of_a_user_is_recorded_with_before_and_after(store: Store) {
    let ada = ada(&store).await;
    let bob = user(&store, "bob@x", Role::Viewer).await;
    let changed = store
        .change_user(
            bob,
            &UserChange {
                role: Some(Role::Analyst),
                ..UserChange::default()
            },
            &AuditEntry {
                user_id: Some(ada),
                ..entry_at("user_changed", 5)
            },
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (changed.role, changed.updated_at, changed.created_at),
        (Role::Analyst, at(5), at(0))
    );
    assert_eq!(store.user(bob).await, Ok(Some(changed)));
    let last = last_entry(&store).await;
    assert_eq!((last.user_id, last.resource_id), (Some(ada), Some(bob)));
    assert_eq!(
        last.changes,
        json!({ "before": { "role": "viewer" }, "after": { "role": "analyst" } })
    );
    let missing = store
        .change_user(999, &UserChange::default(), &entry("user_changed"))
        .await;
    assert_eq!(missing, Ok(None));
    assert_eq!(actions(&store).await.len(), 3);
}

pub async fn one_active_administrator_stays(store: Store) {
    let ada = ada(&store).await;
    let retired = user(&store, "retired@x", Role::Admin).await;
    change(&store, retired, |change| change.is_active = Some(false)).await;
    let demotion = UserChange {
        role: Some(Role::Viewer),
        ..UserChange::default()
    };
    let deactivation = UserChange {
        is_active: Some(false),
        ..UserChange::default()
    };
    for change in [&demotion, &deactivation] {
        let refused = store.change_user(ada, change, &entry("user_changed")).await;
        assert_eq!(code(refused), Some(Code::LastAdmin));
    }
    assert!(store.user(ada).await.unwrap().unwrap().is_active);

    let mut admins = vec![ada];
    for number in 0..5 {
        admins.push(user(&store, &format!("{number}@x"), Role::Admin).await);
    }
    let codes = at_once(admins.len(), |number| {
        let (store, id) = (store.clone(), admins[number]);
        let change = if number % 2 == 0 {
            &demotion
        } else {
            &deactivation
        };
        let change = change.clone();
        async move { code(store.change_user(id, &change, &entry("user_changed")).await) }
    })
    .await;
    let refused: Vec<_> = codes.into_iter().flatten().collect();
    assert_eq!(refused, [Code::LastAdmin], "all but one");
    let active_admins = UserFilter {
        role: Some(Role::Admin),
        is_active: Some(true),
        search: None,
    };
    let left = store.users(&active_admins, first_page()).await.unwrap();
    assert_eq!(left.items.len(), 1);
}

pub async fn deactivation_ends_sessions_and_revokes_keys(store: Store) {
    ada(&store).await;
    let bob = user(&store, "bob@x", Role::Viewer).await;
    log_in(&store, bob, "bob").await;
    let id = store
        .create_api_key(&key(bob, "key", Role::Viewer), &entry("api_key_created"))
        .await
        .unwrap();
    change(&store, bob, |change| change.is_active = Some(false)).await;
    assert!(!is_live(&store, "bob").await);
    assert_eq!(store.api_key_actor("key", at(1)).await, Ok(None));
    change(&store, bob, |change| change.is_active = Some(true)).await;
    assert!(!is_live(&store, "bob").await, "what ended stays so");
    assert_eq!(store.api_key_actor("key", at(1)).await, Ok(None));
    let keys = store.api_keys(bob, first_page()).await.unwrap().items;
    assert_eq!((keys[0].id, keys[0].revoked_at), (id, Some(at(0))));
}

pub async fn a_new_password_ends_the_other_sessions_and_open_letters(store: Store) {
    let ada = ada(&store).await;
    for name in ["this", "other"] {
        log_in(&store, ada, name).await;
    }
    let wished = entry("password_reset_requested");
    store
        .begin_password_reset(ada, "letter", at(60), &wished)
        .await
        .unwrap();
    let changed = entry_at("password_changed", 1);
    let outcome = store.set_password(ada, "new", Some("this"), &changed).await;
    assert_eq!(outcome, Ok(true));
    let whose = store.password_reset_user("letter", at(1)).await;
    assert_eq!(whose, Ok(None), "a letter from before is good for nothing");
    assert!(is_live(&store, "this").await);
    assert!(!is_live(&store, "other").await);
    let user = store.user(ada).await.unwrap().unwrap();
    assert_eq!(
        (user.password_hash.as_str(), user.updated_at),
        ("new", at(1))
    );
    let last = last_entry(&store).await;
    assert_eq!((last.resource_id, last.changes), (Some(ada), json!({})));
    assert_eq!(store.set_password(ada, "x", None, &changed).await, Ok(true));
    assert!(!is_live(&store, "this").await);
    let entries = actions(&store).await.len();
    let missing = store.set_password(999, "x", None, &changed).await;
    assert_eq!(missing, Ok(false));
    assert_eq!(actions(&store).await.len(), entries);
}

pub async fn a_reset_token_works_once(store: Store) {
    let ada = ada(&store).await;
    log_in(&store, ada, "session").await;
    store
        .begin_password_reset(ada, "token", at(60), &entry("password_reset_requested"))
        .await
        .unwrap();
    assert_eq!(last_entry(&store).await.resource_id, Some(ada));
    let whose = store.password_reset_user("token", at(59)).await.unwrap();
    assert_eq!(whose.map(|user| user.id), Some(ada));
    let done = at_once(10, |number| {
        let store = store.clone();
        let hash = format!("new-{number}");
        async move {
            store
                .reset_password("token", &hash, &entry_at("password_reset", 1))
                .await
                .unwrap()
        }
    })
    .await;
    let winner = done.iter().position(Option::is_some).unwrap();
    assert_eq!(done.iter().flatten().collect::<Vec<_>>(), [&ada]);
    let user = store.user(ada).await.unwrap().unwrap();
    assert_eq!(user.password_hash, format!("new-{winner}"));
    assert!(!is_live(&store, "session").await);
    assert_eq!(store.password_reset_user("token", at(2)).await, Ok(None));
    let last = last_entry(&store).await;
    assert_eq!((last.user_id, last.resource_id), (Some(ada), Some(ada)));
    let resets = actions(&store).await;
    let resets = resets.iter().filter(|action| *action == "password_reset");
    assert_eq!(resets.count(), 1);
}

pub async fn only_the_latest_live_token_of_an_active_user_resets_a_password(store: Store) {
    ada(&store).await;
    let bob = user(&store, "bob@x", Role::Viewer).await;
    let begin = async |token: &str| {
        let requested = entry("password_reset_requested");
        let begun = store.begin_password_reset(bob, token, at(60), &requested);
        begun.await.unwrap();
    };
    let reset = async |token: &str, seconds| {
        let entry = entry_at("password_reset", seconds);
        store.reset_password(token, "new", &entry).await.unwrap()
    };
    begin("first").await;
    begin("second").await;
    assert_eq!(reset("first", 1).await, None, "replaced");
    assert_eq!(reset("unknown", 1).await, None);
    assert_eq!(reset("second", 60).await, None, "expired");
    assert_eq!(store.password_reset_user("second", at(60)).await, Ok(None));
    change(&store, bob, |change| change.is_active = Some(false)).await;
    assert_eq!(reset("second", 1).await, None, "inactive");
    change(&store, bob, |change| change.is_active = Some(true)).await;
    assert!(!actions(&store).await.contains(&"password_reset".to_owned()));
    assert_eq!(reset("second", 59).await, Some(bob));
}

pub async fn an_invitation_becomes_a_user_once(store: Store) {
    let ada = ada(&store).await;
    let by_ada = AuditEntry {
        user_id: Some(ada),
        ..entry("user_invited")
    };
    let id = store
        .create_invitation(&invitation("Bob@x", "token"), &by_ada)
        .await
        .unwrap();
    assert_eq!(last_entry(&store).await.resource_id, Some(id));
    let open = store.invitation("token", at(59)).await.unwrap().unwrap();
    assert_eq!(
        (open.id, open.email.as_str(), open.role, open.invited_by),
        (id, "Bob@x", Role::Analyst, Some(ada))
    );
    assert_eq!(store.invitation("token", at(60)).await, Ok(None), "expired");
    assert_eq!(accept(&store, "token", 60).await, Ok(None));
    let accepted = at_once(10, |_| {
        let store = store.clone();
        async move { accept(&store, "token", 1).await.unwrap() }
    })
    .await;
    let accepted: Vec<_> = accepted.into_iter().flatten().collect();
    assert_eq!(accepted.len(), 1);
    let bob = store.user(accepted[0]).await.unwrap().unwrap();
    assert_eq!(
        (bob.email.as_str(), bob.full_name.as_str(), bob.role),
        ("Bob@x", "Bob", Role::Analyst)
    );
    let last = last_entry(&store).await;
    assert_eq!(
        (last.user_id, last.resource_id),
        (Some(bob.id), Some(bob.id))
    );
    let listed = store.invitations(first_page()).await.unwrap().items;
    assert_eq!(listed[0].accepted_at, Some(at(1)));
    let withdrawn = store
        .withdraw_invitation(id, &entry("invitation_withdrawn"))
        .await;
    assert_eq!(withdrawn, Ok(false), "it was accepted");
}

pub async fn only_the_latest_open_invitation_can_be_accepted(store: Store) {
    let invite = async |email: &str, token: &str| {
        let invited = entry("user_invited");
        let invitation = invitation(email, token);
        let created = store.create_invitation(&invitation, &invited);
        created.await.unwrap()
    };
    let first = invite("bob@x", "first").await;
    let other = invite("eve@x", "other").await;
    let second = invite("BOB@x", "second").await;
    assert_eq!(accept(&store, "first", 1).await, Ok(None), "replaced");
    let withdraw = async |id| {
        let entry = entry_at("invitation_withdrawn", 2);
        store.withdraw_invitation(id, &entry).await.unwrap()
    };
    assert!(!withdraw(first).await, "it is not open");
    assert!(withdraw(second).await);
    assert_eq!(last_entry(&store).await.resource_id, Some(second));
    assert!(!withdraw(second).await);
    assert!(!withdraw(999).await);
    assert_eq!(accept(&store, "second", 3).await, Ok(None), "withdrawn");
    assert!(accept(&store, "other", 3).await.unwrap().is_some());
    let listed = store.invitations(PageRequest::first(2)).await.unwrap();
    let ids: Vec<i64> = listed
        .items
        .iter()
        .map(|invitation| invitation.id)
        .collect();
    assert_eq!(
        (ids, listed.next_cursor),
        (vec![second, other], Some(other))
    );
    assert_eq!(listed.items[0].withdrawn_at, Some(at(2)));
}

pub async fn an_address_with_a_user_is_not_invited(store: Store) {
    ada(&store).await;
    let invited = entry("user_invited");
    let taken = store
        .create_invitation(&invitation("ADA@example.org", "token"), &invited)
        .await;
    assert_eq!(code(taken), Some(Code::EmailTaken));
    store
        .create_invitation(&invitation("bob@x", "token"), &invited)
        .await
        .unwrap();
    user(&store, "Bob@x", Role::Viewer).await;
    let accepted = accept(&store, "token", 1).await;
    assert_eq!(code(accepted), Some(Code::EmailTaken));
    assert!(
        store.invitation("token", at(1)).await.unwrap().is_some(),
        "it is still open"
    );
}

fn invitation(email: &str, token_hash: &str) -> NewInvitation {
    NewInvitation {
        email: Email::parse(email).unwrap(),
        role: Role::Analyst,
        token_hash: token_hash.into(),
        expires_at: at(60),
    }
}

async fn accept(store: &Store, token: &str, seconds: i64) -> Result<Option<UserId>, Error> {
    let accepted = entry_at("invitation_accepted", seconds);
    store
        .accept_invitation(token, "hash", "Bob", &accepted)
        .await
}

async fn change(store: &Store, id: UserId, set: impl FnOnce(&mut UserChange)) {
    let mut change = UserChange::default();
    set(&mut change);
    store
        .change_user(id, &change, &entry("user_changed"))
        .await
        .unwrap()
        .unwrap();
}
