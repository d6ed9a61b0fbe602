//! The suite of the SystemStore port. It states the contract once and runs on every implementation.

mod audit;
mod conversations;
mod governance;
mod own_entries;
mod people;
mod questions;
mod rollback;
mod sessions;
mod situation;
mod sqlite_only;
mod verified_queries;

use std::any::Any;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use engine::accounts::{Email, NewApiKey, NewSession, NewUser, UserId};
use engine::audit::{AuditEntry, AuditFilter, AuditRecord};
use engine::policy::Role;
use engine::ports::{FinishedQuery, NewQuery, PageRequest, SystemStore};
use engine::{Code, Error};
use serde_json::json;
use stores::sqlite::SqliteStore;

use crate::services;

/// Runs every test on each implementation. An opener returns a store of the test's own and what must live as long, or
/// says why there is none and returns `None`.
macro_rules! suite {
    ($($name:ident: $open:expr;)*) => {$(
        mod $name {
            suite! { @tests $open;
                people {
                    the_first_administrator_is_created_once
                    first_administrators_created_at_once_are_one
                    an_entry_without_a_user_becomes_the_new_users_own
                    an_address_is_taken_in_any_case
                    users_are_filtered_and_listed_newest_first
                    pages_join_while_users_are_added
                    a_change_of_a_user_is_recorded_with_before_and_after
                    one_active_administrator_stays
                    deactivation_ends_sessions_and_revokes_keys
                    a_new_password_ends_the_other_sessions_and_open_letters
                    a_reset_token_works_once
                    only_the_latest_live_token_of_an_active_user_resets_a_password
                    an_invitation_becomes_a_user_once
                    only_the_latest_open_invitation_can_be_accepted
                    an_address_with_a_user_is_not_invited
                }
                sessions {
                    a_session_lives_until_it_ends_or_expires
                    ending_a_session_that_is_over_records_the_attempt
                    all_sessions_of_a_user_end_at_once
                    what_is_over_is_purged_and_what_lives_stays
                    a_session_shows_the_role_of_now
                    a_refresh_secret_is_exchanged_for_the_next
                    a_used_refresh_secret_is_good_within_the_leeway
                    a_reused_refresh_secret_ends_the_session
                    a_refresh_secret_that_is_not_live_changes_nothing
                    a_key_has_the_lower_role
                    a_key_lives_until_it_is_revoked_or_expires
                    the_use_of_a_key_is_noted_once_a_minute
                    keys_are_listed_for_their_owner
                }
                questions {
                    a_question_is_pending_then_finished
                    a_failed_question_keeps_its_reason
                    a_finished_question_cannot_be_finished_again
                    an_expired_lease_becomes_interrupted
                    a_sweep_and_an_outcome_at_once_leave_one_outcome
                    concurrent_questions_get_rows_of_their_own
                    the_last_question_is_noted_once_a_second
                    questions_are_filtered_and_listed_newest_first
                    a_search_takes_every_character_for_itself
                    pages_of_questions_join_while_more_are_asked
                    a_second_rating_replaces_the_first
                    ratings_given_at_once_leave_one
                    ratings_are_listed_by_query
                }
                conversations {
                    a_conversation_is_begun_named_and_deleted_by_its_owner
                    conversations_are_listed_newest_first
                    a_question_joins_a_conversation_and_gives_it_a_title
                    only_ones_own_conversation_can_be_used
                    a_deleted_conversation_keeps_its_questions
                    the_turn_answered_last_is_the_previous_one
                    questions_asked_at_once_all_join
                    a_question_and_a_deletion_at_once_leave_both_or_one
                }
                governance {
                    what_is_hidden_from_a_role_is_hidden_from_those_below
                    a_policy_is_made_once_in_any_case
                    a_removed_policy_hides_nothing
                    a_term_is_named_once_in_any_case
                    a_change_of_a_term_is_recorded_with_before_and_after
                    a_removed_term_is_recorded
                    terms_are_searched_in_names_descriptions_and_synonyms
                    an_import_creates_replaces_and_leaves
                    imports_at_once_create_each_term_once
                    a_setting_is_replaced_with_before_and_after
                    secret_values_are_not_recorded
                    settings_are_listed_by_key_and_removed
                    of_several_who_replace_one_secret_at_once_one_succeeds
                }
                verified_queries {
                    a_proposal_is_stored_as_given
                    verified_queries_are_filtered_and_listed_newest_first
                    a_proposal_is_changed_until_it_is_reviewed
                    nobody_reviews_a_proposal_of_their_own
                    a_review_is_recorded_with_before_and_after_and_is_the_last
                    reviews_at_once_leave_one
                    a_query_out_of_use_stays_as_rejected
                    checks_are_noted_of_approved_queries_in_one_entry
                }
                situation {
                    a_question_begins_in_the_situation_of_its_role
                    a_situation_hides_what_policies_hide
                    every_change_of_the_terms_gives_them_a_new_version
                    what_changes_no_term_keeps_their_version
                    one_version_names_one_state_while_many_write
                }
                audit {
                    entries_are_filtered_and_listed_newest_first
                    entries_keep_what_they_say
                    entries_read_for_verification_agree_with_their_hashes
                    seals_close_all_entries_in_blocks
                    a_block_has_its_most_entries
                    seals_made_at_once_never_overlap
                    a_trail_sealed_while_many_write_verifies
                }
                rollback {
                    a_failing_entry_rolls_every_change_back
                }
            }
        }
    )*};
    (@tests $open:expr; $($module:ident { $($test:ident)* })*) => {$($(
        #[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            if let Some((store, _keep)) = $open.await {
                super::$module::$test(store).await;
            }
        }
    )*)*};
}

suite! {
    sqlite_file: super::sqlite_file();
    sqlite_memory: super::sqlite_memory();
    postgres: super::postgres();
}

type Store = Arc<dyn SystemStore>;

/// A store, and what must not be dropped before it.
type Opened = (Store, Box<dyn Any + Send>);

async fn sqlite_file() -> Option<Opened> {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("data/system.db")).unwrap();
    Some((Arc::new(store), Box::new(folder)))
}

async fn sqlite_memory() -> Option<Opened> {
    Some((Arc::new(SqliteStore::in_memory().unwrap()), Box::new(())))
}

async fn postgres() -> Option<Opened> {
    let database = services::postgres().await?;
    Some((Arc::new(database.store().await), Box::new(database)))
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn entry(action: &'static str) -> AuditEntry {
    entry_at(action, 0)
}

fn entry_at(action: &'static str, seconds: i64) -> AuditEntry {
    AuditEntry::new(at(seconds), None, action, "test", json!({}))
}

fn new_user(email: &str, role: Role) -> NewUser {
    NewUser {
        email: Email::parse(email).unwrap(),
        password_hash: "hash".into(),
        full_name: email.split('@').next().unwrap().into(),
        role,
    }
}

async fn user(store: &Store, email: &str, role: Role) -> UserId {
    store
        .create_user(&new_user(email, role), &entry("user_created"))
        .await
        .unwrap()
}

async fn ada(store: &Store) -> UserId {
    user(store, "Ada@Example.org", Role::Admin).await
}

/// A session of an hour whose secrets are hashed to `name` and `name-1`.
fn session(user_id: UserId, name: &str) -> NewSession {
    NewSession {
        user_id,
        token_hash: name.into(),
        expires_at: at(3_600),
        refresh_hash: format!("{name}-1"),
        refresh_expires_at: at(600),
    }
}

async fn log_in(store: &Store, user_id: UserId, name: &str) {
    store
        .create_session(&session(user_id, name), &entry("login"))
        .await
        .unwrap();
}

async fn is_live(store: &Store, name: &str) -> bool {
    let actor = store.session_actor(name, at(1)).await.unwrap();
    actor.is_some()
}

fn key(user_id: UserId, name: &str, scope: Role) -> NewApiKey {
    NewApiKey {
        user_id,
        name: name.into(),
        key_hash: name.into(),
        scope,
        expires_at: None,
    }
}

fn question(user_id: UserId, text: &str) -> NewQuery {
    NewQuery {
        user_id,
        role: Role::Viewer,
        question: Some(text.into()),
        sql: None,
        conversation_id: None,
        instance_id: "one".into(),
        lease_until: at(60),
    }
}

async fn ask(store: &Store, user_id: UserId, text: &str) -> i64 {
    store
        .begin_query(&question(user_id, text), &entry("query"))
        .await
        .unwrap()
        .id
}

fn success() -> FinishedQuery {
    FinishedQuery {
        understood_as: None,
        sql: Some("SELECT 1".into()),
        error: None,
        result_count: Some(1),
        duration_ms: 5,
        generator: Some("scripted".into()),
        cached: true,
        target_fingerprint: Some("f".into()),
        receipt: None,
    }
}

fn first_page() -> PageRequest {
    PageRequest::first(PageRequest::MAX_LIMIT)
}

/// All entries, oldest first.
async fn entries(store: &Store) -> Vec<AuditRecord> {
    let all = AuditFilter::default();
    let page = store.audit_entries(&all, first_page()).await.unwrap();
    assert_eq!(page.next_cursor, None, "a test makes fewer entries");
    let mut items = page.items;
    items.reverse();
    items
}

async fn last_entry(store: &Store) -> AuditRecord {
    entries(store).await.pop().unwrap()
}

async fn actions(store: &Store) -> Vec<String> {
    let entries = entries(store).await;
    entries.into_iter().map(|entry| entry.action).collect()
}

fn code<T>(outcome: Result<T, Error>) -> Option<Code> {
    outcome.err().map(|error| error.code())
}

/// Runs `work` so many times at once and returns all outcomes.
async fn at_once<T, W>(times: usize, work: impl Fn(usize) -> W) -> Vec<T>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..times)
        .map(|number| tokio::spawn(work(number)))
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

fn milliseconds(milliseconds: i64) -> TimeDelta {
    TimeDelta::milliseconds(milliseconds)
}
