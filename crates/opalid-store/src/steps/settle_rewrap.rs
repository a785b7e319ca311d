//! Settling what became of a [`RewrapKeys`](super::keys::RewrapKeys) that was not answered.
//!
//! Holds: whoever rewraps holds the cell's row until it has ended, so this waits for it; and where it finds the former
//! master key, it changes what the cell says of it, so that one that comes later still finds other ground than it was
//! decided on, and does nothing. Run again, it says the same.

use crate::engine::tx::{Step, Tx};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::Stamp;

/// Settles under which of two master keys the store is, for good.
pub struct SettleRewrap {
    /// When, by whom; its `workspace` is the one whose feed says so.
    pub stamp: Stamp,
    /// What the cell said of the former master key, and what it is to say of the new one.
    pub key_check: (Vec<u8>, Vec<u8>),
    /// What it says of the former one from now on.
    pub staying: Vec<u8>,
}

/// Which master key a store is under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettledUnder {
    /// The keys were not wrapped anew, and will not be.
    Former,
    /// They were.
    New,
}

impl Step for SettleRewrap {
    type Out = SettledUnder;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<SettledUnder, StoreError> {
        let (former, new) = &self.key_check;
        let rows = tx.run_locking("SELECT key_check FROM cell WHERE one = 1", &[]).await?;
        let found = rows.first().map(|row| row.blob(0)).transpose()?;
        if found == Some(new.as_slice()) {
            return Ok(SettledUnder::New);
        }
        if found == Some(former.as_slice()) {
            tx.send("UPDATE cell SET key_check = $1 WHERE one = 1", &[self.staying.clone().into()]).await?;
            self.stamp.change(tx, Touched::Workspace(self.stamp.workspace), "master_key.kept");
            return Ok(SettledUnder::Former);
        }
        if found == Some(self.staying.as_slice()) {
            return Ok(SettledUnder::Former);
        }
        Err(StoreError::Corrupt("the store is under neither of the two master keys".into()))
    }
}
