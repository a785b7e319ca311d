//! Passwords that an administrator or a one-time link sets.
//!
//! Holds: either bumps the user's epoch, so that everything made under the old password dies with it; a link
//! works once, until it expires, and only while the user's epoch is the one it was made under.

use opalid_core::grant::Epoch;
use opalid_core::ids::{LinkId, UserId, WorkspaceId};
use opalid_core::time::UnixTime;
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::Stamp;

/// Sets a user's password on an administrator's word. `false` if there is no such user.
pub struct SetPassword {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Whose.
    pub user: UserId,
    /// The PHC string of the new password.
    pub password_hash: String,
}

impl Step for SetPassword {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "UPDATE users SET password_hash = $1, epoch = epoch + 1 WHERE workspace = $2 AND id = $3 RETURNING username";
        let values: [Value; 3] =
            [self.password_hash.as_str().into(), self.stamp.workspace.as_bytes().into(), self.user.as_bytes().into()];
        let Some(row) = tx.find(sql, &values).await? else { return Ok(false) };
        self.stamp.change(tx, Touched::User(self.user), "user.password_set");
        self.stamp.audit(tx, "user.password_set", format!("user {}", row.text(0)?), "by an administrator");
        Ok(true)
    }
}

/// Makes a one-time link to set a password. `false` if there is no such user, or it is out of service.
pub struct CreatePasswordLink {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// The link's row.
    pub id: LinkId,
    /// Whose password.
    pub user: UserId,
    /// The digest of the secret in the link.
    pub digest: SecretDigest,
    /// Until when it works.
    pub expires_at: UnixTime,
}

impl Step for CreatePasswordLink {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let workspace: Value = self.stamp.workspace.as_bytes().into();
        let user: Value = self.user.as_bytes().into();
        let sql = "SELECT epoch, username FROM users WHERE workspace = $1 AND id = $2 AND enabled = 1";
        let Some(row) = tx.find(sql, &[workspace.clone(), user.clone()]).await? else { return Ok(false) };
        let sql = "INSERT INTO password_link (workspace, id, user_id, user_epoch, digest, expires_at)
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let id = self.id.as_bytes().into();
        let values = [workspace, id, user, row.epoch(0)?.into(), (&self.digest.0).into(), self.expires_at.into()];
        tx.run(sql, &values).await?;
        self.stamp.audit(tx, "user.password_link_made", format!("user {}", row.text(1)?), "");
        Ok(true)
    }
}

/// A link that can still be used, and whose password it sets.
#[derive(Debug, Clone)]
pub struct PasswordLinkRow {
    /// Whose password.
    pub user: UserId,
    /// What the person types to sign in.
    pub username: String,
}

/// Reads a link for the page that it opens. `None` if it cannot be used (any more).
pub struct FindPasswordLink {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: LinkId,
    /// The digest of the secret that was presented.
    pub digest: SecretDigest,
    /// When.
    pub now: UnixTime,
}

impl Step for FindPasswordLink {
    type Out = Option<PasswordLinkRow>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let found = find(tx, self.workspace, self.id, &self.digest).await?;
        let usable =
            found.filter(|link| !link.used && self.now < link.expires_at && link.user_epoch == link.epoch_today);
        Ok(usable.map(|link| PasswordLinkRow { user: link.user, username: link.username }))
    }
}

struct Link {
    user: UserId,
    user_epoch: Epoch,
    used: bool,
    expires_at: UnixTime,
    username: String,
    epoch_today: Epoch,
}

/// The link with this secret, beside its user as it is today.
async fn find<T: Tx>(
    tx: &mut T,
    workspace: WorkspaceId,
    id: LinkId,
    digest: &SecretDigest,
) -> Result<Option<Link>, StoreError> {
    let sql = "SELECT l.user_id, l.user_epoch, l.digest, l.used_at, l.expires_at, u.username, u.epoch
               FROM password_link l JOIN users u ON u.workspace = l.workspace AND u.id = l.user_id
               WHERE l.workspace = $1 AND l.id = $2";
    let Some(row) = tx.find(sql, &[workspace.as_bytes().into(), id.as_bytes().into()]).await? else {
        return Ok(None);
    };
    if !SecretDigest(row.bytes(2)?).matches(digest) {
        return Ok(None);
    }
    Ok(Some(Link {
        user: row.id(0)?,
        user_epoch: row.epoch(1)?,
        used: !row.is_null(3),
        expires_at: row.time(4)?,
        username: row.text(5)?.to_owned(),
        epoch_today: row.epoch(6)?,
    }))
}

/// Sets the password that a link is for, and uses the link up.
pub struct RedeemPasswordLink {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which link.
    pub id: LinkId,
    /// The digest of the secret that was presented.
    pub digest: SecretDigest,
    /// The PHC string of the new password.
    pub password_hash: String,
}

/// What became of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedeemedLink {
    /// The password is set; everything that the user had is dead.
    Set(UserId),
    /// Unknown, used, expired, or made before something that killed all the user had: make a new one.
    Dead,
}

impl Step for RedeemPasswordLink {
    type Out = RedeemedLink;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<RedeemedLink, StoreError> {
        let workspace: Value = self.stamp.workspace.as_bytes().into();
        let Some(link) = find(tx, self.stamp.workspace, self.id, &self.digest).await? else {
            return Ok(RedeemedLink::Dead);
        };
        let sql = "UPDATE password_link SET used_at = $1
                   WHERE workspace = $2 AND id = $3 AND used_at IS NULL AND expires_at > $4 RETURNING id";
        let now: Value = self.stamp.now.into();
        if tx.find(sql, &[now.clone(), workspace.clone(), self.id.as_bytes().into(), now]).await?.is_none() {
            return Ok(RedeemedLink::Dead);
        }
        let sql = "UPDATE users SET password_hash = $1, epoch = epoch + 1
                   WHERE workspace = $2 AND id = $3 AND epoch = $4 AND enabled = 1 RETURNING username";
        let values: [Value; 4] =
            [self.password_hash.as_str().into(), workspace, link.user.as_bytes().into(), link.user_epoch.into()];
        let Some(row) = tx.find(sql, &values).await? else { return Ok(RedeemedLink::Dead) };
        self.stamp.change(tx, Touched::User(link.user), "user.password_set");
        self.stamp.audit(tx, "user.password_set", format!("user {}", row.text(0)?), "by a one-time link");
        Ok(RedeemedLink::Set(link.user))
    }
}
