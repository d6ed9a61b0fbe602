use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use engine::accounts::{Registration, administration, joining};
use engine::policy::Role;
use engine::ports::PageRequest;
use engine::{Code, Error};

use super::world::{ELSE, PASSWORD, World, code, from};

async fn register(world: &World, email: &str, password: &str) -> Result<i64, Error> {
    let (ports, settings) = (&world.ports, &world.settings);
    joining::register(ports, settings, email, "Ada", password, from(1)).await
}

async fn accept(world: &World, token: &str) -> Result<i64, Error> {
    let (ports, settings) = (&world.ports, &world.settings);
    joining::accept_invitation(ports, settings, token, "Ada", PASSWORD, from(1)).await
}

#[tokio::test]
async fn anyone_may_register_as_a_viewer_only_where_registration_is_open() {
    for policy in [Registration::Closed, Registration::Invite] {
        let world = World::new(policy);
        let refused = register(&world, "ada@example.org", PASSWORD).await;
        assert_eq!(code(refused), Code::RegistrationClosed);
    }
    let world = World::new(Registration::Open);
    let id = register(&world, "ada@example.org", PASSWORD).await.unwrap();
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    assert_eq!(
        (session.actor.user_id, session.actor.role),
        (id, Role::Viewer)
    );
    let taken = register(&world, "ADA@example.org", ELSE).await;
    assert_eq!(code(taken), Code::EmailTaken);
    let weak = register(&world, "bob@example.org", "only 123 of them").await;
    assert_eq!(code(weak), Code::InvalidPassword);
    let nowhere = register(&world, "bob", PASSWORD).await;
    assert_eq!(code(nowhere), Code::InvalidRequest);
    let entries = world.audit().await;
    assert_eq!(entries[0].action, "user_registered");
    assert_eq!(entries[0].user_id, Some(id), "it is the new user's own");
}

#[tokio::test]
async fn an_invitation_makes_one_account_with_its_address_and_role() {
    let world = World::new(Registration::Invite);
    let admin = world.user("root@example.org", Role::Admin).await;
    let (ports, settings) = (&world.ports, &world.settings);
    let invited = joining::invite(ports, settings, &admin, "ada@example.org", Role::Analyst)
        .await
        .unwrap();
    assert_eq!(world.letters.last_to(), "ada@example.org");
    let token = world.letters.token();
    let id = accept(&world, &token).await.unwrap();
    let session = world.log_in("ada@example.org", PASSWORD).await.unwrap();
    assert_eq!(
        (session.actor.user_id, session.actor.role),
        (id, Role::Analyst)
    );
    assert_eq!(code(accept(&world, &token).await), Code::InvalidToken);

    let listed = ports
        .store
        .invitations(PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
    assert!(listed.items[0].accepted_at.is_some());
    assert_eq!(listed.items[0].id, invited.id);
    assert_eq!(listed.items[0].created_at, invited.created_at);
    assert_eq!(listed.items[0].invited_by, invited.invited_by);
    let again = joining::invite(ports, settings, &admin, "ada@example.org", Role::Viewer).await;
    assert_eq!(code(again), Code::EmailTaken);
    let recorded = serde_json::to_string(&world.audit().await).unwrap();
    assert!(!recorded.contains(&token));
}

#[tokio::test]
async fn an_invitation_ends_by_time_by_hand_and_by_the_next_one() {
    let world = World::new(Registration::Open);
    let admin = world.user("root@example.org", Role::Admin).await;
    let (ports, settings) = (&world.ports, &world.settings);
    let invite = || joining::invite(ports, settings, &admin, "ada@example.org", Role::Viewer);

    invite().await.unwrap();
    let first = world.letters.token();
    let second_invitation = invite().await.unwrap();
    let second = world.letters.token();
    assert_eq!(code(accept(&world, &first).await), Code::InvalidToken);
    joining::withdraw_invitation(ports, &admin, second_invitation.id)
        .await
        .unwrap();
    assert_eq!(code(accept(&world, &second).await), Code::InvalidToken);
    let twice = joining::withdraw_invitation(ports, &admin, second_invitation.id).await;
    assert_eq!(code(twice), Code::NotFound);
    invite().await.unwrap();
    let third = world.letters.token();
    world.clock.advance(TimeDelta::days(7));
    assert_eq!(code(accept(&world, &third).await), Code::InvalidToken);
}

#[tokio::test]
async fn where_registration_is_closed_there_are_no_invitations() {
    let mut world = World::new(Registration::Invite);
    let admin = world.user("root@example.org", Role::Admin).await;
    let email = "ada@example.org";
    joining::invite(&world.ports, &world.settings, &admin, email, Role::Viewer)
        .await
        .unwrap();
    world.settings.registration = Registration::Closed;
    let outstanding = accept(&world, &world.letters.token()).await;
    assert_eq!(code(outstanding), Code::RegistrationClosed);
    let new = joining::invite(&world.ports, &world.settings, &admin, email, Role::Viewer).await;
    assert_eq!(code(new), Code::RegistrationClosed);

    let (ports, role) = (&world.ports, Role::Analyst);
    let id = administration::create_user(ports, &admin, email, "Ada", PASSWORD, role)
        .await
        .unwrap();
    assert_eq!(
        world.log_in(email, PASSWORD).await.unwrap().actor.user_id,
        id
    );
    let weak = administration::create_user(ports, &admin, "b@c", "Bob", "short", role).await;
    assert_eq!(code(weak), Code::InvalidPassword);
    let entries = world.audit().await;
    let created = entries
        .iter()
        .find(|entry| entry.resource_id == Some(id))
        .unwrap();
    assert_eq!(created.user_id, Some(admin.user_id));
}

#[tokio::test]
async fn an_invitation_whose_letter_failed_is_sent_anew_by_a_second_try() {
    let world = World::new(Registration::Invite);
    let admin = world.user("root@example.org", Role::Admin).await;
    let (ports, settings) = (&world.ports, &world.settings);
    let invite = || joining::invite(ports, settings, &admin, "ada@example.org", Role::Viewer);
    world.letters.is_down.store(true, Ordering::Relaxed);
    assert_eq!(code(invite().await), Code::MailFailed);
    world.letters.is_down.store(false, Ordering::Relaxed);
    invite().await.unwrap();
    accept(&world, &world.letters.token()).await.unwrap();
}
