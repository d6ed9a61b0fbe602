//! The data as one actor may see them: tables, columns and keys, with what was measured when the copy was made.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::Actor;
use crate::audit::AuditEntry;
use crate::error::Error;
use crate::ports::Ports;
use crate::schema::{Column, ForeignKey, Table, TableKind};

/// The visible part of a schema.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Catalog {
    /// When the original was last changed, RFC 3339 in UTC.
    pub data_as_of: String,
    /// The fingerprint of the copy that was measured.
    pub copy_fingerprint: String,
    /// The hash of what the actor may name, as on receipts.
    pub visible_schema_hash: String,
    /// Tables and views, in the order of the database.
    pub tables: Vec<CatalogTable>,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CatalogTable {
    /// The name.
    pub name: String,
    /// Table, view or virtual table.
    pub kind: TableKind,
    /// Its rows; null for a view.
    pub row_count: Option<u64>,
    /// The columns that may be seen.
    pub columns: Vec<CatalogColumn>,
    /// The columns of the primary key that may be seen.
    pub primary_key: Vec<String>,
    /// References to other tables that may be seen.
    pub foreign_keys: Vec<CatalogKey>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CatalogColumn {
    /// The name.
    pub name: String,
    /// The type as declared; empty when none was.
    pub declared_type: String,
    /// The comment beside its declaration.
    pub description: Option<String>,
    /// It cannot be null.
    pub not_null: bool,
    /// The share of rows, 0.0 to 1.0, in which it is null; null when not measured.
    pub null_share: Option<f64>,
    /// Different values, as far as they were counted.
    pub distinct: Option<u64>,
    /// Some values that occur, the most frequent first.
    pub samples: Vec<String>,
}

/// A reference to another table.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CatalogKey {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub table: String,
    /// The columns referred to.
    pub referenced: Vec<String>,
    /// Not declared, but likely.
    pub inferred: bool,
}

/// Returns the data as the actor may see them. The look is recorded, because sample values are data.
///
/// # Errors
///
/// [`crate::Code::TargetDisabled`], [`crate::Code::TargetDatabaseDown`], [`crate::Code::SystemStoreDown`].
pub async fn catalog(ports: &Ports, actor: &Actor) -> Result<Catalog, Error> {
    let visibility = ports.asking.store.visibility(actor.role).await?;
    let target = ports.asking.target.current().await?;
    let visible = ports.asking.known.visible(target.schema(), &visibility);
    let provenance = target.provenance();
    let changes = json!({ "visible_schema_hash": visible.hash() });
    let now = ports.clock.now();
    let audit = AuditEntry::new(now, Some(actor.user_id), "schema_read", "target", changes);
    ports.store.record(&audit).await?;
    Ok(Catalog {
        data_as_of: provenance.data_as_of,
        copy_fingerprint: provenance.fingerprint,
        visible_schema_hash: visible.hash().to_owned(),
        tables: visible.tables().iter().map(CatalogTable::from).collect(),
    })
}

impl From<&Table> for CatalogTable {
    fn from(table: &Table) -> Self {
        Self {
            name: table.name.clone(),
            kind: table.kind,
            row_count: table.row_count,
            columns: table.columns.iter().map(CatalogColumn::from).collect(),
            primary_key: table.primary_key.clone(),
            foreign_keys: table.foreign_keys.iter().map(CatalogKey::from).collect(),
        }
    }
}

impl From<&Column> for CatalogColumn {
    fn from(column: &Column) -> Self {
        Self {
            name: column.name.clone(),
            declared_type: column.declared_type.clone(),
            description: column.description.clone(),
            not_null: column.not_null,
            null_share: column.null_share,
            distinct: column.distinct,
            samples: column.samples.clone(),
        }
    }
}

impl From<&ForeignKey> for CatalogKey {
    fn from(key: &ForeignKey) -> Self {
        Self {
            columns: key.columns.clone(),
            table: key.table.clone(),
            referenced: key.referenced.clone(),
            inferred: key.inferred,
        }
    }
}
