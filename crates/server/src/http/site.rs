//! Where people reach this server, and through whom.

use crate::config::Network;

/// PUBLIC_URL in parts, and the proxies before this server.
pub struct Site {
    origin: String,
    base_path: String,
    trusted_proxies: Vec<Network>,
}

impl Site {
    /// Takes a URL without a slash at its end.
    pub fn new(public_url: &str, trusted_proxies: Vec<Network>) -> Self {
        let host_at = public_url.find("://").map_or(0, |at| at + 3);
        let path_at = public_url[host_at..]
            .find('/')
            .map_or(public_url.len(), |at| host_at + at);
        let (origin, base_path) = public_url.split_at(path_at);
        Self {
            origin: origin.to_owned(),
            base_path: base_path.to_owned(),
            trusted_proxies,
        }
    }

    /// Returns scheme, host and port, as a browser writes them in `Origin`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns what stands before the path of every route; empty where nothing does.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// People reach this server over TLS.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// Returns the proxies that are believed about where a request comes from.
    pub fn trusted_proxies(&self) -> &[Network] {
        &self.trusted_proxies
    }
}
