//! What the tests stand on: a real server on a free loopback port, and a client that sees every byte.

pub mod browser;
mod declared;
pub mod demo_person;
pub mod feed;
pub mod folder;
pub mod html;
pub mod http;
pub mod log;
pub mod person;
pub mod server;
pub mod visitor;

pub use browser::Browser;
pub use http::basic;
pub use server::{FORM, Server, machine, serving};

/// The confidential client of the demo, with its secret.
pub const DEMO_API: (&str, &str) = (opalid::demo::RESOURCE_SERVER, opalid::demo::RESOURCE_SERVER_SECRET);

/// The grant type of clients that ask for themselves.
pub const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");
