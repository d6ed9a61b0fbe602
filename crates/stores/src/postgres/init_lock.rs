//! One initialisation at a time, on whatever machines they run.

use engine::Error;
use sqlx::postgres::PgConnection;
use sqlx::query;

use super::faults::down;
use super::{PostgresSettings, pool};

/// Whoever initialises holds this advisory lock.
const INITIALISING: i64 = 4707186421085270904;

/// Held while a store is initialised; the server lets go of it when the connection ends, however that comes about.
pub struct InitLock {
    _connection: PgConnection,
}

/// Waits until nobody else initialises this database.
///
/// # Errors
///
/// As [`super::PostgresStore::open`] if the server cannot be reached.
pub async fn lock_init(settings: &PostgresSettings) -> Result<InitLock, Error> {
    let mut connection = pool::connect(&settings.owner_options()?, "").await?;
    query("SELECT pg_advisory_lock($1)")
        .bind(INITIALISING)
        .execute(&mut connection)
        .await
        .map_err(down)?;
    Ok(InitLock {
        _connection: connection,
    })
}
