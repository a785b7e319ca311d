//! The Opalid server: configuration, listeners, endpoints, pages.

pub mod clock;
pub mod http;
pub mod random;
