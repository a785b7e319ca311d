//! Signing in: passwords, back-off, and what keeps forms and browsers honest.

pub mod csrf;
pub mod device;
mod mac;
pub mod password;
pub mod password_hash;
pub mod throttle;
mod throttle_counters;
pub mod workers;
