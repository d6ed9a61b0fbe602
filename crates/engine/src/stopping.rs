//! Stopping a question that is being answered, wherever it is: on this server or on another one.
//!
//! The server that answers it looks for a request to stop; whoever makes one may be connected to any. A request lives in
//! the cache and is gone with it, which is no loss: the question then ends by itself.

use std::time::Duration;

use crate::accounts::Actor;
use crate::error::{Code, Error};
use crate::history;
use crate::ports::{Cache, Ports, QueryStatus};

/// How often the server that answers a question looks for requests to stop it.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A request that nobody heeded by then is about a question that has ended.
const TTL: Duration = Duration::from_secs(60);

/// Asks whoever answers a question to stop. One that has ended by itself is left as it is.
///
/// # Errors
///
/// [`crate::Code::QueryNotFound`] unless the actor asked it; [`crate::Code::CacheDown`].
pub async fn request(ports: &Ports, actor: &Actor, query_id: i64) -> Result<(), Error> {
    let query = history::one(ports, actor, query_id).await?;
    if query.user_id != actor.user_id {
        return Err(Error::new(
            Code::QueryNotFound,
            format!("you have asked no question {query_id}"),
        ));
    }
    if query.status == QueryStatus::Pending {
        ports.asking.cache.put(&key(query_id), b"", TTL).await?;
    }
    Ok(())
}

/// Says whether a question shall stop. A cache that is down knows of no request.
pub async fn is_requested(cache: &dyn Cache, query_id: i64) -> bool {
    matches!(cache.get(&key(query_id)).await, Ok(Some(_)))
}

fn key(query_id: i64) -> String {
    format!("stop:{query_id}")
}
