//! Consents: what a user has agreed to, remembered per client.

use opalid_core::grant::{Entitlement, Epoch};
use opalid_core::ids::{ClientId, ConsentId, UserId, WorkspaceId};
use opalid_core::time::UnixTime;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::list::Part;
use crate::steps::{Stamp, to_json};

/// A remembered consent.
#[derive(Debug, Clone)]
pub struct ConsentRow {
    /// Its row.
    pub id: ConsentId,
    /// Its epoch today.
    pub epoch: Epoch,
    /// What was agreed to.
    pub given: Entitlement,
}

/// Reads what a user has agreed to for a client.
pub struct FindConsent {
    /// Where.
    pub workspace: WorkspaceId,
    /// Who agreed.
    pub user: UserId,
    /// For whom.
    pub client: ClientId,
}

impl Step for FindConsent {
    type Out = Option<ConsentRow>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        find(tx, self.workspace, self.user, self.client).await
    }
}

async fn find<T: Tx>(
    tx: &mut T,
    workspace: WorkspaceId,
    user: UserId,
    client: ClientId,
) -> Result<Option<ConsentRow>, StoreError> {
    let sql = "SELECT id, epoch, given FROM consent WHERE workspace = $1 AND user_id = $2 AND client = $3";
    let values = [workspace.as_bytes().into(), user.as_bytes().into(), client.as_bytes().into()];
    let row = tx.find(sql, &values).await?;
    row.map(|row| Ok(ConsentRow { id: row.id(0)?, epoch: row.epoch(1)?, given: row.json(2)? })).transpose()
}

/// Remembers that a user has agreed; added to what they had agreed to before.
pub struct GiveConsent {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// The row, if there is none yet.
    pub id: ConsentId,
    /// Who agrees.
    pub user: UserId,
    /// For whom.
    pub client: ClientId,
    /// To what.
    pub given: Entitlement,
}

impl GiveConsent {
    async fn insert<T: Tx>(
        &self,
        tx: &mut T,
        [workspace, user, client]: [Value; 3],
    ) -> Result<Option<Row>, StoreError> {
        let sql = "INSERT INTO consent (workspace, id, user_id, client, epoch, given, created_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (workspace, user_id, client) DO NOTHING RETURNING id";
        let given = to_json(&self.given)?;
        let values: [Value; 7] = [
            workspace,
            self.id.as_bytes().into(),
            user,
            client,
            Epoch::FIRST.into(),
            given.into(),
            self.stamp.now.into(),
        ];
        tx.find(sql, &values).await
    }
}

impl Step for GiveConsent {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let sql = "SELECT id, epoch, given FROM consent WHERE workspace = $1 AND user_id = $2 AND client = $3";
        let key: [Value; 3] =
            [self.stamp.workspace.as_bytes().into(), self.user.as_bytes().into(), self.client.as_bytes().into()];
        // Locked, so that of two consents at once none is lost, and a withdrawal in between is not undone.
        let before = tx.run_locking(sql, &key).await?;
        let done = match before.first() {
            Some(row) => {
                let given = row.json::<Entitlement>(2)?.union(&self.given);
                let sql = "UPDATE consent SET given = $1 WHERE workspace = $2 AND id = $3 RETURNING id";
                let id: ConsentId = row.id(0)?;
                let values = [to_json(&given)?.into(), self.stamp.workspace.as_bytes().into(), id.as_bytes().into()];
                tx.find(sql, &values).await?
            }
            None => self.insert(tx, key).await?,
        };
        done.ok_or_else(|| StoreError::Serialization("two consents of one person at once".into()))?;
        self.stamp.audit(tx, "consent.given", format!("user {}", self.user), format!("client {}", self.client));
        Ok(())
    }
}

/// A consent as operators see it.
#[derive(Debug, Clone)]
pub struct ListedConsent {
    /// Its row.
    pub id: ConsentId,
    /// Who agreed.
    pub user: UserId,
    /// For whom.
    pub client: ClientId,
    /// To what.
    pub given: Entitlement,
    /// When they first agreed.
    pub created_at: UnixTime,
}

/// Lists consents.
pub struct ListConsents {
    /// Which part.
    pub part: Part<ConsentId>,
    /// Only what this user has agreed to.
    pub user: Option<UserId>,
}

impl Step for ListConsents {
    type Out = Vec<ListedConsent>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let [workspace, before, limit] = self.part.values();
        let rows = match self.user {
            None => {
                let sql = "SELECT id, user_id, client, given, created_at FROM consent
                           WHERE workspace = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
                tx.run(sql, &[workspace, before, limit]).await?
            }
            Some(user) => {
                let sql = "SELECT id, user_id, client, given, created_at FROM consent
                           WHERE workspace = $1 AND user_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4";
                tx.run(sql, &[workspace, user.as_bytes().into(), before, limit]).await?
            }
        };
        let read = |row: &Row| {
            let (id, user, client) = (row.id(0)?, row.id(1)?, row.id(2)?);
            Ok(ListedConsent { id, user, client, given: row.json(3)?, created_at: row.time(4)? })
        };
        rows.iter().map(read).collect()
    }
}

/// Takes a consent back: what hangs from it dies, and the person is asked again. `false` if there is none.
pub struct WithdrawConsent {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: ConsentId,
}

impl Step for WithdrawConsent {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "DELETE FROM consent WHERE workspace = $1 AND id = $2 RETURNING user_id";
        let gone = tx.find(sql, &[self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()]).await?;
        self.stamp.change(tx, Touched::Consent(self.id), "consent.withdrawn");
        let Some(row) = &gone else { return Ok(false) };
        let user: UserId = row.id(0)?;
        self.stamp.audit(tx, "consent.withdrawn", format!("user {user}"), format!("consent {}", self.id));
        Ok(true)
    }
}
