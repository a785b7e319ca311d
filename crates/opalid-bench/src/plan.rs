//! What is run, and how large.

use crate::LoadShape;
use crate::load::Shape;
use crate::reference::Reference;
use crate::report::Setting;
use crate::scenario::Name;
use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The sizes of the table in the README.
const ALL_SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
/// One more, which takes a long time to fill.
const LONG_SIZE: usize = 10_000_000;
/// Enough for every scenario to make some requests.
const QUICK: LoadShape = LoadShape { connections: 8, seconds: 0.1, warm_up: 0.0 };

/// What is asked for.
#[derive(Args)]
pub struct Options {
    /// The program; without it only the references and floors are measured
    #[arg(long)]
    pub opalid: Option<PathBuf>,
    /// Everything: 1,000, 100,000 and 1,000,000 grants, every scenario
    #[arg(long)]
    all: bool,
    /// 10,000,000 grants too
    #[arg(long)]
    long: bool,
    /// Everything in little, to see whether it still works; the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Grants in the store, and entries of the references (may be repeated)
    #[arg(long, default_values_t = [1_000])]
    grants: Vec<usize>,
    /// The most grants whose tokens are used, in a store that has more
    #[arg(long, default_value_t = 1_000_000)]
    sample: usize,
    /// Rounds
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    shape: LoadShape,
    /// Only these scenarios (may be repeated); else all
    #[arg(long, value_enum)]
    only: Vec<Name>,
    /// Only these references (may be repeated); else all
    #[arg(long, value_enum)]
    beside: Vec<Reference>,
    /// Tokens or codes made before each round of a scenario that uses each once
    #[arg(long, default_value_t = 20_000)]
    single_use: usize,
    /// Opalid and the floors on PostgreSQL: a server (`postgres://…`) in which databases are made and removed; else on
    /// SQLite
    #[arg(long)]
    pub postgres: Option<String>,
    /// Connections of PostgreSQL's floors
    #[arg(long, default_value_t = 8)]
    pub floor_pool: usize,
    /// A folder for data, on the disk to measure
    #[arg(long, default_value = "target/opalid-bench")]
    pub data: PathBuf,
    /// The core of the server under test
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// The core of the load
    #[arg(long, default_value_t = 1)]
    pub load_cpu: usize,
    /// Bind nothing to a core
    #[arg(long)]
    unpinned: bool,
}

/// What is run.
pub struct Plan {
    /// Grants in the stores, from the fewest to the most.
    pub grants: Vec<usize>,
    /// The most grants whose tokens are used.
    pub sample: usize,
    /// Which scenarios.
    pub names: Vec<Name>,
    /// How the load is applied.
    pub shape: Shape,
    /// Tokens or codes of a round that uses each once.
    pub single_use: usize,
    /// The core of servers.
    pub pin: Option<usize>,
    /// What the report says of all this.
    pub setting: Setting,
    beside: Vec<Reference>,
}

impl Plan {
    /// What the options come to.
    pub fn of(options: &Options) -> Result<Self> {
        let Options { rounds, sample, single_use, .. } = *options;
        let mut grants = if options.all { ALL_SIZES.to_vec() } else { options.grants.clone() };
        grants.extend(options.long.then_some(LONG_SIZE));
        let names = if options.only.is_empty() { Name::value_variants().to_vec() } else { options.only.clone() };
        let beside = if options.beside.is_empty() { Reference::ALL.to_vec() } else { options.beside.clone() };
        let pin = (!options.unpinned && !options.quick).then_some(options.server_cpu);
        let mut plan = Self {
            grants,
            sample,
            names,
            shape: options.shape.shape()?,
            single_use,
            pin,
            setting: Setting::of(rounds, options.shape, pin.is_some(), options.postgres.is_some()),
            beside,
        };
        if options.quick {
            plan.shrink()?;
        }
        plan.grants.sort_unstable();
        plan.grants.dedup();
        ensure!(rounds > 0 && plan.shape.connections > 0, "nothing to measure");
        Ok(plan)
    }

    fn shrink(&mut self) -> Result<()> {
        self.grants = vec![100, 300];
        self.single_use = 200;
        self.setting = Setting::of(1, QUICK, false, self.setting.postgres);
        self.shape = QUICK.shape()?;
        Ok(())
    }

    /// The references, each with how many tokens it knows: as many as the smallest store has grants; the honest ones
    /// are there again with as many as the largest has, for their maps grow too.
    pub fn references(&self) -> impl Iterator<Item = (Reference, usize)> {
        let fewest = self.grants.first().copied().unwrap_or_default();
        let most = self.grants.last().map_or(0, |most| self.sample.min(*most));
        let again = self.beside.iter().filter(move |reference| reference.is_honest() && most > fewest);
        self.beside.iter().map(move |reference| (*reference, fewest)).chain(again.map(move |again| (*again, most)))
    }
}
