//! Settings that may change at run time. Values of secret ones are encrypted before they reach the store, and never
//! leave it again but for [`reveal`].

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::accounts::Actor;
use crate::audit::AuditEntry;
use crate::error::{Code, Error};
use crate::ports::{Ports, SystemStore};
use crate::secrets::{KeyRing, Place};

/// The longest key in characters.
pub const MAX_KEY_CHARS: usize = 100;
/// The longest value in characters.
pub const MAX_VALUE_CHARS: usize = 10_000;
/// The longest description in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 1_000;

/// An entry about to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConfiguration {
    /// The name of the setting.
    pub key: String,
    /// The value; encrypted when secret.
    pub value: String,
    /// What it is for; `None` keeps what is there.
    pub description: Option<String>,
    /// The value is encrypted and never returned.
    pub is_secret: bool,
}

/// An entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// The identifier.
    pub id: i64,
    /// The name of the setting.
    pub key: String,
    /// The value; encrypted when secret.
    pub value: String,
    /// What it is for.
    pub description: Option<String>,
    /// The value is encrypted and never returned.
    pub is_secret: bool,
    /// When it was last set.
    pub updated_at: DateTime<Utc>,
}

/// A setting as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Setting {
    /// The name.
    pub key: String,
    /// The value; null for a secret.
    pub value: Option<String>,
    /// There is a value, shown or not.
    pub is_set: bool,
    /// What it is for.
    pub description: Option<String>,
    /// The value is encrypted and never returned.
    pub is_secret: bool,
    /// When it was last set.
    pub updated_at: DateTime<Utc>,
}

impl From<Configuration> for Setting {
    fn from(stored: Configuration) -> Self {
        Self {
            key: stored.key,
            is_set: !stored.value.is_empty(),
            value: (!stored.is_secret).then_some(stored.value),
            description: stored.description,
            is_secret: stored.is_secret,
            updated_at: stored.updated_at,
        }
    }
}

/// What to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetConfiguration {
    /// The name of the setting.
    pub key: String,
    /// The value in clear.
    pub value: String,
    /// What it is for; `None` keeps what is there.
    pub description: Option<String>,
    /// The value is to be encrypted; `None` keeps what is there, so that a new value of a secret stays one.
    pub is_secret: Option<bool>,
}

/// Creates or replaces a setting and returns it as it is shown.
///
/// # Errors
///
/// [`Code::InvalidRequest`] for a key, value or description that cannot be kept.
pub async fn set(
    ports: &Ports,
    keys: &KeyRing,
    actor: &Actor,
    new: SetConfiguration,
) -> Result<Setting, Error> {
    check(&new)?;
    let key = new.key.clone();
    let is_secret = match new.is_secret {
        Some(is_secret) => is_secret,
        None => {
            let before = ports.store.configuration(&key).await?;
            before.is_some_and(|before| before.is_secret)
        }
    };
    let mut after = json!({ "description": new.description, "is_secret": is_secret });
    let value = if is_secret {
        keys.encrypt(place(&key), &new.value, &ports.random.bytes())?
    } else {
        after["value"] = new.value.clone().into();
        new.value
    };
    let stored = NewConfiguration {
        key: new.key,
        value,
        description: new.description,
        is_secret,
    };
    let audit = entry(ports, actor, "configuration_set", &key).with("after", after);
    ports.store.set_configuration(&stored, &audit).await?;
    let found = ports.store.configuration(&key).await?;
    found.map(Setting::from).ok_or_else(|| missing(&key))
}

/// Returns all settings, by key, without the values of secret ones.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn list(ports: &Ports) -> Result<Vec<Setting>, Error> {
    let stored = ports.store.configurations().await?;
    Ok(stored.into_iter().map(Setting::from).collect())
}

/// Removes a setting.
///
/// # Errors
///
/// [`Code::NotFound`].
pub async fn delete(ports: &Ports, actor: &Actor, key: &str) -> Result<(), Error> {
    let audit = entry(ports, actor, "configuration_deleted", key);
    if ports.store.delete_configuration(key, &audit).await? {
        Ok(())
    } else {
        Err(missing(key))
    }
}

/// Returns the value of a setting in clear, for the part of the program that needs it.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if it cannot be decrypted.
pub async fn reveal(
    store: &dyn SystemStore,
    keys: &KeyRing,
    key: &str,
) -> Result<Option<String>, Error> {
    let Some(stored) = store.configuration(key).await? else {
        return Ok(None);
    };
    if stored.is_secret {
        keys.decrypt(place(key), &stored.value).map(Some)
    } else {
        Ok(Some(stored.value))
    }
}

/// Encrypts with the current key every secret that is encrypted with another, and returns how many there were. Each is
/// a change of its own, so a run that was cut off can be repeated, and two at once do the work once.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if a secret cannot be decrypted; those before it are done.
pub async fn rotate_keys(ports: &Ports, keys: &KeyRing, actor: &Actor) -> Result<u32, Error> {
    let mut count = 0;
    for stored in ports.store.configurations().await? {
        if !stored.is_secret || keys.is_current(&stored.value) {
            continue;
        }
        let value = keys.decrypt(place(&stored.key), &stored.value)?;
        let again = keys.encrypt(place(&stored.key), &value, &ports.random.bytes())?;
        let audit = entry(ports, actor, "secret_re_encrypted", &stored.key);
        // Whoever set it anew meanwhile, or rotates at the same time, did so with the current key.
        let (key, old) = (&stored.key, &stored.value);
        let is_replaced = ports.store.replace_secret(key, old, &again, &audit).await?;
        count += u32::from(is_replaced);
    }
    Ok(count)
}

fn place(key: &str) -> Place<'_> {
    Place {
        table: "configurations",
        column: "value",
        row: key,
    }
}

fn check(new: &SetConfiguration) -> Result<(), Error> {
    let refuse = |message: String| Err(Error::new(Code::InvalidRequest, message));
    if !is_key(&new.key) {
        return refuse(format!(
            "a key has at most {MAX_KEY_CHARS} characters: words of lower-case letters, digits and `_` that begin with \
             a letter, joined by dots"
        ));
    }
    if new.value.is_empty() || new.value.chars().count() > MAX_VALUE_CHARS {
        return refuse(format!("a value has 1 to {MAX_VALUE_CHARS} characters"));
    }
    if new.value.contains('\0') {
        return refuse("the value holds a NUL character".into());
    }
    let description = new.description.as_deref().unwrap_or_default();
    if description.chars().count() > MAX_DESCRIPTION_CHARS || description.contains('\0') {
        return refuse(format!(
            "a description has at most {MAX_DESCRIPTION_CHARS} characters, none of them NUL"
        ));
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    key.len() <= MAX_KEY_CHARS
        && key.split('.').all(|word| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
}

fn entry(ports: &Ports, actor: &Actor, action: &'static str, key: &str) -> AuditEntry {
    let now = ports.clock.now();
    let changes = json!({ "key": key });
    AuditEntry::new(now, Some(actor.user_id), action, "configuration", changes)
}

fn missing(key: &str) -> Error {
    let key: String = key.chars().take(MAX_KEY_CHARS).collect();
    Error::new(Code::NotFound, format!("there is no setting `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_words_joined_by_dots() {
        for good in ["smtp", "smtp.password", "llm.api_key_2", &"a".repeat(100)] {
            assert!(is_key(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "smtp.",
            "SMTP",
            "smtp..x",
            "1a",
            "a-b",
            "a b",
            "_a",
            "ä",
            "a\0",
            &"a".repeat(101),
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_shown_without_its_value() {
        let stored = Configuration {
            id: 1,
            key: "smtp.password".into(),
            value: "v1.k.x".into(),
            description: None,
            is_secret: true,
            updated_at: DateTime::UNIX_EPOCH,
        };
        let shown = Setting::from(stored.clone());
        assert_eq!((shown.value, shown.is_set), (None, true));
        let shown = Setting::from(Configuration {
            is_secret: false,
            ..stored
        });
        assert_eq!(shown.value.as_deref(), Some("v1.k.x"));
    }
}
