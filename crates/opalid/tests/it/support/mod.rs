//! What the tests stand on: a real server on a free loopback port, and a client that sees every byte.

pub mod browser;
pub mod folder;
pub mod html;
pub mod http;
pub mod server;
pub mod visitor;

pub use server::Server;

/// The confidential client of the demo, with its secret.
pub const DEMO_API: (&str, &str) = (opalid::demo::RESOURCE_SERVER, opalid::demo::RESOURCE_SERVER_SECRET);
