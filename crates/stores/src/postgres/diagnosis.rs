//! What an operator wants to know of the server before anything is changed there.

use chrono::{DateTime, Utc};
use engine::Error;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::client_tools::server_version;
use super::faults::down;
use super::{PostgresSettings, migrate, pool};

/// The server as it was found. Looking changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The server's major version.
    pub server_version: u32,
    /// The server's time.
    pub now: DateTime<Utc>,
    /// The role `assay_app` is there.
    pub has_role: bool,
    /// Migrations that this program knows and the store lacks.
    pub pending: Vec<String>,
    /// Migrations that the store has and this program does not know.
    pub unknown: Vec<String>,
    /// Migrations that the store has with another text.
    pub altered: Vec<String>,
}

/// Connects as the application does and as the owner does, and looks.
///
/// # Errors
///
/// [`engine::Code::InvalidSetting`] for a URL that is none, [`engine::Code::SystemStoreDown`] saying why the server
/// cannot be reached or does not let one of the two in.
pub async fn diagnose(settings: &PostgresSettings) -> Result<Diagnosis, Error> {
    let app = pool::connect(&settings.options()?, "").await?;
    app.close().await.map_err(down)?;
    let mut owner = pool::connect(&settings.owner_options()?, migrate::GREETING).await?;
    let differences = migrate::look(&mut owner).await?;
    let (now, has_role) = look(&mut owner).await.map_err(down)?;
    let diagnosis = Diagnosis {
        server_version: server_version(&owner),
        now,
        has_role,
        pending: differences.pending,
        unknown: differences.unknown,
        altered: differences.altered,
    };
    owner.close().await.map_err(down)?;
    Ok(diagnosis)
}

async fn look(owner: &mut PgConnection) -> sqlx::Result<(DateTime<Utc>, bool)> {
    sqlx::query_as(
        "SELECT clock_timestamp(), EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'assay_app')",
    )
    .fetch_one(owner)
    .await
}
