//! What every engine must pass: one suite, run for each.
//!
//! PostgreSQL: each test makes a database of its own on the server that `OPALID_TEST_POSTGRES` names
//! (a superuser). `./test` starts one; without it these tests fail, they are never skipped.

mod cluster;
mod code;
mod faults;
mod feed;
mod groups;
mod keys;
mod leases;
mod life;
mod nodes;
mod observed;
pub(crate) mod place;
mod refresh;
mod refused;
mod request;
mod restore;
mod rewrap;
mod rights;
mod rows;
mod settings;
mod standing;
mod sweep;
mod tls;
pub(crate) mod world;

/// Runs each test on each engine.
macro_rules! on_every_engine {
    ($($test:ident;)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                let place = crate::conformance::place::Place::sqlite();
                super::$test(&place).await;
                place.remove().await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $test() {
                let place = crate::conformance::place::Place::postgres().await;
                super::$test(&place).await;
                place.remove().await;
            })*
        }
    };
}
use on_every_engine;
