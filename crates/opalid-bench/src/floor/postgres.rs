//! PostgreSQL's floor: a transaction per step on a small pool; the server groups the commits.

use super::{BODY, CHAINS, INSERT, StepInput, UPDATE, measure};
use crate::load::Shape;
use crate::stats::Sample;
use anyhow::{Context, Result, ensure};
use deadpool_postgres::{Manager, Pool};
use futures_util::future::{try_join, try_join_all};
use tokio_postgres::NoTls;

const SCHEMA: &str = "
    DROP SCHEMA IF EXISTS opalid_bench CASCADE;
    CREATE SCHEMA opalid_bench;
    SET search_path = opalid_bench;
    CREATE TABLE opalid_bench_chain (id BIGINT PRIMARY KEY, generation BIGINT NOT NULL, hash BYTEA NOT NULL);
    CREATE TABLE opalid_bench_log (
        n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind BIGINT NOT NULL, body BYTEA NOT NULL);";

/// Measures in a schema of its own, which is removed afterwards.
pub fn run(url: &str, shape: Shape, pool_size: usize) -> Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let connections = Connections::open(url, pool_size).await?;
        let sample = measure(shape, async |input| connections.step(input).await).await;
        connections.0.get().await?.batch_execute("DROP SCHEMA opalid_bench CASCADE").await?;
        sample
    })
}

/// A pool.
pub struct Connections(Pool);

impl Connections {
    /// Opens a pool and makes the schema anew.
    pub async fn open(url: &str, size: usize) -> Result<Self> {
        let mut config: tokio_postgres::Config = url.parse().context("not a PostgreSQL URL")?;
        config.options("-c search_path=opalid_bench -c synchronous_commit=on");
        let pool = Pool::builder(Manager::new(config, NoTls)).max_size(size).build()?;
        prepare(&pool).await?;
        Ok(Self(pool))
    }

    /// BEGIN, the statements and COMMIT leave together: each is sent without waiting for the one before.
    pub async fn step(&self, input: StepInput) -> Result<()> {
        let connection = self.0.get().await?;
        let update = connection.prepare_cached(UPDATE).await?;
        let insert = connection.prepare_cached(INSERT).await?;
        let (one, hash, body) = (1_i64, input.hash.as_slice(), BODY.as_slice());
        let (update_values, insert_values) = ([&one as _, &hash as _, &input.chain as _], [&one as _, &body as _]);
        let inserts = (0..input.inserts).map(|_| connection.execute(&insert, &insert_values));
        let begin = try_join(connection.batch_execute("BEGIN"), connection.execute(&update, &update_values));
        let commit = try_join(try_join_all(inserts), connection.batch_execute("COMMIT"));
        let (((), updated), (inserted, ())) = try_join(begin, commit).await?;
        ensure!(updated == 1 && inserted.iter().sum::<u64>() == input.inserts as u64, "{updated}, {inserted:?}");
        Ok(())
    }
}

async fn prepare(pool: &Pool) -> Result<()> {
    let connection = pool.get().await?;
    connection.batch_execute(SCHEMA).await?;
    let (last, hash) = (i64::try_from(CHAINS)? - 1, [0_u8; 32].as_slice());
    let fill = "INSERT INTO opalid_bench_chain SELECT id, 0, $2 FROM generate_series(0, $1::bigint) AS id";
    connection.execute(fill, &[&last, &hash]).await?;
    // Alone: what is sent together is one transaction, and VACUUM refuses to be in one.
    Ok(connection.batch_execute("VACUUM ANALYZE opalid_bench_chain").await?)
}
