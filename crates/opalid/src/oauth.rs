//! The machine endpoints, one file each.

pub mod authorize;
pub mod introspect;
pub mod jwks;
pub mod logout;
pub mod metadata;
pub mod revoke;
pub mod token;
pub mod userinfo;
