//! What both backends say of a store whose migrations are not those of this program.

use engine::{Code, Error};

/// A migration's name and text.
pub(crate) type Migration = (&'static str, &'static str);

/// Migrations of a store that are not as this program has them, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Differences {
    /// Known here and not applied there.
    pub(crate) pending: Vec<String>,
    /// Applied there and not known here.
    pub(crate) unknown: Vec<String>,
    /// Applied there with another text.
    pub(crate) altered: Vec<String>,
}

impl Differences {
    /// Compares the migrations that this program knows with those applied, of which the second part is the text's hash.
    pub(crate) fn between(known: &[Migration], applied: &[(String, String)]) -> Self {
        let mut differences = Self::default();
        for (name, _) in known {
            if !applied.iter().any(|(done, _)| done == name) {
                differences.pending.push((*name).to_owned());
            }
        }
        for (name, hash) in applied {
            match known.iter().find(|(known, _)| known == name) {
                None => differences.unknown.push(name.clone()),
                Some((_, sql)) if *hash != hash_of(sql) => differences.altered.push(name.clone()),
                Some(_) => {}
            }
        }
        differences
    }

    /// Fails if the store was migrated by a program that knows more, or something else, than this one.
    ///
    /// # Errors
    ///
    /// [`Code::SystemStoreMismatch`].
    pub(crate) fn refuse(&self) -> Result<(), Error> {
        if let Some(name) = self.unknown.first() {
            return Err(mismatch(format!(
                "the system store has the migration `{name}`, which this program does not know"
            ))
            .with_hint(
                "it was used by a newer version: run that version, or begin anew with another DATA_DIR or DATABASE_URL",
            ));
        }
        if let Some(name) = self.altered.first() {
            return Err(mismatch(format!(
                "the migration `{name}` of the system store has another text than this program's"
            ))
            .with_hint(
                "it was made by a development version: back it up and run that version, or begin anew with another DATA_DIR or DATABASE_URL",
            ));
        }
        Ok(())
    }
}

/// Says that a database holds tables that Assay did not make.
pub(crate) fn foreign() -> Error {
    mismatch("the database holds tables that this program did not make".to_owned()).with_hint(
        "back it up if it is of an Assay before the first release; name another database with DATA_DIR or DATABASE_URL",
    )
}

fn mismatch(message: String) -> Error {
    Error::new(Code::SystemStoreMismatch, message)
}

/// Returns what stands for a migration's text.
pub(crate) fn hash_of(sql: &str) -> String {
    blake3::hash(sql.as_bytes()).to_hex().to_string()
}
