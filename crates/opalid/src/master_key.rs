//! The master key of a running server, and the file that it lies in.
//!
//! Takes: the key a start was given, or the data folder. Gives: what wraps and opens the keys of workspaces.
//! Holds: while the master key is rotated, keys open under the old one and the new one, so that no request finds a key
//! that does not; new keys are wrapped by the one that the store is under, which the store looks at itself. A file is
//! replaced so that at every moment one of two names leads to the key that the store is under.
//! Not here: how every key in the store is wrapped anew; see `keys::rewrap`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, bail};
use opalid_core::wrap::{CannotWrap, MasterKey, WrongKey};
use opalid_store::folder::quoted;
use opalid_store::steps::cell::Cell;
use zeroize::Zeroizing;

use crate::random;

/// The master key's name in the data folder.
pub const MASTER_KEY: &str = "master.key";
/// The name of one that is about to take its place.
const INCOMING: &str = "master.key.new";
/// How the names of those begin that were in use before.
const FORMER: &str = "master.key.until-";
/// What the check value of a master key says, wrapped.
const KEY_CHECK: &str = "cell/key-check";

/// A master key, and what a cell under it says of it.
pub struct CheckedKey {
    key: MasterKey,
    check: Vec<u8>,
}

impl CheckedKey {
    /// With a check value of its own, for a cell that is to be under it.
    pub fn new(key: MasterKey) -> Result<Self, CannotWrap> {
        let check = key.wrap(KEY_CHECK, random::bytes(), b"opalid")?;
        Ok(Self { key, check })
    }

    /// The same key with another check value.
    pub(crate) fn with_other_check(&self) -> Result<Self, CannotWrap> {
        Self::new(self.key.clone())
    }

    /// The key that this cell is under; `None` for another.
    pub fn of(key: MasterKey, cell: &Cell) -> Option<Self> {
        opens(&key, cell).then(|| Self { key, check: cell.key_check.clone() })
    }

    /// The key.
    pub fn key(&self) -> &MasterKey {
        &self.key
    }

    /// What the cell says of it.
    pub fn check(&self) -> &[u8] {
        &self.check
    }
}

/// Whether a store was made under this master key.
pub fn opens(master: &MasterKey, cell: &Cell) -> bool {
    master.unwrap(KEY_CHECK, &cell.key_check).is_ok()
}

/// The master keys that a server knows.
pub struct MasterKeys {
    known: RwLock<Known>,
    /// One rotation at a time; and the one that was begun, until the store has said what became of it.
    pub(crate) rotating: tokio::sync::Mutex<Option<Begun>>,
}

#[derive(Clone)]
struct Known {
    current: Arc<CheckedKey>,
    other: Option<Arc<CheckedKey>>,
}

impl MasterKeys {
    /// Of a start.
    pub fn new(key: CheckedKey) -> Self {
        let known = Known { current: Arc::new(key), other: None };
        Self { known: RwLock::new(known), rotating: tokio::sync::Mutex::new(None) }
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The one that wraps.
    pub fn current(&self) -> Arc<CheckedKey> {
        self.known().current
    }

    /// What one of them wrapped under this label.
    pub fn unwrap(&self, label: &str, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, WrongKey> {
        let Known { current, other } = self.known();
        let opened = current.key.unwrap(label, wrapped);
        opened.or_else(|wrong| other.ok_or(wrong)?.key.unwrap(label, wrapped))
    }

    /// Opens under this one too, from now on; under what was in use before the last rotation no more.
    pub(crate) fn expect(&self, incoming: Arc<CheckedKey>) {
        self.know(Known { other: Some(incoming), ..self.known() });
    }

    /// Wraps with this one, which was expected. The one before goes on opening: somebody may just have read a key that it
    /// wrapped.
    pub(crate) fn advance(&self, to: &Arc<CheckedKey>) {
        let Known { current, .. } = self.known();
        if current.check != to.check {
            self.know(Known { current: Arc::clone(to), other: Some(current) });
        }
    }

    /// Wraps with the one that this cell is under: what was expected, if a commit that was not answered had been made; or
    /// the one in use, of which the cell says something else now. What is expected goes on being so.
    pub(crate) fn agree_with(&self, cell: &Cell) {
        let Known { current, other } = self.known();
        if current.check == cell.key_check {
            return;
        }
        match other {
            Some(other) if other.check == cell.key_check => self.advance(&other),
            other => {
                if let Some(current) = CheckedKey::of(current.key.clone(), cell) {
                    self.know(Known { current: Arc::new(current), other });
                }
            }
        }
    }

    /// Goes on with this one, and expects nothing any more.
    pub(crate) fn stay(&self, with: &Arc<CheckedKey>) {
        self.know(Known { current: Arc::clone(with), other: None });
    }
}

/// A rotation that was begun. Until the store has said what became of it, nothing of it is thrown away.
pub(crate) struct Begun {
    /// The key that the store was under.
    pub former: Arc<CheckedKey>,
    /// The same, with what the store says of it if it stays.
    pub staying: Arc<CheckedKey>,
    /// The key that it is to be under.
    pub incoming: Arc<CheckedKey>,
    /// The file that is replaced, where the key lies in the data folder.
    pub replacing: Option<Replacing>,
    /// What the former key's file is called after.
    pub when: String,
    /// How many keys are wrapped anew.
    pub keys: usize,
}

/// Where the master key lies, for people.
pub fn place(data: &Path, from: Option<&str>) -> String {
    let file = data.join(MASTER_KEY);
    let file = std::path::absolute(&file).unwrap_or(file);
    from.map_or_else(|| file.display().to_string(), str::to_owned)
}

/// Says so when a file that holds a secret is open to others.
pub fn warn_if_others_read(path: &Path) {
    if let Some(why) = others_read(path) {
        tracing::warn!("{why}");
    }
}

/// What to do about a file with a master key that others may read; `None` if they may not.
pub fn others_read(path: &Path) -> Option<String> {
    let open = fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o007 != 0);
    let (shown, path) = (path.display(), quoted(path));
    open.then(|| format!("the master key {shown} is open to everybody on this machine; close it: chmod o= {path}"))
}

/// Reads a master key from a file.
fn load(path: &Path) -> anyhow::Result<MasterKey> {
    let text = fs::read_to_string(path).map(Zeroizing::new).with_context(|| {
        format!("cannot read the master key {}: this store needs the key it was made under", path.display())
    })?;
    warn_if_others_read(path);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    MasterKey::from_text(text).with_context(|| format!("{} does not hold a master key", path.display()))
}

/// The key in the data folder that a store is under: the file, or the one that was about to take its place when a
/// rotation broke off. `None` if the file holds another. Nothing is changed.
pub fn find(data: &Path, cell: &Cell) -> anyhow::Result<Option<CheckedKey>> {
    let lying = match load(&data.join(MASTER_KEY)) {
        Ok(key) => match CheckedKey::of(key, cell) {
            Some(key) => return Ok(Some(key)),
            None => Ok(None),
        },
        Err(error) => Err(error),
    };
    let incoming = data.join(INCOMING);
    if incoming.exists()
        && let Some(key) = CheckedKey::of(load(&incoming)?, cell)
    {
        return Ok(Some(key));
    }
    lying
}

/// Of the keys that were in use before, the file of the one that a store is under.
pub fn find_former(data: &Path, cell: &Cell) -> Option<PathBuf> {
    let names = fs::read_dir(data).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let is_former = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FORMER));
    names.filter(is_former).find(|path| load(path).is_ok_and(|key| opens(&key, cell)))
}

/// The key of a store that is being made: the file, or a new one, written there.
pub fn load_or_make(data: &Path) -> anyhow::Result<MasterKey> {
    let path = data.join(MASTER_KEY);
    if path.exists() {
        return load(&path);
    }
    let master = MasterKey::generate_from(random::bytes());
    write_new(&path, &master)?;
    Ok(master)
}

fn write_new(path: &Path, key: &MasterKey) -> anyhow::Result<()> {
    let cannot = || format!("cannot write the master key {}", path.display());
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(cannot)?;
    let line = Zeroizing::new(format!("{}\n", key.to_text().as_str()));
    file.write_all(line.as_bytes()).with_context(cannot)?;
    file.sync_all().with_context(cannot)?;
    sync_folder_of(path).with_context(cannot)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// A file in the data folder that is being replaced.
pub(crate) struct Replacing {
    file: PathBuf,
    incoming: PathBuf,
}

impl Replacing {
    /// Puts the new key beside the file, for good. What an earlier rotation left there has to be gone.
    pub fn begin(data: &Path, key: &MasterKey) -> anyhow::Result<Self> {
        let this = Self { file: data.join(MASTER_KEY), incoming: data.join(INCOMING) };
        if this.incoming.exists() {
            bail!(
                "{} is there: a rotation broke off, and nobody knows yet which key the store is under; keep it, and restart \
                 the server, which finds out",
                this.incoming.display()
            );
        }
        // What was written in part is of no use, and would stop the next one.
        write_new(&this.incoming, key).inspect_err(|_| drop(fs::remove_file(&this.incoming)))?;
        Ok(this)
    }

    /// Where the new key lies until it takes the file's name.
    pub fn incoming(&self) -> &Path {
        &self.incoming
    }

    /// Gives the file as it is a name for copies that were made under it.
    pub fn keep_former(&self, when: &str) -> anyhow::Result<PathBuf> {
        let name = |n: u32| if n == 0 { format!("{FORMER}{when}") } else { format!("{FORMER}{when}-{n}") };
        for n in 0..100 {
            let kept = self.file.with_file_name(name(n));
            match fs::hard_link(&self.file, &kept) {
                Ok(()) => return Ok(kept),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("cannot make {}", kept.display())),
            }
        }
        bail!("there are too many master keys of this second in the data folder")
    }

    /// The new key takes the file's name.
    pub fn finish(&self) -> anyhow::Result<()> {
        let cannot = || format!("cannot put the new master key at {}", self.file.display());
        fs::rename(&self.incoming, &self.file).with_context(cannot)?;
        sync_folder_of(&self.file).with_context(cannot)
    }

    /// Takes the new key away again.
    pub fn give_up(&self) -> anyhow::Result<()> {
        let cannot = || format!("cannot remove {}", self.incoming.display());
        fs::remove_file(&self.incoming).with_context(cannot)?;
        sync_folder_of(&self.file).with_context(cannot)
    }
}

/// Ends what a rotation that broke off left in the data folder. Only the owner of the store may: then nobody commits
/// one any more.
pub fn settle(data: &Path, cell: &Cell, when: &str) -> anyhow::Result<()> {
    let replacing = Replacing { file: data.join(MASTER_KEY), incoming: data.join(INCOMING) };
    if !replacing.incoming.exists() {
        return Ok(());
    }
    if load(&replacing.file).is_ok_and(|key| opens(&key, cell)) {
        tracing::warn!("a rotation of the master key broke off before it was made; the key is the one it was");
        return replacing.give_up();
    }
    if replacing.file.exists() {
        replacing.keep_former(when)?;
    }
    tracing::warn!("a rotation of the master key broke off after it was made; the new key is in its place now");
    replacing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_under_what_is_expected_and_under_what_was_in_use_until_the_next_rotation() {
        let key = |byte| CheckedKey::new(MasterKey::generate_from([byte; 32])).unwrap();
        let wrapped = |byte| MasterKey::generate_from([byte; 32]).wrap("x", [0; 12], b"key").unwrap();
        let keys = MasterKeys::new(key(1));
        let opens = |byte| keys.unwrap("x", &wrapped(byte)).is_ok();
        let shared = |byte| Arc::new(key(byte));
        let expect = |key: &Arc<CheckedKey>| keys.expect(Arc::clone(key));
        expect(&shared(2));
        assert!(opens(1) && opens(2));
        keys.stay(&shared(1));
        assert!(opens(1) && !opens(2));
        let (third, fourth) = (shared(3), shared(4));
        expect(&third);
        keys.advance(&third);
        assert!(opens(1) && opens(3));
        keys.advance(&third);
        assert!(opens(1) && opens(3), "said twice, it is the same");
        expect(&fourth);
        keys.advance(&fourth);
        assert!(!opens(1) && opens(3) && opens(4));
    }

    #[test]
    fn a_cell_that_says_something_else_of_the_key_in_use_ends_no_expectation() {
        let key = |byte| Arc::new(CheckedKey::new(MasterKey::generate_from([byte; 32])).unwrap());
        let cell = |key: &CheckedKey| Cell { key_check: key.check.clone(), root_workspace: None, demo: false };
        let keys = MasterKeys::new(CheckedKey::new(MasterKey::generate_from([1; 32])).unwrap());
        let (incoming, staying) = (key(2), key(1));
        keys.expect(Arc::clone(&incoming));
        keys.agree_with(&cell(&staying));
        assert_eq!(keys.current().check, staying.check);
        keys.agree_with(&cell(&key(3)));
        assert_eq!(keys.current().check, staying.check, "of a stranger it takes nothing");
        keys.agree_with(&cell(&incoming));
        assert_eq!(keys.current().check, incoming.check);
        keys.agree_with(&cell(&staying));
        assert_eq!(keys.current().check, staying.check);
    }
}
