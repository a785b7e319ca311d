//! Opalid's benches, over HTTP: reference servers, a load generator, group-commit floors, stores filled with people's
//! grants, and a runner that puts Opalid beside them round by round.
//!
//! See README.md for how to run it and what each reference does.

mod acquire;
mod child;
mod clock;
mod cpu;
mod floor;
mod footprint;
mod forms;
mod ground;
mod http;
mod load;
mod mirror;
mod opalid;
mod plan;
mod reference;
mod report;
mod run;
mod scenario;
mod seed;
mod stats;
mod traffic;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use load::Shape;
use reference::Reference;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// hyper, a constant answer
    HyperBare(Serve),
    /// axum, a constant answer
    AxumConstant(Serve),
    /// hyper, the honest work of an introspection
    HyperHonest(Serve),
    /// axum, the honest work of an introspection
    AxumHonest(Serve),
    /// Opalid beside the references and floors, round by round
    Run(Box<plan::Options>),
    /// Every form of an access token beside the opaque one
    Forms(forms::Options),
    /// A check from memory beside the verification of a signature
    Mirror(mirror::Options),
    /// Introspections of the references' tokens at a reference that already runs
    Load(Load),
    /// The group-commit floor behind HTTP
    FloorHttp(FloorHttp),
    /// The group-commit floor of SQLite
    FloorSqlite(FloorSqlite),
    /// The group-commit floor of PostgreSQL
    FloorPostgres(FloorPostgres),
}

#[derive(Args)]
struct Serve {
    /// Where to listen; port 0 takes a free one and prints it
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Tokens that the server knows
    #[arg(long, default_value_t = 1_000)]
    entries: usize,
}

/// How a load is applied.
#[derive(Args, Clone, Copy)]
pub struct LoadShape {
    /// Connections (or submitters), each with one request under way
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Seconds measured
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Seconds before that
    #[arg(long, default_value_t = 0.5)]
    pub warm_up: f64,
}

impl LoadShape {
    /// The same, in the load's own terms.
    pub fn shape(self) -> Result<Shape> {
        Ok(Shape {
            connections: self.connections,
            warm_up: Duration::try_from_secs_f64(self.warm_up)?,
            measured: Duration::try_from_secs_f64(self.seconds)?,
        })
    }
}

#[derive(Args)]
struct Load {
    /// The server's address
    address: SocketAddr,
    /// Tokens that the server knows
    #[arg(long, default_value_t = 1_000)]
    entries: usize,
    #[command(flatten)]
    shape: LoadShape,
}

#[derive(Args)]
struct FloorHttp {
    /// A folder on the disk to measure
    #[arg(long)]
    data: PathBuf,
    /// The database (`postgres://…`), if it is not SQLite: a schema `opalid_bench` is made there
    #[arg(long)]
    database: Option<String>,
    /// Connections to the database
    #[arg(long, default_value_t = 8)]
    pool: usize,
    #[command(flatten)]
    work: floor::Work,
}

#[derive(Args)]
struct FloorSqlite {
    /// A folder on the disk to measure
    #[arg(long, default_value = "target/opalid-bench")]
    data: PathBuf,
    #[command(flatten)]
    shape: LoadShape,
}

#[derive(Args)]
struct FloorPostgres {
    /// The database, in which a schema `opalid_bench` is made and removed
    url: String,
    /// Connections to the database
    #[arg(long, default_value_t = 8)]
    pool: usize,
    #[command(flatten)]
    shape: LoadShape,
}

fn main() -> ExitCode {
    match run_command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_command() -> Result<()> {
    match Cli::parse().command {
        Command::HyperBare(serve) => reference::serve(Reference::HyperBare, serve.listen, serve.entries),
        Command::AxumConstant(serve) => reference::serve(Reference::AxumConstant, serve.listen, serve.entries),
        Command::HyperHonest(serve) => reference::serve(Reference::HyperHonest, serve.listen, serve.entries),
        Command::AxumHonest(serve) => reference::serve(Reference::AxumHonest, serve.listen, serve.entries),
        Command::Run(options) => run::run(&options),
        Command::Forms(options) => forms::run(&options),
        Command::Mirror(options) => mirror::run(&options),
        Command::Load(load) => print(&load_reference(&load)?),
        Command::FloorHttp(FloorHttp { data, database, pool, work }) => {
            floor::http::serve(&floor::http::Place { data, database, pool, work })
        }
        Command::FloorSqlite(floor) => print(&floor::sqlite::run(&floor.data, floor.shape.shape()?, None)?),
        Command::FloorPostgres(floor) => print(&floor::postgres::run(&floor.url, floor.shape.shape()?, floor.pool)?),
    }
}

fn load_reference(load: &Load) -> Result<stats::Sample> {
    let mut traffic = reference::traffic(load.address, Rc::new(reference::tokens::tokens(load.entries)?))?;
    load::run(load.address, load.shape.shape()?, &mut traffic)
}

fn print(sample: &stats::Sample) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(sample)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_has_no_two_things_of_one_name() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_reference_is_run_by_a_subcommand_of_its_name() {
        for reference in Reference::ALL {
            assert!(Cli::try_parse_from(["opalid-bench", reference.name()]).is_ok(), "{}", reference.name());
        }
    }
}
