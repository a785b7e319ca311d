//! Authorization requests that wait for a person.

use opalid_core::ids::{RequestId, WorkspaceId};
use opalid_core::time::UnixTime;

use crate::engine::tx::{Step, Tx};
use crate::error::StoreError;

/// Keeps a request, or what has become of it. The document is the caller's.
pub struct SaveRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Its row.
    pub id: RequestId,
    /// The document.
    pub document: String,
    /// Until when it is kept.
    pub expires_at: UnixTime,
}

impl Step for SaveRequest {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let sql = "INSERT INTO request (workspace, id, request, expires_at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (workspace, id) DO UPDATE SET request = excluded.request";
        let values = [
            self.workspace.as_bytes().into(),
            self.id.as_bytes().into(),
            self.document.as_str().into(),
            self.expires_at.into(),
        ];
        tx.run(sql, &values).await.map(drop)
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
