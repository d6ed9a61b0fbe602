//! The questions of a set, and the databases that they are about.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use engine::Error;
use serde::Deserialize;

use super::in_file;
use crate::demo_company::{self, DemoOptions};

/// The name under which sets speak of the demo company.
pub const DEMO_COMPANY: &str = "demo_company";

/// One question with its gold SQL.
#[derive(Debug, Clone, Deserialize)]
pub struct Item {
    /// Unique within its set.
    pub id: String,
    /// The name of its database.
    pub db: String,
    /// The question.
    pub question: String,
    /// What somebody in the business knows and the schema does not say; mostly empty.
    #[serde(default)]
    pub evidence: String,
    /// The reference answer.
    pub gold_sql: String,
    /// The question before in one conversation, by its id; it stands further up in the file.
    #[serde(default)]
    pub follows: Option<String>,
    /// As its source rates it.
    #[serde(default)]
    pub hardness: Option<String>,
    /// Where it comes from.
    #[serde(default)]
    pub source: Option<String>,
}

impl Item {
    /// Returns the question with its evidence, if there is any, as a business note.
    pub fn full_question(&self) -> String {
        match self.evidence.trim() {
            "" => self.question.clone(),
            evidence => format!("{} (Business note: {evidence})", self.question),
        }
    }
}

/// A set as read from its file.
pub struct Set {
    /// The questions in the order of the file.
    pub items: Vec<Item>,
    /// BLAKE3, in hex, of the file.
    pub hash: String,
}

/// The questions over one database.
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The questions in the order of their file.
    pub items: Vec<Item>,
}

/// Reads a set; `limit` keeps its first questions.
///
/// # Errors
///
/// If the file cannot be read, a line is no question, an identifier occurs twice, a question follows none of the same
/// database before it, or no question is left.
pub fn load(path: &Path, limit: Option<usize>) -> Result<Set, Error> {
    let text = std::fs::read_to_string(path).map_err(in_file(path))?;
    let mut items: Vec<Item> = Vec::new();
    let mut ids = HashSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let item: Item = serde_json::from_str(line)
            .map_err(|cause| in_file(path)(format!("line {number} is no question: {cause}")))?;
        if !ids.insert(item.id.clone()) {
            return Err(in_file(path)(format!(
                "line {number}: the id `{}` occurs twice",
                item.id
            )));
        }
        if let Some(follows) = &item.follows
            && !items
                .iter()
                .any(|before| before.id == *follows && before.db == item.db)
        {
            return Err(in_file(path)(format!(
                "line {number}: no question `{follows}` over `{}` stands before it",
                item.db
            )));
        }
        items.push(item);
    }
    items.truncate(limit.unwrap_or(usize::MAX));
    if items.is_empty() {
        return Err(in_file(path)("there are no questions"));
    }
    Ok(Set {
        items,
        hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
    })
}

/// Groups questions by database, in the order in which the databases first occur, and finds their files.
///
/// # Errors
///
/// If a database has no file: all that are missing are named at once.
pub fn group_by_database(items: Vec<Item>, folder: &Path) -> Result<Vec<Group>, Error> {
    let mut groups: Vec<Group> = Vec::new();
    let mut missing = Vec::new();
    for item in items {
        if let Some(group) = groups.iter_mut().find(|group| group.name == item.db) {
            group.items.push(item);
            continue;
        }
        let path = match find_database(folder, &item.db) {
            Some(path) => path,
            None if item.db == DEMO_COMPANY => generate_demo_company(folder)?,
            None => {
                missing.push(format!("`{}`", item.db));
                PathBuf::new()
            }
        };
        groups.push(Group {
            name: item.db.clone(),
            path,
            items: vec![item],
        });
    }
    if !missing.is_empty() {
        let message = format!("no database for {}", missing.join(", "));
        return Err(in_file(folder)(message));
    }
    Ok(groups)
}

/// Looks for `DB.sqlite`, `DB.db`, and `DB/DB.sqlite`, which is how Spider and BIRD publish theirs.
fn find_database(folder: &Path, name: &str) -> Option<PathBuf> {
    // A name is a name and no way out of the folder.
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return None;
    }
    let flat = ["sqlite", "db"].map(|suffix| folder.join(format!("{name}.{suffix}")));
    let nested = folder.join(name).join(format!("{name}.sqlite"));
    flat.into_iter().chain([nested]).find(|path| path.is_file())
}

fn generate_demo_company(folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(format!("{DEMO_COMPANY}.sqlite"));
    demo_company::generate(&path, &DemoOptions::default(), &mut |_, _| ())?;
    Ok(path)
}
