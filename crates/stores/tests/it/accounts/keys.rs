use chrono::TimeDelta;
use engine::Code;
use engine::accounts::{
    Credential, Registration, UserChange, administration, api_keys, logging_in,
};
use engine::policy::Role;
use engine::ports::Clock;

use super::world::{PASSWORD, World, code, of_session};

#[tokio::test]
async fn a_key_acts_for_its_owner_within_its_scope_until_it_is_revoked() {
    let world = World::new(Registration::Closed);
    let ada = world.user("ada@example.org", Role::Analyst).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let (ports, credential) = (&world.ports, of_session(&session));
    let (stored, key) = api_keys::create(ports, &ada, &credential, " report ", Role::Viewer, None)
        .await
        .unwrap();
    assert!(key.reveal().starts_with("assay_"));
    assert_eq!(key.reveal().len(), "assay_".len() + 43);
    assert_eq!(stored.name, "report");
    let actor = api_keys::actor_of_key(ports, &key).await.unwrap();
    assert_eq!((actor.user_id, actor.role), (ada.user_id, Role::Viewer));

    let bob = world.user("bob@example.org", Role::Admin).await;
    let of_another = api_keys::revoke(ports, &bob, &credential, stored.id).await;
    assert_eq!(code(of_another), Code::NotFound);
    api_keys::revoke(ports, &ada, &credential, stored.id)
        .await
        .unwrap();
    let revoked = api_keys::actor_of_key(ports, &key).await;
    assert_eq!(code(revoked), Code::SessionExpired);
    let recorded = serde_json::to_string(&world.audit().await).unwrap();
    assert!(!recorded.contains(key.reveal()) && !recorded.contains(&key.hash()));
    let actions = world.actions().await;
    assert!(actions.ends_with(&[
        "api_key_created".into(),
        "user_created".into(),
        "api_key_revoked".into()
    ]));
}

#[tokio::test]
async fn a_key_is_never_above_its_owner_and_cannot_make_itself_last() {
    let world = World::new(Registration::Closed);
    let ada = world.user("ada@example.org", Role::Viewer).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let (ports, credential) = (&world.ports, of_session(&session));
    let above = api_keys::create(ports, &ada, &credential, "k", Role::Analyst, None).await;
    assert_eq!(code(above), Code::RoleTooLow);
    let nameless = api_keys::create(ports, &ada, &credential, " ", Role::Viewer, None).await;
    assert_eq!(code(nameless), Code::InvalidRequest);
    let past = Some(world.clock.now());
    let past = api_keys::create(ports, &ada, &credential, "k", Role::Viewer, past).await;
    assert_eq!(code(past), Code::InvalidRequest);

    let key = Credential::ApiKey;
    let by_key = api_keys::create(ports, &ada, &key, "k", Role::Viewer, None).await;
    assert_eq!(code(by_key), Code::SessionRequired);
    let by_key = api_keys::revoke(ports, &ada, &key, 1).await;
    assert_eq!(code(by_key), Code::SessionRequired);
    let by_key = logging_in::log_out_everywhere(ports, &ada, &key).await;
    assert_eq!(code(by_key), Code::SessionRequired);
    assert!(world.lives(&session).await);
}

#[tokio::test]
async fn a_key_ends_by_time_and_with_its_owner() {
    let world = World::new(Registration::Closed);
    let admin = world.user("root@example.org", Role::Admin).await;
    let ada = world.user("ada@example.org", Role::Analyst).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let (ports, credential) = (&world.ports, of_session(&session));
    let tomorrow = Some(world.clock.now() + TimeDelta::days(1));
    let (_, short) = api_keys::create(ports, &ada, &credential, "a", Role::Viewer, tomorrow)
        .await
        .unwrap();
    let (_, long) = api_keys::create(ports, &ada, &credential, "b", Role::Analyst, None)
        .await
        .unwrap();
    world.clock.advance(TimeDelta::days(1));
    let expired = api_keys::actor_of_key(ports, &short).await;
    assert_eq!(code(expired), Code::SessionExpired);

    let demoted = UserChange {
        role: Some(Role::Viewer),
        ..UserChange::default()
    };
    administration::change_user(ports, &admin, ada.user_id, demoted)
        .await
        .unwrap();
    let actor = api_keys::actor_of_key(ports, &long).await.unwrap();
    assert_eq!(actor.role, Role::Viewer, "it falls with its owner");
    for is_active in [false, true] {
        let change = UserChange {
            is_active: Some(is_active),
            ..UserChange::default()
        };
        administration::change_user(ports, &admin, ada.user_id, change)
            .await
            .unwrap();
        let gone = api_keys::actor_of_key(ports, &long).await;
        assert_eq!(code(gone), Code::SessionExpired, "it was revoked for good");
    }
}
