//! Accounts, sessions and who is believed about where a request comes from.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::TimeDelta;
use engine::accounts::{AccountSettings, Email, Password, Registration};
use engine::ports::Allowance;

use super::env_vars::EnvVars;
use super::faults::{Faults, given};
use super::network::Network;

/// Accounts, sessions and the first administrator.
#[derive(Clone)]
pub struct AuthSettings {
    /// Address of the first administrator.
    pub admin_email: Email,
    /// Password of the first administrator; `None` is a random one.
    pub admin_password: Option<Password>,
    /// Signs access tokens; `None` is one generated once into the data folder.
    pub jwt_secret: Option<String>,
    /// Believed besides.
    pub jwt_secrets_previous: Vec<String>,
    /// How accounts behave.
    pub accounts: AccountSettings,
    /// Whose word about a request's origin is believed.
    pub trusted_proxies: Vec<Network>,
    /// Other sites whose pages may ask, as a browser writes them in `Origin`.
    pub embed_origins: Vec<String>,
}

impl std::fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ***", self.admin_email.as_str())
    }
}

/// Bytes that a secret must have at least, as many as the signature.
const MIN_SECRET_BYTES: usize = 32;

pub(super) fn read(vars: &EnvVars, listen: SocketAddr, faults: &mut Faults) -> AuthSettings {
    let email = given(vars.init_admin_email.as_ref())
        .or(given(vars.init_admin_username.as_ref()))
        .unwrap_or("admin@localhost");
    let admin_email = Email::parse(email).unwrap_or_else(|fault| {
        faults.add("INIT_ADMIN_EMAIL", fault.message());
        Email::parse("admin@localhost").expect("the default is an address")
    });
    let admin_password = faults
        .secret(
            "INIT_ADMIN_PASSWORD",
            vars.init_admin_password.as_ref(),
            vars.init_admin_password_file.as_ref(),
        )
        .and_then(|text| {
            Password::of_operator(&text)
                .map_err(|fault| faults.add("INIT_ADMIN_PASSWORD", fault.message()))
                .ok()
        });
    let jwt_secret = faults.secret(
        "JWT_SECRET",
        vars.jwt_secret.as_ref(),
        vars.jwt_secret_file.as_ref(),
    );
    if jwt_secret
        .as_ref()
        .is_some_and(|secret| secret.len() < MIN_SECRET_BYTES)
    {
        faults.add(
            "JWT_SECRET",
            "it must have at least 32 bytes; leave it unset to have one generated",
        );
    }
    AuthSettings {
        admin_email,
        admin_password,
        jwt_secret,
        jwt_secrets_previous: previous_secrets(vars, faults),
        accounts: accounts(vars, listen, faults),
        trusted_proxies: trusted_proxies(vars, faults),
        embed_origins: embed_origins(vars, faults),
    }
}

fn previous_secrets(vars: &EnvVars, faults: &mut Faults) -> Vec<String> {
    let text = faults.secret(
        "JWT_SECRET_PREVIOUS",
        vars.jwt_secret_previous.as_ref(),
        vars.jwt_secret_previous_file.as_ref(),
    );
    let secrets: Vec<String> = listed(text.as_deref()).map(str::to_owned).collect();
    if secrets.iter().any(|secret| secret.len() < MIN_SECRET_BYTES) {
        faults.add(
            "JWT_SECRET_PREVIOUS",
            "each secret, separated by commas, must have at least 32 bytes",
        );
    }
    secrets
}

fn accounts(vars: &EnvVars, listen: SocketAddr, faults: &mut Faults) -> AccountSettings {
    let default = AccountSettings::default();
    let registration = match given(vars.registration.as_ref()) {
        None => default.registration,
        Some(text) => Registration::parse(text).unwrap_or_else(|| {
            faults.add(
                "REGISTRATION",
                format!("`{text}` is not `closed`, `invite` or `open`"),
            );
            default.registration
        }),
    };
    let mut lifetime = |variable, text: &Option<String>, default| {
        faults.duration(variable, text.as_ref(), default)
    };
    let access_lifetime = lifetime(
        "ACCESS_TOKEN_LIFETIME",
        &vars.access_token_lifetime,
        default.access_lifetime,
    );
    let refresh_lifetime = lifetime(
        "REFRESH_TOKEN_LIFETIME",
        &vars.refresh_token_lifetime,
        default.refresh_lifetime,
    );
    let session_lifetime = lifetime(
        "SESSION_LIFETIME",
        &vars.session_lifetime,
        default.session_lifetime,
    );
    let reset_lifetime = lifetime(
        "PASSWORD_RESET_LIFETIME",
        &vars.password_reset_lifetime,
        default.reset_lifetime,
    );
    let invitation_lifetime = lifetime(
        "INVITATION_LIFETIME",
        &vars.invitation_lifetime,
        default.invitation_lifetime,
    );
    let mut tries = |variable, text: &Option<String>, default: Allowance| Allowance {
        burst: u32::try_from(faults.number(
            variable,
            text.as_ref(),
            default.burst.into(),
            1..=1_000_000,
        ))
        .unwrap_or(default.burst),
        ..default
    };
    AccountSettings {
        registration,
        access_lifetime,
        refresh_lifetime,
        session_lifetime,
        reset_lifetime,
        invitation_lifetime,
        tries_per_account: tries(
            "LOGIN_TRIES_PER_ACCOUNT",
            &vars.login_tries_per_account,
            default.tries_per_account,
        ),
        tries_per_address: tries(
            "LOGIN_TRIES_PER_ADDRESS",
            &vars.login_tries_per_address,
            default.tries_per_address,
        ),
        public_url: public_url(vars, listen, faults),
        ..default
    }
}

fn public_url(vars: &EnvVars, listen: SocketAddr, faults: &mut Faults) -> String {
    let default = format!("http://{listen}");
    let Some(text) = given(vars.public_url.as_ref()) else {
        return default;
    };
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or_default();
    let is_plain = !text.contains(|c: char| c.is_whitespace() || "?#@\"<>\\".contains(c));
    if host.is_empty() || host.starts_with('/') || !is_plain {
        faults.add(
            "PUBLIC_URL",
            format!("`{text}` is not a URL such as https://assay.example.org"),
        );
        return default;
    }
    text.trim_end_matches('/').to_owned()
}

fn trusted_proxies(vars: &EnvVars, faults: &mut Faults) -> Vec<Network> {
    let mut networks = Vec::new();
    for text in listed(given(vars.trusted_proxies.as_ref())) {
        match Network::parse(text) {
            Some(network) => networks.push(network),
            None => faults.add(
                "TRUSTED_PROXIES",
                format!("`{text}` is not an address or a network such as 10.0.0.0/8"),
            ),
        }
    }
    networks
}

/// Reads origins one by one: a pattern would let in sites that nobody had in mind.
fn embed_origins(vars: &EnvVars, faults: &mut Faults) -> Vec<String> {
    let mut origins = Vec::new();
    for text in listed(given(vars.embed_origins.as_ref())) {
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let is_origin = host.is_some_and(|host| {
            let is_host =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
            !host.is_empty() && host.chars().all(is_host)
        });
        match is_origin {
            true => origins.push(text.to_owned()),
            false => faults.add(
                "EMBED_ORIGINS",
                format!("`{text}` is not an origin such as https://intranet.example.org"),
            ),
        }
    }
    origins
}

/// Returns the parts of a list separated by commas.
fn listed(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

impl Faults {
    /// Reads a time such as `15m`, `12h` or `14d`, up to ten years; `default` when unset.
    fn duration(
        &mut self,
        variable: &'static str,
        text: Option<&String>,
        default: TimeDelta,
    ) -> TimeDelta {
        let Some(text) = given(text) else {
            return default;
        };
        parse_duration(text).unwrap_or_else(|| {
            self.add(
                variable,
                format!("`{text}` is not a time such as 30s, 15m, 12h or 14d"),
            );
            default
        })
    }
}

fn parse_duration(text: &str) -> Option<TimeDelta> {
    const TEN_YEARS: Duration = Duration::from_secs(3_653 * 86_400);
    let (number, seconds) = match text.char_indices().next_back()? {
        (end, 's') => (&text[..end], 1),
        (end, 'm') => (&text[..end], 60),
        (end, 'h') => (&text[..end], 3_600),
        (end, 'd') => (&text[..end], 86_400),
        _ => return None,
    };
    let seconds = number.trim().parse::<u64>().ok()?.checked_mul(seconds)?;
    let duration = Duration::from_secs(seconds);
    if duration.is_zero() || duration > TEN_YEARS {
        return None;
    }
    TimeDelta::from_std(duration).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(change: impl FnOnce(&mut EnvVars)) -> Result<AuthSettings, Vec<&'static str>> {
        let mut vars = EnvVars::default();
        change(&mut vars);
        let mut faults = Faults::default();
        let settings = read(&vars, SocketAddr::from(([127, 0, 0, 1], 8000)), &mut faults);
        if faults.0.is_empty() {
            Ok(settings)
        } else {
            Err(faults.0.iter().map(|fault| fault.variable).collect())
        }
    }

    #[test]
    fn nothing_set_means_closed_registration_and_short_tokens() {
        let settings = read_with(|_| ()).unwrap();
        let accounts = settings.accounts;
        assert_eq!(accounts.registration, Registration::Closed);
        assert_eq!(accounts.access_lifetime, TimeDelta::minutes(15));
        assert_eq!(accounts.public_url, "http://127.0.0.1:8000");
        assert!(settings.trusted_proxies.is_empty());
    }

    #[test]
    fn what_is_set_is_read() {
        let settings = read_with(|vars| {
            vars.registration = Some("Invite".into());
            vars.public_url = Some("https://assay.example.org/bi/".into());
            vars.access_token_lifetime = Some("90s".into());
            vars.session_lifetime = Some("30d".into());
            vars.trusted_proxies = Some("10.0.0.0/8, ::1".into());
            vars.jwt_secret_previous = Some(format!("{},{}", "a".repeat(32), "b".repeat(40)));
            vars.login_tries_per_account = Some("3".into());
        })
        .unwrap();
        assert_eq!(settings.accounts.registration, Registration::Invite);
        assert_eq!(settings.accounts.public_url, "https://assay.example.org/bi");
        assert_eq!(settings.accounts.access_lifetime, TimeDelta::seconds(90));
        assert_eq!(settings.accounts.session_lifetime, TimeDelta::days(30));
        assert_eq!(settings.accounts.tries_per_account.burst, 3);
        assert_eq!(settings.trusted_proxies.len(), 2);
        assert_eq!(settings.jwt_secrets_previous.len(), 2);
        assert!(!format!("{settings:?}").contains("aaaa"));
    }

    #[test]
    fn origins_are_named_one_by_one() {
        let check = |text: &str, expected: &[&str]| {
            let settings = read_with(|vars| vars.embed_origins = Some(text.into()));
            let origins = settings.map(|settings| settings.embed_origins);
            assert_eq!(origins.as_deref().unwrap_or_default(), expected, "{text}");
        };
        check("", &[]);
        check(
            "https://a.example, http://localhost:3000",
            &["https://a.example", "http://localhost:3000"],
        );
        for wrong in [
            "*",
            "https://*",
            "a.example",
            "https://a.example/",
            "null",
            "https://A.example",
        ] {
            check(wrong, &[]);
            assert!(
                read_with(|vars| vars.embed_origins = Some(wrong.into())).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn every_fault_has_its_variable() {
        let faults = read_with(|vars| {
            vars.registration = Some("maybe".into());
            vars.public_url = Some("ftp://example.org".into());
            vars.access_token_lifetime = Some("15".into());
            vars.refresh_token_lifetime = Some("0d".into());
            vars.trusted_proxies = Some("proxy".into());
            vars.embed_origins = Some("https://a.example, *".into());
            vars.jwt_secret_previous = Some("short".into());
            vars.init_admin_password = Some("x".repeat(73));
        })
        .unwrap_err();
        let expected = [
            "INIT_ADMIN_PASSWORD",
            "JWT_SECRET_PREVIOUS",
            "ACCESS_TOKEN_LIFETIME",
            "REFRESH_TOKEN_LIFETIME",
            "REGISTRATION",
            "PUBLIC_URL",
            "TRUSTED_PROXIES",
            "EMBED_ORIGINS",
        ];
        assert_eq!(
            faults.iter().collect::<std::collections::BTreeSet<_>>(),
            expected.iter().collect()
        );
    }
}
