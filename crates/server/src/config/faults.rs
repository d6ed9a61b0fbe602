//! What is wrong with the settings, all of it at once.

use std::path::{Path, PathBuf};

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Collects faults while settings are read, so that all are reported at once.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    pub fn add(&mut self, variable: &'static str, message: impl Into<String>) {
        self.0.push(Fault {
            variable,
            message: message.into(),
        });
    }

    /// Reads a switch; `None` when unset.
    pub fn switch(&mut self, variable: &'static str, text: Option<&String>) -> Option<bool> {
        match given(text)?.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            other => {
                self.add(variable, format!("`{other}` is neither `true` nor `false`"));
                None
            }
        }
    }

    /// Reads a whole number within bounds; `default` when unset.
    pub fn number(
        &mut self,
        variable: &'static str,
        text: Option<&String>,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> u64 {
        let Some(text) = given(text) else {
            return default;
        };
        match text.parse() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let (low, high) = (bounds.start(), bounds.end());
                self.add(
                    variable,
                    format!("`{text}` is not a whole number from {low} to {high}"),
                );
                default
            }
        }
    }

    /// Reads a secret from its variable or from the file named by its `_FILE` twin.
    pub fn secret(
        &mut self,
        variable: &'static str,
        text: Option<&String>,
        file: Option<&String>,
    ) -> Option<String> {
        if let Some(text) = given(text) {
            return Some(text.to_owned());
        }
        let path = given(file)?;
        match std::fs::read_to_string(path) {
            Ok(text) => {
                Some(text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| !text.is_empty())
            }
            Err(fault) => {
                self.add(
                    variable,
                    format!("the file `{path}` cannot be read: {fault}"),
                );
                None
            }
        }
    }
}

/// Returns the text of a variable; an empty value is an unset one.
pub fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Returns the path of a variable.
pub fn given_path(text: Option<&String>) -> Option<PathBuf> {
    given(text).map(|text| Path::new(text).to_owned())
}
