//! PostgreSQL's own programs, `pg_dump` and `pg_restore`: finding ones that are new enough and running them with the
//! password in their environment, never on their command line, which every user of the machine can read.

use std::path::{Path, PathBuf};

use engine::{Code, Error};
use sqlx::postgres::PgConnection;
use tokio::process::Command;

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// The programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTools {
    /// The folder of the programs; `None` is where PATH says.
    folder: Option<PathBuf>,
    /// The major version, such as 15.
    pub version: u32,
}

impl ClientTools {
    /// Finds programs that are at least as new as the server, on PATH before any other.
    ///
    /// # Errors
    ///
    /// [`Code::BackupFailed`] if there are none; `pg_dump` refuses a server that is newer than itself.
    pub async fn find(server_version: u32) -> Result<Self, Error> {
        let places = [None].into_iter().chain(folders().into_iter().map(Some));
        Self::find_in(places, server_version).await
    }

    /// Looks in these folders, of which `None` is PATH.
    async fn find_in(
        places: impl Iterator<Item = Option<PathBuf>>,
        server_version: u32,
    ) -> Result<Self, Error> {
        let mut newest = None;
        for folder in places {
            let Some(version) = version_in(folder.as_deref()).await else {
                continue;
            };
            if version >= server_version {
                return Ok(Self { folder, version });
            }
            newest = newest.max(Some(version));
        }
        let message = match newest {
            None => "there is no pg_dump on this machine".to_owned(),
            Some(version) => {
                format!("pg_dump is of version {version}, the server of {server_version}")
            }
        };
        Err(Error::new(Code::BackupFailed, message).with_hint(format!(
            "install PostgreSQL's client programs of version {server_version} or newer"
        )))
    }

    /// Runs one of the programs to its end.
    ///
    /// # Errors
    ///
    /// [`Code::BackupFailed`] with what the program said as its cause.
    pub async fn run(&self, program: &str, url: &str, args: &[&str]) -> Result<(), Error> {
        let (address, password) = split_password(url);
        let mut command = Command::new(path_of(self.folder.as_deref(), program));
        command
            .arg("--no-password")
            .arg(format!("--dbname={address}"))
            .args(args)
            // Messages are parsed by nobody, but they are logged.
            .env("LC_ALL", "C")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        let failed = |cause: String| {
            let said = cause.lines().next().unwrap_or_default().to_owned();
            Error::new(Code::BackupFailed, format!("{program} failed: {said}")).with_cause(cause)
        };
        let output = command
            .output()
            .await
            .map_err(|fault| failed(fault.to_string()))?;
        if output.status.success() {
            Ok(())
        } else {
            Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }
}

/// Returns the server's major version.
pub(super) fn server_version(connection: &PgConnection) -> u32 {
    connection
        .server_version_num()
        .map_or(0, |number| number / 10_000)
}

/// Folders of versions, the newest first.
fn folders() -> Vec<PathBuf> {
    let mut versions: Vec<u32> = std::fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions
        .into_iter()
        .map(|version| Path::new(VERSIONS).join(version.to_string()).join("bin"))
        .collect()
}

/// Asks both programs, since a dump that cannot be restored is of no use.
async fn version_in(folder: Option<&Path>) -> Option<u32> {
    let mut versions = Vec::new();
    for program in ["pg_dump", "pg_restore"] {
        let output = Command::new(path_of(folder, program))
            .arg("--version")
            .kill_on_drop(true)
            .output()
            .await
            .ok()?;
        versions.push(major_version(&String::from_utf8_lossy(&output.stdout))?);
    }
    versions.into_iter().min()
}

fn path_of(folder: Option<&Path>, program: &str) -> PathBuf {
    folder.map_or_else(|| program.into(), |folder| folder.join(program))
}

/// Reads `pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_once(") ")?.1;
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Returns a URL without its password, and the password. It may stand before the server's name or as a parameter.
fn split_password(url: &str) -> (String, Option<String>) {
    let (url, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (mut password, mut kept) = (None, Vec::new());
    for parameter in parameters.split('&').filter(|text| !text.is_empty()) {
        match parameter.strip_prefix("password=") {
            Some(text) => password = Some(decoded(text)),
            None => kept.push(parameter),
        }
    }
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgresql", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = match authority.rsplit_once('@') {
        Some((who, host)) => {
            let user = match who.split_once(':') {
                Some((user, text)) => {
                    password = password.or_else(|| Some(decoded(text)));
                    user
                }
                None => who,
            };
            format!("{user}@{host}")
        }
        None => authority.to_owned(),
    };
    let mut address = format!("{scheme}://{authority}/{path}");
    if !kept.is_empty() {
        address = format!("{address}?{}", kept.join("&"));
    }
    (address, password)
}

/// Returns the URL of another database on the same server.
pub(super) fn with_database(url: &str, database: &str) -> String {
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = place.split_once("://").unwrap_or(("postgresql", place));
    let authority = rest.split('/').next().unwrap_or(rest);
    // A parameter would win over the path.
    let kept: Vec<&str> = parameters
        .split('&')
        .filter(|text| !text.is_empty() && !text.starts_with("dbname="))
        .collect();
    let mut url = format!("{scheme}://{authority}/{database}");
    if !kept.is_empty() {
        url = format!("{url}?{}", kept.join("&"));
    }
    url
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) if byte == b'%' => {
                bytes.push(value);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_programs_say() {
        for (text, version) in [
            (
                "pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                Some(15),
            ),
            ("pg_restore (PostgreSQL) 18beta1\n", Some(18)),
            ("pg_dump (PostgreSQL) 9.6.24\n", Some(9)),
            ("something else", None),
        ] {
            assert_eq!(major_version(text), version, "{text}");
        }
    }

    /// Makes a folder with programs that say they are of these versions.
    fn programs(pg_dump: u32, pg_restore: u32) -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (name, version) in [("pg_dump", pg_dump), ("pg_restore", pg_restore)] {
            let path = folder.path().join(name);
            let script = format!("#!/bin/sh\necho '{name} (PostgreSQL) {version}.3'\n");
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    async fn found_in(folders: &[&tempfile::TempDir], server: u32) -> Result<u32, Error> {
        let places = folders.iter().map(|folder| Some(folder.path().to_owned()));
        let tools = ClientTools::find_in(places, server).await?;
        Ok(tools.version)
    }

    #[tokio::test]
    async fn client_programs_older_than_the_server_are_named_and_passed_over() {
        let (old, half, new) = (programs(13, 13), programs(17, 14), programs(17, 17));
        assert_eq!(found_in(&[&old, &new], 15).await, Ok(17));
        assert_eq!(found_in(&[&old, &half], 14).await, Ok(14));
        let error = found_in(&[&old, &half], 15).await.unwrap_err();
        assert_eq!(error.code(), Code::BackupFailed);
        assert_eq!(
            error.message(),
            "pg_dump is of version 14, the server of 15"
        );
        assert!(error.hint().unwrap().contains("version 15 or newer"));
        let empty = tempfile::tempdir().unwrap();
        let error = found_in(&[&empty], 15).await.unwrap_err();
        assert_eq!(error.message(), "there is no pg_dump on this machine");
    }

    #[test]
    fn the_password_is_taken_out_of_the_url() {
        for (url, address, password) in [
            (
                "postgresql://u:p%40s%2Fs@h:5432/d",
                "postgresql://u@h:5432/d",
                Some("p@s/s"),
            ),
            (
                "postgresql://u@%2Frun%2Fpg/d?sslmode=disable&password=a%20b",
                "postgresql://u@%2Frun%2Fpg/d?sslmode=disable",
                Some("a b"),
            ),
            ("postgresql://h/d", "postgresql://h/d", None),
            (
                "postgresql://u:100%@h/d",
                "postgresql://u@h/d",
                Some("100%"),
            ),
        ] {
            let (found, secret) = split_password(url);
            assert_eq!((found.as_str(), secret.as_deref()), (address, password));
        }
    }

    #[test]
    fn another_database_of_the_same_server_can_be_named() {
        assert_eq!(
            with_database("postgresql://u:p@h:1/d?dbname=x&sslmode=require", "e"),
            "postgresql://u:p@h:1/e?sslmode=require"
        );
    }
}
