//! The Opalid server: HTTP, login and the endpoints, on top of `opalid-store` and `opalid-core`.

pub mod http;
pub mod login;
