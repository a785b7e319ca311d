//! One test binary that mirrors the URL tree, and the tests of the tree itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands; clippy.toml lifts this only inside #[test] functions, not for what they call"
)]

mod apply;
mod authorize;
mod backup;
mod commands;
mod conformance;
mod consent;
mod console;
mod declared_claims;
mod encrypted;
mod events;
mod faults;
mod feed;
mod guard;
mod http;
mod introspect;
mod introspect_many;
mod jwks;
mod keys;
mod logout;
mod malformed;
mod manage;
mod mangled;
mod metrics;
mod nodes;
mod page_headers;
mod paste;
mod pending;
mod request_ids;
mod resources;
mod restart;
mod revoke;
mod roles;
mod secrets;
mod set_password;
mod sign_in;
mod silence;
mod support;
mod sweeping;
mod tidy;
mod token;
mod token_command;
mod unknown_parameters;
mod userinfo;
mod verifier;
mod well_known;
mod workspaces;
