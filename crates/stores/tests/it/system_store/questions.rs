//! Questions, what became of them, and what people say about the answers.

use engine::feedback::{NewFeedback, Rating};
use engine::ports::{QueryFilter, QueryStatus};
use engine::question::Receipt;

use super::*;

pub async fn a_question_is_pending_then_finished(store: Store) {
    let ada = ada(&store).await;
    let asked = AuditEntry {
        user_id: Some(ada),
        ..entry_at("query", 2)
    };
    let begun = store
        .begin_query(&question(ada, "How many?"), &asked)
        .await
        .unwrap();
    let id = begun.id;
    let last = last_entry(&store).await;
    assert_eq!((last.user_id, last.resource_id), (Some(ada), Some(id)));
    let record = store.query_record(id).await.unwrap().unwrap();
    assert_eq!(
        (record.status, record.question.as_deref(), record.user_id),
        (QueryStatus::Pending, Some("How many?"), ada)
    );
    assert_eq!((record.created_at, record.executed_at), (at(2), None));
    let receipt = receipt();
    let finished = FinishedQuery {
        receipt: Some(receipt.clone()),
        ..success()
    };
    store
        .finish_query(id, &finished, &entry_at("query_answered", 3))
        .await
        .unwrap();
    assert_eq!(last_entry(&store).await.resource_id, Some(id));
    let record = store.query_record(id).await.unwrap().unwrap();
    assert_eq!(
        (record.status, record.sql.as_deref(), record.result_count),
        (QueryStatus::Success, Some("SELECT 1"), Some(1))
    );
    assert_eq!(
        (record.duration_ms, record.generator.as_deref()),
        (Some(5), Some("scripted"))
    );
    assert_eq!(
        (record.cached, record.target_fingerprint.as_deref()),
        (true, Some("f"))
    );
    assert_eq!((record.error_code, record.error_message), (None, None));
    assert_eq!(record.receipt, serde_json::to_value(receipt).ok());
    assert_eq!(
        (record.created_at, record.executed_at),
        (at(2), Some(at(3)))
    );
    assert_eq!(
        actions(&store).await,
        ["user_created", "query", "query_answered"]
    );
    assert_eq!(store.query_record(id + 1).await, Ok(None));
}

pub async fn a_failed_question_keeps_its_reason(store: Store) {
    let ada = ada(&store).await;
    let own_sql = NewQuery {
        question: None,
        sql: Some("DROP TABLE t".into()),
        ..question(ada, "")
    };
    let begun = store.begin_query(&own_sql, &entry("query")).await;
    let id = begun.unwrap().id;
    let refused = FinishedQuery {
        sql: None,
        error: Some(("not_a_select".into(), "only SELECT may run".into())),
        result_count: None,
        generator: None,
        cached: false,
        ..success()
    };
    store
        .finish_query(id, &refused, &entry("query_refused"))
        .await
        .unwrap();
    let record = store.query_record(id).await.unwrap().unwrap();
    assert_eq!(
        (record.status, record.question, record.sql.as_deref()),
        (QueryStatus::Error, None, Some("DROP TABLE t"))
    );
    assert_eq!(
        (
            record.error_code.as_deref(),
            record.error_message.as_deref()
        ),
        (Some("not_a_select"), Some("only SELECT may run"))
    );
    assert_eq!((record.result_count, record.receipt), (None, None));
}

pub async fn a_finished_question_cannot_be_finished_again(store: Store) {
    let ada = ada(&store).await;
    let id = ask(&store, ada, "How many?").await;
    let codes = at_once(10, |_| {
        let store = store.clone();
        async move {
            let answered = entry("query_answered");
            code(store.finish_query(id, &success(), &answered).await)
        }
    })
    .await;
    let withheld: Vec<_> = codes.into_iter().flatten().collect();
    assert_eq!(withheld, [Code::Interrupted; 9]);
    let missing = store
        .finish_query(999, &success(), &entry("query_answered"))
        .await;
    assert_eq!(code(missing), Some(Code::Interrupted));
    assert_eq!(
        actions(&store).await,
        ["user_created", "query", "query_answered"]
    );
}

pub async fn an_expired_lease_becomes_interrupted(store: Store) {
    let (ada, bob) = (ada(&store).await, user(&store, "bob@x", Role::Viewer).await);
    let id = ask(&store, ada, "How many?").await;
    let of_bob = ask(&store, bob, "How much?").await;
    let longer = NewQuery {
        lease_until: at(120),
        ..question(ada, "Until when?")
    };
    let longer = store.begin_query(&longer, &entry("query")).await;
    let longer = longer.unwrap().id;
    assert_eq!(
        store.sweep_expired(at(60)).await,
        Ok(0),
        "the lease runs to its last moment"
    );
    let later = at(60) + milliseconds(1);
    assert_eq!(store.sweep_expired(later).await, Ok(2));
    assert_eq!(store.sweep_expired(later).await, Ok(0));
    let record = store.query_record(id).await.unwrap().unwrap();
    assert_eq!(
        (record.status, record.error_code.as_deref()),
        (QueryStatus::Error, Some("interrupted"))
    );
    assert_eq!(record.executed_at, Some(later));
    let record = store.query_record(longer).await.unwrap().unwrap();
    assert_eq!(record.status, QueryStatus::Pending);
    let mut swept: Vec<_> = entries(&store).await.split_off(5);
    swept.sort_by_key(|entry| entry.resource_id);
    let swept: Vec<_> = swept
        .iter()
        .map(|entry| (entry.action.as_str(), entry.user_id, entry.resource_id))
        .collect();
    assert_eq!(
        swept,
        [
            ("query_failed", Some(ada), Some(id)),
            ("query_failed", Some(bob), Some(of_bob))
        ]
    );
    let late = store
        .finish_query(id, &success(), &entry("query_answered"))
        .await;
    assert_eq!(code(late), Some(Code::Interrupted));
}

pub async fn a_sweep_and_an_outcome_at_once_leave_one_outcome(store: Store) {
    let ada = ada(&store).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(ask(&store, ada, &number.to_string()).await);
    }
    let outcomes = at_once(21, |number| {
        let (store, id) = (store.clone(), ids.get(number).copied());
        async move {
            let Some(id) = id else {
                return store.sweep_expired(at(61)).await.unwrap();
            };
            let answered = entry("query_answered");
            let finished = store.finish_query(id, &success(), &answered).await;
            u64::from(finished.is_ok())
        }
    })
    .await;
    assert_eq!(outcomes.iter().sum::<u64>(), 20);
    assert_eq!(
        actions(&store).await.len(),
        41,
        "a question has one entry at its begin and one at its end"
    );
}

pub async fn concurrent_questions_get_rows_of_their_own(store: Store) {
    let ada = ada(&store).await;
    let mut ids = at_once(50, |number| {
        let store = store.clone();
        async move {
            let id = ask(&store, ada, &number.to_string()).await;
            let answered = entry("query_answered");
            store.finish_query(id, &success(), &answered).await.unwrap();
            store.note_last_query(ada, at(1)).await.unwrap();
            let record = store.query_record(id).await.unwrap().unwrap();
            assert_eq!(record.question, Some(number.to_string()));
            id
        }
    })
    .await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    assert_eq!(actions(&store).await.len(), 101);
}

pub async fn the_last_question_is_noted_once_a_second(store: Store) {
    let ada = ada(&store).await;
    for (milliseconds_later, expected) in [
        (0, 0),
        (999, 0),
        (1_000, 1_000),
        (1_500, 1_000),
        (9_000, 9_000),
    ] {
        let now = at(0) + milliseconds(milliseconds_later);
        store.note_last_query(ada, now).await.unwrap();
        let user = store.user(ada).await.unwrap().unwrap();
        assert_eq!(user.last_query_at, Some(at(0) + milliseconds(expected)));
        assert_eq!(user.updated_at, at(0), "asking is no change of the user");
    }
    assert_eq!(actions(&store).await, ["user_created"]);
}

pub async fn questions_are_filtered_and_listed_newest_first(store: Store) {
    let (ada, bob) = (ada(&store).await, user(&store, "bob@x", Role::Viewer).await);
    let answered = ask(&store, ada, "How many orders?").await;
    let pending = ask(&store, ada, "How many customers?").await;
    let of_bob = ask(&store, bob, "How many orders?").await;
    let finished = FinishedQuery {
        sql: Some("SELECT count(*) FROM Orders".into()),
        ..success()
    };
    store
        .finish_query(answered, &finished, &entry("query_answered"))
        .await
        .unwrap();
    let check = async |filter: QueryFilter, expected: &[i64]| {
        let page = store.queries(&filter, first_page()).await.unwrap();
        let ids: Vec<i64> = page.items.iter().map(|query| query.id).collect();
        assert_eq!(ids, expected, "{filter:?}");
    };
    check(QueryFilter::default(), &[of_bob, pending, answered]).await;
    let of_ada = QueryFilter {
        user_id: Some(ada),
        ..QueryFilter::default()
    };
    check(of_ada.clone(), &[pending, answered]).await;
    let by_status = |status| QueryFilter {
        status: Some(status),
        ..QueryFilter::default()
    };
    check(by_status(QueryStatus::Pending), &[of_bob, pending]).await;
    check(by_status(QueryStatus::Success), &[answered]).await;
    check(by_status(QueryStatus::Error), &[]).await;
    let all = QueryFilter {
        status: Some(QueryStatus::Success),
        search: Some("COUNT(*)".into()),
        ..of_ada
    };
    check(all, &[answered]).await;
}

pub async fn a_search_takes_every_character_for_itself(store: Store) {
    let ada = ada(&store).await;
    let texts = [
        "100 % of orders",
        "order_items",
        "O'Brien's \"orders\"",
        "a\\b",
        "Größe",
    ];
    for text in texts {
        ask(&store, ada, text).await;
    }
    let found = async |search: &str| {
        let filter = QueryFilter {
            search: Some(search.into()),
            ..QueryFilter::default()
        };
        let page = store.queries(&filter, first_page()).await.unwrap();
        let found = page.items.into_iter().filter_map(|query| query.question);
        found.collect::<Vec<_>>()
    };
    assert_eq!(found("%").await, [texts[0]]);
    assert_eq!(found("0 %").await, [texts[0]]);
    assert_eq!(found("_").await, [texts[1]]);
    assert_eq!(found("o'b").await, [texts[2]]);
    assert_eq!(found("\"").await, [texts[2]]);
    assert_eq!(found("\\").await, [texts[3]]);
    assert_eq!(found("größe").await, [texts[4]]);
    assert_eq!(found("ORDER").await, [texts[2], texts[1], texts[0]]);
    assert_eq!(found("; DROP TABLE queries").await, [""; 0]);
    assert_eq!(found("").await.len(), 5);
}

pub async fn pages_of_questions_join_while_more_are_asked(store: Store) {
    let (ada, bob) = (ada(&store).await, user(&store, "bob@x", Role::Viewer).await);
    let mut ids = Vec::new();
    for number in 0..11 {
        ids.push(ask(&store, ada, &number.to_string()).await);
        ask(&store, bob, "another's").await;
    }
    ids.reverse();
    let of_ada = QueryFilter {
        user_id: Some(ada),
        ..QueryFilter::default()
    };
    let mut read = Vec::new();
    let mut request = PageRequest::first(4);
    loop {
        let page = store.queries(&of_ada, request).await.unwrap();
        read.extend(page.items.iter().map(|query| query.id));
        ask(&store, ada, "late").await;
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(read, ids);
    let last = PageRequest {
        cursor: read.last().copied(),
        limit: 4,
    };
    let page = store.queries(&of_ada, last).await.unwrap();
    assert_eq!((page.items, page.next_cursor), (vec![], None));
}

pub async fn a_second_rating_replaces_the_first(store: Store) {
    let (ada, bob) = (ada(&store).await, user(&store, "bob@x", Role::Viewer).await);
    let query = ask(&store, ada, "How many?").await;
    let id = rate(&store, query, ada, 2, Some("wrong year"), 1).await;
    let last = last_entry(&store).await;
    assert_eq!((last.resource_id, last.changes), (Some(id), json!({})));
    assert_eq!(rate(&store, query, ada, 5, Some("wrong year"), 2).await, id);
    let last = last_entry(&store).await;
    assert_eq!(last.resource_id, Some(id));
    assert_eq!(
        last.changes,
        json!({ "before": { "rating": 2 }, "after": { "rating": 5 } })
    );
    rate(&store, query, bob, 1, None, 3).await;
    let ratings = store.feedback(Some(query), first_page()).await.unwrap();
    let of_ada = &ratings.items[1];
    assert_eq!((of_ada.id, of_ada.rating, of_ada.user_id), (id, 5, ada));
    assert_eq!(
        (of_ada.comment.as_deref(), of_ada.created_at),
        (Some("wrong year"), at(2))
    );
    let record = store.query_record(query).await.unwrap().unwrap();
    assert_eq!(record.rating, Some(5), "that of the one who asked");
    let listed = store.queries(&QueryFilter::default(), first_page()).await;
    assert_eq!(listed.unwrap().items[0].rating, Some(5));
}

pub async fn ratings_given_at_once_leave_one(store: Store) {
    let ada = ada(&store).await;
    let query = ask(&store, ada, "How many?").await;
    let mut ids = at_once(20, |number| {
        let (store, stars) = (store.clone(), i64::try_from(number).unwrap() % 5 + 1);
        async move { rate(&store, query, ada, stars, None, 1).await }
    })
    .await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let ratings = store.feedback(None, first_page()).await.unwrap();
    assert_eq!(ratings.items.len(), 1);
    assert_eq!(actions(&store).await.len(), 22);
}

pub async fn ratings_are_listed_by_query(store: Store) {
    let ada = ada(&store).await;
    let mut ratings = Vec::new();
    for number in 0..3 {
        let query = ask(&store, ada, &number.to_string()).await;
        ratings.push((query, rate(&store, query, ada, 3, None, number).await));
    }
    let listed = async |query, request| {
        let page = store.feedback(query, request).await.unwrap();
        let ids: Vec<i64> = page.items.iter().map(|feedback| feedback.id).collect();
        (ids, page.next_cursor)
    };
    let [(_, first), (query, second), (_, third)] = ratings[..] else {
        unreachable!("three were given");
    };
    assert_eq!(
        listed(None, PageRequest::first(2)).await,
        (vec![third, second], Some(second))
    );
    let rest = PageRequest {
        cursor: Some(second),
        limit: 2,
    };
    assert_eq!(listed(None, rest).await, (vec![first], None));
    assert_eq!(
        listed(Some(query), first_page()).await,
        (vec![second], None)
    );
    assert_eq!(listed(Some(999), first_page()).await, (vec![], None));
}

async fn rate(
    store: &Store,
    query_id: i64,
    user_id: UserId,
    stars: i64,
    comment: Option<&str>,
    seconds: i64,
) -> i64 {
    let feedback = NewFeedback {
        query_id,
        user_id,
        rating: Rating::parse(stars).unwrap(),
        comment: comment.map(str::to_owned),
    };
    let rated = entry_at("feedback", seconds);
    store.rate(&feedback, &rated).await.unwrap()
}

fn receipt() -> Receipt {
    Receipt {
        question: "How many?".into(),
        sql: "SELECT 1".into(),
        copy_fingerprint: "f".into(),
        schema_fingerprint: "s".into(),
        visible_schema_hash: "v".into(),
        model_hash: "m".into(),
        prompt_hash: "p".into(),
        row_count: 1,
        result_hash: "r".into(),
    }
}
