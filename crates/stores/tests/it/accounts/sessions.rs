use chrono::TimeDelta;
use engine::Code;
use engine::accounts::{Registration, Secret, UserChange, administration, logging_in};
use engine::policy::Role;

use super::world::{ELSE, PASSWORD, World, code, from, of_session};

#[tokio::test]
async fn unknown_wrong_and_inactive_get_one_answer_for_one_verification_each() {
    let world = World::new(Registration::Closed);
    let admin = world.user("root@example.org", Role::Admin).await;
    world.user("ada@example.org", Role::Viewer).await;
    let gone = world.user("gone@example.org", Role::Viewer).await;
    let change = UserChange {
        is_active: Some(false),
        ..UserChange::default()
    };
    administration::change_user(&world.ports, &admin, gone.user_id, change)
        .await
        .unwrap();
    let mut answers = Vec::new();
    for (email, password) in [
        ("nobody@example.org", PASSWORD),
        ("not an address", PASSWORD),
        ("ada@example.org", ELSE),
        ("gone@example.org", PASSWORD),
    ] {
        let before = world.passwords.verified();
        answers.push(world.log_in(email, password).await.unwrap_err());
        assert_eq!(world.passwords.verified() - before, 1, "{email}");
    }
    assert_eq!(answers[0].code(), Code::InvalidCredentials);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[tokio::test]
async fn a_failed_login_is_recorded_without_what_was_typed() {
    let world = World::new(Registration::Closed);
    let ada = world.user("ada@example.org", Role::Viewer).await;
    // A password typed into the field for the address, as people do.
    world.log_in(PASSWORD, "").await.unwrap_err();
    world.log_in("nobody@example.org", ELSE).await.unwrap_err();
    world.log_in("ADA@example.org", ELSE).await.unwrap_err();
    let entries = world.audit().await;
    let failed: Vec<_> = entries
        .iter()
        .filter(|entry| entry.action == "login_failed")
        .collect();
    assert_eq!(failed.len(), 3);
    for entry in &failed {
        let text = entry.changes.to_string();
        assert!(entry.user_id.is_none(), "nobody was recognised");
        assert!(!text.contains(PASSWORD) && !text.contains(ELSE) && !text.contains("nobody"));
        assert_eq!(entry.changes["from"], "192.0.2.1");
    }
    assert_eq!(failed[1].resource_id, None);
    assert_eq!(failed[2].resource_id, Some(ada.user_id));
}

#[tokio::test]
async fn an_account_is_throttled_whether_it_exists_or_not() {
    let world = World::new(Registration::Closed);
    world.user("ada@example.org", Role::Viewer).await;
    for email in ["ada@example.org", "nobody@example.org"] {
        for _ in 0..10 {
            assert_eq!(
                code(world.log_in(email, ELSE).await),
                Code::InvalidCredentials
            );
        }
        let before = world.passwords.verified();
        let error = world
            .log_in(&email.to_uppercase(), PASSWORD)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::RateLimited, "{email}");
        assert_eq!(error.retry_after().unwrap().as_secs(), 90);
        assert_eq!(world.passwords.verified(), before, "it costs no work");
    }
    world.clock.advance(TimeDelta::seconds(90));
    world.log_in("ada@example.org", PASSWORD).await.unwrap();
    // The account's count is forgotten after a success.
    for _ in 0..10 {
        let failed = world.log_in("ada@example.org", ELSE).await;
        assert_eq!(code(failed), Code::InvalidCredentials);
    }
}

#[tokio::test]
async fn a_network_address_is_throttled_over_all_accounts_and_uses_up_none() {
    let mut world = World::new(Registration::Closed);
    world.settings.tries_per_address.burst = 20;
    world.user("ada@example.org", Role::Viewer).await;
    for index in 0..20 {
        let email = format!("user{index}@example.org");
        let failed = world.log_in(&email, ELSE).await;
        assert_eq!(code(failed), Code::InvalidCredentials);
    }
    for _ in 0..30 {
        let throttled = world.log_in("ada@example.org", PASSWORD).await;
        assert_eq!(code(throttled), Code::RateLimited);
    }
    let (ports, settings) = (&world.ports, &world.settings);
    logging_in::log_in(ports, settings, "ada@example.org", PASSWORD, from(2))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_session_is_refreshed_and_a_stolen_token_ends_it() {
    let world = World::new(Registration::Closed);
    let ada = world.user("ada@example.org", Role::Viewer).await;
    let (ports, settings) = (&world.ports, &world.settings);
    let first = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    assert_eq!(first.actor, ada);
    let token = |session: &logging_in::OpenSession| session.refresh_token.reveal().to_owned();

    let second = logging_in::refresh(ports, settings, &token(&first))
        .await
        .unwrap();
    assert_eq!(second.secret, first.secret, "it is the same session");
    assert_ne!(second.refresh_token, first.refresh_token);
    // Another tab of the browser was a little later.
    world.clock.advance(TimeDelta::seconds(10));
    logging_in::refresh(ports, settings, &token(&first))
        .await
        .unwrap();
    assert!(world.lives(&second).await);

    world.clock.advance(TimeDelta::seconds(1));
    let reused = logging_in::refresh(ports, settings, &token(&first)).await;
    assert_eq!(code(reused), Code::SessionExpired);
    assert!(!world.lives(&second).await);
    let over = logging_in::refresh(ports, settings, &token(&second)).await;
    assert_eq!(code(over), Code::SessionExpired);
    let entries = world.audit().await;
    let last = entries.last().unwrap();
    assert_eq!(last.action, "refresh_token_reused");
    assert_eq!(last.user_id, Some(ada.user_id));
}

#[tokio::test]
async fn what_is_not_a_refresh_token_is_refused() {
    let world = World::new(Registration::Closed);
    world.user("ada@example.org", Role::Viewer).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let other = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let (_, refresh_of_other) = other.refresh_token.reveal().split_once('.').unwrap();
    let mixed = format!("{}.{refresh_of_other}", session.secret.reveal());
    for token in ["", ".", "a.b", session.secret.reveal(), &mixed] {
        let refused = logging_in::refresh(&world.ports, &world.settings, token).await;
        assert_eq!(code(refused), Code::SessionExpired, "{token}");
    }
    assert!(world.lives(&session).await && world.lives(&other).await);
}

#[tokio::test]
async fn a_session_slides_for_14_days_at_a_time_and_ends_after_90() {
    let world = World::new(Registration::Closed);
    world.user("ada@example.org", Role::Viewer).await;
    let (ports, settings) = (&world.ports, &world.settings);
    let idle = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    world.clock.advance(TimeDelta::days(14));
    let late = logging_in::refresh(ports, settings, idle.refresh_token.reveal()).await;
    assert_eq!(code(late), Code::SessionExpired);

    let mut session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    for _ in 0..6 {
        world.clock.advance(TimeDelta::days(13));
        session = logging_in::refresh(ports, settings, session.refresh_token.reveal())
            .await
            .unwrap();
    }
    world.clock.advance(TimeDelta::days(12));
    let late = logging_in::refresh(ports, settings, session.refresh_token.reveal()).await;
    assert_eq!(code(late), Code::SessionExpired, "90 days are over");
}

#[tokio::test]
async fn logging_out_holds_at_once_for_one_session_or_for_all() {
    let world = World::new(Registration::Closed);
    let ada = world.user("ada@example.org", Role::Viewer).await;
    let bob = world.user("bob@example.org", Role::Viewer).await;
    let mut sessions = Vec::new();
    for email in ["ada@example.org", "ada@example.org", "ada@example.org"] {
        sessions.push(world.log_in(email, PASSWORD).await.unwrap());
    }
    let other = world.log_in("bob@example.org", PASSWORD).await.unwrap();
    logging_in::log_out(&world.ports, &ada, &of_session(&sessions[0]))
        .await
        .unwrap();
    assert!(!world.lives(&sessions[0]).await && world.lives(&sessions[1]).await);
    let ended = logging_in::log_out_everywhere(&world.ports, &ada, &of_session(&sessions[1]))
        .await
        .unwrap();
    assert_eq!(ended, 2);
    assert!(!world.lives(&sessions[1]).await && !world.lives(&sessions[2]).await);
    assert!(world.lives(&other).await);

    let admin = world.user("root@example.org", Role::Admin).await;
    let ended = administration::log_out_user(&world.ports, &admin, bob.user_id)
        .await
        .unwrap();
    assert_eq!(ended, 1);
    assert!(!world.lives(&other).await);
    let nobody = administration::log_out_user(&world.ports, &admin, 999).await;
    assert_eq!(code(nobody), Code::NotFound);
}

#[tokio::test]
async fn a_deactivated_user_is_out_at_once_and_the_last_administrator_stays() {
    let world = World::new(Registration::Closed);
    let admin = world.user("root@example.org", Role::Admin).await;
    let ada = world.user("ada@example.org", Role::Analyst).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let change = |is_active| UserChange {
        is_active: Some(is_active),
        ..UserChange::default()
    };
    let ports = &world.ports;
    administration::change_user(ports, &admin, ada.user_id, change(false))
        .await
        .unwrap();
    assert!(!world.lives(&session).await);
    let token = session.refresh_token.reveal();
    let refreshed = logging_in::refresh(ports, &world.settings, token).await;
    assert_eq!(code(refreshed), Code::SessionExpired);

    let last = administration::change_user(ports, &admin, admin.user_id, change(false)).await;
    assert_eq!(code(last), Code::LastAdmin);
    let demoted = UserChange {
        role: Some(Role::Viewer),
        ..UserChange::default()
    };
    let last = administration::change_user(ports, &admin, admin.user_id, demoted).await;
    assert_eq!(code(last), Code::LastAdmin);
    assert!(world.is_active(admin.user_id).await);

    let nothing =
        administration::change_user(ports, &admin, ada.user_id, UserChange::default()).await;
    assert_eq!(code(nothing), Code::EmptyInput);
    let nobody = administration::change_user(ports, &admin, 999, change(true)).await;
    assert_eq!(code(nobody), Code::NotFound);
    let forged = logging_in::actor_of_session(ports, &Secret::shown("forged")).await;
    assert_eq!(code(forged), Code::SessionExpired);
}

#[tokio::test]
async fn a_role_changed_meanwhile_holds_at_the_next_request() {
    let world = World::new(Registration::Closed);
    let admin = world.user("root@example.org", Role::Admin).await;
    let ada = world.user("ada@example.org", Role::Analyst).await;
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    let change = UserChange {
        role: Some(Role::Viewer),
        full_name: Some(" Ada Lovelace ".into()),
        ..UserChange::default()
    };
    let changed = administration::change_user(&world.ports, &admin, ada.user_id, change)
        .await
        .unwrap();
    assert_eq!(changed.full_name, "Ada Lovelace");
    let actor = logging_in::actor_of_session(&world.ports, &session.secret)
        .await
        .unwrap();
    assert_eq!(actor.role, Role::Viewer);
    for name in ["", " ", "two\nlines", &"x".repeat(201)] {
        let refused = administration::change_own_name(&world.ports, &ada, name).await;
        assert_eq!(code(refused), Code::InvalidRequest, "{name}");
    }
}
