//! `opalid restore`: a store is put back from a copy, with nobody on it.
//!
//! Holds: nothing that was revoked since the copy was made lives again; an existing store is not touched.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use opalid_core::wrap::MasterKey;
use opalid_store::Location;

use super::output::{plain, write};
use super::progress::Progress;
use crate::config::{Database, Secret, Settings, StoreFlags, mistaken};
use crate::restore::{Restoring, put_back};

/// Puts a store back from a copy: everyone signs in again, and nothing that was revoked lives again.
#[derive(Debug, Args)]
pub struct RestoreCommand {
    /// The copy to make the store of (SQLite). With --database: none; it says that pg_restore is done
    file: Option<PathBuf>,
    #[command(flatten)]
    flags: StoreFlags,
}

impl RestoreCommand {
    /// Does it.
    pub fn run(self) -> anyhow::Result<()> {
        rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
        let kept = Settings::new(self.flags.0.sources(false)?).kept().map_err(mistaken)?;
        let location = match (&kept.database, &self.file) {
            (Database::Sqlite, Some(_)) => None,
            (Database::Sqlite, None) => bail!("which copy? opalid restore FILE --data DIR"),
            (Database::Postgres(url), None) => {
                Some(Location::postgres(url, kept.database_password.as_ref().map(Secret::expose))?)
            }
            (Database::Postgres(_), Some(file)) => bail!(
                "a PostgreSQL database is put back by pg_restore; run that first, then opalid restore without {}",
                file.display()
            ),
        };
        let master_key = kept.master_key.map(|secret| MasterKey::from_text(secret.expose().trim_end()));
        let master_key = master_key.transpose().context("master_key")?;
        let restoring = Restoring { data: kept.data, location, master_key, file: self.file };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
        let mut progress = Progress::new("copied");
        let said = runtime.block_on(put_back(restoring, &mut |at| progress.part(at.done, at.total)));
        progress.end();
        let said = said?;
        write(&format!("{}\n", said.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")))
    }
}
