//! The audit trail, for administrators. There is nothing here that changes it.

use axum::Json;
use chrono::{DateTime, Utc};
use engine::accounts::UserId;
use engine::audit::{AuditFilter, AuditRecord, InclusionProof, SealingKey, SealingState, acts};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::Shared;
use crate::http::auth::{Admin, Require};
use crate::http::error::{Failure, Problem};
use crate::http::extract::{PathId, QueryString};
use crate::http::openapi::{AddressProblems, CallerProblems, MissingProblems};
use crate::http::paging::{Listing, PageQuery, Paging};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only what this user did.
    user_id: Option<UserId>,
    /// Only entries of this action.
    action: Option<String>,
    /// Only what was done to this kind of thing.
    resource: Option<String>,
    /// Only what was done to the thing of this identifier.
    resource_id: Option<i64>,
    /// Not before this time, RFC 3339.
    since: Option<DateTime<Utc>>,
    /// Before this time, RFC 3339.
    until: Option<DateTime<Utc>>,
}

/// How far the trail is sealed, and what seals are checked with.
#[derive(Serialize, ToSchema)]
pub struct Sealing {
    /// How far it is sealed.
    #[serde(flatten)]
    state: SealingState,
    /// The key that signs now, then those before it.
    keys: Vec<PublicKey>,
}

/// The public half of a key that signs seals.
#[derive(Serialize, ToSchema)]
pub struct PublicKey {
    /// As it stands in a seal.
    key_id: String,
    /// Ed25519, in hex.
    public_key: String,
}

impl From<&SealingKey> for PublicKey {
    fn from(key: &SealingKey) -> Self {
        Self {
            key_id: key.id(),
            public_key: key.public(),
        }
    }
}

/// Lists entries, newest first.
#[utoipa::path(get, path = "/api/v1/audit-logs", tag = "audit-logs", params(AuditQuery, PageQuery), security(("session" = [])), responses(
    (status = 200, body = Listing<AuditRecord>),
    CallerProblems,
    AddressProblems,
))]
pub async fn list(
    state: Shared,
    caller: Require<Admin>,
    QueryString(query): QueryString<AuditQuery>,
    page: Paging,
) -> Result<Json<Listing<AuditRecord>>, Failure> {
    let filter = AuditFilter {
        user_id: query.user_id,
        action: query.action,
        resource: query.resource,
        resource_id: query.resource_id,
        since: query.since,
        until: query.until,
    };
    let entries = acts::list(&state.app.ports, &caller.actor, &filter, page.0).await?;
    Ok(Json(entries.into()))
}

/// Returns an entry.
#[utoipa::path(get, path = "/api/v1/audit-logs/{id}", tag = "audit-logs", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 200, body = AuditRecord),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn one(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
) -> Result<Json<AuditRecord>, Failure> {
    let entry = acts::one(&state.app.ports, &caller.actor, id.0).await?;
    Ok(Json(entry))
}

/// Returns what proves, to anyone who has the public key, that an entry is in the trail.
#[utoipa::path(get, path = "/api/v1/audit-logs/{id}/proof", tag = "audit-logs", params(("id" = i64, Path, example = 1)), security(("session" = [])), responses(
    (status = 200, body = InclusionProof),
    (status = 500, body = Problem, content_type = "application/problem+json", description = "The trail was tampered with."),
    CallerProblems,
    AddressProblems,
    MissingProblems,
))]
pub async fn proof(
    state: Shared,
    caller: Require<Admin>,
    id: PathId,
) -> Result<Json<InclusionProof>, Failure> {
    let proof = acts::proof(&state.app.ports, &caller.actor, id.0).await?;
    Ok(Json(proof))
}

/// Says how far the trail is sealed.
#[utoipa::path(get, path = "/api/v1/audit-logs/seals", tag = "audit-logs", security(("session" = [])), responses(
    (status = 200, body = Sealing),
    CallerProblems,
))]
pub async fn seals(state: Shared, _caller: Require<Admin>) -> Result<Json<Sealing>, Failure> {
    let sealing = acts::sealing(&state.app.ports).await?;
    let keys = state.keys.verifying.iter().map(PublicKey::from).collect();
    Ok(Json(Sealing {
        state: sealing,
        keys,
    }))
}
