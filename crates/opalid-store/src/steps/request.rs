//! Authorization requests that wait for a person.

use opalid_core::ids::{RequestId, WorkspaceId};
use opalid_core::time::UnixTime;

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;

/// Whether a request just came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsNew {
    /// It did.
    Yes,
    /// It was kept before.
    No,
}

/// Keeps a request, or what has become of it: `false` if it is over, and then it stays so. The document is the caller's.
pub struct SaveRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Its row.
    pub id: RequestId,
    /// The document.
    pub document: String,
    /// Until when it is kept, if it just came.
    pub expires_at: UnixTime,
    /// Whether it just came.
    pub is_new: IsNew,
}

impl Step for SaveRequest {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let (workspace, id): (Value, Value) = (self.workspace.as_bytes().into(), self.id.as_bytes().into());
        let document: Value = self.document.as_str().into();
        let (sql, values) = match self.is_new {
            IsNew::Yes => (
                "INSERT INTO request (workspace, id, request, expires_at) VALUES ($1, $2, $3, $4) RETURNING id",
                vec![workspace, id, document, self.expires_at.into()],
            ),
            IsNew::No => (
                "UPDATE request SET request = $1 WHERE workspace = $2 AND id = $3 RETURNING id",
                vec![document, workspace, id],
            ),
        };
        Ok(tx.find(sql, &values).await?.is_some())
    }
}

/// Says that a request is over: it was answered. `false` if it was already.
pub struct EndRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: RequestId,
}

impl Step for EndRequest {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "DELETE FROM request WHERE workspace = $1 AND id = $2 RETURNING id";
        Ok(tx.find(sql, &[self.workspace.as_bytes().into(), self.id.as_bytes().into()]).await?.is_some())
    }
}

/// Reads a request that has not expired.
pub struct FindRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: RequestId,
    /// Today.
    pub now: UnixTime,
}

impl Step for FindRequest {
    type Out = Option<String>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT request FROM request WHERE workspace = $1 AND id = $2 AND expires_at > $3";
        let values = [self.workspace.as_bytes().into(), self.id.as_bytes().into(), self.now.into()];
        tx.find(sql, &values).await?.map(|row| row.text(0).map(str::to_owned)).transpose()
    }
}
