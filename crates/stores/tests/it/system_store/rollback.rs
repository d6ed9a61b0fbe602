//! No change without its entry: where the entry cannot be written, nothing is left of the change.

use engine::accounts::{NewInvitation, Rotated, Rotation, UserChange, UserFilter};
use engine::configuration::NewConfiguration;
use engine::conversation::NewConversation;
use engine::feedback::{NewFeedback, Rating};
use engine::ontology::{NewTerm, TermChange};
use engine::policy::NewPolicy;
use engine::ports::QueryFilter;
use engine::verified_queries::{
    CheckedQuery, VerifiedQueryChange, VerifiedQueryFilter, VerifiedStatus,
};

use super::*;

/// Every method that takes an entry is tried with one whose user does not exist. Three are in
/// `own_entries.rs`, because their entry becomes that of a user who does: creating the first administrator, resetting a
/// password, accepting an invitation.
pub async fn a_failing_entry_rolls_every_change_back(store: Store) {
    let ada = ada(&store).await;
    let bob = user(&store, "bob@x", Role::Viewer).await;
    log_in(&store, bob, "bob").await;
    let (good, bad) = (entry("done"), broken());
    let bobs_key = key(bob, "bobs-key", Role::Viewer);
    let key_id = store.create_api_key(&bobs_key, &good).await.unwrap();
    let invitation = invitation("eve@x", "eve");
    let invitation_id = store.create_invitation(&invitation, &good).await.unwrap();
    let begun = store.begin_password_reset(bob, "reset", at(60), &good);
    begun.await.unwrap();
    let query = ask(&store, bob, "How many?").await;
    let policy = policy("orders");
    let policy_id = store.create_policy(&policy, &good).await.unwrap();
    let term = term("Revenue");
    let term_id = store.create_term(&term, &good).await.unwrap();
    let proposal = verified_queries::proposal(ada, "How many?", "SELECT 1");
    let proposal_id = store.propose_query(&proposal, &good).await.unwrap();
    let approved_id = store.propose_query(&proposal, &good).await.unwrap();
    let approval = verified_queries::review(bob, VerifiedStatus::Approved, at(0));
    let approved = store.review_query(approved_id, &approval, &good).await;
    approved.unwrap();
    let setting = setting("1");
    store.set_configuration(&setting, &good).await.unwrap();
    let secret = NewConfiguration {
        key: "secret".into(),
        is_secret: true,
        ..self::setting("sealed")
    };
    store.set_configuration(&secret, &good).await.unwrap();
    let conversation = NewConversation {
        user_id: bob,
        title: None,
    };
    let conversation_id = store.create_conversation(&conversation, &good).await;
    let conversation_id = conversation_id.unwrap();
    let turn = NewQuery {
        conversation_id: Some(conversation_id),
        ..question(bob, "How much?")
    };
    let before = everything(&store).await;

    macro_rules! rolled_back {
        ($($act:expr;)*) => {$(
            assert_eq!(code($act.await), Some(Code::SystemStoreDown), stringify!($act));
            assert_eq!(everything(&store).await, before, stringify!($act));
        )*};
    }
    let deactivation = UserChange {
        is_active: Some(false),
        ..UserChange::default()
    };
    let term_change = TermChange {
        description: Some("changed".into()),
        ..TermChange::default()
    };
    let proposal_change = VerifiedQueryChange {
        sql: Some("SELECT 2".into()),
        ..VerifiedQueryChange::default()
    };
    let check = CheckedQuery {
        id: approved_id,
        error: Some("it no longer runs".into()),
    };
    rolled_back! {
        store.create_user(&new_user("new@x", Role::Viewer), &bad);
        store.change_user(bob, &deactivation, &bad);
        store.set_password(bob, "changed", None, &bad);
        store.begin_password_reset(bob, "other-reset", at(60), &bad);
        store.create_invitation(&self::invitation("eve@x", "other-eve"), &bad);
        store.withdraw_invitation(invitation_id, &bad);
        store.create_session(&session(ada, "new"), &bad);
        store.rotate_refresh_token(&rotation("bob-2"), &bad);
        store.end_session("bob", &bad);
        store.end_all_sessions(bob, &bad);
        store.purge_over(at(1_000_000), &bad);
        store.create_api_key(&key(bob, "new-key", Role::Viewer), &bad);
        store.revoke_api_key(bob, key_id, &bad);
        store.begin_query(&question(bob, "How much?"), &bad);
        store.begin_query(&turn, &bad);
        store.finish_query(query, &success(), &bad);
        store.create_conversation(&conversation, &bad);
        store.rename_conversation(bob, conversation_id, "changed", &bad);
        store.delete_conversation(bob, conversation_id, &bad);
        store.rate(&rating(query, bob), &bad);
        store.create_policy(&self::policy("people"), &bad);
        store.delete_policy(policy_id, &bad);
        store.create_term(&self::term("Churn"), &bad);
        store.change_term(term_id, &term_change, &bad);
        store.delete_term(term_id, &bad);
        store.import_terms(&[self::term("Churn"), self::term("REVENUE")], &bad);
        store.set_configuration(&self::setting("2"), &bad);
        store.delete_configuration("key", &bad);
        store.propose_query(&proposal, &bad);
        store.change_proposal(proposal_id, &proposal_change, &bad);
        store.review_query(proposal_id, &approval, &bad);
        store.retire_query(approved_id, VerifiedStatus::Approved, &bad);
        store.note_checks(&[check], &bad);
        store.replace_secret("secret", "sealed", "sealed anew", &bad);
        store.record(&bad);
    }
    // Had an exchange been half done, this one would be a reuse.
    let late = AuditEntry {
        at: at(300),
        ..good.clone()
    };
    let rotated = store.rotate_refresh_token(&rotation("bob-3"), &late).await;
    assert!(matches!(rotated, Ok(Rotated::Fresh(_))), "{rotated:?}");
}

/// No user has this identifier, so the entry breaks its foreign key.
fn broken() -> AuditEntry {
    AuditEntry {
        user_id: Some(999_999),
        ..entry("done")
    }
}

/// All that the store says, as text.
pub async fn everything(store: &Store) -> String {
    let users = store.users(&UserFilter::default(), first_page()).await;
    let invitations = store.invitations(first_page()).await;
    let resets = (
        store.password_reset_user("reset", at(1)).await,
        store.password_reset_user("other-reset", at(1)).await,
    );
    let sessions = (
        store.session_actor("bob", at(1)).await,
        store.session_actor("new", at(1)).await,
    );
    let mut keys = Vec::new();
    let mut conversations = Vec::new();
    for user in &users.as_ref().unwrap().items {
        keys.push(store.api_keys(user.id, first_page()).await);
        conversations.push(store.conversations(user.id, first_page()).await);
    }
    let queries = store.queries(&QueryFilter::default(), first_page()).await;
    let feedback = store.feedback(None, first_page()).await;
    let policies = store.policies(first_page()).await;
    let terms = store.all_terms().await;
    let all = VerifiedQueryFilter::default();
    let verified = store.verified_queries(&all, first_page()).await;
    let configurations = store.configurations().await;
    let entries = entries(store).await;
    format!(
        "{users:#?}{invitations:#?}{resets:#?}{sessions:#?}{keys:#?}{conversations:#?}{queries:#?}{feedback:#?}{policies:#?}{terms:#?}\
         {verified:#?}{configurations:#?}{entries:#?}"
    )
}

fn rotation(next_hash: &str) -> Rotation {
    Rotation {
        token_hash: "bob".into(),
        refresh_hash: "bob-1".into(),
        next_hash: next_hash.into(),
        next_expires_at: at(600),
        leeway: TimeDelta::seconds(10),
    }
}

pub fn invitation(email: &str, token_hash: &str) -> NewInvitation {
    NewInvitation {
        email: Email::parse(email).unwrap(),
        role: Role::Viewer,
        token_hash: token_hash.into(),
        expires_at: at(60),
    }
}

fn rating(query_id: i64, user_id: UserId) -> NewFeedback {
    NewFeedback {
        query_id,
        user_id,
        rating: Rating::parse(3).unwrap(),
        comment: None,
    }
}

fn policy(table: &str) -> NewPolicy {
    NewPolicy {
        role: Role::Viewer,
        table_name: table.into(),
        column_name: None,
    }
}

fn term(name: &str) -> NewTerm {
    NewTerm {
        term_name: name.into(),
        description: "what it means".into(),
        synonyms: Vec::new(),
        data_source: None,
        owner: None,
    }
}

fn setting(value: &str) -> NewConfiguration {
    NewConfiguration {
        key: "key".into(),
        value: value.into(),
        description: None,
        is_secret: false,
    }
}
