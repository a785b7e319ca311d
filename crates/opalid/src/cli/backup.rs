//! `opalid backup`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::progress::Progress;
use super::reach::{Reaching, Server};
use crate::manage::{Command, Reply};

/// Copies the store of a running server to a file (SQLite); the master key is not in it.
#[derive(Debug, Args)]
pub struct BackupCommand {
    /// The file to make; it must not exist, and the server must be allowed to write there
    file: PathBuf,
}

impl Reaching for BackupCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.no_workspace("a copy holds all workspaces")?;
        let file = std::path::absolute(&self.file).context("cannot tell where that file lies")?;
        let mut said = Progress::new("copied");
        for reply in server.stream_in(None, Command::Backup { file })? {
            match reply? {
                Reply::Copied { done, total } => said.part(done, total),
                reply => {
                    said.end();
                    return server.output.print(&reply);
                }
            }
        }
        bail!("the server stopped before the copy was whole; nothing was made")
    }
}
