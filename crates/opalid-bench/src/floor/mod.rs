//! The group-commit floor: how fast this disk and engine make the smallest durable step, an UPDATE and an INSERT; and
//! the same behind HTTP, with the work that no durable path of a token endpoint can leave out.
//!
//! Durable steps are judged as a share of it, because a disk's sync time differs more between machines than
//! anything in a server does.

pub mod http;
pub mod postgres;
pub mod sqlite;

use crate::clock;
use crate::load::Shape;
use crate::stats::{Sample, nanoseconds};
use anyhow::Result;
use clap::Args;
use futures_util::future::try_join_all;
use std::cell::RefCell;
use std::future::Future;

/// Rows that the UPDATE picks from.
pub const CHAINS: usize = 10_000;

/// The UPDATE of a step: `$1` generation, `$2` hash, `$3` the row.
const UPDATE: &str = "UPDATE opalid_bench_chain SET generation = generation + $1, hash = $2 WHERE id = $3";
/// The INSERT of a step: `$1` kind, `$2` body.
const INSERT: &str = "INSERT INTO opalid_bench_log (kind, body) VALUES ($1, $2)";
/// The body of an inserted row.
const BODY: [u8; 96] = [7; 96];

/// What a step behind HTTP does beside its UPDATE.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Rows that a step inserts beside its UPDATE
    #[arg(long, default_value_t = 1)]
    pub inserts: usize,
    /// Sign an ID token (RS256) for each answer
    #[arg(long)]
    pub signs: bool,
}

/// What a step writes.
#[derive(Clone, Copy)]
pub struct StepInput {
    chain: i64,
    hash: [u8; 32],
    inserts: usize,
}

impl StepInput {
    /// Each submitter walks over rows of its own, so that none waits for another's lock.
    fn of(submitter: usize, round: usize, submitters: usize) -> Self {
        let own = (CHAINS / submitters.max(1)).max(1);
        let chain = (submitter + (round % own) * submitters) % CHAINS;
        let byte = u8::try_from(round % 251).unwrap_or(0);
        Self { chain: i64::try_from(chain).unwrap_or(0), hash: [byte; 32], inserts: 1 }
    }
}

/// Keeps `shape.connections` steps waiting and measures how many are made; `submit` returns once its step is committed.
async fn measure<F: Future<Output = Result<()>>>(shape: Shape, submit: impl Fn(StepInput) -> F) -> Result<Sample> {
    let opens_at = clock::now() + shape.warm_up;
    let closes_at = opens_at + shape.measured;
    let latencies = RefCell::new(Vec::new());
    let submitters = (0..shape.connections).map(async |submitter| -> Result<()> {
        for round in 0.. {
            let asked_at = clock::now();
            submit(StepInput::of(submitter, round, shape.connections)).await?;
            let now = clock::now();
            if now >= closes_at {
                break;
            }
            if now >= opens_at {
                latencies.borrow_mut().push(nanoseconds(now - asked_at));
            }
        }
        Ok(())
    });
    try_join_all(submitters).await?;
    Ok(Sample::of(latencies.into_inner(), shape.measured))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_submitters_ever_update_the_same_row() {
        let mut owner = std::collections::HashMap::new();
        for submitter in 0..32 {
            for round in 0..2_000 {
                let chain = StepInput::of(submitter, round, 32).chain;
                assert!((0..10_000).contains(&chain));
                assert_eq!(*owner.entry(chain).or_insert(submitter), submitter, "row {chain}");
            }
        }
        assert!(owner.keys().collect::<HashSet<_>>().len() > 9_000);
    }
}
