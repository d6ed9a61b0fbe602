use async_trait::async_trait;
use engine::audit::AuditEntry;
use engine::ontology::{BusinessTerm, Imported, NewTerm, TermChange};
use engine::ports::{Ontologies, Page, PageRequest};
use engine::{Code, Error};
use rusqlite::{Connection, Params, Row, Savepoint};
use serde_json::{Value as Json, json};

use super::audit_logs::{append, append_about};
use super::rows::{Conditions, all, execute, first, folded, insert, page, parsed, text_of, time};
use super::{Failed, SqliteStore};

#[async_trait]
impl Ontologies for SqliteStore {
    async fn create_term(&self, term: &NewTerm, audit: &AuditEntry) -> Result<i64, Error> {
        let (term, audit) = (term.clone(), audit.clone());
        self.write(move |savepoint| {
            refuse_taken(savepoint, &term.term_name, None)?;
            let id = create(savepoint, &term, &text_of(audit.at))?;
            append_about(savepoint, id, audit)?;
            Ok(id)
        })
        .await
    }

    async fn term(&self, id: i64) -> Result<Option<BusinessTerm>, Error> {
        self.read(move |connection| find(connection, "id = ?1", [id]))
            .await
    }

    async fn terms(
        &self,
        search: Option<&str>,
        request: PageRequest,
    ) -> Result<Page<BusinessTerm>, Error> {
        // Synonyms are searched one by one: their JSON holds quotes and escapes that are in none of them.
        let conditions = Conditions::default().and(
            "instr(lower(term_name), ?N) > 0 OR instr(lower(description), ?N) > 0
             OR EXISTS (SELECT 1 FROM json_each(synonyms) WHERE instr(lower(value), ?N) > 0)",
            search.map(str::to_ascii_lowercase),
        );
        self.read(move |connection| {
            page(
                connection,
                "SELECT * FROM business_ontologies",
                conditions,
                request,
                read,
                |term| term.id,
            )
        })
        .await
    }

    async fn all_terms(&self) -> Result<Vec<BusinessTerm>, Error> {
        self.read(|connection| {
            all(
                connection,
                "SELECT * FROM business_ontologies ORDER BY term_folded",
                [],
                read,
            )
        })
        .await
    }

    async fn change_term(
        &self,
        id: i64,
        change: &TermChange,
        audit: &AuditEntry,
    ) -> Result<Option<BusinessTerm>, Error> {
        let (change, audit) = (change.clone(), audit.clone());
        self.write(move |savepoint| {
            let Some(before) = find(savepoint, "id = ?1", [id])? else {
                return Ok(None);
            };
            let was = content(&before);
            let is = NewTerm {
                term_name: change.term_name.unwrap_or(was.term_name.clone()),
                description: change.description.unwrap_or(was.description.clone()),
                synonyms: change.synonyms.unwrap_or(was.synonyms.clone()),
                data_source: change.data_source.unwrap_or(was.data_source.clone()),
                owner: change.owner.unwrap_or(was.owner.clone()),
            };
            refuse_taken(savepoint, &is.term_name, Some(id))?;
            replace(savepoint, id, &is, &text_of(audit.at))?;
            let audit = audit.with_difference(&json!(was), &json!(is));
            append_about(savepoint, id, audit)?;
            Ok(find(savepoint, "id = ?1", [id])?)
        })
        .await
    }

    async fn delete_term(&self, id: i64, audit: &AuditEntry) -> Result<bool, Error> {
        let audit = audit.clone();
        self.write(move |savepoint| {
            let before = first(
                savepoint,
                "DELETE FROM business_ontologies WHERE id = ?1 RETURNING *",
                [id],
                read,
            )?;
            let Some(before) = before else {
                return Ok(false);
            };
            let audit = audit.with("before", json!(content(&before)));
            append_about(savepoint, id, audit)?;
            Ok(true)
        })
        .await
    }

    async fn import_terms(&self, terms: &[NewTerm], audit: &AuditEntry) -> Result<Imported, Error> {
        let (terms, audit) = (terms.to_vec(), audit.clone());
        self.write(move |savepoint| import(savepoint, &terms, audit))
            .await
    }
}

fn import(
    savepoint: &Savepoint<'_>,
    terms: &[NewTerm],
    audit: AuditEntry,
) -> Result<Imported, Failed> {
    let at = text_of(audit.at);
    let mut imported = Imported::default();
    for term in terms {
        match by_name(savepoint, &term.term_name)? {
            None => {
                create(savepoint, term, &at)?;
                imported.created += 1;
            }
            Some(same) if content(&same) == *term => imported.unchanged += 1,
            Some(other) => {
                replace(savepoint, other.id, term, &at)?;
                imported.changed += 1;
            }
        }
    }
    let audit = audit
        .with("created", imported.created.into())
        .with("changed", imported.changed.into())
        .with("unchanged", imported.unchanged.into());
    append(savepoint, &audit)?;
    Ok(imported)
}

fn create(savepoint: &Savepoint<'_>, term: &NewTerm, at: &str) -> rusqlite::Result<i64> {
    insert(
        savepoint,
        "INSERT INTO business_ontologies
             (term_name, term_folded, description, synonyms, data_source, owner, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        (
            &term.term_name,
            folded(&term.term_name),
            &term.description,
            Json::from(term.synonyms.clone()).to_string(),
            &term.data_source,
            &term.owner,
            at,
        ),
    )
}

fn replace(
    savepoint: &Savepoint<'_>,
    id: i64,
    term: &NewTerm,
    at: &str,
) -> rusqlite::Result<usize> {
    execute(
        savepoint,
        "UPDATE business_ontologies SET term_name = ?2, term_folded = ?3, description = ?4, synonyms = ?5,
             data_source = ?6, owner = ?7, updated_at = ?8
         WHERE id = ?1",
        (
            id,
            &term.term_name,
            folded(&term.term_name),
            &term.description,
            Json::from(term.synonyms.clone()).to_string(),
            &term.data_source,
            &term.owner,
            at,
        ),
    )
}

/// Fails if a term other than `own` has this name.
fn refuse_taken(connection: &Connection, name: &str, own: Option<i64>) -> Result<(), Failed> {
    match by_name(connection, name)? {
        Some(term) if Some(term.id) != own => Err(Error::new(
            Code::NameTaken,
            format!("there is a term `{}` already", term.term_name),
        )
        .into()),
        _ => Ok(()),
    }
}

fn by_name(connection: &Connection, name: &str) -> rusqlite::Result<Option<BusinessTerm>> {
    find(connection, "term_folded = ?1", [folded(name)])
}

fn find(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> rusqlite::Result<Option<BusinessTerm>> {
    first(
        connection,
        &format!("SELECT * FROM business_ontologies WHERE {condition}"),
        params,
        read,
    )
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

fn read(row: &Row<'_>) -> rusqlite::Result<BusinessTerm> {
    Ok(BusinessTerm {
        id: row.get("id")?,
        term_name: row.get("term_name")?,
        description: row.get("description")?,
        synonyms: parsed(row, "synonyms", |text| serde_json::from_str(text).ok())?,
        data_source: row.get("data_source")?,
        owner: row.get("owner")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
