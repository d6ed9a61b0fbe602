//! Where the business data comes from.

use std::path::{Path, PathBuf};

use super::TargetSettings;
use super::env_vars::EnvVars;
use super::faults::{Faults, given, given_path};
use crate::first_run;

/// Where the business data comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetSource {
    /// Switched off by ENABLE_TARGET_DB=false.
    Disabled,
    /// Nothing was named and nothing was found.
    NotFound,
    /// This file.
    File(PathBuf),
    /// The demo company, generated here if it is missing.
    Demo(PathBuf),
}

pub(super) fn read(vars: &EnvVars, data_dir: &Path, faults: &mut Faults) -> TargetSettings {
    let enabled = faults.switch("ENABLE_TARGET_DB", vars.enable_target_db.as_ref());
    let seed_demo = faults.switch("SEED_DEMO_DATA", vars.seed_demo_data.as_ref()) == Some(true);
    let named = match given(vars.target_database_url.as_ref()) {
        Some(url) => match path_of_url(url) {
            Ok(path) => Some(("TARGET_DATABASE_URL", path)),
            Err(message) => {
                faults.add("TARGET_DATABASE_URL", message);
                None
            }
        },
        None => given_path(vars.target_db_source.as_ref()).map(|path| ("TARGET_DB_SOURCE", path)),
    };
    let source = match (enabled, named) {
        (Some(false), _) => TargetSource::Disabled,
        (_, Some((variable, path))) => {
            if enabled == Some(true) && !path.exists() {
                faults.add(
                    variable,
                    format!(
                        "there is no file `{}`, and ENABLE_TARGET_DB is true",
                        path.display()
                    ),
                );
            }
            TargetSource::File(path)
        }
        (_, None) if Path::new("mydb.db").is_file() => TargetSource::File("mydb.db".into()),
        (_, None) if seed_demo => TargetSource::Demo(data_dir.join("demo_company.db")),
        (_, None) if let Some(path) = first_run::chosen(data_dir) => TargetSource::File(path),
        (Some(true), None) => {
            faults.add(
                "ENABLE_TARGET_DB",
                "it is true, but neither TARGET_DATABASE_URL nor TARGET_DB_SOURCE names a file and there is no ./mydb.db",
            );
            TargetSource::NotFound
        }
        (None, None) => TargetSource::NotFound,
    };
    TargetSettings {
        source,
        working_copy: given_path(vars.target_db_path.as_ref())
            .unwrap_or_else(|| data_dir.join("target/vanna_db.db")),
        copies: data_dir.join("copies"),
    }
}

/// Returns the path of a database URL in the form SQLAlchemy gives it: three slashes for a relative path, four for
/// an absolute one; a driver may be named, as in `sqlite+aiosqlite`. Without a scheme the text is a path. A query (`?mode=ro`) asks for what holds anyway.
pub(super) fn path_of_url(url: &str) -> Result<PathBuf, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Ok(url.into());
    };
    if scheme != "sqlite" && !scheme.starts_with("sqlite+") {
        return Err(format!(
            "`{scheme}` databases are not supported; use sqlite:////absolute/path.db"
        ));
    }
    let path = rest.split('?').next().unwrap_or(rest);
    match path.strip_prefix('/') {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err(
            "it names no file; write sqlite:////absolute/path.db or sqlite:///relative.db".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_in_the_form_of_sqlalchemy_name_files() {
        for (url, path) in [
            ("sqlite:////data/target.db", "/data/target.db"),
            (
                "sqlite:////app/data/vanna_db.db?mode=ro",
                "/app/data/vanna_db.db",
            ),
            ("sqlite:///data/target.db", "data/target.db"),
            ("/data/target.db", "/data/target.db"),
            ("my file.db", "my file.db"),
        ] {
            assert_eq!(path_of_url(url), Ok(path.into()), "{url}");
        }
        for url in ["postgresql://host/db", "sqlite://", "sqlite:///"] {
            assert!(path_of_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_named_wins_over_what_is_found_and_disabled_wins_over_all() {
        let source = |change: &dyn Fn(&mut EnvVars)| {
            let mut vars = EnvVars::default();
            change(&mut vars);
            let mut faults = Faults::default();
            let settings = read(&vars, Path::new("/data"), &mut faults);
            (settings.source, faults.0.len())
        };
        let url = |vars: &mut EnvVars| {
            vars.target_database_url = Some("sqlite:////a.db".into());
            vars.target_db_source = Some("/b.db".into());
        };
        assert_eq!(source(&url), (TargetSource::File("/a.db".into()), 0));
        let disabled = |vars: &mut EnvVars| {
            url(vars);
            vars.enable_target_db = Some("false".into());
        };
        assert_eq!(source(&disabled), (TargetSource::Disabled, 0));
        let demo = |vars: &mut EnvVars| vars.seed_demo_data = Some("true".into());
        assert_eq!(
            source(&demo),
            (TargetSource::Demo("/data/demo_company.db".into()), 0)
        );
        let required = |vars: &mut EnvVars| vars.enable_target_db = Some("true".into());
        assert_eq!(source(&required), (TargetSource::NotFound, 1));
    }
}
