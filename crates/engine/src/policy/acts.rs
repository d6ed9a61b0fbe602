//! What administrators do with policies.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{NewPolicy, Policy};
use crate::accounts::Actor;
use crate::audit::AuditEntry;
use crate::error::{Code, Error};
use crate::guard::nearest;
use crate::ports::{Page, PageRequest, Ports};
use crate::schema::Schema;

/// The longest name of a table or column in characters.
const MAX_NAME_CHARS: usize = 200;

/// A policy, with what it comes to in the data as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedPolicy {
    /// The policy.
    #[serde(flatten)]
    pub policy: Policy,
    /// The data have such a table or column; null while there is no target.
    pub is_present: Option<bool>,
}

/// Lists policies, those about absent tables and columns too.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn list(ports: &Ports, page: PageRequest) -> Result<Page<ListedPolicy>, Error> {
    let policies = ports.store.policies(page).await?;
    let target = ports.asking.target.current().await.ok();
    let is_present = |policy: &Policy| {
        let schema = target.as_ref()?.schema();
        Some(present(schema, &policy.table_name, policy.column_name.as_deref()).is_ok())
    };
    Ok(policies.map(|policy| ListedPolicy {
        is_present: is_present(&policy),
        policy,
    }))
}

/// Records a policy, spelt as the schema spells it, and returns it.
///
/// A name that the schema lacks would hide nothing, and a mistyped policy would go unnoticed, so it is refused; with
/// `force` it is kept as written, for a table to come.
///
/// # Errors
///
/// [`Code::InvalidRequest`], [`Code::UnknownTable`] and [`Code::UnknownColumn`] with the nearest name as the hint,
/// [`Code::Conflict`] if the policy exists, [`Code::TargetDisabled`] and [`Code::TargetDatabaseDown`] where there is no
/// schema to check against; not with `force`.
pub async fn create(
    ports: &Ports,
    actor: &Actor,
    policy: NewPolicy,
    force: bool,
) -> Result<Policy, Error> {
    for name in [Some(&policy.table_name), policy.column_name.as_ref()]
        .into_iter()
        .flatten()
    {
        check(name)?;
    }
    let policy = match ports.asking.target.current().await {
        Ok(target) => match present(
            target.schema(),
            &policy.table_name,
            policy.column_name.as_deref(),
        ) {
            Ok((table_name, column_name)) => NewPolicy {
                table_name,
                column_name,
                ..policy
            },
            Err(_) if force => policy,
            Err(fault) => return Err(fault),
        },
        Err(_) if force => policy,
        Err(fault) => return Err(fault),
    };
    let changes = json!({ "after": {
        "role": policy.role,
        "table_name": policy.table_name,
        "column_name": policy.column_name,
    }});
    let audit = entry(ports, actor, "policy_created", changes);
    let id = ports.store.create_policy(&policy, &audit).await?;
    Ok(Policy {
        id,
        role: policy.role,
        table_name: policy.table_name,
        column_name: policy.column_name,
        created_at: audit.at,
    })
}

/// Removes a policy.
///
/// # Errors
///
/// [`Code::NotFound`].
pub async fn delete(ports: &Ports, actor: &Actor, id: i64) -> Result<(), Error> {
    let audit = entry(ports, actor, "policy_deleted", json!({}));
    if ports.store.delete_policy(id, &audit).await? {
        Ok(())
    } else {
        Err(Error::new(
            Code::NotFound,
            format!("there is no policy {id}"),
        ))
    }
}

fn check(name: &str) -> Result<(), Error> {
    let chars = name.chars().count();
    if (1..=MAX_NAME_CHARS).contains(&chars) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidRequest,
        format!(
            "a table or column has a name of 1 to {MAX_NAME_CHARS} characters, none of them control characters"
        ),
    ))
}

/// Returns table and column as the schema spells them.
fn present(
    schema: &Schema,
    table: &str,
    column: Option<&str>,
) -> Result<(String, Option<String>), Error> {
    let Some(found) = schema.table(table) else {
        let names = schema.tables.iter().map(|table| table.name.as_str());
        let message = format!("the data have no table `{table}`");
        return Err(unknown(Code::UnknownTable, message, nearest(table, names)));
    };
    let Some(column) = column else {
        return Ok((found.name.clone(), None));
    };
    let Some(found_column) = found.column(column) else {
        let names = found.columns.iter().map(|column| column.name.as_str());
        let message = format!("the table `{}` has no column `{column}`", found.name);
        return Err(unknown(
            Code::UnknownColumn,
            message,
            nearest(column, names),
        ));
    };
    Ok((found.name.clone(), Some(found_column.name.clone())))
}

fn unknown(code: Code, message: String, nearest: Option<&str>) -> Error {
    let force = "`force` keeps a policy about a name to come";
    Error::new(code, message).with_hint(match nearest {
        Some(name) => format!("did you mean `{name}`? {force}"),
        None => force.to_owned(),
    })
}

fn entry(
    ports: &Ports,
    actor: &Actor,
    action: &'static str,
    changes: serde_json::Value,
) -> AuditEntry {
    let now = ports.clock.now();
    AuditEntry::new(now, Some(actor.user_id), action, "policy", changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, Table, TableKind};

    #[test]
    fn names_are_spelt_as_in_the_schema_and_unknown_ones_are_told_with_the_nearest() {
        let schema = Schema {
            tables: vec![Table {
                name: "People".into(),
                kind: TableKind::Table,
                columns: vec![Column {
                    name: "Salary".into(),
                    ..Column::default()
                }],
                primary_key: vec![],
                foreign_keys: vec![],
                row_count: None,
                ddl: String::new(),
                reads: vec![],
            }],
        };
        assert_eq!(
            present(&schema, "people", None),
            Ok(("People".into(), None))
        );
        assert_eq!(
            present(&schema, "PEOPLE", Some("salary")),
            Ok(("People".into(), Some("Salary".into())))
        );
        for (table, column, code, hint) in [
            ("peeple", None, Code::UnknownTable, "did you mean `People`?"),
            (
                "people",
                Some("salry"),
                Code::UnknownColumn,
                "did you mean `Salary`?",
            ),
            ("invoices", None, Code::UnknownTable, "`force` keeps"),
        ] {
            let fault = present(&schema, table, column).expect_err("an unknown name");
            assert_eq!(fault.code(), code);
            let told = fault.hint().unwrap_or_default();
            assert!(told.starts_with(hint), "{told}");
        }
    }
}
