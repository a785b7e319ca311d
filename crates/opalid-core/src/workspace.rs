//! A workspace: an issuer with its own clients, users and keys.

use serde::{Deserialize, Serialize};

use crate::grant::Epoch;
use crate::ids::WorkspaceId;
use crate::jwt::SigningAlgorithm;
use crate::time::Seconds;

/// The longest a sealed token may ever live.
pub const SEALED_LIFETIME_MAX: Seconds = Seconds(30 * 24 * 3600);

/// The longest an ID token may be good.
pub const ID_TOKEN_LIFETIME_MAX: Seconds = Seconds(30 * 24 * 3600);

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
    /// How long an access token lives.
    pub access_token_lifetime: Seconds,
    /// How long an ID token is good.
    pub id_token_lifetime: Seconds,
    /// How long an authorization code can be redeemed; at most 60.
    pub code_lifetime: Seconds,
    /// How long a refresh chain lives unused.
    pub refresh_idle: Seconds,
    /// How long a refresh chain lives at most.
    pub refresh_absolute: Seconds,
    /// How long after a rotation the token before it still gets the same successor.
    pub refresh_grace: Seconds,
    /// How long a session may rest before the person is asked to sign in again.
    pub session_idle: Seconds,
    /// How long a session lives at most.
    pub session_absolute: Seconds,
    /// The signing algorithm of ID tokens.
    pub id_token_signing_alg: SigningAlgorithm,
    /// How long a key is used before another takes its place; 0: until an operator says so.
    pub key_rotation: Seconds,
    /// Demand PKCE of every client.
    pub require_pkce: bool,
    /// The resource a client gets when it names none and has no default of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_resource: Option<String>,
}

impl Default for WorkspaceSettings {
    fn default() -> Self {
        Self {
            display_name: String::new(),
            access_token_lifetime: Seconds(3600),
            id_token_lifetime: Seconds(3600),
            code_lifetime: Seconds(60),
            refresh_idle: Seconds(30 * 24 * 3600),
            refresh_absolute: Seconds(365 * 24 * 3600),
            refresh_grace: Seconds(30),
            session_idle: Seconds(24 * 3600),
            session_absolute: Seconds(30 * 24 * 3600),
            id_token_signing_alg: SigningAlgorithm::Rs256,
            key_rotation: Seconds(90 * 24 * 3600),
            require_pkce: false,
            default_resource: None,
        }
    }
}

impl WorkspaceSettings {
    /// What is wrong with them, in words; `None` if nothing.
    pub fn wrong(&self) -> Option<&'static str> {
        if self.access_token_lifetime > SEALED_LIFETIME_MAX {
            return Some("access_token_lifetime is at most 2592000 (30 days)");
        }
        if self.id_token_lifetime > ID_TOKEN_LIFETIME_MAX {
            return Some("id_token_lifetime is at most 2592000 (30 days)");
        }
        if self.key_rotation != Seconds(0) && self.key_rotation < KEY_ROTATION_MIN {
            return Some("key_rotation is at least 604800 (7 days), or 0 for rotation by hand alone");
        }
        if self.code_lifetime > Seconds(60) {
            return Some("code_lifetime is at most 60");
        }
        let lifetimes = [
            self.access_token_lifetime,
            self.id_token_lifetime,
            self.code_lifetime,
            self.session_idle,
            self.session_absolute,
        ];
        if lifetimes.contains(&Seconds(0)) || self.refresh_idle == Seconds(0) || self.refresh_absolute == Seconds(0) {
            return Some("a lifetime is at least 1 second");
        }
        None
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
    fn the_defaults_are_right_and_a_code_lives_a_minute_at_most() {
        assert_eq!(WorkspaceSettings::default().wrong(), None);
        assert!(WorkspaceSettings { code_lifetime: Seconds(61), ..Default::default() }.wrong().is_some());
        assert!(WorkspaceSettings { session_idle: Seconds(0), ..Default::default() }.wrong().is_some());
        let rotation = |seconds| WorkspaceSettings { key_rotation: Seconds(seconds), ..Default::default() }.wrong();
        assert!(rotation(604_799).is_some() && rotation(604_800).is_none() && rotation(0).is_none());
        let good_for =
            |seconds| WorkspaceSettings { id_token_lifetime: Seconds(seconds), ..Default::default() }.wrong();
        assert!(good_for(2_592_001).is_some() && good_for(2_592_000).is_none());
    }
}
