use async_trait::async_trait;
use engine::audit::AuditEntry;
use engine::policy::{NewPolicy, Policy, Role, Visibility};
use engine::ports::{Page, PageRequest, Policies};
use engine::{Code, Error};
use rusqlite::{Row, Savepoint};
use serde_json::json;

use super::audit_logs::append_about;
use super::rows::{Conditions, all, first, insert, page, role, text_of, time};
use super::{Failed, SqliteStore};

#[async_trait]
impl Policies for SqliteStore {
    async fn visibility(&self, role: Role) -> Result<Visibility, Error> {
        let policies = self
            .read(|connection| all(connection, "SELECT * FROM policies", [], read))
            .await?;
        let hidden = policies.iter().filter(|policy| policy.role >= role);
        Ok(Visibility::hiding(hidden.map(Policy::hidden_name)))
    }

    async fn policies(&self, request: PageRequest) -> Result<Page<Policy>, Error> {
        self.read(move |connection| {
            page(
                connection,
                "SELECT * FROM policies",
                Conditions::default(),
                request,
                read,
                |policy| policy.id,
            )
        })
        .await
    }

    async fn create_policy(&self, policy: &NewPolicy, audit: &AuditEntry) -> Result<i64, Error> {
        let (policy, audit) = (policy.clone(), audit.clone());
        self.write(move |savepoint| create(savepoint, &policy, audit))
            .await
    }

    async fn delete_policy(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error> {
        let audit = audit.clone();
        self.write(move |savepoint| {
            let before = first(
                savepoint,
                "DELETE FROM policies WHERE id = ?1 RETURNING *",
                [id],
                read,
            )?;
            let Some(before) = before else {
                return Ok(false);
            };
            let audit = audit.with(
                "before",
                json!({
                    "role": before.role,
                    "table_name": before.table_name,
                    "column_name": before.column_name,
                }),
            );
            append_about(savepoint, id, audit)?;
            Ok(true)
        })
        .await
    }
}

fn create(savepoint: &Savepoint<'_>, policy: &NewPolicy, audit: AuditEntry) -> Result<i64, Failed> {
    let same = first(
        savepoint,
        "SELECT * FROM policies WHERE role = ?1 AND table_name = ?2 AND column_name IS ?3",
        (
            policy.role.as_str(),
            &policy.table_name,
            &policy.column_name,
        ),
        read,
    )?;
    if let Some(same) = same {
        return Err(Error::new(
            Code::Conflict,
            format!(
                "policy {} hides `{}` from the role {} already",
                same.id,
                same.hidden_name(),
                same.role.as_str()
            ),
        )
        .into());
    }
    let id = insert(
        savepoint,
        "INSERT INTO policies (role, table_name, column_name, created_at) VALUES (?1, ?2, ?3, ?4)",
        (
            policy.role.as_str(),
            &policy.table_name,
            &policy.column_name,
            text_of(audit.at),
        ),
    )?;
    append_about(savepoint, id, audit)?;
    Ok(id)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Policy> {
    Ok(Policy {
        id: row.get("id")?,
        role: role(row, "role")?,
        table_name: row.get("table_name")?,
        column_name: row.get("column_name")?,
        created_at: time(row, "created_at")?,
    })
}
