//! Where vectors are searched.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use super::env_vars::EnvVars;
use super::faults::{Faults, given};

/// Where vectors are searched.
#[derive(Clone)]
pub enum VectorSettings {
    /// In this process, with snapshots in a folder.
    Memory {
        /// The folder.
        folder: PathBuf,
    },
    /// In Chroma.
    Chroma {
        /// Scheme, host and port.
        url: String,
        /// The tenant; `None` is Chroma's own.
        tenant: Option<String>,
        /// Its database; `None` is Chroma's own.
        database: Option<String>,
        /// For servers that want one.
        token: Option<String>,
    },
}

/// Tokens are never printed.
impl std::fmt::Debug for VectorSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            VectorSettings::Memory { folder } => write!(f, "memory {}", folder.display()),
            VectorSettings::Chroma {
                url,
                tenant,
                database,
                ..
            } => write!(f, "chroma {url} {tenant:?} {database:?}"),
        }
    }
}

pub(super) fn read(vars: &EnvVars, data_dir: &Path, faults: &mut Faults) -> VectorSettings {
    let port = faults.number("CHROMA_PORT", vars.chroma_port.as_ref(), 8000, 1..=65_535);
    let is_tls = faults.switch("CHROMA_SSL", vars.chroma_ssl.as_ref());
    let token = faults.secret(
        "CHROMA_TOKEN",
        vars.chroma_token.as_ref(),
        vars.chroma_token_file.as_ref(),
    );
    let Some(host) = given(vars.chroma_host.as_ref()) else {
        return VectorSettings::Memory {
            folder: data_dir.join("vectors"),
        };
    };
    if host.contains(['/', '@', '?', '#']) || host.contains(char::is_whitespace) {
        faults.add(
            "CHROMA_HOST",
            format!("`{host}` is not the name or the address of a machine; port and TLS are set by CHROMA_PORT and CHROMA_SSL"),
        );
    }
    let scheme = if is_tls == Some(true) {
        "https"
    } else {
        "http"
    };
    let host = match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    };
    VectorSettings::Chroma {
        url: format!("{scheme}://{host}:{port}"),
        tenant: given(vars.chroma_tenant.as_ref()).map(str::to_owned),
        database: given(vars.chroma_database.as_ref()).map(str::to_owned),
        token,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(change: impl FnOnce(&mut EnvVars)) -> (VectorSettings, Vec<&'static str>) {
        let mut vars = EnvVars::default();
        change(&mut vars);
        let mut faults = Faults::default();
        let settings = read(&vars, Path::new("/data"), &mut faults);
        let faults = faults.0.iter().map(|fault| fault.variable).collect();
        (settings, faults)
    }

    #[test]
    fn vectors_are_in_the_data_folder_unless_a_server_is_named() {
        let (settings, faults) = read_with(|vars| vars.chroma_port = Some("9000".into()));
        assert!(
            matches!(settings, VectorSettings::Memory { folder } if folder == Path::new("/data/vectors"))
        );
        assert!(faults.is_empty());
    }

    #[test]
    fn a_server_is_named_by_host_port_and_tls() {
        let cases = [
            ("chroma", None, None, "http://chroma:8000"),
            (
                "10.0.0.1",
                Some("9000"),
                Some("true"),
                "https://10.0.0.1:9000",
            ),
            ("::1", None, Some("false"), "http://[::1]:8000"),
        ];
        for (host, port, tls, expected) in cases {
            let (settings, faults) = read_with(|vars| {
                vars.chroma_host = Some(host.into());
                vars.chroma_port = port.map(str::to_owned);
                vars.chroma_ssl = tls.map(str::to_owned);
            });
            assert!(matches!(settings, VectorSettings::Chroma { url, .. } if url == expected));
            assert!(faults.is_empty());
        }
    }

    #[test]
    fn all_faults_are_told_and_a_token_is_not_printed() {
        let (settings, faults) = read_with(|vars| {
            vars.chroma_host = Some("http://chroma:8000".into());
            vars.chroma_port = Some("0".into());
            vars.chroma_ssl = Some("perhaps".into());
            vars.chroma_token = Some("s3cret".into());
        });
        assert_eq!(faults, ["CHROMA_PORT", "CHROMA_SSL", "CHROMA_HOST"]);
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
