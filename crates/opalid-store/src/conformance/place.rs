//! Where the store of one test lies.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_postgres::NoTls;

use crate::memory::{BootTime, Capacity};
use crate::{Location, Observer, Opening, Store, StoreError};

/// A file or a database of one test's own.
pub enum Place {
    Sqlite(PathBuf),
    Postgres { server: String, name: String },
}

/// A number that no other test of this process has.
pub fn unique() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(1);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// Sixteen bytes that nothing else has, in the order of their making.
pub fn unique_bytes() -> [u8; 16] {
    (u128::from(unique()) << 64 | u128::from(std::process::id())).to_be_bytes()
}

fn name() -> String {
    format!("opalid_test_{}_{}", std::process::id(), unique())
}

/// The real clock of leases.
pub fn boottime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

/// Runs statements beside the store.
pub async fn execute(url: &str, sql: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let done = client.batch_execute(sql).await;
    drop(client);
    drop(connection.await);
    done
}

impl Place {
    /// A file in the folder of temporary files.
    pub fn sqlite() -> Self {
        let folder = std::env::temp_dir().join(name());
        std::fs::create_dir(&folder).unwrap();
        Self::Sqlite(folder.join("opalid.db"))
    }

    /// A new database on the server of the tests.
    pub async fn postgres() -> Self {
        let server = std::env::vars().find(|(name, _)| name == "OPALID_TEST_POSTGRES").map(|(_, value)| value);
        let server = server.expect("OPALID_TEST_POSTGRES names no server: run ./test");
        Self::postgres_on(&server).await
    }

    /// A new database on this server.
    pub async fn postgres_on(server: &str) -> Self {
        let name = name();
        execute(server, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")).await.unwrap();
        Self::Postgres { server: server.to_owned(), name }
    }

    /// The URL of the database.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres { server, name } => {
                let (base, options) = server.split_once('?').map_or((&**server, None), |(base, o)| (base, Some(o)));
                let at = base.find("://").unwrap() + 3;
                let end = base[at..].find('/').map_or(base.len(), |slash| at + slash);
                let options = options.map(|options| format!("?{options}")).unwrap_or_default();
                format!("{}/{name}{options}", &base[..end])
            }
        }
    }

    /// Opens the store.
    pub async fn open(&self) -> Arc<Store> {
        Arc::new(self.try_open(boottime).await.unwrap())
    }

    /// Opens the store under another clock, or says why not.
    pub async fn try_open(&self, boottime: BootTime) -> Result<Store, StoreError> {
        self.try_open_as(boottime, unique_bytes(), Arc::new(())).await
    }

    /// Opens the store; this one is told how it does.
    pub async fn open_observed(&self, observer: Arc<dyn Observer>) -> Arc<Store> {
        Arc::new(self.try_open_as(boottime, unique_bytes(), observer).await.unwrap())
    }

    async fn try_open_as(
        &self,
        boottime: BootTime,
        owner: [u8; 16],
        observer: Arc<dyn Observer>,
    ) -> Result<Store, StoreError> {
        let location = match self {
            Self::Sqlite(path) => Location::Sqlite(path.clone()),
            Self::Postgres { .. } => Location::postgres(&self.url(), None)?,
        };
        Store::open(Opening {
            location,
            owner,
            alone: false,
            incarnation: unique_bytes(),
            capacity: Capacity { grants: 1000, entities: 1000 },
            lease: std::time::Duration::from_secs(5),
            boottime,
            observer,
            on_fatal: Arc::new(|why| panic!("{why}")),
        })
        .await
    }

    /// Closes a store that nobody else has, and opens it anew.
    pub async fn reopen(&self, store: Arc<Store>) -> Arc<Store> {
        self.reopen_as(store, unique_bytes()).await
    }

    /// The same, as this owner.
    pub async fn reopen_as(&self, store: Arc<Store>, owner: [u8; 16]) -> Arc<Store> {
        self.reopen_with(store, (boottime, owner)).await
    }

    /// The same, under another clock.
    pub async fn reopen_under(&self, store: Arc<Store>, boottime: BootTime) -> Arc<Store> {
        self.reopen_with(store, (boottime, unique_bytes())).await
    }

    async fn reopen_with(&self, store: Arc<Store>, (boottime, owner): (BootTime, [u8; 16])) -> Arc<Store> {
        store.close().await;
        let mut store = Some(store);
        while let Some(left) = store.take() {
            if let Err(shared) = Arc::try_unwrap(left) {
                store = Some(shared);
                tokio::task::yield_now().await;
            }
        }
        // PostgreSQL lets go of a lock a moment after its connection has ended.
        loop {
            match self.try_open_as(boottime, owner, Arc::new(())).await {
                Ok(store) => return Arc::new(store),
                Err(StoreError::Refused(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Removes it.
    pub async fn remove(self) {
        match self {
            Self::Sqlite(path) => drop(std::fs::remove_dir_all(path.parent().unwrap())),
            Self::Postgres { server, name } => {
                execute(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
            }
        }
    }
}
