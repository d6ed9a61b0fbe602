//! How letters leave.

use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use super::env_vars::EnvVars;
use super::faults::{Faults, given};
use crate::mailer;

/// How letters leave.
#[derive(Debug, Clone)]
pub enum MailSettings {
    /// Each becomes a file in this folder.
    Outbox(PathBuf),
    /// A mail server takes them.
    Smtp {
        /// Which.
        server: SmtpServer,
        /// From whom they are.
        from: Mailbox,
    },
}

/// A mail server.
#[derive(Clone)]
pub enum SmtpServer {
    /// As `smtps://user:password@host:465` or `smtp://host:25?tls=required`.
    Url(String),
    /// In parts.
    Parts {
        /// Its name.
        host: String,
        /// Its port; `None` is the usual one.
        port: Option<u16>,
        /// User and password.
        login: Option<(String, String)>,
        /// How the connection is protected.
        tls: SmtpTls,
    },
}

/// Passwords are never printed.
impl std::fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SmtpServer::Url(_) => f.write_str("smtp url ***"),
            SmtpServer::Parts { host, .. } => f.write_str(host),
        }
    }
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte on; port 465.
    Implicit,
    /// Begun in the clear, then protected or given up; port 587.
    Starttls,
    /// Not at all, for a server on this machine; port 25.
    None,
}

pub(super) fn read(vars: &EnvVars, data_dir: &Path, faults: &mut Faults) -> MailSettings {
    let Some((variable, server)) = server(vars, faults) else {
        return MailSettings::Outbox(data_dir.join("outbox"));
    };
    if let Err(fault) = mailer::transport(&server) {
        let cause = fault.cause().unwrap_or_default();
        faults.add(variable, format!("{}: {cause}", fault.message()));
    }
    let from = match given(vars.smtp_from.as_ref()) {
        Some(text) => text
            .parse::<Mailbox>()
            .map_err(|_| format!("`{text}` is not an address such as Assay <assay@example.org>")),
        None => Err("a mail server is set; say from whom letters are".to_owned()),
    };
    match from {
        Ok(from) => MailSettings::Smtp { server, from },
        Err(message) => {
            faults.add("SMTP_FROM", message);
            MailSettings::Outbox(data_dir.join("outbox"))
        }
    }
}

/// Returns the server and the variable that names it.
fn server(vars: &EnvVars, faults: &mut Faults) -> Option<(&'static str, SmtpServer)> {
    let url = faults.secret(
        "SMTP_URL",
        vars.smtp_url.as_ref(),
        vars.smtp_url_file.as_ref(),
    );
    let password = faults.secret(
        "SMTP_PASSWORD",
        vars.smtp_password.as_ref(),
        vars.smtp_password_file.as_ref(),
    );
    if let Some(url) = url {
        if url.starts_with("smtp://") && url.contains('@') && !url.contains("tls=required") {
            faults.add(
                "SMTP_URL",
                "the password would travel in the clear; use smtps:// or add ?tls=required",
            );
        }
        return Some(("SMTP_URL", SmtpServer::Url(url)));
    }
    let host = given(vars.smtp_host.as_ref())?.to_owned();
    let port = faults.number("SMTP_PORT", vars.smtp_port.as_ref(), 0, 0..=65_535);
    let tls = match given(vars.smtp_tls.as_ref())
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        None | Some("starttls") => SmtpTls::Starttls,
        Some("implicit") => SmtpTls::Implicit,
        Some("none") => SmtpTls::None,
        Some(other) => {
            faults.add(
                "SMTP_TLS",
                format!("`{other}` is not `implicit`, `starttls` or `none`"),
            );
            SmtpTls::Starttls
        }
    };
    let login = match (given(vars.smtp_user.as_ref()), password) {
        (Some(user), Some(password)) => Some((user.to_owned(), password)),
        (None, None) => None,
        (Some(_), None) => {
            faults.add("SMTP_PASSWORD", "SMTP_USER is set; give the password too");
            None
        }
        (None, Some(_)) => {
            faults.add("SMTP_USER", "SMTP_PASSWORD is set; give the user too");
            None
        }
    };
    let server = SmtpServer::Parts {
        host,
        port: u16::try_from(port).ok().filter(|port| *port > 0),
        login,
        tls,
    };
    Some(("SMTP_HOST", server))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(change: impl FnOnce(&mut EnvVars)) -> (MailSettings, Vec<&'static str>) {
        let mut vars = EnvVars::default();
        change(&mut vars);
        let mut faults = Faults::default();
        let settings = read(&vars, Path::new("/data"), &mut faults);
        (
            settings,
            faults.0.iter().map(|fault| fault.variable).collect(),
        )
    }

    #[test]
    fn without_a_server_letters_go_to_the_outbox() {
        let (settings, faults) = read_with(|_| ());
        assert!(faults.is_empty());
        assert!(
            matches!(settings, MailSettings::Outbox(path) if path == Path::new("/data/outbox"))
        );
    }

    #[test]
    fn a_server_is_named_by_url_or_in_parts_and_its_password_is_never_printed() {
        let (settings, faults) = read_with(|vars| {
            vars.smtp_url = Some("smtps://ada:sesame@mail.example.org".into());
            vars.smtp_from = Some("Assay <assay@example.org>".into());
        });
        assert!(faults.is_empty(), "{faults:?}");
        assert!(!format!("{settings:?}").contains("sesame"));
        let (settings, faults) = read_with(|vars| {
            vars.smtp_host = Some("localhost".into());
            vars.smtp_tls = Some("none".into());
            vars.smtp_from = Some("assay@example.org".into());
        });
        assert!(faults.is_empty(), "{faults:?}");
        assert!(matches!(settings, MailSettings::Smtp { .. }));
    }

    #[test]
    fn every_fault_has_its_variable() {
        type Case = (fn(&mut EnvVars), &'static [&'static str]);
        let cases: [Case; 4] = [
            (
                |vars| vars.smtp_url = Some("smtp://ada:sesame@mail.example.org".into()),
                &["SMTP_URL", "SMTP_FROM"],
            ),
            (
                |vars| {
                    vars.smtp_url = Some("http://mail.example.org".into());
                    vars.smtp_from = Some("assay@example.org".into());
                },
                &["SMTP_URL"],
            ),
            (
                |vars| {
                    vars.smtp_host = Some("mail.example.org".into());
                    vars.smtp_user = Some("ada".into());
                    vars.smtp_from = Some("nobody".into());
                },
                &["SMTP_PASSWORD", "SMTP_FROM"],
            ),
            (
                |vars| {
                    vars.smtp_host = Some("mail.example.org".into());
                    vars.smtp_tls = Some("yes".into());
                    vars.smtp_from = Some("assay@example.org".into());
                },
                &["SMTP_TLS"],
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(read_with(change).1, expected);
        }
    }
}
