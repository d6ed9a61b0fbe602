//! The key that encrypts secret settings and, derived, signs the audit trail.

use engine::secrets::MIN_KEY_CHARS;

use super::env_vars::EnvVars;
use super::faults::Faults;

/// The keys as given.
#[derive(Clone, Default)]
pub struct KeySettings {
    /// The current one; `None` is one generated once into the data folder.
    pub current: Option<String>,
    /// Earlier ones, which still decrypt and verify.
    pub previous: Vec<String>,
}

/// Keys are never printed.
impl std::fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

pub(super) fn read(vars: &EnvVars, faults: &mut Faults) -> KeySettings {
    let current = faults.secret(
        "ENCRYPTION_KEY",
        vars.encryption_key.as_ref(),
        vars.encryption_key_file.as_ref(),
    );
    let previous = faults.secret(
        "ENCRYPTION_KEY_PREVIOUS",
        vars.encryption_key_previous.as_ref(),
        vars.encryption_key_previous_file.as_ref(),
    );
    let previous: Vec<String> = previous
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|key| !key.is_empty())
        .map(str::to_owned)
        .collect();
    let is_short = |key: &String| key.chars().count() < MIN_KEY_CHARS;
    if current.as_ref().is_some_and(is_short) {
        faults.add(
            "ENCRYPTION_KEY",
            format!("it must have at least {MIN_KEY_CHARS} characters"),
        );
    }
    if previous.iter().any(is_short) {
        faults.add(
            "ENCRYPTION_KEY_PREVIOUS",
            format!("each key, separated by commas, must have at least {MIN_KEY_CHARS} characters"),
        );
    }
    KeySettings { current, previous }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_are_faults_of_their_variable_and_no_key_is_printed() {
        let key = "a key of thirty-two letters or so";
        let read = |current: &str, previous: &str| {
            let mut faults = Faults::default();
            let vars = EnvVars {
                encryption_key: Some(current.into()),
                encryption_key_previous: Some(previous.into()),
                ..EnvVars::default()
            };
            let keys = read(&vars, &mut faults);
            let names: Vec<_> = faults.0.iter().map(|fault| fault.variable).collect();
            (keys, names)
        };
        let (keys, faults) = read(key, &format!("{key}!, {key}?,"));
        assert_eq!((keys.previous.len(), faults), (2, vec![]));
        assert!(!format!("{keys:?}").contains("letters"));
        assert_eq!(
            read("short", &format!("{key},short")).1,
            ["ENCRYPTION_KEY", "ENCRYPTION_KEY_PREVIOUS"]
        );
        assert_eq!(read("", "").1, Vec::<&str>::new());
    }
}
