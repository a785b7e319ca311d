//! The engines: SQL text and parameters in, rows out.

pub mod migrate;
pub mod postgres;
pub mod sqlite;
pub mod tx;
