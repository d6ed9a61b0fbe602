//! Letters, handed to a mail server or, where none is configured, kept as files for the operator.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::ports::{Clock, Letter, Mailer};
use engine::{Code, Error};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::accounts::write_private;
use crate::config::{MailSettings, SmtpServer, SmtpTls};
use crate::wire::random_bytes;

/// For each exchange with the mail server.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// For a letter as a whole.
const TIMEOUT: Duration = Duration::from_secs(30);

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// Returns the mailer that is configured.
///
/// # Errors
///
/// [`Code::InvalidSetting`].
pub fn open(settings: &MailSettings, clock: Arc<dyn Clock>) -> Result<Arc<dyn Mailer>, Error> {
    Ok(match settings {
        MailSettings::Outbox(folder) => Arc::new(OutboxMailer {
            folder: folder.clone(),
            clock,
        }),
        MailSettings::Smtp { server, from } => Arc::new(SmtpMailer {
            transport: transport(server)?.timeout(Some(REPLY_TIMEOUT)).build(),
            from: from.clone(),
        }),
    })
}

/// Returns what connects to a mail server, without connecting yet.
///
/// # Errors
///
/// [`Code::InvalidSetting`] if the server cannot be meant.
pub fn transport(server: &SmtpServer) -> Result<AsyncSmtpTransportBuilder, Error> {
    let cannot = |fault: lettre::transport::smtp::Error| {
        Error::new(
            Code::InvalidSetting,
            "this is not a mail server's URL or name",
        )
        .with_cause(fault)
    };
    match server {
        SmtpServer::Url(url) => Smtp::from_url(url).map_err(cannot),
        SmtpServer::Parts {
            host,
            port,
            login,
            tls,
        } => {
            let mut builder = match tls {
                SmtpTls::Implicit => Smtp::relay(host).map_err(cannot)?,
                SmtpTls::Starttls => Smtp::starttls_relay(host).map_err(cannot)?,
                SmtpTls::None => Smtp::builder_dangerous(host),
            };
            if let Some(port) = port {
                builder = builder.port(*port);
            }
            if let Some((user, password)) = login {
                builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
            }
            Ok(builder)
        }
    }
}

/// Hands letters to a mail server.
struct SmtpMailer {
    transport: Smtp,
    from: Mailbox,
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, letter: &Letter) -> Result<(), Error> {
        let to: Mailbox = letter
            .to
            .as_str()
            .parse()
            .map_err(|fault| failed("the address cannot be written to").with_cause(fault))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&letter.subject)
            .message_id(None)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
            .map_err(|fault| failed("the letter cannot be written").with_cause(fault))?;
        match tokio::time::timeout(TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(fault)) => {
                Err(failed("the mail server did not take the letter").with_cause(fault))
            }
            Err(_) => Err(failed("the mail server took too long")),
        }
    }
}

fn failed(message: &str) -> Error {
    Error::new(Code::MailFailed, message).with_hint("check the SMTP_ settings and the mail server")
}

/// Keeps each letter as a file that only the operator may read.
struct OutboxMailer {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Mailer for OutboxMailer {
    async fn send(&self, letter: &Letter) -> Result<(), Error> {
        let now = self.clock.now();
        let unique = u64::from_be_bytes(random_bytes());
        let name = format!("{}-{unique:016x}.txt", now.format("%Y%m%dT%H%M%S%3fZ"));
        let path = self.folder.join(name);
        let text = format!(
            "To: {}\nSubject: {}\nDate: {}\n\n{}",
            letter.to.as_str(),
            letter.subject,
            now.to_rfc2822(),
            letter.text
        );
        tokio::task::spawn_blocking(move || write_private(&path, &text))
            .await
            .map_err(|fault| failed("the letter was lost").with_cause(fault))?
            .map_err(|fault| {
                Error::new(Code::MailFailed, "the outbox cannot be written")
                    .with_hint("check that DATA_DIR can be written")
                    .with_cause(fault.cause().unwrap_or_default())
            })
    }
}

#[cfg(test)]
mod tests;
