//! A role: what whoever holds it may do at resources that ask for roles.
//!
//! Not here: who holds which; whether a token may do something today, see `alive`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{RoleId, WorkspaceId};
use crate::scope::Scopes;

/// The most roles that one user or client holds: each is looked at when a token of theirs is.
pub const ROLES_MAX: usize = 32;

/// What an operator says of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RoleSettings {
    /// What it is for, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Resources, each with the scopes that the role permits there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub permissions: BTreeMap<String, Scopes>,
}

/// A role of a workspace.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its row: one made anew under an old name is another.
    pub id: RoleId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// What people call it.
    pub name: String,
    /// What it permits.
    pub settings: RoleSettings,
}

/// A name that no role can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a role has 1 to 100 of the characters A-Z a-z 0-9 . _ : / -")]
pub struct BadRoleName;

/// Whether a role may be called so.
pub fn check_role_name(name: &str) -> Result<(), BadRoleName> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(fits) { Err(BadRoleName) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_a_short_name_that_needs_no_escaping() {
        for good in ["accountant", "Sales:EU/1", "a.b_c-d"] {
            assert_eq!(check_role_name(good), Ok(()), "{good}");
        }
        for bad in ["", "a b", "ü", "a\n", &"x".repeat(101)] {
            assert_eq!(check_role_name(bad), Err(BadRoleName), "{bad}");
        }
    }
}
