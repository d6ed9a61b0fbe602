//! Questions to begin with: those that people have approved, and simple ones made from what the actor may see. A name that
//! does not read well makes no suggestion.

use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::Actor;
use crate::error::Error;
use crate::guard::guard;
use crate::policy::VisibleSchema;
use crate::ports::Ports;
use crate::prompt::GeneratedSql;
use crate::schema::{Table, TableKind};

/// Questions suggested at once.
const AT_MOST: usize = 8;

/// Of these, approved ones.
const VERIFIED_AT_MOST: usize = 5;

/// A question that can be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Suggestion {
    /// The question.
    pub question: String,
    /// Where it comes from.
    pub source: SuggestionSource,
}

/// Where a suggestion comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionSource {
    /// A person approved its SQL.
    VerifiedQuery,
    /// Made from the names of tables and columns.
    Schema,
}

/// Returns questions to begin with: approved ones first, then some about the largest tables.
///
/// # Errors
///
/// [`crate::Code::TargetDisabled`], [`crate::Code::TargetDatabaseDown`], [`crate::Code::SystemStoreDown`].
pub async fn suggestions(ports: &Ports, actor: &Actor) -> Result<Vec<Suggestion>, Error> {
    let visibility = ports.asking.store.visibility(actor.role).await?;
    let target = ports.asking.target.current().await?;
    let visible = ports.asking.known.visible(target.schema(), &visibility);
    let approved = ports.asking.store.approved_queries().await?;
    let mut found: Vec<Suggestion> = approved
        .iter()
        // Whose SQL they may not run is no question for them.
        .filter(|query| guard(&GeneratedSql::new(query.sql.as_str()), &visible).is_ok())
        .take(VERIFIED_AT_MOST)
        .map(|query| Suggestion {
            question: query.question.clone(),
            source: SuggestionSource::VerifiedQuery,
        })
        .collect();
    found.extend(of_schema(&visible).into_iter().map(|question| Suggestion {
        question,
        source: SuggestionSource::Schema,
    }));
    found.truncate(AT_MOST);
    Ok(found)
}

/// Returns questions about the largest tables, one of each kind in turn.
fn of_schema(visible: &VisibleSchema) -> Vec<String> {
    let mut tables: Vec<&Table> = visible
        .tables()
        .iter()
        .filter(|table| table.kind == TableKind::Table && table.row_count.unwrap_or(0) > 1)
        .filter(|table| several(&table.name).is_some())
        .collect();
    tables.sort_by_key(|table| std::cmp::Reverse(table.row_count));
    let mut questions = Vec::new();
    for table in tables.iter().take(3) {
        let Some(things) = several(&table.name) else {
            continue;
        };
        questions.push(format!("How many {things} are there?"));
        let category = table.columns.iter().find(|column| {
            let is_few = column
                .distinct
                .is_some_and(|count| (2..=12).contains(&count));
            is_few && !column.samples.is_empty() && words(&column.name).is_some()
        });
        if let Some(kind) = category.and_then(|column| words(&column.name)) {
            questions.push(format!("How many {things} are there for each {kind}?"));
        }
    }
    questions
}

/// Returns a table's name as what it holds several of.
fn several(name: &str) -> Option<String> {
    let text = words(name)?;
    Some(match text.strip_suffix('y') {
        _ if text.ends_with('s') => text,
        Some(stem) if !text.ends_with("ey") && !text.ends_with("ay") => format!("{stem}ies"),
        _ => format!("{text}s"),
    })
}

/// Returns a name as words, if it is made of words: letters in runs of three and more.
fn words(name: &str) -> Option<String> {
    let mut text = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c == '_' || c == '-' || (c.is_uppercase() && before.is_lowercase()) {
            text.push(' ');
        }
        if c != '_' && c != '-' {
            text.extend(c.to_lowercase());
        }
        before = c;
    }
    let reads_well = text
        .split(' ')
        .all(|word| word.len() >= 3 && word.chars().all(char::is_alphabetic));
    reads_well.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_what_they_hold() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(several(name).as_deref(), expected, "{name}");
        };
        check("customers", Some("customers"));
        check("OrderDetail", Some("order details"));
        check("product_category", Some("product categories"));
        check("survey", Some("surveys"));
        check("t_x1", None);
        check("tbl2", None);
        check("", None);
    }
}
