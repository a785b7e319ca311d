//! The Opalid server: configuration, listeners, endpoints, pages, on top of `opalid-store` and `opalid-core`.

pub mod app;
pub mod browser;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod entitle;
pub mod home;
pub mod http;
pub mod issuer;
pub mod login;
pub mod manage;
pub mod metrics;
pub mod oauth;
pub mod pages;
pub mod pending;
pub mod random;
pub mod restore;
pub mod serve;
pub mod signing_out;
pub mod start;
pub mod sweeping;
pub mod telemetry;
pub mod waiting;
