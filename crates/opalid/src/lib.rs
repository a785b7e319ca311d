//! The Opalid server: configuration, listeners, endpoints, pages, on top of `opalid-store` and `opalid-core`.

pub mod clock;
pub mod http;
pub mod login;
pub mod pages;
pub mod random;
