//! The Opalid server: everything the binary is made of.

pub mod pages;
