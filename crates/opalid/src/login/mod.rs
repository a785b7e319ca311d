//! Signing in and out, and what a person is asked on the way: one file per page.

pub mod consent;
pub mod select_account;
pub mod set_password;
pub mod sign_in;
pub mod sign_out;
