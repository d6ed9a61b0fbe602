//! The letters that Assay writes to people. Each holds a secret, so none is ever logged.

use chrono::{DateTime, Utc};

use super::{AccountSettings, Email, Secret};
use crate::ports::Letter;

/// The link to choose a new password.
pub(super) fn reset(
    settings: &AccountSettings,
    to: Email,
    token: &Secret,
    expires_at: DateTime<Utc>,
) -> Letter {
    Letter {
        to,
        subject: "Choose a new password for Assay".into(),
        text: format!(
            "Someone, most likely you, asked for a new password for your account at {url}.\n\
             \n\
             Choose it here:\n\
             \n\
             {link}\n\
             \n\
             The link works once, until {until}.\n\
             If it was not you, do nothing: your password stays as it is.\n",
            url = settings.public_url,
            link = link(settings, "reset-password", token),
            until = until(expires_at),
        ),
    }
}

/// The link to make an account.
pub(super) fn invitation(
    settings: &AccountSettings,
    to: Email,
    token: &Secret,
    expires_at: DateTime<Utc>,
) -> Letter {
    Letter {
        to,
        subject: "You are invited to Assay".into(),
        text: format!(
            "An administrator invites you to ask questions about your business data at {url}.\n\
             \n\
             Choose a name and a password here:\n\
             \n\
             {link}\n\
             \n\
             The link works once, until {until}.\n",
            url = settings.public_url,
            link = link(settings, "accept-invitation", token),
            until = until(expires_at),
        ),
    }
}

/// The token stands behind `#`, which browsers send to no server and write into no log.
fn link(settings: &AccountSettings, page: &str, token: &Secret) -> String {
    format!("{}/{page}#token={}", settings.public_url, token.reveal())
}

fn until(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}
