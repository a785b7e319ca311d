//! A small pool of connections: made when needed, thrown away when anything about them is unsure.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::address::Address;
use super::connect::{Connector, Session};
use crate::error::StoreError;

/// The pool.
pub(super) struct Pool {
    connector: Connector,
    idle: Mutex<Vec<Session>>,
    /// Who works on a connection has one.
    turns: Arc<Semaphore>,
    size: u32,
}

impl Pool {
    /// An empty pool of at most `size` connections.
    pub fn new(address: Address, size: u16) -> Self {
        let connector = Connector::new(address, size.into());
        Self { connector, idle: Mutex::default(), turns: Arc::new(Semaphore::new(size.into())), size: size.into() }
    }

    /// A connection, and the right to use it. The caller bounds how long it waits.
    pub async fn take(&self) -> Result<(OwnedSemaphorePermit, Session), StoreError> {
        let closed = |_| StoreError::Unavailable("the store is closed".into());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(closed)?;
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some(session) if session.is_closed() => {}
                Some(session) => return Ok((turn, session)),
                None => return Ok((turn, self.connector.open().await?)),
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
        let waited = self.turns.acquire_many(self.size).await.map(drop);
        drop(waited);
        self.turns.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::connect::bounded;
    use super::*;
    use crate::conformance::place::Place;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_whose_sessions_hang_is_not_filled_with_others() {
        let place = Place::postgres().await;
        let pool = Pool::new(Address::parse(&place.url(), None).unwrap(), 2);
        let (_turn, holder) = pool.take().await.unwrap();
        holder.client.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
        let (turn, hanging) = pool.take().await.unwrap();
        hanging.client.batch_execute("SET lock_timeout = 0").await.unwrap();
        // Given up while it waits: the server has the session still.
        let waits = bounded(Duration::from_millis(20), async {
            hanging.client.batch_execute("SELECT pg_advisory_lock(7)").await.map_err(|_| StoreError::AnotherLife)
        });
        assert!(matches!(waits.await, Err(StoreError::Unavailable(_))));
        drop((turn, hanging));
        let full = bounded(Duration::from_millis(200), pool.take()).await.map(drop);
        assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
        holder.client.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
        // It has ended, and made room.
        drop(bounded(Duration::from_secs(60), pool.take()).await.unwrap());
        drop((holder, pool));
        place.remove().await;
    }
}
