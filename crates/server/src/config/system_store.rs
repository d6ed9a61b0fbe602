//! Which system store: SQLite in a file, or PostgreSQL by a URL or its parts.

use std::fmt;
use std::path::{Path, PathBuf};

use super::env_vars::EnvVars;
use super::faults::{Faults, given, given_path};
use super::target::path_of_url;

/// Connections of one process to PostgreSQL.
const MAX_CONNECTIONS: u64 = 20;

/// Which system store.
#[derive(Clone, PartialEq, Eq)]
pub enum SystemStoreSettings {
    /// A file.
    Sqlite {
        /// Its path.
        path: PathBuf,
    },
    /// A server.
    Postgres(PostgresDatabase),
}

/// A database on a PostgreSQL server.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresDatabase {
    /// The application's connection, with its password.
    pub url: String,
    /// The owner's connection, for migrations and backups; `None` when it is the same.
    pub migration_url: Option<String>,
    /// Connections at most.
    pub max_connections: u32,
}

impl SystemStoreSettings {
    /// Says whether it is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(self, SystemStoreSettings::Postgres(_))
    }
}

/// Names the store for people; passwords are never printed.
impl fmt::Display for SystemStoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SystemStoreSettings::Sqlite { path } => write!(f, "SQLite {}", path.display()),
            SystemStoreSettings::Postgres(database) => {
                write!(f, "PostgreSQL {}", without_password(&database.url))
            }
        }
    }
}

impl fmt::Debug for SystemStoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(super) fn read(vars: &EnvVars, data_dir: &Path, faults: &mut Faults) -> SystemStoreSettings {
    let sqlite = || SystemStoreSettings::Sqlite {
        path: given_path(vars.sqlite_db_path.as_ref())
            .unwrap_or_else(|| data_dir.join("system.db")),
    };
    let kind = kind(vars, faults);
    let url = faults.secret(
        "DATABASE_URL",
        vars.database_url.as_ref(),
        vars.database_url_file.as_ref(),
    );
    // The parts are read in any case, so that a fault in them shows before they are needed.
    let from_parts = url_of_parts(vars, faults);
    let (variable, url) = match (url, kind) {
        (Some(url), _) => ("DATABASE_URL", url),
        (None, Kind::Postgres) => ("POSTGRES_HOST", from_parts),
        (None, Kind::Sqlite) => return sqlite(),
    };
    if url.starts_with("sqlite") {
        return match path_of_url(&url) {
            Ok(path) => SystemStoreSettings::Sqlite { path },
            Err(message) => {
                faults.add("DATABASE_URL", message);
                sqlite()
            }
        };
    }
    let migration_url = faults.secret(
        "MIGRATION_DATABASE_URL",
        vars.migration_database_url.as_ref(),
        vars.migration_database_url_file.as_ref(),
    );
    let mut normal = |variable, url: String| {
        postgres_url(&url).unwrap_or_else(|message| {
            faults.add(variable, message);
            url
        })
    };
    let url = normal(variable, url);
    let migration_url = migration_url.map(|url| normal("MIGRATION_DATABASE_URL", url));
    let max_connections = faults.number(
        "DATABASE_MAX_CONNECTIONS",
        vars.database_max_connections.as_ref(),
        MAX_CONNECTIONS,
        2..=1_000,
    );
    SystemStoreSettings::Postgres(PostgresDatabase {
        url,
        migration_url,
        max_connections: u32::try_from(max_connections).unwrap_or(2),
    })
}

enum Kind {
    Sqlite,
    Postgres,
}

/// Reads DB_TYPE; without it any part of a PostgreSQL URL chooses PostgreSQL.
fn kind(vars: &EnvVars, faults: &mut Faults) -> Kind {
    let has_parts = [
        &vars.postgres_host,
        &vars.postgres_port,
        &vars.postgres_user,
        &vars.postgres_password,
        &vars.postgres_password_file,
        &vars.postgres_db,
    ]
    .into_iter()
    .any(|part| given(part.as_ref()).is_some());
    match given(vars.db_type.as_ref())
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        None if has_parts => Kind::Postgres,
        None | Some("sqlite") => Kind::Sqlite,
        Some("postgresql" | "postgres") => Kind::Postgres,
        Some(other) => {
            faults.add(
                "DB_TYPE",
                format!("`{other}` is not a kind of system store; use `postgresql` or `sqlite`"),
            );
            Kind::Sqlite
        }
    }
}

fn url_of_parts(vars: &EnvVars, faults: &mut Faults) -> String {
    let port = faults.number(
        "POSTGRES_PORT",
        vars.postgres_port.as_ref(),
        5432,
        1..=65_535,
    );
    let password = faults.secret(
        "POSTGRES_PASSWORD",
        vars.postgres_password.as_ref(),
        vars.postgres_password_file.as_ref(),
    );
    let user = encoded(given(vars.postgres_user.as_ref()).unwrap_or("postgres"));
    let password = password.map_or_else(String::new, |text| format!(":{}", encoded(&text)));
    let host = match given(vars.postgres_host.as_ref()).unwrap_or("localhost") {
        address if address.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{address}]"),
        // A folder of sockets is a host too; its slashes are encoded.
        host => encoded(host),
    };
    let database = encoded(given(vars.postgres_db.as_ref()).unwrap_or("vanna_db"));
    format!("postgresql://{user}{password}@{host}:{port}/{database}")
}

/// Returns a URL whose scheme is `postgresql`, as its drivers know it. SQLAlchemy names the driver behind a plus sign.
fn postgres_url(url: &str) -> Result<String, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("it is not a URL; write postgresql://user:password@host:5432/database".into());
    };
    let family = scheme.split('+').next().unwrap_or(scheme);
    if !matches!(family, "postgresql" | "postgres") {
        return Err(format!(
            "`{scheme}` is not a kind of system store; use postgresql://... or sqlite:///..."
        ));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let names_host = !host.is_empty() || path.contains("host=");
    if !names_host || path.split('?').next().is_none_or(str::is_empty) {
        return Err(
            "it names no server or no database; write postgresql://user:password@host:5432/database"
                .into(),
        );
    }
    Ok(format!("postgresql://{rest}"))
}

/// Encodes what may not stand in a part of a URL as it is (RFC 3986, all but the unreserved characters).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Returns a URL as it may be shown: neither a password nor parameters, which may hold one.
fn without_password(url: &str) -> String {
    let shown = url.split('?').next().unwrap_or(url);
    let Some((scheme, rest)) = shown.split_once("://") else {
        return "***".into();
    };
    match rest.rsplit_once('@') {
        Some((who, place)) => {
            let user = who.split(':').next().unwrap_or(who);
            format!("{scheme}://{user}@{place}")
        }
        None => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut EnvVars), expected: &str) {
        let (settings, faults) = settings(change);
        assert_eq!(faults, [] as [&str; 0]);
        let found = match settings {
            SystemStoreSettings::Sqlite { path } => path.display().to_string(),
            SystemStoreSettings::Postgres(database) => database.url,
        };
        assert_eq!(found, expected);
    }

    fn settings(change: impl FnOnce(&mut EnvVars)) -> (SystemStoreSettings, Vec<&'static str>) {
        let mut vars = EnvVars::default();
        change(&mut vars);
        let mut faults = Faults::default();
        let settings = read(&vars, Path::new("/data"), &mut faults);
        let names = faults.0.iter().map(|fault| fault.variable).collect();
        (settings, names)
    }

    #[test]
    fn the_store_is_chosen_by_what_is_set() {
        check(|_| (), "/data/system.db");
        check(|vars| vars.sqlite_db_path = Some("/s.db".into()), "/s.db");
        check(
            |vars| vars.postgres_host = Some("db".into()),
            "postgresql://postgres@db:5432/vanna_db",
        );
        check(
            |vars| {
                vars.db_type = Some("sqlite".into());
                vars.postgres_host = Some("db".into());
            },
            "/data/system.db",
        );
        check(
            |vars| vars.db_type = Some("PostgreSQL".into()),
            "postgresql://postgres@localhost:5432/vanna_db",
        );
        check(
            |vars| {
                vars.db_type = Some("sqlite".into());
                vars.database_url = Some("postgresql://u:p@h/d".into());
            },
            "postgresql://u:p@h/d",
        );
        check(
            |vars| {
                vars.postgres_host = Some(" ".into());
                vars.database_url = Some("sqlite:////var/s.db".into());
            },
            "/var/s.db",
        );
    }

    #[test]
    fn parts_are_encoded_into_the_url() {
        check(
            |vars| {
                vars.postgres_host = Some("::1".into());
                vars.postgres_port = Some("5433".into());
                vars.postgres_user = Some("a user".into());
                vars.postgres_password = Some("p@ss/w:rd?#%ü".into());
                vars.postgres_db = Some("my db".into());
            },
            "postgresql://a%20user:p%40ss%2Fw%3Ard%3F%23%25%C3%BC@[::1]:5433/my%20db",
        );
        check(
            |vars| vars.postgres_host = Some("/run/postgresql".into()),
            "postgresql://postgres@%2Frun%2Fpostgresql:5432/vanna_db",
        );
    }

    #[test]
    fn schemes_of_sqlalchemy_are_understood() {
        for scheme in ["postgres", "postgresql+psycopg2", "postgresql+asyncpg"] {
            check(
                |vars| vars.database_url = Some(format!("{scheme}://u@h:1/d?sslmode=require")),
                "postgresql://u@h:1/d?sslmode=require",
            );
        }
    }

    #[test]
    fn faults_name_their_variables() {
        let faults = |change: &dyn Fn(&mut EnvVars)| settings(change).1;
        assert_eq!(
            faults(&|vars| vars.db_type = Some("mysql".into())),
            ["DB_TYPE"]
        );
        assert_eq!(
            faults(&|vars| {
                vars.postgres_port = Some("0".into());
                vars.postgres_password_file = Some("/there/is/none".into());
                vars.migration_database_url = Some("mysql://h/d".into());
            }),
            [
                "POSTGRES_PORT",
                "POSTGRES_PASSWORD",
                "MIGRATION_DATABASE_URL"
            ]
        );
        for url in [
            "mysql://h/d",
            "host/db",
            "postgresql://h",
            "postgresql:///",
            "sqlite://",
        ] {
            assert_eq!(
                faults(&|vars| vars.database_url = Some(url.into())),
                ["DATABASE_URL"],
                "{url}"
            );
        }
    }

    #[test]
    fn passwords_are_never_printed() {
        for url in [
            "postgresql://u:secret@h:1/d",
            "postgresql://u:sec%40ret@h/d?password=secret",
            "postgresql://u:se@secret@h/d",
        ] {
            let (settings, _) = settings(|vars| vars.database_url = Some(url.into()));
            assert!(
                !format!("{settings:?} {settings}").contains("secret"),
                "{url}"
            );
        }
    }
}
