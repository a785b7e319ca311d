//! The commands.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::http::listen::ListenAddress;
use crate::serve;
use crate::start::{Starting, start};

/// OAuth 2.x authorization server and OpenID Connect provider.
#[derive(Debug, Parser)]
#[command(name = "opalid", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve {
        /// Seed a demo workspace with users alice and bob; loopback only.
        #[arg(long)]
        demo: bool,
        /// The data folder: master key, command socket, the SQLite file.
        #[arg(long, default_value = "opalid-data")]
        data: PathBuf,
        /// Where to listen.
        #[arg(long, default_value = "localhost:8080")]
        listen: Vec<ListenAddress>,
        /// The issuer URL of the root workspace.
        #[arg(long, default_value = "http://localhost:8080")]
        issuer: String,
    },
}

/// Runs the command that was given.
pub fn main() -> anyhow::Result<()> {
    let Command::Serve { demo, data, listen, issuer } = Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async move {
        let on_fatal = Arc::new(|why: &str| {
            eprintln!("opalid: {why}");
            std::process::exit(70);
        });
        let app = start(Starting { data, location: None, issuer, clock: Clock::System, demo, on_fatal }).await?;
        serve::run(app, &listen).await
    })
}
