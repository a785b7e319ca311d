//! What a PostgreSQL has to be, looked at when a server starts; and what connections make of what it is set to.

use super::cluster::Cluster;
use super::place::{Place, boottime, execute};
use super::world::World;
use crate::feed::{Change, Touched};
use crate::steps::Stamp;
use crate::{Step, Store, StoreError, Tx};

/// Why a server does not start on a database in which `sql` was run before. Functions in the schema `fake` come
/// before those of PostgreSQL.
async fn why_not(sql: &str) -> StoreError {
    let place = Place::postgres().await;
    execute(&place.url(), &format!("CREATE SCHEMA fake; {sql}")).await.unwrap();
    let Place::Postgres { name, .. } = &place else { panic!() };
    execute(&place.url(), &format!("ALTER DATABASE {name} SET search_path = fake, pg_catalog, public")).await.unwrap();
    let opened = place.try_open(boottime).await.map(drop);
    place.remove().await;
    opened.expect_err("it was not refused")
}

#[tokio::test]
async fn what_calls_itself_otherwise_is_refused() {
    let refused = why_not(
        "CREATE FUNCTION fake.version() RETURNS text LANGUAGE sql AS
            $$ SELECT 'CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu)' $$",
    );
    let refused = refused.await;
    assert!(matches!(&refused, StoreError::Refused(why) if why.contains("not PostgreSQL: Cockroach")), "{refused}");
}

#[tokio::test]
async fn a_version_before_15_is_refused() {
    let refused = why_not(
        "CREATE FUNCTION fake.current_setting(text) RETURNS text LANGUAGE sql AS
            $$ SELECT CASE $1 WHEN 'server_version_num' THEN '140019' ELSE pg_catalog.current_setting($1) END $$",
    );
    let refused = refused.await;
    assert!(matches!(&refused, StoreError::Refused(why) if why.contains("PostgreSQL 15 or later")), "{refused}");
}

#[tokio::test]
async fn locks_that_keep_nobody_out_are_refused() {
    let refused =
        why_not("CREATE FUNCTION fake.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$");
    let refused = refused.await;
    assert!(matches!(&refused, StoreError::Refused(why) if why.contains("keep nobody out")), "{refused}");
}

#[tokio::test]
async fn another_encoding_is_refused() {
    let server = Place::postgres().await;
    let Place::Postgres { server: url, name } = &server else { panic!() };
    let other = format!("{name}_ascii");
    let sql = format!("CREATE DATABASE {other} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
    execute(url, &sql).await.unwrap();
    let place = Place::Postgres { server: url.clone(), name: other };
    let refused = place.try_open(boottime).await.map(drop).expect_err("it was not refused");
    assert!(matches!(&refused, StoreError::Refused(why) if why.contains("has to be UTF8")), "{refused}");
    place.remove().await;
    server.remove().await;
}

#[tokio::test]
async fn a_database_that_nobody_may_write_to_is_refused() {
    let place = Place::postgres().await;
    let Place::Postgres { name, .. } = &place else { panic!() };
    execute(&place.url(), &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await.unwrap();
    let refused = place.try_open(boottime).await.map(drop).expect_err("it was not refused");
    assert!(refused.to_string().contains("does not allow writes"), "{refused}");
    place.remove().await;
}

/// Asks the connection that a step runs on how it is set.
struct Setting<const FEED: bool> {
    stamp: Stamp,
    name: &'static str,
}

impl<const FEED: bool> Step for Setting<FEED> {
    type Out = String;
    const ENTERS_FEED: bool = FEED;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<String, StoreError> {
        let row = tx.find("SELECT current_setting($1)", &[self.name.into()]).await?;
        if FEED {
            let (workspace, at) = (self.stamp.workspace, self.stamp.now);
            tx.change(Change { workspace, touched: Touched::Workspace(workspace), reason: "test", at });
        }
        Ok(row.expect("a setting").text(0)?.to_owned())
    }
}

/// How the connections for reads, for steps and for groups of steps are set.
async fn settings(world: &World, name: &'static str) -> [String; 3] {
    let (stamp, store): (_, &Store) = (|| world.stamp(), &world.store);
    [
        store.read(Setting::<false> { stamp: stamp(), name }).await.unwrap(),
        store.run(Setting::<false> { stamp: stamp(), name }).await.unwrap(),
        store.run(Setting::<true> { stamp: stamp(), name }).await.unwrap(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_set_themselves_whatever_the_server_says_then_or_later() {
    let cluster = Cluster::start();
    cluster.set(
        "synchronous_commit = remote_write\ndefault_transaction_isolation = serializable\nstatement_timeout = 2000\n\
         lock_timeout = 7000\nidle_in_transaction_session_timeout = 9000\nidle_session_timeout = 60000\n\
         default_transaction_deferrable = on",
    );
    cluster.stop("fast");
    cluster.start_again();
    let place = Place::Postgres { server: cluster.url(), name: "postgres".into() };
    let world = World::new(&place).await;
    let expected = [
        ("transaction_isolation", ["repeatable read", "read committed", "read committed"]),
        ("synchronous_commit", ["on"; 3]),
        ("statement_timeout", ["4s"; 3]),
        ("lock_timeout", ["300ms"; 3]),
        ("idle_in_transaction_session_timeout", ["5s"; 3]),
        ("idle_session_timeout", ["0"; 3]),
        ("transaction_deferrable", ["off"; 3]),
    ];
    for (name, values) in expected {
        assert_eq!(settings(&world, name).await, values, "{name}");
    }
    // A server that is told to be careless while connections stand.
    let careless = "synchronous_commit = off\nlock_timeout = 8000\ncheckpoint_timeout = 333";
    cluster.set(careless);
    cluster.reload();
    while settings(&world, "checkpoint_timeout").await != ["333s"; 3] {
        tokio::task::yield_now().await;
    }
    for (name, values) in expected {
        assert_eq!(settings(&world, name).await, values, "{name}");
    }
    // More careful than we are it may be.
    world.store.close().await;
    cluster.set("synchronous_commit = remote_apply");
    cluster.stop("fast");
    cluster.start_again();
    let world = World { store: place.open().await, ..world };
    assert_eq!(settings(&world, "synchronous_commit").await, ["remote_apply"; 3]);
    world.store.close().await;
}
