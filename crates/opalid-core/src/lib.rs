//! The rules of Opalid: tokens, what keeps them alive, what a request may ask for.
//!
//! No I/O: no clock, no randomness, no environment; all of it comes in as arguments.

pub mod alive;
pub mod apply;
pub mod claims;
pub mod client;
pub mod code;
pub mod encryption;
pub mod error;
pub mod form;
pub mod grant;
pub mod ids;
pub mod jwt;
pub mod lease;
pub mod mirror;
pub mod nearest;
pub mod pkce;
pub mod redirect_uri;
pub mod refresh;
pub mod request;
pub mod resource;
pub mod resource_uri;
pub mod role;
pub mod scope;
pub mod time;
pub mod token;
pub mod token_settings;
pub mod uri;
pub mod user;
pub mod visible;
pub mod workspace;
pub mod wrap;
