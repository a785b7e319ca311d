//! What a verifier is told at its start.
//!
//! Takes: an issuer, credentials, limits. Gives: where to connect and what to say there, or what is wrong with it.
//! Holds: the secret leaves this machine encrypted, or not at all; nothing that is printed shows it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use opalid_core::mirror::Room;
use zeroize::Zeroizing;

use crate::clock::{Clock, boottime};

/// How a verifier is to work.
#[derive(Clone)]
pub struct Settings {
    issuer: String,
    client_id: String,
    client_secret: Zeroizing<String>,
    /// How much is remembered.
    pub room: Room,
    /// How long a check waits for an answer at most. After that nobody can say: [`Outage`](crate::Outage).
    pub answer_within: Duration,
    /// Who may vouch for the issuer's certificate.
    pub roots: Roots,
    /// Where moments come from. Only a test has another than the machine's.
    pub clock: Clock,
}

/// Who may vouch for the issuer's certificate.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// The authorities that this machine trusts.
    #[default]
    Platform,
    /// These certificates in PEM form, and nobody else.
    Pem(String),
}

/// Why a verifier cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// The issuer is not an address that can be asked.
    #[error("the issuer {0:?} is not an address: expected https://host or https://host/workspace")]
    Issuer(String),
    /// The secret and the tokens would go over a network unencrypted.
    #[error("the issuer {0:?} is not reached by https: http is for loopback addresses alone")]
    Unencrypted(String),
    /// There is no client id or no secret.
    #[error("the verifier needs the client_id and the client_secret of a client that serves resources")]
    Credentials,
    /// Nobody can vouch for the issuer's certificate.
    #[error("no certificates of authorities: {0}")]
    Roots(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The machine gives no random bytes.
    #[error("this machine gives no random bytes")]
    Randomness,
    /// The link has to run somewhere.
    #[error("a verifier is started within a tokio runtime")]
    NoRuntime,
}

impl Settings {
    /// With everything else as it is by default: room for 100,000 tokens, an answer within 2 s, the machine's authorities.
    #[must_use]
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<Zeroizing<String>>,
    ) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            room: Room::default(),
            answer_within: Duration::from_secs(2),
            roots: Roots::default(),
            clock: boottime,
        }
    }

    /// Who issues the tokens, as it stands in their `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where to connect, and as whom.
    pub(crate) fn feed(&self) -> Result<Feed, BadSettings> {
        Feed::of(&self.issuer, self.authorization()?)
    }

    /// The client as it authenticates: each part form-encoded (RFC 6749 §2.3.1).
    fn authorization(&self) -> Result<HeaderValue, BadSettings> {
        if self.client_id.is_empty() || self.client_secret.is_empty() {
            return Err(BadSettings::Credentials);
        }
        let encoded = |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
        let (id, secret) = (encoded(&self.client_id), encoded(&self.client_secret));
        let pair = Zeroizing::new(format!("{}:{}", *id, *secret));
        let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let mut value = HeaderValue::from_str(&basic).map_err(|_| BadSettings::Credentials)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Settings");
        shown.field("issuer", &self.issuer).field("client_id", &self.client_id).field("room", &self.room);
        shown.field("answer_within", &self.answer_within).field("roots", &self.roots).finish_non_exhaustive()
    }
}

/// Where the feed of an issuer is, and what opens it.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// The host to connect to: a name, or an address without brackets.
    pub host: String,
    pub port: u16,
    /// What stands in `Host`.
    pub authority: HeaderValue,
    pub uri: Uri,
    pub authorization: HeaderValue,
}

impl Feed {
    fn of(issuer: &str, authorization: HeaderValue) -> Result<Self, BadSettings> {
        let bad = || BadSettings::Issuer(issuer.to_owned());
        let address: Uri = issuer.parse().map_err(|_| bad())?;
        let (host, authority) = (address.host().ok_or_else(bad)?, address.authority().ok_or_else(bad)?.as_str());
        let encrypted = match address.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let port = match address.port_u16() {
            Some(port) if authority == format!("{host}:{port}") => port,
            None if authority == host => {
                if encrypted {
                    443
                } else {
                    80
                }
            }
            _ => return Err(bad()),
        };
        if host.is_empty() || issuer.contains(['?', '#']) {
            return Err(bad());
        }
        let bare = host.trim_matches(['[', ']']);
        if !encrypted && bare != "localhost" && !bare.parse().is_ok_and(|address: IpAddr| address.is_loopback()) {
            return Err(BadSettings::Unencrypted(issuer.to_owned()));
        }
        let scheme = if encrypted { "wss" } else { "ws" };
        let uri = format!("{scheme}://{authority}{}/feed", address.path().trim_end_matches('/'));
        Ok(Self {
            encrypted,
            host: bare.to_owned(),
            port,
            authority: HeaderValue::from_str(authority).map_err(|_| bad())?,
            uri: uri.parse().map_err(|_| bad())?,
            authorization,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(issuer: &str) -> Result<Feed, BadSettings> {
        Settings::new(issuer, "a client", "s:e%c".to_owned()).feed()
    }

    #[test]
    fn the_feed_lies_below_the_issuer() {
        for (issuer, host, port, uri) in [
            ("https://id.example", "id.example", 443, "wss://id.example/feed"),
            ("https://id.example:8443/shop/", "id.example", 8443, "wss://id.example:8443/shop/feed"),
            ("http://127.0.0.1:8080/main", "127.0.0.1", 8080, "ws://127.0.0.1:8080/main/feed"),
            ("http://[::1]:8080", "::1", 8080, "ws://[::1]:8080/feed"),
            ("http://localhost", "localhost", 80, "ws://localhost/feed"),
        ] {
            let feed = feed(issuer).unwrap();
            assert_eq!((&*feed.host, feed.port, &*feed.uri.to_string()), (host, port, uri));
        }
    }

    #[test]
    fn a_secret_goes_nowhere_unencrypted() {
        for issuer in ["http://id.example", "http://10.0.0.1:8080", "http://localhost.example", "http://[2001:db8::1]"]
        {
            assert_eq!(feed(issuer).unwrap_err(), BadSettings::Unencrypted(issuer.to_owned()));
        }
    }

    #[test]
    fn what_is_no_issuer_is_refused() {
        for issuer in [
            "",
            "id.example",
            "/main",
            "ftp://id.example",
            "https://",
            "https://id.example?x=1",
            "https://id.example/#x",
            "https://somebody@id.example",
            "https://id.example:99999",
            "https://id.example:",
            "https://a b",
        ] {
            assert_eq!(feed(issuer).unwrap_err(), BadSettings::Issuer(issuer.to_owned()));
        }
    }

    #[test]
    fn credentials_are_form_encoded_first_and_shown_to_nobody() {
        let settings = Settings::new("https://id.example", "a client", "s:e%c".to_owned());
        let feed = settings.feed().unwrap();
        let expected = format!("Basic {}", STANDARD.encode("a+client:s%3Ae%25c"));
        assert_eq!(feed.authorization.to_str().unwrap(), expected);
        let shown = format!("{settings:?} {feed:?}");
        assert!(!shown.contains("s:e%c") && !shown.contains(&expected[6..]), "{shown}");
        for (id, secret) in [("", "secret"), ("client", "")] {
            let none = Settings::new("https://id.example", id, secret.to_owned()).feed();
            assert_eq!(none.unwrap_err(), BadSettings::Credentials);
        }
    }
}
