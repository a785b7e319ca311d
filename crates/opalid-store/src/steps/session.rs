//! Sessions: browsers that have logged in.

use opalid_core::grant::{Authentication, Epoch, Lineage};
use opalid_core::ids::{SessionId, UserId, WorkspaceId};
use opalid_core::time::UnixTime;
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::request::SaveRequest;
use crate::steps::{Stamp, to_json};

/// A session as its row has it.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Its row.
    pub id: SessionId,
    /// Who logged in.
    pub user: UserId,
    /// Its epoch today.
    pub epoch: Epoch,
    /// Whether it still stands.
    pub enabled: bool,
    /// The digest of the secret in its cookie.
    pub digest: SecretDigest,
    /// What it hangs from: workspace, user and credentials, with the epochs read beside the password hash.
    pub lineage: Lineage,
    /// How the person was authenticated.
    pub authentication: Authentication,
    /// When it was last used.
    pub used_at: UnixTime,
    /// Its absolute end.
    pub expires_at: UnixTime,
}

/// Reads a session.
pub struct FindSession {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: SessionId,
}

/// The columns [`read`] wants.
macro_rules! session_columns {
    () => {
        "id, user_id, epoch, enabled, digest, lineage, auth_time, acr, amr, used_at, expires_at"
    };
}
pub(crate) use session_columns;

pub(crate) fn read(row: &Row) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: row.id(0)?,
        user: row.id(1)?,
        epoch: row.epoch(2)?,
        enabled: row.bool(3)?,
        digest: SecretDigest(row.bytes(4)?),
        lineage: Lineage::from_bytes(row.blob(5)?).ok_or_else(|| StoreError::Corrupt("a lineage".into()))?,
        authentication: Authentication { auth_time: row.time(6)?, acr: row.text(7)?.into(), amr: row.json(8)? },
        used_at: row.time(9)?,
        expires_at: row.time(10)?,
    })
}

impl Step for FindSession {
    type Out = Option<SessionRow>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = concat!("SELECT ", session_columns!(), " FROM session WHERE workspace = $1 AND id = $2");
        let row = tx.find(sql, &[self.workspace.as_bytes().into(), self.id.as_bytes().into()]).await?;
        row.as_ref().map(read).transpose()
    }
}

/// Starts a session, or renews the one of the same user in the same browser: a new secret either way. The
/// session of another user in that browser ends with it. The request that waits for it knows of it in the same transaction.
pub struct StartSession {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// The row, if it is made anew.
    pub id: SessionId,
    /// Who logged in.
    pub user: UserId,
    /// The digest of the new cookie's secret.
    pub digest: SecretDigest,
    /// What it hangs from.
    pub lineage: Lineage,
    /// How the person was authenticated.
    pub authentication: Authentication,
    /// Its absolute end.
    pub expires_at: UnixTime,
    /// The session this browser had.
    pub previous: Option<SessionId>,
    /// The request that waits for it, as it is then: for each session that this may come to be. It may be over meanwhile.
    pub requests: Vec<(SessionId, SaveRequest)>,
}

impl StartSession {
    async fn save_request<T: Tx>(&self, tx: &mut T, id: SessionId) -> Result<(), StoreError> {
        let Some((_, request)) = self.requests.iter().find(|(session, _)| *session == id) else { return Ok(()) };
        request.run(tx).await.map(drop)
    }

    async fn renew<T: Tx>(&self, tx: &mut T, previous: SessionId) -> Result<bool, StoreError> {
        let sql = "UPDATE session SET digest = $1, lineage = $2, auth_time = $3, acr = $4, amr = $5, used_at = $6
                   WHERE workspace = $7 AND id = $8 AND user_id = $9 AND enabled = 1 AND expires_at > $10 RETURNING id";
        let values: [Value; 10] = [
            (&self.digest.0).into(),
            self.lineage.to_bytes().into(),
            self.authentication.auth_time.into(),
            self.authentication.acr.as_str().into(),
            to_json(&self.authentication.amr)?.into(),
            self.stamp.now.into(),
            self.stamp.workspace.as_bytes().into(),
            previous.as_bytes().into(),
            self.user.as_bytes().into(),
            self.stamp.now.into(),
        ];
        Ok(tx.find(sql, &values).await?.is_some())
    }
}

impl Step for StartSession {
    type Out = SessionId;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<SessionId, StoreError> {
        // Requests are held before sessions, as where a code is issued.
        self.save_request(tx, self.previous.unwrap_or(self.id)).await?;
        if let Some(previous) = self.previous {
            if self.renew(tx, previous).await? {
                self.stamp.audit(tx, "session.renewed", format!("user {}", self.user), format!("session {previous}"));
                return Ok(previous);
            }
            end(tx, &self.stamp, previous).await?;
            self.save_request(tx, self.id).await?;
        }
        let ended = self.previous.map_or_else(String::new, |previous| format!(", which ends session {previous}"));
        let sql = "INSERT INTO session (workspace, id, user_id, epoch, enabled, digest, lineage, auth_time, acr, amr,
                       created_at, used_at, expires_at) VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10, $11, $12)";
        let values: [Value; 12] = [
            self.stamp.workspace.as_bytes().into(),
            self.id.as_bytes().into(),
            self.user.as_bytes().into(),
            Epoch::FIRST.into(),
            (&self.digest.0).into(),
            self.lineage.to_bytes().into(),
            self.authentication.auth_time.into(),
            self.authentication.acr.as_str().into(),
            to_json(&self.authentication.amr)?.into(),
            self.stamp.now.into(),
            self.stamp.now.into(),
            self.expires_at.into(),
        ];
        tx.run(sql, &values).await?;
        // One step, one audit row: it says what became of the session before.
        let detail = format!("session {}{ended}", self.id);
        self.stamp.audit(tx, "session.started", format!("user {}", self.user), detail);
        Ok(self.id)
    }
}

/// Keeps when a session was used last, where no code is issued by it: how long it rests counts from there.
pub struct UseSession {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: SessionId,
    /// When.
    pub now: UnixTime,
}

impl Step for UseSession {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        // Of two at once the later one counts.
        let sql = "UPDATE session SET used_at = $1 WHERE workspace = $2 AND id = $3 AND enabled = 1 AND used_at < $4";
        let values: [Value; 4] =
            [self.now.into(), self.workspace.as_bytes().into(), self.id.as_bytes().into(), self.now.into()];
        tx.write(sql, &values).await.map(drop)
    }
}

/// Ends a session: everything bound to it dies. `false` if it had ended before.
pub struct EndSession {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: SessionId,
}

impl Step for EndSession {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let Some(user) = end(tx, &self.stamp, self.id).await? else { return Ok(false) };
        self.stamp.audit(tx, "session.ended", format!("user {user}"), format!("session {}", self.id));
        Ok(true)
    }
}

/// Ends a session; whose it was, if it had not ended before.
async fn end<T: Tx>(tx: &mut T, stamp: &Stamp, id: SessionId) -> Result<Option<UserId>, StoreError> {
    let sql = "UPDATE session SET epoch = epoch + 1, enabled = 0 WHERE workspace = $1 AND id = $2 AND enabled = 1 RETURNING user_id";
    let ended = tx.find(sql, &[stamp.workspace.as_bytes().into(), id.as_bytes().into()]).await?;
    // Entered again when it had ended before: who repeats it waits for it like the first.
    stamp.change(tx, Touched::Session(id), "session.ended");
    ended.map(|row| row.id(0)).transpose()
}
