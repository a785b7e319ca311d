//! Every setting: a file, variables and flags in; one checked `Config` out. The environment is read here alone.
//!
//! Takes: `Sources` (what was written where).
//! Gives: `Settings` (each key's value and where it came from), and from it `Config` or every mistake at once.
//! Holds: an unknown key is refused; a secret is never shown, never in an error, never on a command line.
//! Not here: workspaces, clients, users and the rest of what `apply` changes.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use opalid_core::time::Seconds;
use zeroize::Zeroizing;

pub mod command;
pub mod flags;
pub mod keys;
mod layers;
mod numbers;
pub mod show;
mod values;

pub use flags::{ConfigFlags, StoreFlags};
pub use layers::{SECRET_FILE, Settings, Source, Sources};
pub use values::{Database, Issuer, Kept};

use crate::http::client_address::Network;
use crate::http::listen::ListenAddress;

/// What opens the server and its store, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The root issuer; every URL the server writes begins with it.
    pub issuer: Issuer,
    /// Where to listen for clients.
    pub listen: Vec<ListenAddress>,
    /// The folder of the database file, the master key and the command socket.
    pub data: PathBuf,
    /// Which store.
    pub database: Database,
    /// The password of the PostgreSQL user.
    pub database_password: Option<Secret>,
    /// The master key; none means the file in the data folder.
    pub master_key: Option<Secret>,
    /// Where that comes from, in words.
    pub master_key_from: Option<String>,
    /// Certificate and key; none means plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Who may say for whom it speaks by `X-Forwarded-For`.
    pub trusted_proxies: Vec<Network>,
    /// Where to listen for `/metrics`.
    pub metrics_listen: Option<ListenAddress>,
    /// How long audit rows are kept.
    pub audit_kept: Seconds,
    /// How long a lease of a verifier is.
    pub verifier_lease: Duration,
    /// Threads that answer requests.
    pub workers: usize,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_level: String,
}

impl Config {
    /// What is good, and yet hardly meant.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        if self.trusted_proxies.iter().any(Network::is_everybody) {
            return Some(
                "trusted_proxies names everybody: whoever asks can choose the address that wrong passwords are counted for",
            );
        }
        if self.is_at_no_port() {
            return Some(
                "the port of the issuer is none that is listened on: clients do not find it, unless something in front of \
                 it passes on what comes there",
            );
        }
        let behind_somebody = !self.issuer.is_loopback() && self.tls.is_none();
        (behind_somebody && self.trusted_proxies.is_empty()).then_some(
            "the issuer is https, there is no tls here, and trusted_proxies names nobody: everybody who signs in comes \
             from one address, the proxy's, and shares its limits",
        )
    }
}

impl Config {
    /// Whether the issuer is on this machine, and not where it listens.
    fn is_at_no_port(&self) -> bool {
        let mine = |listen: &ListenAddress| match listen {
            ListenAddress::Address(address) => address.port(),
            ListenAddress::Localhost(port) => *port,
        };
        let ports: Vec<u16> = self.listen.iter().map(mine).collect();
        self.issuer.is_loopback() && !ports.contains(&0) && !ports.contains(&self.issuer.port())
    }
}

/// The files of `tls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A secret text; wiped from memory, never shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A mistake in the configuration: which key, where it is written, what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} ({origin}): {problem}")]
pub struct ConfigError {
    /// The key as it is written there.
    pub key: String,
    /// Where.
    pub origin: Source,
    /// What is wrong and what is expected.
    pub problem: String,
}

/// The threads that answer requests unless somebody says how many.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// All mistakes, as one error for people.
pub fn mistaken(mut mistakes: Vec<ConfigError>) -> anyhow::Error {
    // As they stand: of one file by their lines.
    mistakes.sort_by(|one, other| one.origin.cmp(&other.origin));
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("  {mistake}")).collect();
    anyhow::anyhow!("the configuration is not good:\n{}", lines.join("\n"))
}

/// The variables of this process.
#[must_use]
pub fn process_environment() -> HashMap<String, String> {
    let text = |text: std::ffi::OsString| text.into_string().ok();
    std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

#[cfg(test)]
mod tests;
