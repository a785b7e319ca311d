//! The Opalid server: configuration, listeners, endpoints, pages.

pub mod clock;
pub mod config;
pub mod http;
pub mod metrics;
pub mod random;
pub mod telemetry;
