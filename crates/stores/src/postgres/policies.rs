use async_trait::async_trait;
use engine::Error;
use engine::audit::AuditEntry;
use engine::policy::{NewPolicy, Policy, Role, Visibility};
use engine::ports::{Page, PageRequest, Policies};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{id, role, select, storable, storable_or_none};

macro_rules! columns {
    () => {
        "id, role, table_name, column_name, created_at"
    };
}

#[async_trait]
impl Policies for PostgresStore {
    async fn visibility(&self, role: Role) -> Result<Visibility, Error> {
        const ALL: &str = concat!("SELECT ", columns!(), " FROM policies");
        let policies = self.all(query(ALL), read).await?;
        let hidden = policies.iter().filter(|policy| policy.role >= role);
        Ok(Visibility::hiding(hidden.map(Policy::hidden_name)))
    }

    async fn policies(&self, request: PageRequest) -> Result<Page<Policy>, Error> {
        let policies = select(concat!(columns!(), " FROM policies"));
        self.page(policies, request, read, |policy| policy.id).await
    }

    async fn create_policy(&self, policy: &NewPolicy, audit: &AuditEntry) -> Result<i64, Error> {
        let mut transaction = self.begin().await?;
        let insert = query(
            "INSERT INTO policies (role, table_name, column_name, created_at) VALUES ($1, $2, $3, $4) RETURNING id",
        )
        .bind(policy.role.as_str())
        .bind(storable(&policy.table_name))
        .bind(storable_or_none(&policy.column_name))
        .bind(audit.at);
        let id = transaction.only(insert, id).await?;
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn delete_policy(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error> {
        const DELETE: &str = concat!("DELETE FROM policies WHERE id = $1 RETURNING ", columns!());
        let mut transaction = self.begin().await?;
        let Some(before) = transaction.one(query(DELETE).bind(id), read).await? else {
            return Ok(false);
        };
        let audit = audit.clone().with(
            "before",
            json!({
                "role": before.role,
                "table_name": before.table_name,
                "column_name": before.column_name,
            }),
        );
        transaction.append_about(id, audit).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn read(row: &PgRow) -> sqlx::Result<Policy> {
    Ok(Policy {
        id: row.try_get("id")?,
        role: role(row, "role")?,
        table_name: row.try_get("table_name")?,
        column_name: row.try_get("column_name")?,
        created_at: row.try_get("created_at")?,
    })
}
