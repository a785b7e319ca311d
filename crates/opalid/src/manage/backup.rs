//! A copy of the store while the server runs.
//!
//! Takes: an absolute path that nothing lies at. Gives: how far it is, then that it is done.
//! Holds: the master key is not in it. Who asked and hung up, or a server that stops, leaves nothing behind.

use std::path::PathBuf;

use opalid_store::{CopyProgress, StoreError};
use tokio::sync::mpsc;

use super::{ManageError, Reply};
use crate::app::App;

/// A copy on its way.
pub struct Copying {
    /// How far it is; it is given up when nobody listens.
    pub progress: mpsc::Receiver<CopyProgress>,
    done: tokio::task::JoinHandle<Result<(), StoreError>>,
    message: String,
}

/// Begins to copy the store to `file`.
pub fn begin(app: &App, file: PathBuf) -> Result<Copying, ManageError> {
    let refused = |error: StoreError| ManageError::Refused(error.to_string());
    if !file.is_absolute() {
        return Err(ManageError::Refused(format!("{} does not begin with /: whose folder is meant?", file.display())));
    }
    let copier = app.store.copier().map_err(refused)?;
    let message = format!(
        "The store is copied to {}. The master key is not in it: keep it too ({}), and apart from it, for without the \
         key the copy is of no use and with it anyone can mint tokens.",
        file.display(),
        app.master_key_place
    );
    let (tell, progress) = mpsc::channel(1);
    let copy = move || copier.copy(&file, &mut |at| tell.blocking_send(at).is_ok());
    Ok(Copying { progress, done: tokio::task::spawn_blocking(copy), message })
}

impl Copying {
    /// Waits for the end; nobody hears of progress any more.
    pub async fn finish(mut self) -> Result<Reply, ManageError> {
        while self.progress.recv().await.is_some() {}
        match self.done.await {
            Ok(Ok(())) => Ok(Reply::done(self.message)),
            Ok(Err(StoreError::Refused(why))) => Err(ManageError::Refused(why)),
            Ok(Err(error)) => Err(ManageError::Unavailable(format!("the copy was not made: {error}"))),
            Err(_) => Err(ManageError::Unavailable("the copy broke off".into())),
        }
    }
}
