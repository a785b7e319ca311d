//! The commands: those that open the server, and those that reach a running one through its command socket.

mod output;
mod reach;
mod serve;
mod words;
mod workspace;

use clap::{Parser, Subcommand};

use crate::config::ConfigFlags;
use reach::Managing;

/// OAuth 2.x authorization server and OpenID Connect provider.
#[derive(Debug, Parser)]
#[command(name = "opalid", version)]
struct Cli {
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
        #[command(flatten)]
        flags: ConfigFlags,
    },
    /// Shows or checks the configuration.
    #[command(subcommand)]
    Config(serve::ConfigCommand),
    /// Workspaces: issuers with their own clients, users and keys.
    Workspace(Managing<workspace::WorkspaceCommand>),
}

/// Runs the command that was given.
pub fn main() -> anyhow::Result<()> {
    let done = match Cli::parse().command {
        Command::Serve { demo, flags } => serve::run(demo, flags),
        Command::Config(command) => command.run(),
        Command::Workspace(managing) => managing.run(),
    };
    done.or_else(forgive_closed_pipe)
}

/// Who pipes a list into `head` has seen enough.
fn forgive_closed_pipe(error: anyhow::Error) -> anyhow::Result<()> {
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(closed) { Ok(()) } else { Err(error) }
}
