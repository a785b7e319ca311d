//! Signing in: passwords, back-off, and what keeps forms and browsers honest.

pub mod consent;
pub mod csrf;
pub mod device;
mod mac;
pub mod password;
pub mod password_hash;
pub mod select_account;
pub mod sign_in;
pub mod throttle;
mod throttle_counters;
pub mod workers;
