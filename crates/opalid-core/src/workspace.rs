//! A workspace: an issuer with its own clients, users and keys.

use serde::{Deserialize, Serialize};

use crate::claims::{DeclaredClaims, wrong_claims};
use crate::grant::Epoch;
use crate::ids::WorkspaceId;
use crate::jwt::SigningAlgorithm;
use crate::resource_uri::one_or_more;
use crate::time::Seconds;
use crate::token_settings::TokenSettings;

/// The shortest time between two rotations that are made by themselves: key numbers have one byte, and keys are kept for
/// long.
pub const KEY_ROTATION_MIN: Seconds = Seconds(7 * 24 * 3600);

/// What an operator says of a workspace; every length of time in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkspaceSettings {
    /// What people read on its pages; its name if empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Its tokens.
    #[serde(flatten)]
    pub tokens: TokenSettings,
    /// The signing algorithm of ID tokens.
    pub id_token_signing_alg: SigningAlgorithm,
    /// How long a key is used before another takes its place; 0: until an operator says so.
    pub key_rotation: Seconds,
    /// Demand PKCE of every client.
    pub require_pkce: bool,
    /// Claims that it declares.
    #[serde(skip_serializing_if = "DeclaredClaims::is_empty")]
    pub claims: DeclaredClaims,
    /// The resources a client gets, of those it may ask for, when it names none and has no defaults of its own. Read from
    /// a single one too, under the name that this had before.
    #[serde(alias = "default_resource", deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub default_resources: Vec<String>,
}

impl Default for WorkspaceSettings {
    fn default() -> Self {
        Self {
            display_name: String::new(),
            tokens: TokenSettings::default(),
            id_token_signing_alg: SigningAlgorithm::Rs256,
            key_rotation: Seconds(90 * 24 * 3600),
            require_pkce: false,
            claims: DeclaredClaims::new(),
            default_resources: Vec::new(),
        }
    }
}

impl WorkspaceSettings {
    /// What is wrong with them, in words; `None` if nothing.
    pub fn wrong(&self) -> Option<String> {
        if self.key_rotation != Seconds(0) && self.key_rotation < KEY_ROTATION_MIN {
            return Some("key_rotation is at least 604800 (7 days), or 0 for rotation by hand alone".into());
        }
        self.tokens.wrong().map(str::to_owned).or_else(|| wrong_claims(&self.claims))
    }
}

/// A workspace as it is stored.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its row.
    pub id: WorkspaceId,
    /// Its name: the path of its issuer, unless it is the root.
    pub name: String,
    /// Bumped to kill everything in it.
    pub epoch: Epoch,
    /// Whether it is in service.
    pub enabled: bool,
    /// Its settings.
    pub settings: WorkspaceSettings,
}

/// Top-level paths that no workspace may take; whatever is added later stands under `/-/`.
pub const RESERVED_NAMES: &[&str] = &[
    "authorize",
    "consent",
    "demo",
    "healthz",
    "introspect",
    "jwks",
    "logout",
    "readyz",
    "revoke",
    "set-password",
    "sign-in",
    "sign-out",
    "signed-out",
    "token",
    "userinfo",
    "feed",
    "console",
    "account",
    "error",
    "metrics",
    "favicon.ico",
];

/// A name that no workspace can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWorkspaceName {
    /// Wrong characters or length.
    #[error("a workspace name is [a-z0-9][a-z0-9-]{{0,39}}")]
    Characters,
    /// A path of the server itself.
    #[error("this name is a path of the server itself")]
    Reserved,
}

/// Whether `name` may be a workspace's: `[a-z0-9][a-z0-9-]{0,39}` and not a path of ours.
pub fn check_workspace_name(name: &str) -> Result<(), BadWorkspaceName> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 40 || name.starts_with('-') || !name.bytes().all(fits) {
        return Err(BadWorkspaceName::Characters);
    }
    if RESERVED_NAMES.contains(&name) { Err(BadWorkspaceName::Reserved) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_plain_and_not_ours() {
        for good in ["a", "0", "acme", "acme-2", "default", &"a".repeat(40)] {
            assert_eq!(check_workspace_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", ".well-known", &"a".repeat(41)] {
            assert_eq!(check_workspace_name(bad), Err(BadWorkspaceName::Characters), "{bad}");
        }
        assert_eq!(check_workspace_name("token"), Err(BadWorkspaceName::Reserved));
    }

    #[test]
    fn keys_rotate_once_a_week_at_most_by_themselves_or_never() {
        assert_eq!(WorkspaceSettings::default().wrong(), None);
        let rotation = |seconds| WorkspaceSettings { key_rotation: Seconds(seconds), ..Default::default() }.wrong();
        assert!(rotation(604_799).is_some() && rotation(604_800).is_none() && rotation(0).is_none());
    }
}
