//! A user: the account whose `sub` clients see.

use crate::claims::StandardClaims;
use crate::grant::Epoch;
use crate::ids::{UserId, WorkspaceId};

/// A user as every check of a token needs it.
#[derive(Debug, Clone)]
pub struct User {
    /// Its row, and its subject.
    pub id: UserId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// What the person types to sign in.
    pub username: String,
    /// Bumped to kill everything of theirs: suspension, deletion, recovery.
    pub epoch: Epoch,
    /// Bumped to end sessions and what is bound to them: password changed, signed out everywhere.
    pub credentials: Epoch,
    /// Whether the account is in service.
    pub enabled: bool,
    /// Whether the user administers the workspace.
    pub admin: bool,
    /// What is known of the person (OpenID Core §5.1).
    pub claims: StandardClaims,
}

/// A username that cannot be: empty, too long, or with control characters or blanks at its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a username has 1 to 255 bytes, no control characters and no blanks at its ends")]
pub struct BadUsername;

/// The form of `username` under which it is unique: lower case.
pub fn username_key(username: &str) -> Result<String, BadUsername> {
    let bad = username.is_empty()
        || username.len() > 255
        || username.trim() != username
        || username.chars().any(char::is_control);
    if bad { Err(BadUsername) } else { Ok(username.to_lowercase()) }
}
