//! PostgreSQL's floor: a transaction per step on a small pool; the server groups the commits.

use super::{BODY, CHAINS, INSERT, StepInput, UPDATE, measure};
use crate::load::Shape;
use crate::stats::Sample;
use anyhow::{Context, Result, ensure};
use deadpool_postgres::{Manager, Pool};
use futures_util::future::try_join;
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
        let pool = pool(url, pool_size)?;
        prepare(&pool).await?;
        let sample = measure(shape, async |input| step(&pool, input).await).await;
        pool.get().await?.batch_execute("DROP SCHEMA opalid_bench CASCADE").await?;
        sample
    })
}

fn pool(url: &str, size: usize) -> Result<Pool> {
    let mut config: tokio_postgres::Config = url.parse().context("not a PostgreSQL URL")?;
    config.options("-c search_path=opalid_bench -c synchronous_commit=on");
    Ok(Pool::builder(Manager::new(config, NoTls)).max_size(size).build()?)
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

/// BEGIN, UPDATE, INSERT and COMMIT leave together: each is sent without waiting for the one before.
async fn step(pool: &Pool, input: StepInput) -> Result<()> {
    let connection = pool.get().await?;
    let update = connection.prepare_cached(UPDATE).await?;
    let insert = connection.prepare_cached(INSERT).await?;
    let (one, hash, body) = (1_i64, input.hash.as_slice(), BODY.as_slice());
    let (update_values, insert_values) = ([&one as _, &hash as _, &input.chain as _], [&one as _, &body as _]);
    let begin_and_update = try_join(connection.batch_execute("BEGIN"), connection.execute(&update, &update_values));
    let insert_and_commit = try_join(connection.execute(&insert, &insert_values), connection.batch_execute("COMMIT"));
    let (((), updated), (inserted, ())) = try_join(begin_and_update, insert_and_commit).await?;
    ensure!(updated == 1 && inserted == 1, "{updated} rows updated, {inserted} inserted");
    Ok(())
}
