//! A small pool of connections: made when needed, thrown away when anything about them is unsure.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Config;

use super::connect::Session;
use crate::error::StoreError;

/// How many steps run at once beside the group.
const CONNECTIONS: usize = 16;

/// The pool.
pub(super) struct Pool {
    config: Config,
    idle: Mutex<Vec<Session>>,
    permits: Arc<Semaphore>,
}

impl Pool {
    /// An empty pool.
    pub fn new(config: Config) -> Self {
        Self { config, idle: Mutex::default(), permits: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// A connection, and the right to use it. The caller bounds how long it waits.
    pub async fn take(&self) -> Result<(OwnedSemaphorePermit, Session), StoreError> {
        let closed = |_| StoreError::Unavailable("the store is closed".into());
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(session) if session.is_closed() => {}
                Some(session) => return Ok((permit, session)),
                None => return Ok((permit, Session::open(&self.config).await?)),
            }
        }
    }

    /// Gives a connection back.
    pub fn put(&self, session: Option<Session>) {
        if let Some(session) = session {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }

    /// Waits for all that run, and lets none begin.
    pub async fn close(&self) {
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        let waited = self.permits.acquire_many(all).await.map(drop);
        drop(waited);
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
