//! What administrators read of the trail. Each look leaves an entry of its own.

use serde_json::json;

use super::{
    AuditEntry, AuditFilter, AuditRecord, InclusionProof, SealingState, prove, sealing_state,
};
use crate::accounts::Actor;
use crate::error::{Code, Error};
use crate::ports::{AuditLog, Page, PageRequest, Ports};

/// Lists entries, newest first.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn list(
    ports: &Ports,
    actor: &Actor,
    filter: &AuditFilter,
    page: PageRequest,
) -> Result<Page<AuditRecord>, Error> {
    let changes = json!({
        "user_id": filter.user_id,
        "action": filter.action,
        "resource": filter.resource,
        "resource_id": filter.resource_id,
        "since": filter.since,
        "until": filter.until,
    });
    look(ports, actor, None, changes).await?;
    ports.store.audit_entries(filter, page).await
}

/// Returns an entry.
///
/// # Errors
///
/// [`Code::NotFound`].
pub async fn one(ports: &Ports, actor: &Actor, id: i64) -> Result<AuditRecord, Error> {
    look(ports, actor, Some(id), json!({})).await?;
    let found = ports.store.stored_entries(id.saturating_sub(1), 1).await?;
    found
        .into_iter()
        .map(|entry| entry.record)
        .find(|record| record.id == id)
        .ok_or_else(|| missing(id))
}

/// Returns the proof that an entry is in the trail.
///
/// # Errors
///
/// [`Code::NotFound`], also while the entry is not sealed; [`Code::AuditTampered`].
pub async fn proof(ports: &Ports, actor: &Actor, id: i64) -> Result<InclusionProof, Error> {
    look(ports, actor, Some(id), json!({ "proof": true })).await?;
    let log: &dyn AuditLog = &*ports.store;
    prove(log, id).await?.ok_or_else(|| missing(id))
}

/// Returns how far the trail is sealed.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn sealing(ports: &Ports) -> Result<SealingState, Error> {
    let log: &dyn AuditLog = &*ports.store;
    sealing_state(log).await
}

async fn look(
    ports: &Ports,
    actor: &Actor,
    id: Option<i64>,
    changes: serde_json::Value,
) -> Result<(), Error> {
    let now = ports.clock.now();
    let user_id = Some(actor.user_id);
    let mut entry = AuditEntry::new(now, user_id, "audit_read", "audit_log", changes);
    entry.resource_id = id;
    ports.store.record(&entry).await
}

fn missing(id: i64) -> Error {
    Error::new(Code::NotFound, format!("there is no audit entry {id}"))
}
