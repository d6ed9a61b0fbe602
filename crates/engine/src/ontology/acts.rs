//! What people do with terms. Who may not see a table or column does not see the terms that name it.

use serde_json::json;

use super::{BusinessTerm, HiddenNames, Imported, NewTerm, TermChange, read_yaml, write_yaml};
use crate::accounts::Actor;
use crate::audit::AuditEntry;
use crate::error::{Code, Error};
use crate::ports::{Page, PageRequest, Ports};

/// Lists the terms that the actor may see, all of them or those that contain `search`. A page may hold fewer than it
/// could, because what is hidden is left out of it.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn list(
    ports: &Ports,
    actor: &Actor,
    search: Option<&str>,
    page: PageRequest,
) -> Result<Page<BusinessTerm>, Error> {
    let hidden = HiddenNames::from(&ports.asking, actor).await?;
    let mut terms = ports.store.terms(search, page).await?;
    terms.items.retain(|term| !hidden.are_in(term.texts()));
    Ok(terms)
}

/// Returns a term.
///
/// # Errors
///
/// [`Code::NotFound`], also for a term that names what is hidden from the actor.
pub async fn one(ports: &Ports, actor: &Actor, id: i64) -> Result<BusinessTerm, Error> {
    let term = ports.store.term(id).await?.ok_or_else(|| missing(id))?;
    let hidden = HiddenNames::from(&ports.asking, actor).await?;
    if hidden.are_in(term.texts()) {
        return Err(missing(id));
    }
    Ok(term)
}

/// Records a term and returns it.
///
/// # Errors
///
/// [`Code::InvalidRequest`], [`Code::NameTaken`].
pub async fn create(ports: &Ports, actor: &Actor, term: NewTerm) -> Result<BusinessTerm, Error> {
    let term = term.checked()?;
    let audit = entry(ports, actor, "term_created").with("after", json!(term));
    let id = ports.store.create_term(&term, &audit).await?;
    ports.store.term(id).await?.ok_or_else(|| missing(id))
}

/// Changes a term and returns it as it is now.
///
/// # Errors
///
/// [`Code::NotFound`], [`Code::InvalidRequest`], [`Code::NameTaken`].
pub async fn change(
    ports: &Ports,
    actor: &Actor,
    id: i64,
    change: TermChange,
) -> Result<BusinessTerm, Error> {
    let term = one(ports, actor, id).await?;
    let checked = change.applied_to(&term).checked()?;
    let change = change.with_texts_of(checked);
    let audit = entry(ports, actor, "term_changed");
    let changed = ports.store.change_term(id, &change, &audit).await?;
    changed.ok_or_else(|| missing(id))
}

/// Removes a term.
///
/// # Errors
///
/// [`Code::NotFound`].
pub async fn delete(ports: &Ports, actor: &Actor, id: i64) -> Result<(), Error> {
    one(ports, actor, id).await?;
    let audit = entry(ports, actor, "term_deleted");
    if ports.store.delete_term(id, &audit).await? {
        Ok(())
    } else {
        Err(missing(id))
    }
}

/// Creates or replaces the terms of a YAML file, all of them or none.
///
/// # Errors
///
/// [`Code::InvalidRequest`] with every fault and its line.
pub async fn import(ports: &Ports, actor: &Actor, yaml: &str) -> Result<Imported, Error> {
    let terms = read_yaml(yaml)?;
    let audit = entry(ports, actor, "ontology_imported");
    ports.store.import_terms(&terms, &audit).await
}

/// Returns all terms that the actor may see, as YAML.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn export(ports: &Ports, actor: &Actor) -> Result<String, Error> {
    let hidden = HiddenNames::from(&ports.asking, actor).await?;
    let mut terms = ports.store.all_terms().await?;
    terms.retain(|term| !hidden.are_in(term.texts()));
    let yaml = write_yaml(&terms)?;
    let audit = entry(ports, actor, "ontology_exported").with("terms", json!(terms.len()));
    ports.store.record(&audit).await?;
    Ok(yaml)
}

fn entry(ports: &Ports, actor: &Actor, action: &'static str) -> AuditEntry {
    let now = ports.clock.now();
    AuditEntry::new(now, Some(actor.user_id), action, "business_term", json!({}))
}

fn missing(id: i64) -> Error {
    Error::new(Code::NotFound, format!("there is no term {id}"))
}
