use async_trait::async_trait;
use engine::Error;
use engine::policy::{Role, Visibility};
use engine::ports::{Situation, Situations, Version};
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;

/// The columns that [`read_situation`] reads; the argument stands for what [`roles_from`] returns.
macro_rules! situation {
    ($roles:literal) => {
        concat!(
            "(SELECT token FROM versions WHERE name = 'business_ontologies') AS terms,
             (SELECT token FROM versions WHERE name = 'verified_queries') AS verified_queries,
             ARRAY(
                 SELECT table_name || coalesce('.' || column_name, '') FROM policies WHERE role = ANY(",
            $roles,
            ")
             ) AS hidden"
        )
    };
}
pub(super) use situation;

#[async_trait]
impl Situations for PostgresStore {
    async fn situation(&self, role: Role) -> Result<Situation, Error> {
        const SITUATION: &str = concat!("SELECT ", situation!("$1"));
        self.only(query(SITUATION).bind(roles_from(role)), read_situation)
            .await
    }
}

/// Returns a role and those above it: what is hidden from one of them is hidden from it.
pub(super) fn roles_from(role: Role) -> Vec<&'static str> {
    [Role::Viewer, Role::Analyst, Role::Admin]
        .into_iter()
        .filter(|other| *other >= role)
        .map(Role::as_str)
        .collect()
}

pub(super) fn read_situation(row: &PgRow) -> sqlx::Result<Situation> {
    let version = |column| row.try_get::<String, _>(column).map(Version::stored);
    let hidden: Vec<String> = row.try_get("hidden")?;
    Ok(Situation {
        visibility: Visibility::hiding(hidden),
        terms: version("terms")?,
        verified_queries: version("verified_queries")?,
    })
}
