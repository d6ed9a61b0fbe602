//! Conversations and the questions in them.

use engine::conversation::{Conversation, NewConversation, Turn};
use engine::ports::{QueryFilter, QueryStatus};

use super::*;

async fn begin(store: &Store, user_id: UserId) -> i64 {
    let new = NewConversation {
        user_id,
        title: None,
    };
    let created = entry("conversation_created");
    store.create_conversation(&new, &created).await.unwrap()
}

async fn two(store: &Store) -> (UserId, UserId) {
    (ada(store).await, user(store, "bob@x", Role::Viewer).await)
}

fn in_conversation(user_id: UserId, id: i64, text: &str) -> NewQuery {
    NewQuery {
        conversation_id: Some(id),
        ..question(user_id, text)
    }
}

/// Asks in a conversation and returns the query with the turn before.
async fn turn(store: &Store, user_id: UserId, id: i64, text: &str) -> (i64, Option<Turn>) {
    let query = in_conversation(user_id, id, text);
    let begun = store.begin_query(&query, &entry_at("query", 5)).await;
    let begun = begun.unwrap();
    (begun.id, begun.previous)
}

async fn finish(store: &Store, id: i64, finished: FinishedQuery) {
    let done = entry("query_answered");
    store.finish_query(id, &finished, &done).await.unwrap();
}

fn answered(sql: &str, understood_as: Option<&str>) -> FinishedQuery {
    FinishedQuery {
        sql: Some(sql.into()),
        understood_as: understood_as.map(str::to_owned),
        ..success()
    }
}

pub async fn a_conversation_is_begun_named_and_deleted_by_its_owner(store: Store) {
    let (ada, bob) = two(&store).await;
    let id = begin(&store, ada).await;
    assert_eq!(last_entry(&store).await.resource_id, Some(id));
    let begun = Conversation {
        id,
        user_id: ada,
        title: None,
        created_at: at(0),
        updated_at: at(0),
    };
    assert_eq!(store.conversation(id).await, Ok(Some(begun.clone())));
    let rename = |user_id, title: &'static str| {
        let store = Arc::clone(&store);
        async move {
            let renamed = entry_at("conversation_renamed", 7);
            store
                .rename_conversation(user_id, id, title, &renamed)
                .await
        }
    };
    assert_eq!(rename(bob, "Mine").await, Ok(None));
    let named = Conversation {
        title: Some("Sales".into()),
        updated_at: at(7),
        ..begun
    };
    assert_eq!(rename(ada, "Sales").await, Ok(Some(named.clone())));
    assert_eq!(store.conversation(id).await, Ok(Some(named)));
    assert_eq!(
        last_entry(&store).await.changes,
        json!({ "before": { "title": null }, "after": { "title": "Sales" } })
    );
    let delete = |user_id| {
        let store = Arc::clone(&store);
        async move {
            let deleted = entry("conversation_deleted");
            store.delete_conversation(user_id, id, &deleted).await
        }
    };
    assert_eq!(delete(bob).await, Ok(false));
    assert_eq!(delete(ada).await, Ok(true));
    assert_eq!(
        last_entry(&store).await.changes,
        json!({ "before": { "title": "Sales" } })
    );
    assert_eq!(delete(ada).await, Ok(false));
    assert_eq!(rename(ada, "Again").await, Ok(None));
    assert_eq!(store.conversation(id).await, Ok(None));
    let done = actions(&store).await;
    let expected = ["created", "renamed", "deleted"].map(|act| format!("conversation_{act}"));
    assert_eq!(done[2..], expected, "what did nothing left no entry");
}

pub async fn conversations_are_listed_newest_first(store: Store) {
    let (ada, bob) = two(&store).await;
    let (first, second, third) = (
        begin(&store, ada).await,
        begin(&store, ada).await,
        begin(&store, ada).await,
    );
    let of_bob = begin(&store, bob).await;
    let deleted = entry("conversation_deleted");
    let gone = store.delete_conversation(ada, second, &deleted).await;
    assert_eq!(gone, Ok(true));
    let page = store.conversations(ada, PageRequest::first(1)).await;
    let page = page.unwrap();
    assert_eq!((page.items[0].id, page.next_cursor), (third, Some(third)));
    let rest = PageRequest {
        cursor: page.next_cursor,
        limit: 1,
    };
    let rest = store.conversations(ada, rest).await.unwrap();
    assert_eq!((rest.items[0].id, rest.next_cursor), (first, None));
    let page = store.conversations(bob, first_page()).await.unwrap();
    assert_eq!(page.items[0].id, of_bob);
    assert_eq!(page.items.len(), 1);
}

pub async fn a_question_joins_a_conversation_and_gives_it_a_title(store: Store) {
    let ada = ada(&store).await;
    let id = begin(&store, ada).await;
    let long = format!("How many? {}", "\u{e9}".repeat(300));
    let (query, previous) = turn(&store, ada, id, &long).await;
    assert_eq!(previous, None);
    let record = store.query_record(query).await.unwrap().unwrap();
    assert_eq!(
        (record.conversation_id, record.understood_as),
        (Some(id), None)
    );
    let conversation = store.conversation(id).await.unwrap().unwrap();
    let title: String = long.chars().take(200).collect();
    assert_eq!(conversation.title, Some(title));
    assert_eq!(conversation.updated_at, at(5));
    turn(&store, ada, id, "And how much?").await;
    let again = store.conversation(id).await.unwrap().unwrap();
    assert_eq!(again.title, conversation.title);
    let outside = ask(&store, ada, "How many?").await;
    let outside = store.query_record(outside).await.unwrap().unwrap();
    assert_eq!(outside.conversation_id, None);
    let filter = QueryFilter {
        conversation_id: Some(id),
        ..QueryFilter::default()
    };
    let turns = store.queries(&filter, first_page()).await.unwrap();
    assert_eq!(turns.items.len(), 2);
    assert_eq!(turns.items[1].id, query);
}

pub async fn only_ones_own_conversation_can_be_used(store: Store) {
    let (ada, bob) = two(&store).await;
    let id = begin(&store, ada).await;
    let before = actions(&store).await;
    for (user_id, id) in [(bob, id), (ada, id + 1)] {
        let query = in_conversation(user_id, id, "How many?");
        let refused = store.begin_query(&query, &entry("query")).await;
        assert_eq!(code(refused), Some(Code::ConversationNotFound));
    }
    let all = QueryFilter::default();
    let queries = store.queries(&all, first_page()).await.unwrap();
    assert_eq!(queries.items, []);
    assert_eq!(actions(&store).await, before);
    let untouched = store.conversation(id).await.unwrap().unwrap();
    assert_eq!((untouched.title, untouched.updated_at), (None, at(0)));
}

pub async fn a_deleted_conversation_keeps_its_questions(store: Store) {
    let ada = ada(&store).await;
    let id = begin(&store, ada).await;
    let (query, _) = turn(&store, ada, id, "How many?").await;
    let deleted = entry("conversation_deleted");
    let gone = store.delete_conversation(ada, id, &deleted).await;
    assert_eq!(gone, Ok(true));
    // What was being answered is answered.
    finish(&store, query, success()).await;
    let record = store.query_record(query).await.unwrap().unwrap();
    assert_eq!(
        (record.status, record.conversation_id),
        (QueryStatus::Success, Some(id))
    );
    let more = in_conversation(ada, id, "And how much?");
    let refused = store.begin_query(&more, &entry("query")).await;
    assert_eq!(code(refused), Some(Code::ConversationNotFound));
}

pub async fn the_turn_answered_last_is_the_previous_one(store: Store) {
    let ada = ada(&store).await;
    let (id, other) = (begin(&store, ada).await, begin(&store, ada).await);
    let (first, _) = turn(&store, ada, id, "How many?").await;
    finish(&store, first, answered("SELECT 1", None)).await;
    let expected = Turn {
        question: "How many?".into(),
        understood_as: None,
        sql: "SELECT 1".into(),
        generator: Some("scripted".into()),
    };
    let (second, previous) = turn(&store, ada, id, "only Germany").await;
    assert_eq!(previous, Some(expected.clone()));
    assert_eq!(turn(&store, ada, other, "only Germany").await.1, None);
    let outside = question(ada, "only Germany");
    let outside = store.begin_query(&outside, &entry("query")).await;
    assert_eq!(outside.unwrap().previous, None);

    // Neither what is pending nor what was refused is leaned on.
    let (third, previous) = turn(&store, ada, id, "only France").await;
    assert_eq!(previous, Some(expected.clone()));
    let refused = FinishedQuery {
        error: Some(("cannot_be_answered".into(), "no".into())),
        ..answered("SELECT 3", None)
    };
    finish(&store, third, refused).await;
    assert_eq!(turn(&store, ada, id, "only Spain").await.1, Some(expected));

    let understood = "How many? \u{2192} only Germany";
    finish(&store, second, answered("SELECT 2", Some(understood))).await;
    let record = store.query_record(second).await.unwrap().unwrap();
    assert_eq!(record.understood_as.as_deref(), Some(understood));
    let (_, previous) = turn(&store, ada, id, "and by year").await;
    let previous = previous.unwrap();
    assert_eq!(previous.understood_as.as_deref(), Some(understood));
    assert_eq!(previous.sql, "SELECT 2");
}

pub async fn questions_asked_at_once_all_join(store: Store) {
    const TIMES: usize = 12;
    let ada = ada(&store).await;
    let id = begin(&store, ada).await;
    let turns = at_once(TIMES, |number| {
        let store = Arc::clone(&store);
        async move {
            let (query, _) = turn(&store, ada, id, &format!("How many {number}?")).await;
            finish(&store, query, success()).await;
            query
        }
    })
    .await;
    let filter = QueryFilter {
        conversation_id: Some(id),
        status: Some(QueryStatus::Success),
        ..QueryFilter::default()
    };
    let page = store.queries(&filter, first_page()).await.unwrap();
    assert_eq!(page.items.len(), TIMES);
    let last = turns.into_iter().max().unwrap();
    let last = store.query_record(last).await.unwrap().unwrap();
    let (_, previous) = turn(&store, ada, id, "only Germany").await;
    assert_eq!(Some(previous.unwrap().question), last.question);
}

pub async fn a_question_and_a_deletion_at_once_leave_both_or_one(store: Store) {
    let ada = ada(&store).await;
    for _ in 0..6 {
        let id = begin(&store, ada).await;
        let outcomes = at_once(2, |number| {
            let store = Arc::clone(&store);
            async move {
                if number == 0 {
                    let deleted = entry("conversation_deleted");
                    let gone = store.delete_conversation(ada, id, &deleted).await;
                    return gone.map(|gone| assert!(gone));
                }
                let query = in_conversation(ada, id, "How many?");
                let begun = store.begin_query(&query, &entry("query")).await;
                begun.map(drop)
            }
        })
        .await;
        assert_eq!(outcomes[0], Ok(()));
        let asked = outcomes[1].clone().map_err(|error| error.code());
        assert!(
            matches!(asked, Ok(()) | Err(Code::ConversationNotFound)),
            "{asked:?}"
        );
        let filter = QueryFilter {
            conversation_id: Some(id),
            ..QueryFilter::default()
        };
        let page = store.queries(&filter, first_page()).await.unwrap();
        assert_eq!(page.items.len(), usize::from(asked.is_ok()));
    }
}
