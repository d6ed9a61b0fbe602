use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use chrono::{DateTime, Utc};
use engine::accounts::Email;

use super::*;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }
}

fn letter(to: &str) -> Letter {
    Letter {
        to: Email::parse(to).unwrap(),
        subject: "Grüße".into(),
        text: "The token is secret.\n.\nA line with one dot stood above.\n".into(),
    }
}

/// A mail server for one connection. It refuses recipients at `refused.example` and returns what it was told.
fn mail_server() -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = std::thread::spawn(move || converse(listener.accept().unwrap().0));
    (port, told)
}

fn converse(stream: TcpStream) -> Vec<String> {
    let mut out = stream.try_clone().unwrap();
    let mut say = |line: &str| write!(out, "{line}\r\n").unwrap();
    say("220 ready");
    let mut told = Vec::new();
    let mut in_data = false;
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { break };
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        match (in_data, verb.as_str()) {
            (true, _) if line == "." => {
                in_data = false;
                say("250 taken");
            }
            (true, _) => {}
            (false, "DATA") => {
                in_data = true;
                say("354 go on");
            }
            (false, "RCPT") if line.contains("refused.example") => say("550 no such user"),
            (false, "QUIT") => {
                say("221 bye");
                told.push(line);
                break;
            }
            (false, _) => say("250 fine"),
        }
        told.push(line);
    }
    told
}

fn smtp(port: u16) -> Arc<dyn Mailer> {
    let settings = MailSettings::Smtp {
        server: SmtpServer::Parts {
            host: "127.0.0.1".into(),
            port: Some(port),
            login: None,
            tls: SmtpTls::None,
        },
        from: "Assay <assay@example.org>".parse().unwrap(),
    };
    open(&settings, Arc::new(Noon)).unwrap()
}

#[tokio::test]
async fn a_letter_is_handed_to_the_mail_server() {
    let (port, told) = mail_server();
    let mailer = smtp(port);
    mailer.send(&letter("ada@example.org")).await.unwrap();
    drop(mailer);
    let told = told.join().unwrap();
    let has = |start: &str| told.iter().any(|line| line.starts_with(start));
    assert!(has("MAIL FROM:<assay@example.org>"), "{told:?}");
    assert!(has("RCPT TO:<ada@example.org>"), "{told:?}");
    assert!(has("Subject: =?utf-8?"), "{told:?}");
    assert!(has("The token is secret."), "{told:?}");
    assert!(
        has(".."),
        "a line of one dot must not end the letter: {told:?}"
    );
}

#[tokio::test]
async fn a_letter_that_is_not_taken_is_an_error_that_names_no_address() {
    let (port, told) = mail_server();
    let mailer = smtp(port);
    let error = mailer
        .send(&letter("ada@refused.example"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::MailFailed);
    assert!(!error.message().contains("ada"));
    drop(mailer);
    told.join().unwrap();

    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = smtp(nobody)
        .send(&letter("ada@example.org"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::MailFailed);
}

#[tokio::test]
async fn without_a_server_each_letter_is_a_file_for_the_operator_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let mailer = open(&MailSettings::Outbox(outbox.clone()), Arc::new(Noon)).unwrap();
    mailer.send(&letter("ada@example.org")).await.unwrap();
    mailer.send(&letter("grace@example.org")).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(&outbox)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.starts_with("To: "), "{text}");
        assert!(text.contains("The token is secret."));
    }
}
