//! The first administrator, logins and session tokens: bcrypt and JWT around the engine's types.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use engine::accounts::{Actor, NewUser, UserId};
use engine::audit::AuditEntry;
use engine::policy::Role;
use engine::ports::{NewSession, Ports};
use engine::{Code, Error};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::config::{AuthSettings, Settings};
use crate::wire::random_bytes;

/// Work factor of bcrypt; each hash takes about a quarter of a second.
const BCRYPT_COST: u32 = 12;

/// Hashing saturates a core: more at once would only slow everything else down.
static HASHING: Semaphore = Semaphore::const_new(2);

/// What an unknown user's password is checked against, so that it takes as long as a known one's.
static DECOY: LazyLock<String> = LazyLock::new(|| {
    bcrypt::non_truncating_hash("decoy", BCRYPT_COST).expect("a short password can be hashed")
});

/// A password that was made up because none was given.
pub struct FreshPassword {
    /// For the terminal, once.
    pub text: String,
    /// The administrator's address.
    pub email: String,
}

/// Creates the first administrator if there is none. Returns the local administrator's identifier and, if a password
/// was made up, that password.
///
/// # Errors
///
/// [`Code::SystemStoreDown`].
pub async fn ensure_admin(
    ports: &Ports,
    auth: &AuthSettings,
) -> Result<(UserId, Option<FreshPassword>), Error> {
    // Identifiers start at 1 and users are never deleted, so the first one is the first administrator.
    if let Some(user) = ports.store.user(1).await? {
        return Ok((user.id, None));
    }
    let made_up = auth.admin_password.is_none();
    let password = auth
        .admin_password
        .clone()
        .unwrap_or_else(|| URL_SAFE_NO_PAD.encode(random_bytes::<18>()));
    let user = NewUser {
        email: auth.admin_email.clone(),
        password_hash: hash(password.clone()).await?,
        full_name: "Administrator".into(),
        role: Role::Admin,
    };
    let changes = json!({ "email": user.email.as_str(), "role": user.role.as_str() });
    let audit = AuditEntry::new(None, "user_created", "user", changes);
    match ports.store.create_first_admin(&user, &audit).await? {
        Some(id) => Ok((
            id,
            made_up.then(|| FreshPassword {
                text: password,
                email: user.email.as_str().to_owned(),
            }),
        )),
        // Another process was quicker.
        None => Ok((1, None)),
    }
}

/// Keeps a made-up password in a file of mode 0600 when there is no terminal to show it on; returns the path.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if the data folder cannot be written.
pub fn keep_password(settings: &Settings, password: &FreshPassword) -> Result<PathBuf, Error> {
    let path = password_file(settings);
    write_private(&path, &password.text)?;
    Ok(path)
}

/// Returns where a made-up password is kept.
pub fn password_file(settings: &Settings) -> PathBuf {
    settings.data_dir.join("initial-admin-password")
}

/// Logs people in and recognises them again.
pub struct Sessions {
    encoding: EncodingKey,
    decoding: DecodingKey,
    lifetime: TimeDelta,
}

/// A session as handed to its owner.
pub struct IssuedToken {
    /// The token.
    pub token: String,
    /// Seconds until it ends.
    pub expires_in: i64,
    /// The user's role.
    pub role: Role,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The user.
    sub: String,
    /// The session's secret; the system store knows its hash.
    sid: String,
    /// Seconds since 1970.
    exp: i64,
}

impl Sessions {
    /// Signs with JWT_SECRET or with a key generated once into the data folder.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the data folder cannot be written.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let secret = match &settings.auth.jwt_secret {
            Some(secret) => secret.clone(),
            None => generated_secret(&settings.data_dir.join("jwt-secret"))?,
        };
        Ok(Self {
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
            lifetime: TimeDelta::from_std(settings.auth.session_lifetime)
                .unwrap_or(TimeDelta::hours(12)),
        })
    }

    /// Checks a password and opens a session. Unknown address, wrong password and inactive user look the same and take
    /// the same time.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidCredentials`], [`Code::SystemStoreDown`].
    pub async fn log_in(
        &self,
        ports: &Ports,
        email: &str,
        password: &str,
    ) -> Result<IssuedToken, Error> {
        let user = ports.store.user_by_email(email).await?;
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        let matches = verify(password.to_owned(), stored).await?;
        let Some(user) = user.filter(|user| matches && user.is_active) else {
            let audit = AuditEntry::new(None, "login_failed", "user", json!({}));
            ports.store.record(&audit).await?;
            return Err(Error::new(
                Code::InvalidCredentials,
                "the e-mail address or the password is wrong",
            ));
        };
        let secret = URL_SAFE_NO_PAD.encode(random_bytes::<32>());
        let expires_at = ports.clock.now() + self.lifetime;
        let session = NewSession {
            user_id: user.id,
            token_hash: token_hash(&secret),
            expires_at,
        };
        let audit = AuditEntry::new(Some(user.id), "login", "session", json!({}));
        ports.store.create_session(&session, &audit).await?;
        let claims = Claims {
            sub: user.id.to_string(),
            sid: secret,
            exp: expires_at.timestamp(),
        };
        let token =
            encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(|fault| {
                Error::new(Code::Internal, "the session cannot be signed").with_cause(fault)
            })?;
        Ok(IssuedToken {
            token,
            expires_in: self.lifetime.num_seconds(),
            role: user.role,
        })
    }

    /// Recognises the actor behind a token: signed by us, not over, of an active user.
    ///
    /// # Errors
    ///
    /// [`Code::SessionExpired`], [`Code::SystemStoreDown`].
    pub async fn actor(&self, ports: &Ports, token: &str) -> Result<Actor, Error> {
        let over =
            || Error::new(Code::SessionExpired, "the session is over").with_hint("log in again");
        let secret = self.secret_of(token).ok_or_else(over)?;
        let actor = ports
            .store
            .session_actor(&token_hash(&secret), ports.clock.now())
            .await?;
        actor.ok_or_else(over)
    }

    /// Ends the session of a token.
    ///
    /// # Errors
    ///
    /// [`Code::SystemStoreDown`].
    pub async fn log_out(&self, ports: &Ports, actor: &Actor, token: &str) -> Result<(), Error> {
        let audit = AuditEntry::new(Some(actor.user_id), "logout", "session", json!({}));
        match self.secret_of(token) {
            Some(secret) => ports.store.end_session(&token_hash(&secret), &audit).await,
            None => Ok(()),
        }
    }

    /// Expiry is decided by the system store, whose clock tests can move.
    fn secret_of(&self, token: &str) -> Option<String> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        decode::<Claims>(token, &self.decoding, &validation)
            .ok()
            .map(|data| data.claims.sid)
    }
}

fn token_hash(secret: &str) -> String {
    blake3::hash(secret.as_bytes()).to_hex().to_string()
}

async fn hash(password: String) -> Result<String, Error> {
    let _turn = HASHING
        .acquire()
        .await
        .expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || bcrypt::non_truncating_hash(password, BCRYPT_COST))
        .await
        .map_err(|fault| Error::new(Code::Internal, "hashing was interrupted").with_cause(fault))?
        .map_err(|fault| {
            Error::new(Code::InvalidRequest, "the password cannot be hashed")
                .with_hint("a password has at most 72 bytes")
                .with_cause(fault)
        })
}

/// Compares with the stored hash, or does the same work for nothing when there is none. A password over 72 bytes
/// never matches: bcrypt would cut it.
async fn verify(password: String, stored: Option<String>) -> Result<bool, Error> {
    let _turn = HASHING
        .acquire()
        .await
        .expect("the semaphore is never closed");
    tokio::task::spawn_blocking(move || {
        let is_known = stored.is_some();
        let hash = stored.unwrap_or_else(|| DECOY.clone());
        let matches = bcrypt::non_truncating_verify(password, &hash).unwrap_or(false);
        matches && is_known
    })
    .await
    .map_err(|fault| Error::new(Code::Internal, "hashing was interrupted").with_cause(fault))
}

fn generated_secret(path: &Path) -> Result<String, Error> {
    match std::fs::read_to_string(path) {
        Ok(secret) if secret.len() >= 32 => Ok(secret),
        _ => {
            write_private(path, &URL_SAFE_NO_PAD.encode(random_bytes::<48>()))?;
            // Two first starts at once: both go on with the one that was written last.
            std::fs::read_to_string(path).map_err(|fault| {
                Error::new(
                    Code::InvalidSetting,
                    format!("cannot read `{}`", path.display()),
                )
                .with_cause(fault)
            })
        }
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // A temporary file has mode 0600 from the start.
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|fault| {
        Error::new(
            Code::InvalidSetting,
            format!("cannot write `{}`", path.display()),
        )
        .with_hint("choose another folder with DATA_DIR")
        .with_cause(fault)
    })
}
