//! The role that works: what it may do, how a login comes to it, and what that is worth.

use engine::{Code, Error};
use serde::Serialize;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row, SqlSafeStr, query, raw_sql};

use super::faults::{down, is_forbidden, state};
use super::pool::Query;

/// The role that everything but migrations runs as.
pub const APP_ROLE: &str = "assay_app";

/// Tables whose rows it may change.
const CHANGEABLE: &[&str] = &[
    "users",
    "sessions",
    "refresh_tokens",
    "api_keys",
    "invitations",
    "password_resets",
    "conversations",
    "queries",
    "feedback",
    "policies",
    "business_ontologies",
    "verified_queries",
    "configurations",
    "versions",
];

/// Tables to which it may append.
const APPENDABLE: &[&str] = &["audit_logs", "audit_seals"];

/// What it may say of an entry: all but the identifier, so that it cannot choose a place among older entries.
const ENTRY: &str = "user_id, action, resource, resource_id, changes, timestamp, canonical, hash";

/// Creates the role unless it is there, and lets `login` become it.
pub(super) async fn prepare(owner: &mut PgConnection, login: &str) -> Result<(), Error> {
    refuse_other_encodings(owner).await?;
    let is_mighty = query(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR rolcanlogin
         FROM pg_roles WHERE rolname = 'assay_app'",
    )
    .fetch_optional(&mut *owner)
    .await
    .and_then(|row| row.map(|row| row.try_get::<bool, _>(0)).transpose())
    .map_err(down)?;
    let quoted = quoted(owner, login).await?;
    let manual = format!("CREATE ROLE assay_app NOLOGIN; GRANT assay_app TO {quoted};");
    match is_mighty {
        Some(false) => {}
        Some(true) => {
            return Err(Error::new(
                Code::SystemStoreDown,
                "the role `assay_app` has more rights than it needs",
            )
            .with_hint("run as a superuser: ALTER ROLE assay_app NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;"));
        }
        None => create(owner)
            .await
            .map_err(|fault| lacks_right("create the role `assay_app`", &manual, fault))?,
    }
    if !may_become(owner, login).await? {
        grant_role(owner, &quoted)
            .await
            .map_err(|fault| lacks_right("let the login become `assay_app`", &manual, fault))?;
    }
    Ok(())
}

async fn refuse_other_encodings(owner: &mut PgConnection) -> Result<(), Error> {
    let encoding: String = query("SELECT current_setting('server_encoding')")
        .fetch_one(owner)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(down)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(Error::new(
        Code::SystemStoreDown,
        format!("the database of the system store has the encoding {encoding}, which cannot hold every text"),
    )
    .with_hint("create it anew with: createdb --encoding=UTF8 --template=template0 NAME"))
}

/// Returns a name as it stands in SQL.
async fn quoted(owner: &mut PgConnection, name: &str) -> Result<String, Error> {
    query("SELECT quote_ident($1)")
        .bind(name)
        .fetch_one(owner)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(down)
}

async fn create(owner: &mut PgConnection) -> sqlx::Result<()> {
    // Roles belong to the whole server, so another database of it may be creating this one at the same time.
    match raw_sql("CREATE ROLE assay_app NOLOGIN")
        .execute(owner)
        .await
    {
        Err(fault) if matches!(state(&fault).as_deref(), Some("42710" | "23505")) => Ok(()),
        done => done.map(drop),
    }
}

async fn may_become(owner: &mut PgConnection, login: &str) -> Result<bool, Error> {
    // Since PostgreSQL 16 a member may lack the right to SET ROLE.
    let kind = match owner.server_version_num() {
        Some(version) if version < 160_000 => "MEMBER",
        _ => "SET",
    };
    query("SELECT pg_has_role($1::name, 'assay_app'::name, $2)")
        .bind(login)
        .bind(kind)
        .fetch_one(owner)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(down)
}

async fn grant_role(owner: &mut PgConnection, login: &str) -> sqlx::Result<()> {
    for _ in 0..5 {
        match execute(owner, format!("GRANT assay_app TO {login}")).await {
            // "tuple concurrently updated": another database of this server grants it at the same time.
            Err(fault) if state(&fault).as_deref() == Some("XX000") => {}
            done => return done,
        }
    }
    Ok(())
}

/// Gives the role its rights on the tables, and takes any others on the audit trail from it, unless that is so already.
pub(super) async fn grant(owner: &mut PgConnection) -> Result<(), Error> {
    let is_granted: bool = query(
        "SELECT has_schema_privilege('assay_app', 'public', 'USAGE')
            AND has_table_privilege('assay_app', 'schema_migrations', 'SELECT')
            AND (SELECT bool_and(has_table_privilege('assay_app', name, kind))
                 FROM unnest($1::text[]) AS name, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS kind)
            AND has_table_privilege('assay_app', 'audit_seals', 'INSERT')
            AND NOT has_column_privilege('assay_app', 'audit_logs', 'id', 'INSERT')
            AND (SELECT bool_and(has_column_privilege('assay_app', 'audit_logs', name, 'INSERT'))
                 FROM unnest(string_to_array($3, ', ')) AS name)
            AND (SELECT bool_and(has_table_privilege('assay_app', name, 'SELECT')) FROM unnest($2::text[]) AS name)
            AND NOT (SELECT bool_or(has_table_privilege('assay_app', name, 'DELETE, TRUNCATE, TRIGGER')
                                    OR has_any_column_privilege('assay_app', name, 'UPDATE'))
                     FROM unnest($2::text[]) AS name)",
    )
    .bind(CHANGEABLE)
    .bind(APPENDABLE)
    .bind(ENTRY)
    .fetch_one(&mut *owner)
    .await
    .and_then(|row| row.try_get(0))
    .map_err(down)?;
    if is_granted {
        return Ok(());
    }
    let (changeable, appendable) = (CHANGEABLE.join(", "), APPENDABLE.join(", "));
    let grants = format!(
        "GRANT USAGE ON SCHEMA public TO assay_app;
         GRANT SELECT ON schema_migrations TO assay_app;
         GRANT SELECT, INSERT, UPDATE, DELETE ON {changeable} TO assay_app;
         REVOKE ALL ON {appendable} FROM PUBLIC, assay_app;
         GRANT SELECT ON {appendable} TO assay_app;
         GRANT INSERT ({ENTRY}) ON audit_logs TO assay_app;
         GRANT INSERT ON audit_seals TO assay_app;"
    );
    execute(owner, grants.clone())
        .await
        .map_err(|fault| lacks_right("give `assay_app` its rights", &grants, fault))
}

async fn execute(owner: &mut PgConnection, sql: String) -> sqlx::Result<()> {
    // Names of our own and a login quoted by the server.
    raw_sql(AssertSqlSafe(sql).into_sql_str())
        .execute(owner)
        .await
        .map(drop)
}

/// Where roles are the business of someone else, as in most managed databases, says what they have to run.
fn lacks_right(what: &str, statements: &str, fault: sqlx::Error) -> Error {
    if !is_forbidden(&fault) {
        return down(fault);
    }
    let statements = statements.split_whitespace().collect::<Vec<_>>().join(" ");
    Error::new(
        Code::SystemStoreDown,
        format!("the owner of the system store may not {what}"),
    )
    .with_hint(format!(
        "have an administrator of the database run: {statements}"
    ))
    .with_cause(fault)
}

/// What stands between the audit trail and whoever holds the connection that answers requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// The role that works.
    pub works_as: String,
    /// The role that logged in.
    pub logged_in_as: String,
    /// The role that works may UPDATE `audit_logs`.
    pub may_update: bool,
    /// It may DELETE from it.
    pub may_delete: bool,
    /// It may TRUNCATE it.
    pub may_truncate: bool,
    /// It may alter or drop the table or its triggers.
    pub may_change_table: bool,
    /// Whoever logged in may become a role that may do one of these.
    pub may_become_other: bool,
    /// The triggers that refuse changes are in force.
    pub triggers_enabled: bool,
}

impl Protection {
    /// Says whether nothing that Assay can do in the database changes a row of the audit trail.
    pub fn is_complete(&self) -> bool {
        self.holds_while_working() && !self.may_become_other
    }

    fn holds_while_working(&self) -> bool {
        !(self.may_update || self.may_delete || self.may_truncate || self.may_change_table)
            && self.triggers_enabled
    }

    /// Says in a sentence what level is reached and, short of the highest, what would raise it.
    pub fn summary(&self) -> String {
        let (role, login) = (&self.works_as, &self.logged_in_as);
        if self.is_complete() {
            return format!(
                "append-only: neither `{role}` nor the login `{login}` may change audit_logs or its triggers"
            );
        }
        if self.holds_while_working() {
            return format!(
                "append-only for `{role}`, but the login `{login}` could become a role that may change audit_logs: \
                 give Assay a login of its own in DATABASE_URL and the owner's in MIGRATION_DATABASE_URL"
            );
        }
        let mut faults = Vec::new();
        for (is_so, right) in [
            (self.may_update, "UPDATE"),
            (self.may_delete, "DELETE"),
            (self.may_truncate, "TRUNCATE"),
            (self.may_change_table, "ALTER"),
        ] {
            if is_so {
                faults.push(format!("`{role}` may {right} audit_logs"));
            }
        }
        if !self.triggers_enabled {
            faults.push("its triggers are not in force".to_owned());
        }
        format!("not append-only: {}", faults.join(", "))
    }
}

/// Asks for what [`read`] reads.
pub(super) fn protection() -> Query<'static> {
    query(
        "SELECT current_user::text AS works_as, session_user::text AS logged_in_as,
             has_any_column_privilege('audit_logs', 'UPDATE') AS may_update,
             has_table_privilege('audit_logs', 'DELETE') AS may_delete,
             has_table_privilege('audit_logs', 'TRUNCATE') AS may_truncate,
             has_table_privilege('audit_logs', 'TRIGGER') OR pg_has_role(relowner, 'MEMBER') AS may_change_table,
             EXISTS (
                 SELECT FROM pg_roles AS other
                 WHERE pg_has_role(session_user, other.oid, 'MEMBER') AND (
                     other.rolsuper OR other.rolcreaterole OR pg_has_role(other.oid, relowner, 'MEMBER')
                     OR has_any_column_privilege(other.oid, pg_class.oid, 'UPDATE')
                     OR has_table_privilege(other.oid, pg_class.oid, 'DELETE, TRUNCATE, TRIGGER')
                 )
             ) AS may_become_other,
             2 = (
                 SELECT count(*) FROM pg_trigger
                 WHERE tgname IN ('audit_logs_append_only', 'audit_seals_append_only')
                   AND tgrelid IN ('audit_logs'::regclass, 'audit_seals'::regclass) AND tgenabled IN ('A', 'O')
             ) AS triggers_enabled
         FROM pg_class WHERE oid = 'audit_logs'::regclass",
    )
}

pub(super) fn read(row: &PgRow) -> sqlx::Result<Protection> {
    Ok(Protection {
        works_as: row.try_get("works_as")?,
        logged_in_as: row.try_get("logged_in_as")?,
        may_update: row.try_get("may_update")?,
        may_delete: row.try_get("may_delete")?,
        may_truncate: row.try_get("may_truncate")?,
        may_change_table: row.try_get("may_change_table")?,
        may_become_other: row.try_get("may_become_other")?,
        triggers_enabled: row.try_get("triggers_enabled")?,
    })
}
