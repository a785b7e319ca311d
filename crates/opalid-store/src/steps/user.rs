//! Users.

use opalid_core::claims::StandardClaims;
use opalid_core::grant::Epoch;
use opalid_core::ids::{RoleId, UserId, WorkspaceId};
use opalid_core::user::User;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::{Stamp, to_json};

/// Reads a user by row.
pub struct FindUser {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: UserId,
}

pub(crate) fn read(row: &Row, workspace: WorkspaceId) -> Result<User, StoreError> {
    Ok(User {
        id: row.id(0)?,
        workspace,
        username: row.text(1)?.to_owned(),
        epoch: row.epoch(2)?,
        credentials: row.epoch(3)?,
        enabled: row.bool(4)?,
        admin: row.bool(5)?,
        claims: row.json(6)?,
        roles: row.json(7)?,
    })
}

impl Step for FindUser {
    type Out = Option<User>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT id, username, epoch, credentials, enabled, admin, claims, roles FROM users
                   WHERE workspace = $1 AND id = $2";
        let row = tx.find(sql, &[self.workspace.as_bytes().into(), self.id.as_bytes().into()]).await?;
        row.map(|row| read(&row, self.workspace)).transpose()
    }
}

/// What a sign-in needs of a user, read at once: the hash, and the epochs that everything signed in now is
/// born under. They are read before the hash is checked, so that a ban in between kills what is being made.
#[derive(Debug)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The password's PHC string, if one is set.
    pub password_hash: Option<String>,
}

/// Reads a user by what they typed.
pub struct FindCredentials {
    /// Where.
    pub workspace: WorkspaceId,
    /// The form under which usernames are unique.
    pub username_key: String,
}

impl Step for FindCredentials {
    type Out = Option<Credentials>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT id, username, epoch, credentials, enabled, admin, claims, roles, password_hash FROM users
                   WHERE workspace = $1 AND username_key = $2";
        let row = tx.find(sql, &[self.workspace.as_bytes().into(), self.username_key.as_str().into()]).await?;
        row.map(|row| {
            let password_hash = row.opt(8, |row, at| row.text(at).map(str::to_owned))?;
            Ok(Credentials { user: read(&row, self.workspace)?, password_hash })
        })
        .transpose()
    }
}

/// Makes a user. `false` if the name is taken.
pub struct CreateUser {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Its row, and its subject.
    pub id: UserId,
    /// What the person types.
    pub username: String,
    /// The form under which that is unique.
    pub username_key: String,
    /// Whether the user administers the workspace.
    pub admin: bool,
    /// A PHC string; without one nobody can sign in with a password.
    pub password_hash: Option<String>,
    /// What is known of the person.
    pub claims: StandardClaims,
    /// The roles they hold.
    pub roles: Vec<RoleId>,
}

impl Step for CreateUser {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "INSERT INTO users (workspace, id, username, username_key, epoch, credentials, enabled, admin,
                       password_hash, claims, roles, created_at)
                   VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, $11)
                   ON CONFLICT (workspace, username_key) DO NOTHING RETURNING id";
        let values: [Value; 11] = [
            self.stamp.workspace.as_bytes().into(),
            self.id.as_bytes().into(),
            self.username.as_str().into(),
            self.username_key.as_str().into(),
            Epoch::FIRST.into(),
            Epoch::FIRST.into(),
            self.admin.into(),
            self.password_hash.clone().into(),
            to_json(&self.claims)?.into(),
            to_json(&self.roles)?.into(),
            self.stamp.now.into(),
        ];
        let made = tx.find(sql, &values).await?.is_some();
        if made {
            self.stamp.audit(tx, "user.created", format!("user {}", self.username), "");
        }
        Ok(made)
    }
}

/// What happens to a user's epochs; see `docs/security-events.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserEvent {
    /// Everything of theirs dies; they stay in service.
    Revoked,
    /// Out of service; everything of theirs dies.
    Suspended,
    /// Back in service; revives nothing.
    Resumed,
    /// Signed out everywhere: sessions and what is bound to them die; offline grants live on.
    SignedOutEverywhere,
}

/// Bumps one of a user's epochs. `false` if there is no such user.
pub struct TouchUser {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: UserId,
    /// What happens.
    pub event: UserEvent,
}

impl Step for TouchUser {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let (sql, action) = match self.event {
            UserEvent::Revoked => (
                "UPDATE users SET epoch = epoch + 1 WHERE workspace = $1 AND id = $2 RETURNING username",
                "user.revoked",
            ),
            UserEvent::Suspended => (
                "UPDATE users SET epoch = epoch + 1, enabled = 0 WHERE workspace = $1 AND id = $2 RETURNING username",
                "user.suspended",
            ),
            UserEvent::Resumed => (
                "UPDATE users SET epoch = epoch + 1, enabled = 1 WHERE workspace = $1 AND id = $2 RETURNING username",
                "user.resumed",
            ),
            UserEvent::SignedOutEverywhere => (
                "UPDATE users SET credentials = credentials + 1 WHERE workspace = $1 AND id = $2 RETURNING username",
                "user.signed_out_everywhere",
            ),
        };
        let Some(row) = tx.find(sql, &[self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()]).await?
        else {
            return Ok(false);
        };
        self.stamp.change(tx, Touched::User(self.id), action);
        self.stamp.audit(tx, action, format!("user {}", row.text(0)?), "");
        Ok(true)
    }
}
