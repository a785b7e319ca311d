//! Replacing a client's secret: the new one is good at once, the old ones for a while longer.

use opalid_core::ids::ClientId;
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::Stamp;
use crate::steps::client::insert_secret;

/// The most secrets that are good at once: each authentication compares them all.
pub const SECRETS_MAX: usize = 8;

/// Gives a client a new secret.
pub struct RotateSecret {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Whose.
    pub client: ClientId,
    /// The digest of the new secret.
    pub digest: SecretDigest,
    /// How much longer the old ones are good; they never get more time than they had.
    pub overlap: Seconds,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotatedSecret {
    /// The new one is good; the old ones, if any, until then.
    Done {
        /// When the old ones end; `None` if there is none any more.
        old_until: Option<UnixTime>,
    },
    /// There is no such client.
    Unknown,
    /// [`SECRETS_MAX`] secrets would be good at once.
    TooMany,
}

impl Step for RotateSecret {
    type Out = RotatedSecret;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<RotatedSecret, StoreError> {
        let of: [Value; 2] = [self.stamp.workspace.as_bytes().into(), self.client.as_bytes().into()];
        // The client's row orders rotations of its secrets.
        let sql = "SELECT client_id FROM client WHERE workspace = $1 AND id = $2";
        let rows = tx.run_locking(sql, &of).await?;
        let Some(row) = rows.first() else { return Ok(RotatedSecret::Unknown) };
        let [workspace, client] = of;
        let until = self.stamp.now.plus(self.overlap);
        let digest: Value = (&self.digest.0).into();
        let sql =
            "DELETE FROM client_secret WHERE workspace = $1 AND client = $2 AND digest <> $3 AND expires_at <= $4";
        let now = self.stamp.now.into();
        tx.run(sql, &[workspace.clone(), client.clone(), digest.clone(), now]).await?;
        let others = "SELECT digest FROM client_secret WHERE workspace = $1 AND client = $2 AND digest <> $3";
        let old = tx.run(others, &[workspace.clone(), client.clone(), digest.clone()]).await?.len();
        let keep_old = self.overlap > Seconds(0) && old > 0;
        if keep_old && old >= SECRETS_MAX {
            return Ok(RotatedSecret::TooMany);
        }
        if keep_old {
            let sql = "UPDATE client_secret SET expires_at = $1 WHERE workspace = $2 AND client = $3 AND digest <> $4
                       AND (expires_at IS NULL OR expires_at > $5)";
            tx.run(sql, &[until.into(), workspace, client, digest, until.into()]).await?;
        } else {
            let sql = "DELETE FROM client_secret WHERE workspace = $1 AND client = $2 AND digest <> $3";
            tx.run(sql, &[workspace, client, digest]).await?;
        }
        insert_secret(tx, &self.stamp, self.client, &self.digest, None).await?;
        self.stamp.change(tx, Touched::Client(self.client), "client.secret_rotated");
        self.stamp.audit(tx, "client.secret_rotated", format!("client {}", row.text(0)?), "");
        Ok(RotatedSecret::Done { old_until: keep_old.then_some(until) })
    }
}
