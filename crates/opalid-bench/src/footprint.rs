//! What a server costs by being there: how long until it is ready, how much it keeps resident.

use crate::clock;
use crate::ground::Ground;
use crate::load::{self, Shape};
use crate::opalid::Opalid;
use crate::plan::Plan;
use crate::scenario::{Stage, introspection};
use crate::seed::{self, Which};
use anyhow::{Context, Result};
use serde::Serialize;
use std::time::Duration;

/// Fewer grants than this say nothing about one: pages and growing tables drown it.
const ENOUGH: usize = 10_000;
/// What a start leaves to be done happens in this time.
const SETTLED: Duration = Duration::from_millis(500);
/// Connections that bring grants to memory.
const CONNECTIONS: usize = 32;

/// One server's.
#[derive(Clone, Debug, Serialize)]
pub struct Footprint {
    /// Which start this was.
    pub start: &'static str,
    /// Grants on disk.
    pub grants: usize,
    /// Milliseconds from its start to the first 200 of `/readyz`.
    pub ready_after_ms: f64,
    /// Resident bytes before the first request.
    pub resident_idle: Option<u64>,
    /// Grants brought to memory.
    pub touched: usize,
    /// Resident bytes after that.
    pub resident_touched: Option<u64>,
    /// What one more grant of a person takes who is in memory already.
    pub bytes_per_grant: Option<f64>,
    /// What a grant takes with its share of person, consent and session.
    pub bytes_with_people: Option<f64>,
}

impl Footprint {
    fn of_a_start(start: &'static str, opalid: &Opalid, grants: usize) -> Self {
        clock::pause(SETTLED);
        Self {
            start,
            grants,
            ready_after_ms: opalid.ready_after.as_secs_f64() * 1_000.0,
            resident_idle: opalid.resident(),
            touched: 0,
            resident_touched: None,
            bytes_per_grant: None,
            bytes_with_people: None,
        }
    }

    /// Brings first those grants to memory that bring all people, consents and sessions with them, then the others.
    fn touch(&mut self, stage: &Stage) -> Result<()> {
        touch(stage, Which::WithoutOpenId)?;
        let people = stage.opalid.resident();
        touch(stage, Which::WithOpenId)?;
        self.resident_touched = stage.opalid.resident();
        let more = stage.tokens(Which::WithOpenId)?.len();
        self.touched = stage.tokens(Which::WithoutOpenId)?.len() + more;
        if self.touched >= ENOUGH {
            self.bytes_per_grant = apiece(people, self.resident_touched, more);
            self.bytes_with_people = apiece(self.resident_idle, self.resident_touched, self.touched);
        }
        Ok(())
    }
}

/// Starts a server on nothing, and again on what it made.
pub fn of_an_empty_one(ground: &Ground) -> Result<Vec<Footprint>> {
    let place = ground.place(false)?;
    let start = |which| Ok(Footprint::of_a_start(which, &Opalid::start(&place)?, 0));
    ["first", "second"].into_iter().map(start).collect()
}

/// Fills a store, starts a server on it, and has every grant of the sample checked once.
pub fn of_a_filled_one(ground: &Ground, plan: &Plan, grants: usize) -> Result<(Stage, Footprint)> {
    let place = ground.place(true)?;
    let began_at = clock::now();
    let seeded = seed::fill(&place, grants).with_context(|| format!("{grants} grants"))?;
    eprintln!("{grants} grants were filled in in {:.1} s", (clock::now() - began_at).as_secs_f64());
    let opalid = Opalid::start(&place)?;
    let mut print = Footprint::of_a_start("on a filled store", &opalid, grants);
    let stage = Stage::new(opalid, seeded, plan);
    print.touch(&stage)?;
    Ok((stage, print))
}

fn apiece(before: Option<u64>, after: Option<u64>, count: usize) -> Option<f64> {
    before.zip(after).map(|(before, after)| after.saturating_sub(before) as f64 / count as f64)
}

/// Has each of these tokens introspected once: from now on they are warm.
fn touch(stage: &Stage, which: Which) -> Result<()> {
    let mut traffic = introspection::traffic(stage, which, true)?;
    let sample = load::run(stage.opalid.address, Shape::exhaustive(CONNECTIONS), &mut traffic)?;
    eprintln!("{} cold introspections: {:.0}/s", sample.answers, sample.per_second);
    Ok(())
}
