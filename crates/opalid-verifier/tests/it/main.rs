//! What an API's clients see: a real server on a free loopback port, real HTTP.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands, and so may what it calls")]

mod connecting;
mod guarded;
mod orders;
mod page;
mod scripted;
