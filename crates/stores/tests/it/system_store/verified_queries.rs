//! Proposals, their reviews, and what is noted of them.

use chrono::DateTime;
use engine::verified_queries::{
    CheckedQuery, NewVerifiedQuery, Review, VerifiedQuery, VerifiedQueryChange,
    VerifiedQueryFilter, VerifiedStatus,
};

use super::*;

pub async fn a_proposal_is_stored_as_given(store: Store) {
    let ada = ada(&store).await;
    let query_id = ask(&store, ada, "How many?").await;
    let given = NewVerifiedQuery {
        query_id: Some(query_id),
        ..proposal(ada, "How many?", "SELECT 'it''s' --\n, 1")
    };
    let proposed = entry_at("verified_query_proposed", 5);
    let id = store.propose_query(&given, &proposed).await.unwrap();
    assert_eq!(last_entry(&store).await.resource_id, Some(id));
    let expected = VerifiedQuery {
        id,
        question: given.question,
        sql: given.sql,
        status: VerifiedStatus::Proposed,
        query_id: Some(query_id),
        proposed_by: Some(ada),
        approved_by: None,
        review_comment: None,
        last_checked_at: None,
        check_error: None,
        created_at: at(5),
        updated_at: at(5),
    };
    assert_eq!(store.verified_query(id).await, Ok(Some(expected)));
    assert_eq!(store.verified_query(999).await, Ok(None));
    assert_eq!(store.approved_queries().await, Ok(vec![]));
}

pub async fn verified_queries_are_filtered_and_listed_newest_first(store: Store) {
    let (ada, bob) = two(&store).await;
    let orders = propose(
        &store,
        ada,
        "How many Orders?",
        "SELECT count(*) FROM orders",
    )
    .await;
    let people = propose(&store, ada, "100% of people", "SELECT * FROM people").await;
    let sales = propose(&store, ada, "Sales?", "SELECT sum(total) FROM orders").await;
    approve(&store, orders, bob).await.unwrap();
    let found = async |status, search: Option<&str>| -> Vec<i64> {
        let filter = VerifiedQueryFilter {
            status,
            search: search.map(str::to_owned),
        };
        let page = store.verified_queries(&filter, first_page()).await.unwrap();
        page.items.into_iter().map(|query| query.id).collect()
    };
    assert_eq!(found(None, None).await, [sales, people, orders]);
    let proposed = Some(VerifiedStatus::Proposed);
    assert_eq!(found(proposed, None).await, [sales, people]);
    assert_eq!(found(Some(VerifiedStatus::Approved), None).await, [orders]);
    assert_eq!(found(Some(VerifiedStatus::Rejected), None).await, [0; 0]);
    assert_eq!(found(None, Some("ORDERS")).await, [sales, orders]);
    assert_eq!(found(proposed, Some("orders")).await, [sales]);
    assert_eq!(found(None, Some("%")).await, [people]);
    let all = VerifiedQueryFilter::default();
    let first = store.verified_queries(&all, PageRequest::first(2)).await;
    let first = first.unwrap();
    assert_eq!(first.next_cursor, Some(people));
    let rest = PageRequest {
        cursor: first.next_cursor,
        limit: 2,
    };
    let rest = store.verified_queries(&all, rest).await.unwrap();
    assert_eq!((rest.items[0].id, rest.next_cursor), (orders, None));
}

pub async fn a_proposal_is_changed_until_it_is_reviewed(store: Store) {
    let (ada, bob) = two(&store).await;
    let id = propose(&store, ada, "How many?", "SELECT 1").await;
    let change = VerifiedQueryChange {
        sql: Some("SELECT 2".into()),
        question: None,
    };
    // At the very time of the proposal: what was looked at before is still another one.
    let changed = entry("verified_query_changed");
    let after = store.change_proposal(id, &change, &changed).await;
    let after = after.unwrap().unwrap();
    assert_eq!(
        (after.question.as_str(), after.sql.as_str()),
        ("How many?", "SELECT 2")
    );
    assert!(after.updated_at > after.created_at);
    assert_eq!(store.verified_query(id).await, Ok(Some(after.clone())));
    assert_eq!(
        last_entry(&store).await.changes,
        json!({ "before": { "sql": "SELECT 1" }, "after": { "sql": "SELECT 2" } })
    );
    let stale = review(bob, VerifiedStatus::Approved, after.created_at);
    let refused = store.review_query(id, &stale, &entry("approved")).await;
    assert_eq!(code(refused), Some(Code::Conflict));
    approve(&store, id, bob).await.unwrap();
    let refused = store.change_proposal(id, &change, &changed).await;
    assert_eq!(code(refused), Some(Code::Conflict));
    assert_eq!(
        store.change_proposal(999, &change, &changed).await,
        Ok(None)
    );
    assert_eq!(actions(&store).await.len(), 5);
}

pub async fn nobody_reviews_a_proposal_of_their_own(store: Store) {
    let (ada, bob) = two(&store).await;
    let id = propose(&store, ada, "How many?", "SELECT 1").await;
    let before = store.verified_query(id).await;
    for status in [VerifiedStatus::Approved, VerifiedStatus::Rejected] {
        let own = review(ada, status, at(0));
        let refused = store.review_query(id, &own, &entry("reviewed")).await;
        assert_eq!(code(refused), Some(Code::OwnProposal), "{status:?}");
    }
    assert_eq!(store.verified_query(id).await, before);
    assert_eq!(actions(&store).await.len(), 3);
    approve(&store, id, bob).await.unwrap();
    // Also not once it is over.
    let own = review(ada, VerifiedStatus::Rejected, at(0));
    let refused = store.review_query(id, &own, &entry("reviewed")).await;
    assert_eq!(code(refused), Some(Code::OwnProposal));
}

pub async fn a_review_is_recorded_with_before_and_after_and_is_the_last(store: Store) {
    let (ada, bob) = two(&store).await;
    let good = propose(&store, ada, "How many?", "SELECT 1").await;
    let bad = propose(&store, ada, "How much?", "SELECT 2").await;
    let approved = approve(&store, good, bob).await.unwrap();
    assert_eq!(approved.status, VerifiedStatus::Approved);
    assert_eq!(approved.approved_by, Some(bob));
    assert_eq!(approved.last_checked_at, Some(at(9)));
    assert_eq!(approved.updated_at, at(9));
    let last = last_entry(&store).await;
    assert_eq!(last.resource_id, Some(good));
    assert_eq!(
        last.changes,
        json!({
            "before": { "status": "proposed", "approved_by": null },
            "after": { "status": "approved", "approved_by": bob },
        })
    );
    let no = Review {
        comment: Some("it counts returns".into()),
        ..review(bob, VerifiedStatus::Rejected, at(0))
    };
    let rejected = store.review_query(bad, &no, &entry("rejected")).await;
    let rejected = rejected.unwrap().unwrap();
    assert_eq!(rejected.approved_by, None);
    assert_eq!(
        rejected.review_comment.as_deref(),
        Some("it counts returns")
    );
    for id in [good, bad] {
        let again = store.review_query(id, &no, &entry("rejected")).await;
        assert_eq!(code(again), Some(Code::Conflict));
    }
    assert_eq!(
        store.review_query(999, &no, &entry("rejected")).await,
        Ok(None)
    );
    let ids: Vec<i64> = store
        .approved_queries()
        .await
        .unwrap()
        .into_iter()
        .map(|query| query.id)
        .collect();
    assert_eq!(ids, [good]);
    assert_eq!(actions(&store).await.len(), 6);
}

pub async fn reviews_at_once_leave_one(store: Store) {
    let (ada, bob) = two(&store).await;
    let id = propose(&store, ada, "How many?", "SELECT 1").await;
    let codes = at_once(10, |number| {
        let store = store.clone();
        let status = [VerifiedStatus::Approved, VerifiedStatus::Rejected][number % 2];
        async move {
            let one = review(bob, status, at(0));
            code(store.review_query(id, &one, &entry("reviewed")).await)
        }
    })
    .await;
    let refused: Vec<Code> = codes.into_iter().flatten().collect();
    assert_eq!(refused, [Code::Conflict; 9]);
    assert_eq!(actions(&store).await.len(), 4);
}

pub async fn a_query_out_of_use_stays_as_rejected(store: Store) {
    let (ada, bob) = two(&store).await;
    let id = propose(&store, ada, "How many?", "SELECT 1").await;
    approve(&store, id, bob).await.unwrap();
    let retire = async |status| {
        let retired = entry_at("verified_query_retired", 20);
        store.retire_query(id, status, &retired).await
    };
    let refused = retire(VerifiedStatus::Proposed).await;
    assert_eq!(code(refused), Some(Code::Conflict));
    assert_eq!(retire(VerifiedStatus::Approved).await, Ok(true));
    let kept = store.verified_query(id).await.unwrap().unwrap();
    assert_eq!(kept.status, VerifiedStatus::Rejected);
    assert_eq!((kept.approved_by, kept.updated_at), (Some(bob), at(20)));
    assert_eq!(
        last_entry(&store).await.changes,
        json!({ "before": { "status": "approved" }, "after": { "status": "rejected" } })
    );
    assert_eq!(
        code(retire(VerifiedStatus::Approved).await),
        Some(Code::Conflict)
    );
    let missing = store
        .retire_query(999, VerifiedStatus::Approved, &entry("retired"))
        .await;
    assert_eq!(missing, Ok(false));
    assert_eq!(store.approved_queries().await, Ok(vec![]));
    assert_eq!(actions(&store).await.len(), 5);
}

pub async fn checks_are_noted_of_approved_queries_in_one_entry(store: Store) {
    let (ada, bob) = two(&store).await;
    let good = propose(&store, ada, "How many?", "SELECT 1").await;
    let bad = propose(&store, ada, "How much?", "SELECT x").await;
    let open = propose(&store, ada, "When?", "SELECT y").await;
    for id in [good, bad] {
        approve(&store, id, bob).await.unwrap();
    }
    let before = actions(&store).await.len();
    let check = |id, error: Option<&str>| CheckedQuery {
        id,
        error: error.map(str::to_owned),
    };
    let noted = [
        check(good, None),
        check(bad, Some("no such column: x")),
        check(open, Some("not looked at")),
        check(999, None),
    ];
    let checked = entry_at("verified_queries_checked", 60);
    store.note_checks(&noted, &checked).await.unwrap();
    let of = async |id| {
        let query = store.verified_query(id).await.unwrap().unwrap();
        (query.last_checked_at, query.check_error, query.updated_at)
    };
    assert_eq!(of(good).await, (Some(at(60)), None, at(9)));
    let fault = Some("no such column: x".to_owned());
    assert_eq!(of(bad).await, (Some(at(60)), fault, at(9)));
    assert_eq!(of(open).await, (None, None, at(0)));
    assert_eq!(actions(&store).await.len(), before + 1);
    // What runs again is said to.
    let again = [check(bad, None)];
    store.note_checks(&again, &checked).await.unwrap();
    assert_eq!(of(bad).await, (Some(at(60)), None, at(9)));
}

async fn two(store: &Store) -> (UserId, UserId) {
    (ada(store).await, user(store, "bob@x", Role::Admin).await)
}

pub(super) fn proposal(proposed_by: UserId, question: &str, sql: &str) -> NewVerifiedQuery {
    NewVerifiedQuery {
        question: question.into(),
        sql: sql.into(),
        query_id: None,
        proposed_by,
    }
}

async fn propose(store: &Store, by: UserId, question: &str, sql: &str) -> i64 {
    let proposed = entry("verified_query_proposed");
    store
        .propose_query(&proposal(by, question, sql), &proposed)
        .await
        .unwrap()
}

pub(super) fn review(reviewer: UserId, status: VerifiedStatus, of: DateTime<Utc>) -> Review {
    Review {
        status,
        reviewer,
        comment: None,
        of,
    }
}

async fn approve(store: &Store, id: i64, reviewer: UserId) -> Result<VerifiedQuery, Error> {
    let of = store.verified_query(id).await?.unwrap().updated_at;
    let yes = review(reviewer, VerifiedStatus::Approved, of);
    let approved = entry_at("verified_query_approved", 9);
    let reviewed = store.review_query(id, &yes, &approved).await?;
    Ok(reviewed.unwrap())
}
