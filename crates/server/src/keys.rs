//! The keys that lie outside the database: for secret settings and for the seals of the audit trail.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::Error;
use engine::audit::SealingKey;
use engine::secrets::KeyRing;

use crate::accounts::read_or_create;
use crate::config::Settings;
use crate::wire::random_bytes;

/// All that is derived from ENCRYPTION_KEY and the keys before it.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Encrypts secret settings.
    pub ring: KeyRing,
    /// Signs the seals of the audit trail.
    pub sealing: SealingKey,
    /// Verify seals: the current key and those before it.
    pub verifying: Vec<SealingKey>,
}

impl Keys {
    /// Takes the keys that are given, or makes one, once, in the data folder.
    ///
    /// # Errors
    ///
    /// [`engine::Code::InvalidSetting`] if a key is too short or the data folder cannot be written.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let current = match &settings.keys.current {
            Some(current) => current.clone(),
            None => read_or_create(&settings.data_dir.join("encryption-key"), || {
                URL_SAFE_NO_PAD.encode(random_bytes::<48>())
            })?,
        };
        let previous = &settings.keys.previous;
        let sealing = SealingKey::derive(current.as_bytes());
        let mut verifying = vec![sealing.clone()];
        verifying.extend(
            previous
                .iter()
                .map(|key| SealingKey::derive(key.as_bytes())),
        );
        Ok(Self {
            ring: KeyRing::new(&current, previous)?,
            sealing,
            verifying,
        })
    }
}
