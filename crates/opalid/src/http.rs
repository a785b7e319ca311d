//! HTTP: from the socket to a request, and back.

pub mod body;
pub mod client_address;
mod connections;
pub mod limits;
pub mod listen;
pub mod tls;
mod watched;
