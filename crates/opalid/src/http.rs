//! HTTP: from the socket to a request, and back; what every endpoint shares on the wire.

pub mod authorization;
pub mod body;
pub mod call;
pub mod client_address;
pub mod client_auth;
mod connections;
pub mod cookies;
pub mod cors;
mod held;
pub mod json;
pub mod limits;
pub mod listen;
pub mod page;
pub mod reply;
pub mod request_body;
pub mod routes;
pub mod security_headers;
pub mod takeover;
pub mod threads;
pub mod tls;
mod watched;

/// How browsers reach the issuer. An http issuer exists on loopback only; elsewhere it is refused at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The issuer is an https URL, whoever ends TLS.
    Https,
    /// The issuer is an http URL on loopback.
    LoopbackHttp,
}
