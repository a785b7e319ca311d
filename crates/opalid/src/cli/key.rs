//! `opalid key`.

use std::fs::File;
use std::io::{Read, Write, stderr, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::output::{Output, Table};
use super::reach::{Reaching, Server};
use crate::config::{command, process_environment};
use crate::manage::keys::KeyRow;
use crate::manage::{Command, Handed, Page};
use crate::master_key::others_read;

/// The longest key file that is read.
const LONGEST: u64 = 64 * 1024;

/// What can be asked about keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Lists the keys of a workspace: which are in use, which follow, which are kept and why.
    List,
    /// Puts other keys in use; what was made under the ones before stays good.
    Rotate {
        /// Those of one purpose: signing, sealing, row, refresh or page [default: all]
        #[arg(long)]
        purpose: Option<String>,
        /// The signing keys of one algorithm, such as RS256
        #[arg(long, value_name = "ALGORITHM")]
        alg: Option<String>,
        /// Also a signing key that clients may not know yet
        #[arg(long)]
        now: bool,
    },
    /// Takes a key away that is not to be trusted any more, and with it what it made.
    Revoke {
        /// Its name, from: opalid key list; after -- where it begins like an option
        #[arg(allow_hyphen_values = true)]
        key: String,
        /// Kill what the key sealed or signed
        #[arg(long)]
        yes: bool,
    },
    /// Takes a signing key from a file, to follow the one in use.
    Import {
        /// An unencrypted PKCS#8 key in PEM; - reads standard input
        file: PathBuf,
        /// What it signs with, where the key does not tell
        #[arg(long, value_name = "ALGORITHM")]
        alg: Option<String>,
    },
    /// Wraps all keys of all workspaces under a new master key, while the server runs.
    RotateMaster(NewMasterKey),
}

/// Where the new master key is.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct NewMasterKey {
    /// The new key is in this file; - reads standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The new key is in this variable
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// The new key is what this program writes to its standard output; it is run without a shell, and all that follow
    /// are its arguments
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true)]
    command: Option<Vec<String>>,
}

impl NewMasterKey {
    /// Reads it; `None` where the server is to make one.
    fn read(self) -> anyhow::Result<Option<Handed>> {
        if let Some(path) = self.file {
            if let Some(why) = others_read(&path) {
                // Some places give out secrets no other way: it is said, and done.
                writeln!(stderr(), "But: {why}")?;
            }
            return read(&path).map(Some);
        }
        if let Some(name) = self.env {
            let text = process_environment().remove(&name);
            let text = text.with_context(|| format!("the variable {name} is not set"))?;
            return Ok(Some(Handed::new(text)));
        }
        let Some(words) = self.command else { return Ok(None) };
        let said = command::output(&words).map_err(anyhow::Error::msg)?;
        Ok(Some(Handed::new(said.to_string())))
    }
}

/// What a file holds, or standard input.
fn read(path: &Path) -> anyhow::Result<Handed> {
    let cannot = || format!("cannot read {}", path.display());
    let mut text = Zeroizing::new(String::new());
    let length = if path == Path::new("-") {
        stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    if length.with_context(cannot)? as u64 == LONGEST {
        bail!("{} is too long to hold a key", path.display());
    }
    Ok(Handed::new(std::mem::take(&mut *text)))
}

impl Reaching for KeyCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(match self {
            Self::List => Command::ListKeys {},
            Self::Rotate { purpose, alg, now } => Command::RotateKeys { purpose, algorithm: alg, now },
            Self::Revoke { key, yes } => Command::RevokeKey { key, yes },
            Self::Import { file, alg } => Command::ImportKey { key: read(&file)?, algorithm: alg },
            Self::RotateMaster(new) => {
                server.no_workspace("the master key is that of all workspaces")?;
                Command::RotateMasterKey { key: new.read()? }
            }
        })
    }
}

pub(super) fn table(page: &Page<KeyRow>, output: &Output) -> String {
    let mut table = Table::new(["KEY", "FOR", "STATE", "SINCE", "UNTIL", "WHY"]);
    for row in &page.rows {
        let purpose =
            row.algorithm.as_ref().map_or_else(|| row.purpose.clone(), |alg| format!("{} {alg}", row.purpose));
        let until = row.until.map_or_else(String::new, |until| output.time(until));
        table.row([row.name.clone(), purpose, row.state.clone(), output.time(row.since), until, row.why.clone()]);
    }
    table.page(page.next.as_deref())
}
