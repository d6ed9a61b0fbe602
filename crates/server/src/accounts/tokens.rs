//! Access tokens: JWT that carry a session's secret inside a signature. The signature keeps forgeries away from the
//! system store; whether the session lives, and what its user may do, the store alone decides.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use engine::accounts::{Secret, UserId};
use engine::ports::Random;
use engine::{Code, Error};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};

use super::private_file::read_or_create;
use crate::config::Settings;

/// Signs access tokens with one key and believes those signed with it or with an earlier one, so that a key is replaced
/// without logging anyone out.
pub struct AccessTokens {
    key_id: String,
    signing: EncodingKey,
    /// All keys that are believed, by their identifier.
    believed: Vec<(String, DecodingKey)>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    /// The user, for clients to read.
    sub: String,
    /// The session's secret; the system store knows its hash.
    sid: String,
    /// When it was issued, in seconds since 1970.
    iat: i64,
    /// When it must be refreshed, in seconds since 1970.
    exp: i64,
}

impl AccessTokens {
    /// Takes JWT_SECRET and JWT_SECRET_PREVIOUS; without the first, a key generated once into the data folder.
    ///
    /// # Errors
    ///
    /// [`Code::InvalidSetting`] if the data folder cannot be written.
    pub fn open(settings: &Settings, random: &dyn Random) -> Result<Self, Error> {
        let auth = &settings.auth;
        let secret = match &auth.jwt_secret {
            Some(secret) => secret.clone(),
            None => generated_secret(&settings.data_dir.join("jwt-secret"), random)?,
        };
        Ok(Self::new(&secret, &auth.jwt_secrets_previous))
    }

    /// Signs with `secret` and believes `previous` besides.
    pub fn new(secret: &str, previous: &[String]) -> Self {
        let believed = std::iter::once(secret)
            .chain(previous.iter().map(String::as_str))
            .map(|secret| (key_id(secret), DecodingKey::from_secret(secret.as_bytes())))
            .collect();
        Self {
            key_id: key_id(secret),
            signing: EncodingKey::from_secret(secret.as_bytes()),
            believed,
        }
    }

    /// Issues a token for a session.
    ///
    /// # Errors
    ///
    /// [`Code::Internal`] if it cannot be signed.
    pub fn issue(
        &self,
        user_id: UserId,
        session: &Secret,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<String, Error> {
        let claims = Claims {
            sub: user_id.to_string(),
            sid: session.reveal().to_owned(),
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
        };
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(self.key_id.clone());
        encode(&header, &claims, &self.signing).map_err(|fault| {
            Error::new(Code::Internal, "the session cannot be signed").with_cause(fault)
        })
    }

    /// Returns the session's secret from a token that we have signed and that need not be refreshed yet.
    ///
    /// # Errors
    ///
    /// [`Code::SessionExpired`].
    pub fn session(&self, token: &str, now: DateTime<Utc>) -> Result<Secret, Error> {
        let claims = self.claims(token).ok_or_else(|| {
            Error::new(Code::SessionExpired, "the access token is not one of ours")
                .with_hint("log in again")
        })?;
        if claims.exp <= now.timestamp() {
            return Err(
                Error::new(Code::SessionExpired, "the access token has expired")
                    .with_hint("exchange the refresh token at /api/v1/auth/refresh"),
            );
        }
        Ok(Secret::shown(claims.sid))
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let named = decode_header(token).ok()?.kid?;
        let (_, key) = self.believed.iter().find(|(id, _)| *id == named)?;
        // The expiry is compared with the clock port, which tests can move.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        Some(decode::<Claims>(token, key, &validation).ok()?.claims)
    }
}

/// Names a key without telling anything about it.
fn key_id(secret: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("assay access token key identifier");
    hasher.update(secret.as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
}

fn generated_secret(path: &Path, random: &dyn Random) -> Result<String, Error> {
    let secret = read_or_create(path, || URL_SAFE_NO_PAD.encode(random.bytes()))?;
    if secret.len() < 32 {
        return Err(Error::new(
            Code::InvalidSetting,
            format!("`{}` holds fewer than 32 bytes", path.display()),
        )
        .with_hint("remove the file to have one generated; everyone must log in again then"));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret of at least 32 bytes";
    const NEW: &str = "a new secret of more than 32 bytes";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn issue(tokens: &AccessTokens) -> String {
        let session = Secret::shown("session");
        tokens.issue(7, &session, at(0), at(900)).unwrap()
    }

    #[test]
    fn a_replaced_key_is_believed_until_it_is_withdrawn() {
        let before = AccessTokens::new(OLD, &[]);
        let between = AccessTokens::new(NEW, &[OLD.into()]);
        let after = AccessTokens::new(NEW, &[]);
        let token = issue(&before);
        let session = between.session(&token, at(1)).unwrap();
        assert_eq!(session.reveal(), "session");
        assert!(after.session(&token, at(1)).is_err());
        let token = issue(&between);
        assert!(after.session(&token, at(1)).is_ok());
        assert!(before.session(&token, at(1)).is_err());
    }

    #[test]
    fn a_token_ends_by_the_clock() {
        let tokens = AccessTokens::new(NEW, &[]);
        let token = issue(&tokens);
        assert!(tokens.session(&token, at(899)).is_ok());
        let error = tokens.session(&token, at(900)).unwrap_err();
        assert_eq!(error.code(), Code::SessionExpired);
    }

    #[test]
    fn a_forged_token_is_refused() {
        let tokens = AccessTokens::new(NEW, &[]);
        let token = issue(&tokens);
        let forger = AccessTokens {
            key_id: key_id(NEW),
            ..AccessTokens::new(OLD, &[])
        };
        let mut unsigned = Header::new(Algorithm::HS256);
        unsigned.kid = None;
        let claims = Claims {
            sub: "7".into(),
            sid: "session".into(),
            iat: 0,
            exp: i64::MAX,
        };
        let nameless = encode(&unsigned, &claims, &tokens.signing).unwrap();
        let (body, _) = token.rsplit_once('.').unwrap();
        for forged in [
            issue(&forger),
            nameless,
            format!("{body}."),
            body.to_owned(),
            format!("{token}x"),
            "e30.e30.e30".into(),
            String::new(),
        ] {
            assert!(tokens.session(&forged, at(1)).is_err(), "{forged}");
        }
    }
}
