//! What an operator may set about accounts.

use std::time::Duration;

use chrono::TimeDelta;

use crate::ports::Allowance;

/// How accounts behave; the same for the whole deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSettings {
    /// Who may make an account.
    pub registration: Registration,
    /// Where people reach Assay, without a slash at the end; links in letters begin with it.
    pub public_url: String,
    /// For so long an access token is good without a refresh.
    pub access_lifetime: TimeDelta,
    /// After so long without a refresh, a session is over.
    pub refresh_lifetime: TimeDelta,
    /// After so long a session is over, however often it was refreshed.
    pub session_lifetime: TimeDelta,
    /// For so long the link in a reset letter is good.
    pub reset_lifetime: TimeDelta,
    /// For so long the link in an invitation is good.
    pub invitation_lifetime: TimeDelta,
    /// How often the password of one account may be tried.
    pub tries_per_account: Allowance,
    /// How often one network address may try passwords and tokens.
    pub tries_per_address: Allowance,
    /// How often one account may be sent a letter at the wish of someone not logged in.
    pub letters_per_account: Allowance,
    /// How often one network address may wish for such letters.
    pub letters_per_address: Allowance,
}

impl Default for AccountSettings {
    /// Registration closed; 15 minutes, 14 days and 90 days for a session; one hour to reset, seven days to accept.
    ///
    /// An account's password may be tried 10 times within 15 minutes, from one address 100 times, since a whole office
    /// may share it. Source: NIST SP 800-63B-4, section 3.2.2, asks for at most 100 failed tries in a row.
    fn default() -> Self {
        let allow = |burst, minutes: u64| Allowance {
            burst,
            per: Duration::from_secs(60 * minutes),
        };
        Self {
            registration: Registration::Closed,
            public_url: "http://127.0.0.1:8000".into(),
            access_lifetime: TimeDelta::minutes(15),
            refresh_lifetime: TimeDelta::days(14),
            session_lifetime: TimeDelta::days(90),
            reset_lifetime: TimeDelta::hours(1),
            invitation_lifetime: TimeDelta::days(7),
            tries_per_account: allow(10, 15),
            tries_per_address: allow(100, 15),
            letters_per_account: allow(3, 60),
            letters_per_address: allow(20, 60),
        }
    }
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Administrators create accounts; nobody is invited.
    Closed,
    /// Whoever has an invitation.
    Invite,
    /// Anyone, as a viewer; invitations work too.
    Open,
}

impl Registration {
    /// Returns the policy of this name.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "closed" => Some(Registration::Closed),
            "invite" => Some(Registration::Invite),
            "open" => Some(Registration::Open),
            _ => None,
        }
    }
}
