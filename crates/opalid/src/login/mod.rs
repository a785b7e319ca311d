//! Signing in: passwords, back-off, and what keeps forms and browsers honest.

pub mod consent;
pub mod csrf;
pub mod device;
mod mac;
pub mod password;
pub mod password_hash;
pub mod select_account;
pub mod set_password;
pub mod sign_in;
pub mod sign_out;
pub mod throttle;
mod throttle_counters;
pub mod workers;
