use async_trait::async_trait;
use engine::Error;
use engine::policy::{Role, Visibility};
use engine::ports::{Situation, Situations, Version};
use rusqlite::{Connection, Row};

use super::SqliteStore;
use super::rows::parsed;

#[async_trait]
impl Situations for SqliteStore {
    async fn situation(&self, role: Role) -> Result<Situation, Error> {
        self.read(move |connection| situation(connection, role))
            .await
    }
}

/// Reads with one statement, so that it sees one state.
pub(super) fn situation(connection: &Connection, role: Role) -> rusqlite::Result<Situation> {
    const SITUATION: &str = "
        SELECT (SELECT token FROM versions WHERE name = 'business_ontologies') AS terms,
            (SELECT token FROM versions WHERE name = 'verified_queries') AS verified_queries,
            (
                SELECT json_group_array(table_name || coalesce('.' || column_name, '')) FROM policies
                WHERE role IN (?1, ?2, ?3)
            ) AS hidden";
    // What is hidden from a role is hidden from those below it.
    let [viewer, analyst, admin] = [Role::Viewer, Role::Analyst, Role::Admin]
        .map(|other| (other >= role).then(|| other.as_str()));
    connection
        .prepare_cached(SITUATION)?
        .query_row((viewer, analyst, admin), read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Situation> {
    let hidden: Vec<String> = parsed(row, "hidden", |text| serde_json::from_str(text).ok())?;
    Ok(Situation {
        visibility: Visibility::hiding(hidden),
        terms: Version::stored(row.get::<_, String>("terms")?),
        verified_queries: Version::stored(row.get::<_, String>("verified_queries")?),
    })
}
