//! The runner: Opalid and what it is measured beside, in turns.
//!
//! Machines are noisy and drift, so each round measures everyone once (A B C, A B C, …) and what counts is the
//! ratio within a round. The servers stay up for the whole run; only one of them is asked at a time.

use crate::child::Child;
use crate::floor::{self, Work};
use crate::footprint::{self, Footprint};
use crate::ground::Ground;
use crate::load::{self, Shape};
use crate::plan::{Options, Plan};
use crate::reference::{self, LISTENING, Reference, tokens};
use crate::report::{Contestant, Report, Row};
use crate::scenario::{Beside, Name, Scenario, Stage};
use crate::stats::Sample;
use crate::traffic::Tokens;
use crate::{clock, cpu};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::process::Command;
use std::rc::Rc;

/// Runs everything and prints the report.
pub fn run(options: &Options) -> Result<()> {
    let began_at = clock::now();
    let plan = Plan::of(options)?;
    if plan.pin.is_some() {
        cpu::pin(options.load_cpu).context("try --unpinned")?;
    }
    let ground = Ground::new(options, &plan)?;
    let bench = Bench::start(&plan, &ground)?;
    let mut rows = Vec::new();
    for name in &plan.names {
        rows.extend(bench.measure(*name).with_context(|| name.text())?);
    }
    let Bench { footprints, .. } = bench;
    let report = Report { setting: plan.setting, footprints, rows };
    println!("{}", report.markdown());
    println!("{}", serde_json::to_string(&report)?);
    eprintln!("all of it took {:.0} s", (clock::now() - began_at).as_secs_f64());
    Ok(())
}

/// Everyone who takes part.
struct Bench<'a> {
    plan: &'a Plan,
    ground: &'a Ground,
    shape: Shape,
    /// From the fewest grants to the most.
    stages: Vec<Stage>,
    footprints: Vec<Footprint>,
    references: Vec<Running>,
}

/// A reference that runs.
struct Running {
    reference: Reference,
    entries: usize,
    address: SocketAddr,
    tokens: Rc<Tokens>,
    _child: Child,
}

/// One who takes a turn.
enum Contender<'a> {
    Opalid(&'a Stage, &'a dyn Scenario),
    Reference(&'a Running),
    Floor,
    FloorWithHttp(floor::http::Running),
}

impl<'a> Bench<'a> {
    fn start(plan: &'a Plan, ground: &'a Ground) -> Result<Self> {
        let (mut stages, mut footprints) = (Vec::new(), Vec::new());
        if ground.has_opalid() {
            footprints.extend(footprint::of_an_empty_one(ground)?);
            for grants in &plan.grants {
                let (stage, print) = footprint::of_a_filled_one(ground, plan, *grants)?;
                stages.push(stage);
                footprints.push(print);
            }
        }
        let reads = plan.names.iter().any(|name| name.scenario().beside() == Beside::References);
        let mut references = Vec::new();
        for (reference, entries) in plan.references().filter(|_| reads) {
            references.push(start_reference(reference, entries, plan.pin)?);
        }
        Ok(Self { plan, ground, shape: plan.shape, stages, footprints, references })
    }

    /// One scenario, all rounds: a row for everyone, Opalid's first.
    fn measure(&self, name: Name) -> Result<Vec<Row>> {
        let scenario = name.scenario();
        let contenders = self.contenders(name, &*scenario)?;
        let mut rounds = vec![Vec::with_capacity(self.plan.setting.rounds); contenders.len()];
        for round in 1..=self.plan.setting.rounds {
            for (contender, samples) in contenders.iter().zip(&mut rounds) {
                let who = self.contestant(contender);
                let sample = self.turn(contender).with_context(|| who.to_string())?;
                eprintln!("{} {round}/{} {who}: {:.0}/s", name.text(), self.plan.setting.rounds, sample.per_second);
                samples.push(sample);
            }
        }
        let who = contenders.iter().map(|contender| self.contestant(contender));
        Ok(Row::beside_each_other(&name.text(), who.zip(rounds).collect()))
    }

    fn contestant(&self, contender: &Contender<'_>) -> Contestant {
        match contender {
            Contender::Opalid(stage, _) => Contestant::opalid(stage.seeded.grants),
            Contender::Reference(running) => Contestant::other(running.reference.name(), Some(running.entries)),
            Contender::Floor => Contestant::other(self.ground.floor_name(), None),
            Contender::FloorWithHttp(_) => Contestant::other(self.ground.floor_with_http_name(), None),
        }
    }

    fn contenders<'b>(&'b self, name: Name, scenario: &'b dyn Scenario) -> Result<Vec<Contender<'b>>> {
        let opalids = self.stages.iter().map(|stage| Contender::Opalid(stage, scenario));
        let mut contenders: Vec<_> = opalids.collect();
        match scenario.beside() {
            Beside::References => {
                // Only introspections look anything up; how that grows is shown once.
                let fewest = self.plan.grants.first().copied();
                let wanted = |running: &&Running| name == Name::Introspection || Some(running.entries) == fewest;
                contenders.extend(self.references.iter().filter(wanted).map(Contender::Reference));
            }
            Beside::Floors(work) => {
                contenders.push(Contender::Floor);
                contenders.push(self.floor_with_http(work)?);
            }
        }
        Ok(contenders)
    }

    fn floor_with_http(&self, work: Work) -> Result<Contender<'static>> {
        let place = self.ground.floor_with_http(work)?;
        Ok(Contender::FloorWithHttp(floor::http::Running::start(&place, self.plan.pin)?))
    }

    fn turn(&self, contender: &Contender<'_>) -> Result<Sample> {
        match contender {
            Contender::Opalid(stage, scenario) => {
                let mut traffic = scenario.traffic(stage).context("preparing")?;
                let sample = load::run(stage.opalid.address, self.shape, &mut *traffic)?;
                drop(traffic);
                scenario.verify(stage)?;
                Ok(sample)
            }
            Contender::Reference(running) => {
                let mut traffic = reference::traffic(running.address, Rc::clone(&running.tokens))?;
                load::run(running.address, self.shape, &mut traffic)
            }
            Contender::Floor => self.ground.measure_floor(self.shape),
            Contender::FloorWithHttp(running) => running.measure(self.shape),
        }
    }
}

fn start_reference(reference: Reference, entries: usize, pin: Option<usize>) -> Result<Running> {
    let mut program = Command::new(std::env::current_exe()?);
    program.args([reference.name(), "--entries", &entries.to_string()]);
    let mut child = Child::start(&program, pin)?;
    let address = child.line(LISTENING)?.parse()?;
    Ok(Running { reference, entries, address, tokens: Rc::new(tokens::tokens(entries)?), _child: child })
}
