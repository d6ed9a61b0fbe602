use async_trait::async_trait;
use chrono::{DateTime, Utc};
use engine::Error;
use engine::audit::AuditEntry;
use engine::ontology::{BusinessTerm, Imported, NewTerm, TermChange};
use engine::ports::{Ontologies, Page, PageRequest};
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{Row, query};

use super::PostgresStore;
use super::rows::{and_contains, folded, id, select, storable, storable_or_none};
use super::transaction::Transaction;

macro_rules! columns {
    () => {
        "id, term_name, description, synonyms, data_source, owner, created_at, updated_at"
    };
}

#[async_trait]
impl Ontologies for PostgresStore {
    async fn create_term(&self, term: &NewTerm, audit: &AuditEntry) -> Result<i64, Error> {
        let mut transaction = self.begin().await?;
        let id = create(&mut transaction, &storable_term(term), audit.at).await?;
        transaction.append_about(id, audit.clone()).await?;
        transaction.commit().await?;
        Ok(id)
    }

    async fn term(&self, id: i64) -> Result<Option<BusinessTerm>, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM business_ontologies WHERE id = $1"
        );
        self.one(query(FIND).bind(id), read).await
    }

    async fn terms(
        &self,
        search: Option<&str>,
        request: PageRequest,
    ) -> Result<Page<BusinessTerm>, Error> {
        let mut terms = select(concat!(columns!(), " FROM business_ontologies"));
        // Joined by a character that no text holds, so that nothing is found across two synonyms.
        let texts = [
            "term_name",
            "description",
            "array_to_string(synonyms, U&'\\FFFF')",
        ];
        and_contains(&mut terms, &texts, search);
        self.page(terms, request, read, |term| term.id).await
    }

    async fn all_terms(&self) -> Result<Vec<BusinessTerm>, Error> {
        const ALL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM business_ontologies ORDER BY term_folded"
        );
        self.all(query(ALL), read).await
    }

    async fn change_term(
        &self,
        id: i64,
        change: &TermChange,
        audit: &AuditEntry,
    ) -> Result<Option<BusinessTerm>, Error> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM business_ontologies WHERE id = $1 FOR UPDATE"
        );
        let mut transaction = self.begin().await?;
        let Some(before) = transaction.one(query(FIND).bind(id), read).await? else {
            return Ok(None);
        };
        let (was, change) = (content(&before), change.clone());
        let is = storable_term(&NewTerm {
            term_name: change.term_name.unwrap_or(was.term_name.clone()),
            description: change.description.unwrap_or(was.description.clone()),
            synonyms: change.synonyms.unwrap_or(was.synonyms.clone()),
            data_source: change.data_source.unwrap_or(was.data_source.clone()),
            owner: change.owner.unwrap_or(was.owner.clone()),
        });
        let after = replace(&mut transaction, id, &is, audit.at).await?;
        let audit = audit.clone().with_difference(&json!(was), &json!(is));
        transaction.append_about(id, audit).await?;
        transaction.commit().await?;
        Ok(Some(after))
    }

    async fn delete_term(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error> {
        const DELETE: &str = concat!(
            "DELETE FROM business_ontologies WHERE id = $1 RETURNING ",
            columns!()
        );
        let mut transaction = self.begin().await?;
        let Some(before) = transaction.one(query(DELETE).bind(id), read).await? else {
            return Ok(false);
        };
        let audit = audit.clone().with("before", json!(content(&before)));
        transaction.append_about(id, audit).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn import_terms(&self, terms: &[NewTerm], audit: &AuditEntry) -> Result<Imported, Error> {
        let mut transaction = self.begin().await?;
        // Two imports at once, or a term created meanwhile, would else meet at a name.
        transaction
            .script("LOCK TABLE business_ontologies IN SHARE ROW EXCLUSIVE MODE")
            .await?;
        let mut imported = Imported::default();
        for term in terms {
            let term = storable_term(term);
            match by_name(&mut transaction, &term.term_name).await? {
                None => {
                    create(&mut transaction, &term, audit.at).await?;
                    imported.created += 1;
                }
                Some(same) if content(&same) == term => imported.unchanged += 1,
                Some(other) => {
                    replace(&mut transaction, other.id, &term, audit.at).await?;
                    imported.changed += 1;
                }
            }
        }
        let audit = audit
            .clone()
            .with("created", imported.created.into())
            .with("changed", imported.changed.into())
            .with("unchanged", imported.unchanged.into());
        transaction.append(&audit).await?;
        transaction.commit().await?;
        Ok(imported)
    }
}

async fn create(
    transaction: &mut Transaction,
    term: &NewTerm,
    at: DateTime<Utc>,
) -> Result<i64, Error> {
    let insert = query(
        "INSERT INTO business_ontologies
             (term_name, term_folded, description, synonyms, data_source, owner, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7) RETURNING id",
    )
    .bind(&term.term_name)
    .bind(folded(&term.term_name))
    .bind(&term.description)
    .bind(&term.synonyms)
    .bind(&term.data_source)
    .bind(&term.owner)
    .bind(at);
    transaction.only(insert, id).await
}

async fn replace(
    transaction: &mut Transaction,
    id: i64,
    term: &NewTerm,
    at: DateTime<Utc>,
) -> Result<BusinessTerm, Error> {
    const REPLACE: &str = concat!(
        "UPDATE business_ontologies SET term_name = $2, term_folded = $3, description = $4, synonyms = $5,
             data_source = $6, owner = $7, updated_at = $8
         WHERE id = $1 RETURNING ",
        columns!()
    );
    let replace = query(REPLACE)
        .bind(id)
        .bind(&term.term_name)
        .bind(folded(&term.term_name))
        .bind(&term.description)
        .bind(&term.synonyms)
        .bind(&term.data_source)
        .bind(&term.owner)
        .bind(at);
    transaction.only(replace, read).await
}

async fn by_name(transaction: &mut Transaction, name: &str) -> Result<Option<BusinessTerm>, Error> {
    const FIND: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM business_ontologies WHERE term_folded = $1"
    );
    transaction.one(query(FIND).bind(folded(name)), read).await
}

/// A term as PostgreSQL can hold it.
fn storable_term(term: &NewTerm) -> NewTerm {
    NewTerm {
        term_name: storable(&term.term_name),
        description: storable(&term.description),
        synonyms: term.synonyms.iter().map(|text| storable(text)).collect(),
        data_source: storable_or_none(&term.data_source),
        owner: storable_or_none(&term.owner),
    }
}

/// What of a term a person wrote.
fn content(term: &BusinessTerm) -> NewTerm {
    NewTerm {
        term_name: term.term_name.clone(),
        description: term.description.clone(),
        synonyms: term.synonyms.clone(),
        data_source: term.data_source.clone(),
        owner: term.owner.clone(),
    }
}

fn read(row: &PgRow) -> sqlx::Result<BusinessTerm> {
    Ok(BusinessTerm {
        id: row.try_get("id")?,
        term_name: row.try_get("term_name")?,
        description: row.try_get("description")?,
        synonyms: row.try_get("synonyms")?,
        data_source: row.try_get("data_source")?,
        owner: row.try_get("owner")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
