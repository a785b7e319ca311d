//! The data folder: who may put things into it rules the server.
//!
//! Holds: it is made for this user alone; one that others may write to, or that is another user's, is refused.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, bail};
use opalid_store::folder::{Use, quoted, why_unsafe};
use rustix::fs::{Access, access};
use rustix::process::geteuid;

const DATA_FOLDER: Use = Use {
    name: "the data folder",
    harm: "put a database, a master key or a command socket of their own there",
    sticky_will_do: false,
};

/// Makes the folder if it is not there; refuses one that is not safe.
pub fn make(data: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot make the data folder {}", data.display());
    DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(cannot)?;
    refuse_unsafe(data)
}

/// What the server reads and writes there.
const FILES: [&str; 5] = ["master.key", "opalid.db", "opalid.db-wal", "opalid.db-shm", "opalid.lock"];

/// Refuses files that this user may not open: those of another, who started the server before.
fn refuse_files_of_others(data: &Path) -> anyhow::Result<()> {
    for path in FILES.map(|name| data.join(name)) {
        let Ok(found) = std::fs::metadata(&path) else { continue };
        let needed = if path.ends_with("master.key") { Access::READ_OK } else { Access::READ_OK | Access::WRITE_OK };
        if access(&path, needed).is_err() {
            let (owner, us, data) = (found.uid(), geteuid().as_raw(), quoted(data));
            bail!(
                "this is user {us}, and may not open {}, which belongs to user {owner}; start it as that user, or give \
                 the folder to this one: chown -R {us} {data}",
                path.display()
            );
        }
    }
    Ok(())
}

/// Refuses a folder into which somebody else may put a database, a master key or a command socket of their own.
/// One that is not there is safe.
pub fn refuse_unsafe(data: &Path) -> anyhow::Result<()> {
    if !data.exists() {
        return Ok(());
    }
    let cannot = || format!("cannot look at the data folder {}", data.display());
    match why_unsafe(data, DATA_FOLDER).with_context(cannot)? {
        Some(why) => bail!(why),
        None => refuse_files_of_others(data),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;
    use crate::manage::tests::folder;

    #[test]
    fn a_folder_that_others_may_write_to_or_own_is_refused() {
        let data = folder();
        make(&data).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o7777, 0o700);
        for (mode, safe) in [(0o700, true), (0o755, true), (0o770, false), (0o702, false), (0o1777, false)] {
            fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
            let said = make(&data).map_err(|refused| refused.to_string());
            assert_eq!(said.is_ok(), safe, "{mode:o}: {said:?}");
            let says = |why: String| why.contains(&format!("(mode {mode:04o})")) && why.contains("chmod 700 ");
            assert!(said.err().is_none_or(says));
        }
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        let below = data.join("below");
        for (mode, safe) in [(0o700, true), (0o775, true), (0o777, false), (0o1777, true)] {
            fs::create_dir_all(&below).unwrap();
            fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
            let said = make(&below).map_err(|refused| refused.to_string());
            assert_eq!(said.is_ok(), safe, "{mode:o}: {said:?}");
            assert!(said.err().is_none_or(|why| why.contains("chmod o-w ")));
        }
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        // Only root can give a folder away.
        if chown(&data, Some(65_534), None).is_ok() {
            let refused = make(&data).unwrap_err().to_string();
            assert!(refused.contains("belongs to user 65534") && refused.contains("chown -R 0 "), "{refused}");
        }
        fs::remove_dir_all(&data).unwrap();
        assert!(refuse_unsafe(&data).is_ok());
    }
}
