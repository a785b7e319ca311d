//! The data folder: who may put things into it rules the server.
//!
//! Holds: it is made for this user alone; one that others may write to, or that is another user's, is refused.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::process::geteuid;

/// Makes the folder if it is not there; refuses one that is not safe.
pub fn make(data: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot make the data folder {}", data.display());
    DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(cannot)?;
    refuse_unsafe(data)
}

/// Refuses a folder into which somebody else may put a database, a master key or a command socket of their own.
/// One that is not there is safe.
pub fn refuse_unsafe(data: &Path) -> anyhow::Result<()> {
    let folder = data.display();
    if !data.exists() {
        return Ok(());
    }
    let found = fs::metadata(data).with_context(|| format!("cannot look at the data folder {folder}"))?;
    let (owner, us) = (found.uid(), geteuid().as_raw());
    if owner != us && owner != 0 {
        bail!(
            "the data folder {folder} belongs to user {owner}, and this is user {us}; run it as that user, or take the \
             folder over: chown -R {us} {folder}"
        );
    }
    if found.mode() & 0o022 != 0 {
        bail!(
            "others may write to the data folder {folder} (mode {:04o}), and so put a database, a master key or a \
             command socket of their own there; close it: chmod 700 {folder}",
            found.mode() & 0o7777
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        // Only root can give a folder away.
        if chown(&data, Some(65_534), None).is_ok() {
            let refused = make(&data).unwrap_err().to_string();
            assert!(refused.contains("belongs to user 65534") && refused.contains("chown -R 0 "), "{refused}");
        }
        fs::remove_dir_all(&data).unwrap();
        assert!(refuse_unsafe(&data).is_ok());
    }
}
