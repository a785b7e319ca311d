//! `opalid backup`.

use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

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
        let file = std::path::absolute(&self.file).context("cannot tell where that file lies")?;
        let mut said = Progress::default();
        for reply in server.stream_in(None, Command::Backup { file })? {
            match reply? {
                Reply::Copied { done, total } => said.say(done, total),
                reply => {
                    said.end();
                    return server.output.print(&reply);
                }
            }
        }
        bail!("the server stopped before the copy was whole; nothing was made")
    }
}

/// How far it is: on a terminal one line that changes, elsewhere a line for each tenth.
#[derive(Default)]
struct Progress {
    tenth: u64,
}

impl Progress {
    fn say(&mut self, done: u64, total: u64) {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        let mut to = stderr();
        if to.is_terminal() {
            drop(write!(to, "\r{percent:3} % copied"));
        } else if percent / 10 > self.tenth {
            drop(writeln!(to, "{percent} % copied"));
        }
        self.tenth = percent / 10;
    }

    fn end(&self) {
        if self.tenth > 0 && stderr().is_terminal() {
            drop(writeln!(stderr()));
        }
    }
}
