//! From texts to types: each key's value is parsed once, here.

use std::path::PathBuf;
use std::str::FromStr;

use opalid_core::time::Seconds;
use zeroize::Zeroizing;

use super::layers::{Setting, Source, Written};
use super::numbers::{days, lease, worker_count};
use super::{Config, ConfigError, LogFormat, Secret, Settings, TlsFiles, command};
use crate::http::client_address::Network;
use crate::http::listen::ListenAddress;

/// The root issuer: an origin, as clients compare it byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Issuer(String);

impl Issuer {
    /// The URL, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is https, so that cookies can be `Secure`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Host and port, as in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// The port it says, or its scheme's own.
    #[must_use]
    pub fn port(&self) -> u16 {
        let written = split_port(self.authority()).1.and_then(|port| port.parse().ok());
        written.unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// Whether only this machine can mean it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(split_port(self.authority()).0)
    }
}

impl FromStr for Issuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, authority)) = text.split_once("://") else {
            return Err("expected a URL such as https://login.example.com".into());
        };
        if authority.contains(['/', '?', '#', '@']) {
            return Err("expected no path (not even a slash at the end), query, fragment or user".into());
        }
        let (host, port) = split_port(authority);
        let good_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.to_string() == v6),
            None => is_host_name(host),
        };
        if !good_host {
            return Err("expected a host name in lower case (punycode for other letters) or an address".into());
        }
        if let Some(port) = port {
            let written = port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port);
            if !written || (scheme, port) == ("https", "443") || (scheme, port) == ("http", "80") {
                return Err("expected a port from 1 to 65535, and none where it is the scheme's own".into());
            }
        }
        match scheme {
            "https" => Ok(Self(text.into())),
            "http" if is_loopback(host) => Ok(Self(text.into())),
            "http" => Err("http is for loopback alone (localhost, 127.0.0.1, [::1]); expected https".into()),
            _ => Err("expected https".into()),
        }
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Which store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file in the data folder.
    Sqlite,
    /// The server at this URL, which holds no password.
    Postgres(String),
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "sqlite" {
            return Ok(Self::Sqlite);
        }
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err("expected sqlite or postgres://user@host:port/name".into());
        }
        if without_password(text) != text {
            return Err("expected a URL without a password; set database_password, OPALID_DATABASE_PASSWORD or \
                        OPALID_DATABASE_PASSWORD_FILE"
                .into());
        }
        Ok(Self::Postgres(text.into()))
    }
}

/// The URL with its password, if any, replaced: in the user part or among the parameters.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    // A password may hold '/' and '?' unencoded, so the user part ends at the last '@'.
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:…@{host}"),
            None => rest.into(),
        },
        None => rest.into(),
    };
    let rest = match rest.split_once('?') {
        Some((path, query)) => {
            let hide = |pair: &str| match pair.split_once('=') {
                Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=…"),
                _ => pair.into(),
            };
            format!("{path}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&"))
        }
        None => rest,
    };
    format!("{scheme}://{rest}")
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json".into()),
        }
    }
}

/// Where the store and its master key are kept.
pub struct Kept {
    /// The data folder.
    pub data: PathBuf,
    /// The store.
    pub database: Database,
    /// The database's password.
    pub database_password: Option<Secret>,
    /// The master key, if it does not lie in the data folder.
    pub master_key: Option<Secret>,
}

impl Settings {
    /// The data folder alone, for commands that reach a running server there; refused with what the server refuses
    /// of names and forms.
    pub fn data(&self) -> Result<PathBuf, Vec<ConfigError>> {
        let mut reader = Reader { settings: self, mistakes: self.mistakes.clone() };
        let data = reader.one("data", path).unwrap_or_default();
        if reader.mistakes.is_empty() { Ok(data) } else { Err(reader.mistakes) }
    }

    /// Where the store and its master key are kept, for what needs no server.
    pub fn kept(&self) -> Result<Kept, Vec<ConfigError>> {
        let mut reader = Reader { settings: self, mistakes: self.mistakes.clone() };
        let kept = Kept {
            data: reader.one("data", path).unwrap_or_default(),
            database: reader.one("database", str::parse::<Database>).unwrap_or(Database::Sqlite),
            database_password: reader.secret("database_password"),
            master_key: reader.secret("master_key"),
        };
        if reader.mistakes.is_empty() { Ok(kept) } else { Err(reader.mistakes) }
    }

    /// Whether every key and variable is known and has the form it should: nothing is said of values.
    pub fn known(&self) -> Result<(), Vec<ConfigError>> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.mistakes.clone()) }
    }

    /// The checked configuration, or every mistake.
    pub fn config(&self) -> Result<Config, Vec<ConfigError>> {
        let mut reader = Reader { settings: self, mistakes: self.mistakes.clone() };
        let listen: Vec<ListenAddress> = reader.many("listen");
        if listen.is_empty() {
            reader.refuse("listen", "expected at least one address, such as localhost:8080");
        }
        let tls = reader.tls();
        let issuer = reader.issuer(&listen, tls.is_some());
        let database = reader.one("database", str::parse::<Database>);
        let database_password = reader.secret("database_password");
        if database == Some(Database::Sqlite) && database_password.is_some() {
            reader.refuse("database_password", "it is set, but database is sqlite, which has no password");
        }
        let config = Config {
            issuer: issuer.unwrap_or_else(|| Issuer(String::new())),
            listen,
            data: reader.one("data", path).unwrap_or_default(),
            database: database.unwrap_or(Database::Sqlite),
            database_password,
            master_key: reader.secret("master_key"),
            master_key_from: self.place_of("master_key"),
            tls,
            trusted_proxies: reader.many::<Network>("trusted_proxies"),
            metrics_listen: reader.one("metrics_listen", metrics_address).flatten(),
            audit_kept: reader.one("audit_days", days).unwrap_or(Seconds(0)),
            verifier_lease: reader.one("verifier_lease", lease).unwrap_or_default(),
            workers: reader.one("workers", worker_count).unwrap_or_else(super::cores),
            log_format: reader.one("log.format", str::parse).unwrap_or(LogFormat::Text),
            log_level: reader.one("log.level", log_level).unwrap_or_default(),
        };
        if self.demo {
            reader.demo_is_for_loopback(&config);
        } else {
            reader.plain_http_is_for_loopback(&config);
        }
        if reader.mistakes.is_empty() { Ok(config) } else { Err(reader.mistakes) }
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("expected a path".into()) } else { Ok(text.into()) }
}

fn metrics_address(text: &str) -> Result<Option<ListenAddress>, String> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|expected| format!("expected {expected}, or off"))
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn log_level(text: &str) -> Result<String, String> {
    // A word alone would be the name of a module, and a misspelt level nobody's.
    let is_level = |part: &str| part.contains('=') || LEVELS.contains(&part.to_ascii_lowercase().as_str());
    match text.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) if text.split(',').all(is_level) => Ok(text.into()),
        _ => Err("expected error, warn, info, debug or trace, also per module: info,opalid::http=debug".into()),
    }
}

/// Reads values and gathers mistakes.
struct Reader<'a> {
    settings: &'a Settings,
    mistakes: Vec<ConfigError>,
}

impl Reader<'_> {
    fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.get(name)
    }

    fn refuse(&mut self, name: &str, problem: impl Into<String>) {
        let origin = self.setting(name).map_or(Source::Default, |setting| setting.origin.clone());
        self.mistakes.push(ConfigError { key: name.into(), origin, problem: problem.into() });
    }

    fn one<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Some(Written::One(text)) = self.setting(name)?.written.clone() else { return None };
        parse(&text).map_err(|problem| self.refuse(name, problem)).ok()
    }

    fn many<T: FromStr<Err = &'static str>>(&mut self, name: &str) -> Vec<T> {
        let Some(Written::Many(texts)) = self.setting(name).and_then(|setting| setting.written.clone()) else {
            return Vec::new();
        };
        let mut values = Vec::new();
        for text in texts {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(expected) => self.refuse(name, format!("expected {expected}; found {text:?}")),
            }
        }
        values
    }

    fn issuer(&mut self, listen: &[ListenAddress], tls: bool) -> Option<Issuer> {
        let written = self.setting("issuer").is_some_and(|setting| setting.written.is_some());
        if written || !self.settings.demo {
            if !written {
                self.refuse(
                    "issuer",
                    "it is not set; expected the URL clients know this server by, such as \
                                       https://login.example.com",
                );
            }
            return self.one("issuer", str::parse);
        }
        let port = match listen.first() {
            Some(ListenAddress::Address(address)) => address.port(),
            Some(ListenAddress::Localhost(port)) => *port,
            None => 0,
        };
        let port = if port == 0 { 8080 } else { port };
        Some(Issuer(format!("{}://localhost:{port}", if tls { "https" } else { "http" })))
    }

    fn tls(&mut self) -> Option<TlsFiles> {
        let certificate = self.one("tls.certificate", path);
        let key = self.one("tls.key", path);
        match (certificate, key) {
            (Some(certificate), Some(key)) => return Some(TlsFiles { certificate, key }),
            (Some(_), None) => self.refuse("tls.key", "tls.certificate is set; expected its private key's file too"),
            (None, Some(_)) => self.refuse("tls.certificate", "tls.key is set; expected its certificate's file too"),
            (None, None) => {}
        }
        None
    }

    fn secret(&mut self, name: &str) -> Option<Secret> {
        let read = match self.setting(name)?.written.clone()? {
            Written::InVariable(variable) => match self.settings.environment.get(&variable) {
                Some(text) => Ok(Zeroizing::new(text.clone())),
                None => Err(format!("the variable {variable} is not set")),
            },
            Written::InFile(path) => std::fs::read_to_string(&path)
                .map(|text| Zeroizing::new(Zeroizing::new(text).trim_end_matches(['\r', '\n']).to_owned()))
                .map_err(|error| format!("cannot read {}: {error}", path.display())),
            Written::ByCommand(words) => {
                command::output(&words).map(|text| Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
            }
            Written::One(_) | Written::Many(_) => Err("expected a variable, a file or a command".into()),
        };
        match read {
            Ok(text) if !text.is_empty() => Some(Secret(text)),
            Ok(_) => {
                self.refuse(name, "it is empty");
                None
            }
            Err(problem) => {
                self.refuse(name, problem);
                None
            }
        }
    }

    fn demo_is_for_loopback(&mut self, config: &Config) {
        if !config.listen.iter().all(ListenAddress::is_loopback) {
            self.refuse("listen", "with --demo, whose passwords everybody knows, expected loopback addresses alone");
        }
        if !config.issuer.as_str().is_empty() && !config.issuer.is_loopback() {
            self.refuse("issuer", "with --demo, whose passwords everybody knows, expected a loopback issuer");
        }
        if config.metrics_listen.as_ref().is_some_and(|address| !address.is_loopback()) {
            self.refuse("metrics_listen", "with --demo, which is for this machine alone, expected a loopback address");
        }
    }

    /// An http issuer says that nothing in front speaks TLS: off loopback its secrets would cross the network in the
    /// clear. Behind a proxy the issuer is https.
    fn plain_http_is_for_loopback(&mut self, config: &Config) {
        let is_plain = config.issuer.as_str().starts_with("http://");
        if is_plain && !config.listen.iter().all(ListenAddress::is_loopback) {
            self.refuse(
                "listen",
                "the issuer is http, so secrets would cross the network in the clear; expected loopback addresses \
                 alone, or an https issuer (with tls.certificate and tls.key, or a proxy in front that speaks TLS)",
            );
        }
    }
}
