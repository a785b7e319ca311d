//! The runner: Opalid and what it is measured beside, in turns.
//!
//! Machines are noisy and drift, so each round measures everyone once (A B C, A B C, …) and what counts is the
//! ratio within a round. The servers stay up for the whole run; only one of them is asked at a time.

use crate::child::Child;
use crate::floor;
use crate::load::{self, Shape};
use crate::opalid::{self, Opalid};
use crate::reference::{self, LISTENING, Reference, tokens};
use crate::report::{Report, Row, Setting};
use crate::scenario::{Beside, GrantsBy, Name, Scenario, Sizes, Stage};
use crate::stats::Sample;
use crate::traffic::Tokens;
use crate::{LoadShape, cpu};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

/// What is run, and how large.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    opalid: opalid::Subject,
    /// Tokens of the read paths, and entries of the references
    #[arg(long, default_value_t = 1_000)]
    grants: usize,
    /// Where those tokens come from
    #[arg(long, value_enum, default_value = "client-credentials")]
    grants_by: GrantsBy,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    shape: LoadShape,
    /// Only these scenarios (may be repeated); else all that the given clients allow
    #[arg(long, value_enum)]
    only: Vec<Name>,
    /// Only these references (may be repeated); else all
    #[arg(long, value_enum)]
    beside: Vec<Reference>,
    /// Tokens or codes made before each round of a scenario that uses each once. More than 100,000 revoked tokens of
    /// one machine client are no longer a row each, so rounds times this stays below
    #[arg(long, default_value_t = 15_000)]
    single_use: usize,
    /// Also measure PostgreSQL's floor, here
    #[arg(long)]
    floor_postgres: Option<String>,
    /// Connections of that floor
    #[arg(long, default_value_t = 8)]
    floor_pool: usize,
    /// A folder for data, on the disk to measure
    #[arg(long, default_value = "target/opalid-bench")]
    data: PathBuf,
    /// The core of the server under test
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// The core of the load
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Bind nothing to a core
    #[arg(long)]
    unpinned: bool,
}

impl Options {
    fn pin(&self) -> Option<usize> {
        (!self.unpinned).then_some(self.server_cpu)
    }

    fn names(&self) -> Vec<Name> {
        let people = self.opalid.code_client.is_some();
        let able = |name: &Name| people || !matches!(name, Name::Userinfo | Name::Refresh | Name::CodeExchange);
        let all = Name::value_variants().iter().copied().filter(able).collect();
        if self.only.is_empty() { all } else { self.only.clone() }
    }

    fn sizes(&self) -> Sizes {
        let (grants, grants_by) = (self.grants, self.grants_by);
        Sizes { grants, grants_by, connections: self.shape.connections, single_use: self.single_use }
    }

    fn setting(&self) -> Setting {
        Setting {
            grants: self.grants,
            grants_by: self.grants_by,
            rounds: self.rounds,
            connections: self.shape.connections,
            seconds: self.shape.seconds,
            warm_up: self.shape.warm_up,
            pinned: !self.unpinned,
        }
    }
}

/// Runs everything and prints the report.
pub fn run(options: &Options) -> Result<()> {
    ensure!(options.rounds > 0 && options.grants > 0 && options.shape.connections > 0, "nothing to measure");
    if !options.unpinned {
        cpu::pin(options.load_cpu).context("try --unpinned")?;
    }
    let bench = Bench::start(options)?;
    let mut rows = Vec::new();
    for name in options.names() {
        rows.extend(bench.measure(name).with_context(|| name.text())?);
    }
    let standing = bench.stage.as_ref().map(|stage| stage.opalid.standing());
    let report = Report { setting: options.setting(), standing, rows };
    println!("{}", report.markdown());
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Everyone who takes part.
struct Bench<'a> {
    options: &'a Options,
    shape: Shape,
    stage: Option<Stage>,
    references: Vec<Running>,
    tokens: Rc<Tokens>,
}

/// A reference that runs.
struct Running {
    reference: Reference,
    address: SocketAddr,
    _child: Child,
}

/// One who takes a turn.
enum Contender<'a> {
    Opalid(&'a Stage, &'a dyn Scenario),
    Reference(&'a Running),
    FloorSqlite,
    FloorPostgres(&'a str),
}

impl Contender<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Opalid(..) => "opalid",
            Self::Reference(running) => running.reference.name(),
            Self::FloorSqlite => "floor-sqlite",
            Self::FloorPostgres(_) => "floor-postgres",
        }
    }
}

impl<'a> Bench<'a> {
    fn start(options: &'a Options) -> Result<Self> {
        let start = |program: &PathBuf| Opalid::start(&options.opalid, program, &options.data, options.pin());
        let opalid = options.opalid.opalid.as_ref().map(start).transpose()?;
        let stage = opalid.map(|opalid| Stage::new(opalid, options.sizes()));
        let wanted = |reference: &Reference| options.beside.is_empty() || options.beside.contains(reference);
        let references = Reference::ALL.into_iter().filter(wanted);
        let references = references.map(|reference| start_reference(reference, options)).collect::<Result<_>>()?;
        let tokens = Rc::new(tokens::tokens(options.grants)?);
        Ok(Self { options, shape: options.shape.shape()?, stage, references, tokens })
    }

    /// One scenario, all rounds: a row for everyone, Opalid's first.
    fn measure(&self, name: Name) -> Result<Vec<Row>> {
        let scenario = name.scenario();
        let contenders = self.contenders(&*scenario);
        let mut rounds = vec![Vec::with_capacity(self.options.rounds); contenders.len()];
        for round in 1..=self.options.rounds {
            for (contender, samples) in contenders.iter().zip(&mut rounds) {
                let sample = self.turn(contender).with_context(|| contender.name())?;
                let rate = sample.per_second;
                eprintln!("{} {round}/{} {}: {rate:.0}/s", name.text(), self.options.rounds, contender.name());
                samples.push(sample);
            }
        }
        let subject = self.stage.as_ref().and_then(|_| rounds.first().cloned());
        let rows = contenders.iter().zip(rounds);
        Ok(rows
            .map(|(contender, samples)| Row::of(&name.text(), contender.name(), samples, subject.as_deref()))
            .collect())
    }

    fn contenders<'b>(&'b self, scenario: &'b dyn Scenario) -> Vec<Contender<'b>> {
        let opalid = self.stage.as_ref().map(|stage| Contender::Opalid(stage, scenario));
        let mut contenders: Vec<_> = opalid.into_iter().collect();
        match scenario.beside() {
            Beside::References => contenders.extend(self.references.iter().map(Contender::Reference)),
            Beside::Floors => {
                contenders.push(Contender::FloorSqlite);
                contenders.extend(self.options.floor_postgres.as_deref().map(Contender::FloorPostgres));
            }
        }
        contenders
    }

    fn turn(&self, contender: &Contender<'_>) -> Result<Sample> {
        match contender {
            Contender::Opalid(stage, scenario) => {
                let mut traffic = scenario.traffic(stage).context("preparing")?;
                let sample = load::run(stage.opalid.address, self.shape, &mut *traffic)?;
                scenario.verify(stage)?;
                Ok(sample)
            }
            Contender::Reference(running) => {
                let mut traffic = reference::traffic(running.address, Rc::clone(&self.tokens))?;
                load::run(running.address, self.shape, &mut traffic)
            }
            Contender::FloorSqlite => floor::sqlite::run(&self.options.data, self.shape, self.options.pin()),
            Contender::FloorPostgres(url) => floor::postgres::run(url, self.shape, self.options.floor_pool),
        }
    }
}

fn start_reference(reference: Reference, options: &Options) -> Result<Running> {
    let mut program = Command::new(std::env::current_exe()?);
    program.args([reference.name(), "--entries", &options.grants.to_string()]);
    let mut child = Child::start(&program, options.pin())?;
    let address = child.line(LISTENING)?.parse()?;
    Ok(Running { reference, address, _child: child })
}
