//! What every endpoint shares on the wire: credentials, cookies, headers.

pub mod authorization;
pub mod cookies;
pub mod cors;
pub mod security_headers;

/// How browsers reach the issuer. An http issuer exists on loopback only; elsewhere it is refused at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The issuer is an https URL, whoever ends TLS.
    Https,
    /// The issuer is an http URL on loopback.
    LoopbackHttp,
}
