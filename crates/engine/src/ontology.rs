//! The business ontology: what words of the business mean in terms of the data.
//!
//! A term is written by an analyst and read by everyone, also by the model, so [`NewTerm::checked`] bounds it, and
//! [`HiddenNames`] decides from whom it is kept because it names what they may not see.

mod acts;
mod hidden;
mod mentions;
mod yaml;

pub use acts::{change, create, delete, export, import, list, one};
pub use hidden::HiddenNames;
pub use mentions::mentioned;
pub use yaml::{MAX_YAML_BYTES, YamlFault, read_yaml, write_yaml};

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Code, Error};

/// The longest name of a term and the longest synonym, in characters.
pub const MAX_NAME_CHARS: usize = 100;
/// The longest description in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 2_000;
/// The longest source in characters.
pub const MAX_DATA_SOURCE_CHARS: usize = 500;
/// The longest owner in characters.
pub const MAX_OWNER_CHARS: usize = 200;
/// Synonyms of one term at most.
pub const MAX_SYNONYMS: usize = 50;

/// A term about to be recorded. Parsed by [`NewTerm::checked`]; its texts are untrusted in a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"term_name": "revenue", "description": "What customers paid, without tax"}))]
pub struct NewTerm {
    /// The word, unique without regard to case.
    pub term_name: String,
    /// What it means.
    pub description: String,
    /// Other words for it.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// Where in the data it is: tables, columns or an SQL expression.
    #[serde(default)]
    pub data_source: Option<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
}

/// A part of a term, so that a fault can be put where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `term_name`.
    Name,
    /// `description`.
    Description,
    /// `synonyms` as a whole.
    Synonyms,
    /// One of them, counted from 0.
    Synonym(usize),
    /// `data_source`.
    DataSource,
    /// `owner`.
    Owner,
}

impl NewTerm {
    /// Trims all texts, makes one space of each run of white space, line breaks included, and lets go of an empty
    /// source or owner.
    #[must_use]
    pub fn tidied(self) -> Self {
        let optional = |text: Option<String>| text.map(tidy).filter(|text| !text.is_empty());
        Self {
            term_name: tidy(self.term_name),
            description: tidy(self.description),
            synonyms: self.synonyms.into_iter().map(tidy).collect(),
            data_source: optional(self.data_source),
            owner: optional(self.owner),
        }
    }

    /// Returns the term, tidied, if nothing is wrong with it.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidRequest`], naming all that is wrong.
    pub fn checked(self) -> Result<Self, Error> {
        let term = self.tidied();
        let faults = term.faults();
        if faults.is_empty() {
            return Ok(term);
        }
        let messages: Vec<String> = faults.into_iter().map(|(_, message)| message).collect();
        Err(Error::new(Code::InvalidRequest, messages.join("; ")))
    }

    /// Returns all that is wrong with a tidied term, and where.
    pub fn faults(&self) -> Vec<(Part, String)> {
        let mut faults = Vec::new();
        let mut check = |part: Part, what: &str, text: &str, max: usize| {
            let chars = text.chars().count();
            if text.is_empty() {
                faults.push((part, format!("{what} is empty")));
            } else if chars > max {
                faults.push((
                    part,
                    format!("{what} has {chars} characters, {max} are allowed"),
                ));
            } else if text.chars().any(char::is_control) {
                faults.push((part, format!("{what} holds control characters")));
            }
        };
        check(Part::Name, "`term_name`", &self.term_name, MAX_NAME_CHARS);
        check(
            Part::Description,
            "`description`",
            &self.description,
            MAX_DESCRIPTION_CHARS,
        );
        for (index, synonym) in self.synonyms.iter().enumerate() {
            check(Part::Synonym(index), "a synonym", synonym, MAX_NAME_CHARS);
        }
        if let Some(source) = &self.data_source {
            check(
                Part::DataSource,
                "`data_source`",
                source,
                MAX_DATA_SOURCE_CHARS,
            );
        }
        if let Some(owner) = &self.owner {
            check(Part::Owner, "`owner`", owner, MAX_OWNER_CHARS);
        }
        if self.synonyms.len() > MAX_SYNONYMS {
            faults.push((
                Part::Synonyms,
                format!(
                    "there are {} synonyms, {MAX_SYNONYMS} are allowed",
                    self.synonyms.len()
                ),
            ));
        }
        let mut seen = HashSet::from([fold(&self.term_name)]);
        for (index, synonym) in self.synonyms.iter().enumerate() {
            if !synonym.is_empty() && !seen.insert(fold(synonym)) {
                faults.push((
                    Part::Synonym(index),
                    format!("`{synonym}` stands there twice, as the name or another synonym"),
                ));
            }
        }
        faults
    }
}

fn tidy(text: String) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Makes texts equal that differ in case only.
pub(crate) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// What to change of a term; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TermChange {
    /// The word.
    pub term_name: Option<String>,
    /// What it means.
    pub description: Option<String>,
    /// Other words for it.
    pub synonyms: Option<Vec<String>>,
    /// Where in the data it is; `Some(None)` clears it.
    pub data_source: Option<Option<String>>,
    /// Who answers for it; `Some(None)` clears it.
    pub owner: Option<Option<String>>,
}

impl TermChange {
    /// Returns what a term would be after this change.
    pub fn applied_to(&self, term: &BusinessTerm) -> NewTerm {
        let change = self.clone();
        NewTerm {
            term_name: change.term_name.unwrap_or_else(|| term.term_name.clone()),
            description: change
                .description
                .unwrap_or_else(|| term.description.clone()),
            synonyms: change.synonyms.unwrap_or_else(|| term.synonyms.clone()),
            data_source: change
                .data_source
                .unwrap_or_else(|| term.data_source.clone()),
            owner: change.owner.unwrap_or_else(|| term.owner.clone()),
        }
    }

    /// Returns the same change with the texts of `checked`, what it leads to.
    fn with_texts_of(self, checked: NewTerm) -> Self {
        Self {
            term_name: self.term_name.map(|_| checked.term_name),
            description: self.description.map(|_| checked.description),
            synonyms: self.synonyms.map(|_| checked.synonyms),
            data_source: self.data_source.map(|_| checked.data_source),
            owner: self.owner.map(|_| checked.owner),
        }
    }
}

/// A term as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BusinessTerm {
    /// The identifier.
    pub id: i64,
    /// The word.
    pub term_name: String,
    /// What it means.
    pub description: String,
    /// Other words for it.
    pub synonyms: Vec<String>,
    /// Where in the data it is.
    pub data_source: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl BusinessTerm {
    /// Returns every text of the term that a reader or a model may see.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.term_name, &self.description]
            .into_iter()
            .chain(&self.synonyms)
            .chain(&self.data_source)
            .map(String::as_str)
    }
}

/// What came of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Imported {
    /// Terms that are new.
    pub created: u32,
    /// Terms that were replaced.
    pub changed: u32,
    /// Terms that were there already, word for word.
    pub unchanged: u32,
}

#[cfg(test)]
mod tests;
