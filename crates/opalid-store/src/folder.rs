//! Who may put things into a folder: whoever may, rules what is read or written there by its path.
//!
//! Holds: a folder of another user, or one that others may write to, is not safe; root's is. Nor is one below a folder
//! that everybody may write to: who may rename it away may put another in its place. Whose those above are, and which
//! groups may write to them, whoever gave them out has decided.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

/// What a folder is for: how it is spoken of, and what may be forgiven.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// What it is called.
    pub name: &'static str,
    /// What others could do there.
    pub harm: &'static str,
    /// Whether it will do that others write to it, if it is sticky: they may add files there, and neither remove
    /// nor rename ours.
    pub sticky_will_do: bool,
}

/// A path as a shell takes it, for commands that are advised.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,".contains(&byte) || !byte.is_ascii();
    if !text.is_empty() && text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Why a folder is not safe, with what to do about it; `None` if it is.
pub fn why_unsafe(path: &Path, of: Use) -> io::Result<Option<String>> {
    let found = fs::metadata(path)?;
    let (name, folder, mode) = (of.name, path.display(), found.mode() & 0o7777);
    let (owner, us) = (found.uid(), geteuid().as_raw());
    if owner != us && owner != 0 {
        return Ok(Some(format!(
            "{name} {folder} belongs to user {owner}, and this is user {us}; run it as that user, or take the folder \
             over: chown -R {us} {}",
            quoted(path)
        )));
    }
    if mode & 0o022 != 0 && !(of.sticky_will_do && mode & 0o1000 != 0) {
        let harm = of.harm;
        return Ok(Some(format!(
            "others may write to {name} {folder} (mode {mode:04o}), and so {harm}; close it: chmod 700 {}",
            quoted(path)
        )));
    }
    for above in path.canonicalize()?.ancestors().skip(1) {
        let mode = fs::metadata(above)?.mode() & 0o7777;
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Ok(Some(format!(
                "everybody may write to {} (mode {mode:04o}), above {name} {folder}, and so put another folder in its \
                 place; close it: chmod o-w {}",
                above.display(),
                quoted(above)
            )));
        }
    }
    Ok(None)
}
