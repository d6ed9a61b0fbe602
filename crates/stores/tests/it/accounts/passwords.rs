use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use engine::Code;
use engine::accounts::logging_in::OpenSession;
use engine::accounts::{Actor, Credential, Registration, UserChange, administration, passwords};
use engine::policy::Role;

use super::world::{ELSE, PASSWORD, World, code, from, of_session};

async fn change(
    world: &World,
    actor: &Actor,
    session: &OpenSession,
    current: &str,
    new: &str,
) -> Result<(), engine::Error> {
    let (ports, settings) = (&world.ports, &world.settings);
    let credential = of_session(session);
    passwords::change(ports, settings, actor, &credential, current, new, from(1)).await
}

async fn forgot(world: &World, email: &str) {
    let rest = passwords::forgot(&world.ports, &world.settings, email, from(1)).await;
    rest.unwrap().await.unwrap();
}

async fn reset(world: &World, token: &str, new: &str) -> Result<(), engine::Error> {
    passwords::reset(&world.ports, &world.settings, token, new, from(1)).await
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_and_other_sessions_end() {
    let world = World::new(Registration::Closed);
    let ada = world.user("ada@example.org", Role::Viewer).await;
    let own = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let other = world.log_in("ada@example.org", PASSWORD).await.unwrap();

    let wrong = change(&world, &ada, &own, ELSE, ELSE).await;
    assert_eq!(code(wrong), Code::InvalidCredentials);
    for weak in [
        "short",
        "only 123 of them",
        "ada@example.org!",
        &"x".repeat(73),
    ] {
        let refused = change(&world, &ada, &own, PASSWORD, weak).await;
        assert_eq!(code(refused), Code::InvalidPassword, "{weak}");
    }
    assert!(world.lives(&other).await);

    change(&world, &ada, &own, PASSWORD, ELSE).await.unwrap();
    assert!(world.lives(&own).await && !world.lives(&other).await);
    let old = world.log_in("ada@example.org", PASSWORD).await;
    assert_eq!(code(old), Code::InvalidCredentials);
    world.log_in("ada@example.org", ELSE).await.unwrap();
    let recorded = serde_json::to_string(&world.audit().await).unwrap();
    assert!(!recorded.contains(ELSE) && !recorded.contains("hash of"));
}

#[tokio::test]
async fn a_stolen_session_cannot_guess_the_password_and_a_key_cannot_change_it() {
    let world = World::new(Registration::Closed);
    let ada = world.user("ada@example.org", Role::Viewer).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    for _ in 0..10 {
        let wrong = change(&world, &ada, &session, ELSE, ELSE).await;
        assert_eq!(code(wrong), Code::InvalidCredentials);
    }
    let throttled = change(&world, &ada, &session, PASSWORD, ELSE).await;
    assert_eq!(code(throttled), Code::RateLimited);

    let (ports, settings) = (&world.ports, &world.settings);
    let key = Credential::ApiKey;
    let refused = passwords::change(ports, settings, &ada, &key, PASSWORD, ELSE, from(2)).await;
    assert_eq!(code(refused), Code::SessionRequired);
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_once_with_the_letter() {
    let world = World::new(Registration::Closed);
    world.user("ada@example.org", Role::Viewer).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    forgot(&world, "Ada@Example.ORG").await;
    assert_eq!(world.letters.last_to(), "ada@example.org");
    let token = world.letters.token();
    assert!(world.lives(&session).await, "asking changes nothing");

    let weak = reset(&world, &token, "only 123 of them").await;
    assert_eq!(code(weak), Code::InvalidPassword);
    let own_name = reset(&world, &token, "ada@example.org!").await;
    assert_eq!(code(own_name), Code::InvalidPassword);
    reset(&world, &token, ELSE).await.unwrap();
    assert!(!world.lives(&session).await);
    world.log_in("ada@example.org", ELSE).await.unwrap();

    let again = reset(&world, &token, PASSWORD).await;
    assert_eq!(code(again), Code::InvalidToken);
    let invented = reset(&world, "invented", PASSWORD).await;
    assert_eq!(code(invented), Code::InvalidToken);
    let recorded = serde_json::to_string(&world.audit().await).unwrap();
    assert!(!recorded.contains(&token));
}

#[tokio::test]
async fn the_link_of_a_letter_expires_and_the_next_letter_ends_it() {
    let world = World::new(Registration::Closed);
    world.user("ada@example.org", Role::Viewer).await;
    forgot(&world, "ada@example.org").await;
    let first = world.letters.token();
    forgot(&world, "ada@example.org").await;
    let second = world.letters.token();
    assert_eq!(code(reset(&world, &first, ELSE).await), Code::InvalidToken);
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(code(reset(&world, &second, ELSE).await), Code::InvalidToken);
}

#[tokio::test]
async fn asking_for_a_letter_tells_nothing_about_who_has_an_account() {
    let world = World::new(Registration::Closed);
    let admin = world.user("root@example.org", Role::Admin).await;
    let gone = world.user("gone@example.org", Role::Viewer).await;
    let inactive = UserChange {
        is_active: Some(false),
        ..UserChange::default()
    };
    administration::change_user(&world.ports, &admin, gone.user_id, inactive)
        .await
        .unwrap();
    for email in ["nobody@example.org", "gone@example.org", "not an address"] {
        forgot(&world, email).await;
    }
    assert_eq!(world.letters.count(), 0);
    // The fourth wish within an hour is refused, with an account and without.
    for email in ["nobody@example.org", "root@example.org"] {
        for _ in 0..3 {
            let _ = passwords::forgot(&world.ports, &world.settings, email, from(2)).await;
        }
        let fourth = passwords::forgot(&world.ports, &world.settings, email, from(2)).await;
        assert_eq!(fourth.err().unwrap().code(), Code::RateLimited, "{email}");
    }
    // A mail server that is down is told to the operator only: the answer is out before.
    world.letters.is_down.store(true, Ordering::Relaxed);
    world.clock.advance(TimeDelta::hours(1));
    let (ports, settings) = (&world.ports, &world.settings);
    let rest = passwords::forgot(ports, settings, "root@example.org", from(3)).await;
    assert_eq!(code(rest.unwrap().await), Code::MailFailed);
}

#[tokio::test]
async fn an_administrator_resets_the_passwords_of_others_only() {
    let world = World::new(Registration::Closed);
    let admin = world.user("root@example.org", Role::Admin).await;
    let ada = world.user("ada@example.org", Role::Viewer).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let (ports, settings) = (&world.ports, &world.settings);

    administration::send_reset_letter(ports, settings, &admin, ada.user_id)
        .await
        .unwrap();
    assert_eq!(world.letters.last_to(), "ada@example.org");
    assert!(world.lives(&session).await);
    administration::set_password(ports, &admin, ada.user_id, ELSE)
        .await
        .unwrap();
    assert!(!world.lives(&session).await);
    world.log_in("ada@example.org", ELSE).await.unwrap();

    let own = administration::set_password(ports, &admin, admin.user_id, ELSE).await;
    assert_eq!(code(own), Code::Conflict);
    let weak = administration::set_password(ports, &admin, ada.user_id, "short").await;
    assert_eq!(code(weak), Code::InvalidPassword);
    let nobody = administration::send_reset_letter(ports, settings, &admin, 999).await;
    assert_eq!(code(nobody), Code::NotFound);
    let inactive = UserChange {
        is_active: Some(false),
        ..UserChange::default()
    };
    administration::change_user(ports, &admin, ada.user_id, inactive)
        .await
        .unwrap();
    let gone = administration::send_reset_letter(ports, settings, &admin, ada.user_id).await;
    assert_eq!(code(gone), Code::Conflict);
    let by_admin = world.audit().await;
    let by_admin: Vec<_> = by_admin
        .iter()
        .filter(|entry| entry.user_id == Some(admin.user_id))
        .map(|entry| (entry.action.as_str(), entry.resource_id))
        .collect();
    assert!(by_admin.contains(&("password_reset_requested", Some(ada.user_id))));
    assert!(by_admin.contains(&("password_set", Some(ada.user_id))));
}
