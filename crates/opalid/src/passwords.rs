//! Passwords below the endpoints: their text and their hashes, the threads that compute them, and back-off.
//!
//! Not here: the pages that ask for one; see `login`.

pub mod device;
pub mod password;
pub mod password_hash;
pub mod throttle;
mod throttle_counters;
pub mod workers;
