//! The keys of the one workspace, opened with the master key of the data folder.

use super::tables::{Cell, Row, Tables};
use anyhow::{Context, Result, anyhow, bail};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use opalid_core::ids::WorkspaceId;
use opalid_core::token::Sealer;
use opalid_core::wrap::MasterKey;
use std::path::Path;

/// What seals tokens.
pub struct Keys {
    /// Access tokens.
    pub sealing: Sealer,
    /// The secrets of rows: refresh tokens.
    pub row: Sealer,
}

impl Keys {
    /// Opens the current ones.
    pub fn open(tables: &mut dyn Tables, data: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(data.join("master.key"))?;
        let master = MasterKey::from_text(text.trim_end())?;
        let workspace = tables.one("SELECT root_workspace FROM cell", None)?.id("root_workspace")?;
        let mut sealer = |purpose: &str| {
            let sql = format!(
                "SELECT number, wrapped FROM workspace_key
                 WHERE workspace = $1 AND state = 'current' AND purpose = '{purpose}'"
            );
            let row = tables.one(&sql, Some(&workspace))?;
            open(&master, WorkspaceId::from_bytes(workspace), purpose, &row)
        };
        Ok(Self { sealing: sealer("sealing")?, row: sealer("row")? })
    }
}

fn open(master: &MasterKey, workspace: WorkspaceId, purpose: &str, row: &Row) -> Result<Sealer> {
    let number = match row.cells.get(row.at("number")?) {
        Some(Cell::Int(number)) => u8::try_from(*number)?,
        other => bail!("the number of a key: {other:?}"),
    };
    let label = format!("{workspace}/{purpose}/{number}");
    let key = master.unwrap(&label, row.blob("wrapped")?).map_err(|_| anyhow!("{label} does not open"))?;
    Sealer::new(workspace, (number, &key), &[]).context("a sealing key")
}

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("no randomness"))?;
    Ok(bytes)
}
