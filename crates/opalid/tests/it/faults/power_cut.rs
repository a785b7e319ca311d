//! A power cut: what was not synced may be lost or torn, and still every acknowledged revocation holds.
//!
//! `shim.c` logs what the server writes and syncs. A cut is a place in that log: up to it, what was synced is
//! there, and of the rest each 512-byte sector is there or not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::JoinHandle;

use super::daemon::{Daemon, Line, Seeded, long};
use crate::manage::opalid;
use crate::support::folder::Folder;

const SECTOR: usize = 512;

fn shim() -> &'static str {
    static SHIM: OnceLock<String> = OnceLock::new();
    SHIM.get_or_init(|| {
        let tests = Path::new(env!("CARGO_BIN_EXE_opalid")).parent().unwrap();
        let library = tests.join(format!("faults-shim-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults/shim.c");
        let mut gcc = Command::new("cc");
        let done = gcc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status().unwrap();
        assert!(done.success(), "the shim does not compile");
        library.display().to_string()
    })
}

/// A folder with a demo in it that lies safely on disk, and beside it the log of what is written from then on.
struct Disk {
    folder: Folder,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { folder: Folder::new() };
        let daemon = Daemon::start(&disk.data(), &[]);
        assert_eq!(daemon.line().mint().unwrap().status, 200, "the standing grant is there");
        assert!(daemon.stop().success());
        copy(&disk.data(), &disk.path("base"));
        disk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn serve(&self, more: &[(&str, &str)]) -> Daemon {
        let [log, fail, full, hold, unreadable] =
            ["writes", "fail", "full", "hold", "unreadable"].map(|name| self.path(name));
        let data = self.data();
        let folder = format!("{}/", data.display());
        let mut environment = vec![
            ("LD_PRELOAD", shim()),
            ("SHIM_FOLDER", folder.as_str()),
            ("SHIM_LOG", log.to_str().unwrap()),
            ("SHIM_FAIL", fail.to_str().unwrap()),
            ("SHIM_FULL", full.to_str().unwrap()),
            ("SHIM_HOLD", hold.to_str().unwrap()),
            ("SHIM_UNREADABLE", unreadable.to_str().unwrap()),
        ];
        environment.extend(more);
        Daemon::start(&data, &environment)
    }

    fn written(&self) -> u64 {
        std::fs::metadata(self.path("writes")).unwrap().len()
    }

    /// What is there now, in a folder of its own.
    fn data_as_it_is(&self) -> PathBuf {
        let now = self.path("now");
        copy(&self.data(), &now);
        now
    }

    /// What is there when the power goes when this much of the log had happened.
    fn cut(&self, at: u64, random: &mut Seeded) -> PathBuf {
        let after = self.path("after");
        drop(std::fs::remove_dir_all(&after));
        copy(&self.path("base"), &after);
        let mut files: BTreeMap<String, Written> = BTreeMap::new();
        let log = std::fs::read(self.path("writes")).unwrap();
        for record in records(&log).take_while(|record| record.end <= at) {
            let name = |path: &[u8]| {
                let path = Path::new(std::str::from_utf8(path).unwrap());
                path.file_name().unwrap().to_str().unwrap().to_owned()
            };
            let own = name(record.path);
            let known = files.remove(&own).or_else(|| Written::read(&after.join(&own)));
            match (record.kind, known) {
                (b'U', _) => drop(std::fs::remove_file(after.join(&own))),
                (b'R', Some(file)) => {
                    drop(std::fs::remove_file(after.join(&own)));
                    files.insert(name(record.data), file);
                }
                // A socket, of which nothing is left.
                (b'R', None) => {}
                (kind, known) => {
                    let mut file = known.unwrap_or_default();
                    match kind {
                        b'W' | b'T' => file.pending.push((kind, record.offset, record.data.to_vec())),
                        b'S' => file.settle(|| true),
                        b'F' => file.settle(|| random.below(2) == 0),
                        other => panic!("a record of kind {other}"),
                    }
                    files.insert(own, file);
                }
            }
        }
        for (name, mut file) in files {
            file.settle(|| random.below(2) == 0);
            std::fs::write(after.join(name), file.content).unwrap();
        }
        after
    }
}

/// A file as it is on disk, and what was written to it since it was last synced.
#[derive(Default)]
struct Written {
    content: Vec<u8>,
    pending: Vec<(u8, usize, Vec<u8>)>,
}

impl Written {
    fn read(path: &Path) -> Option<Self> {
        Some(Self { content: std::fs::read(path).ok()?, pending: Vec::new() })
    }

    /// Each sector that was written reaches the disk, or not.
    fn settle(&mut self, mut reaches: impl FnMut() -> bool) {
        for (kind, offset, data) in self.pending.drain(..) {
            if kind == b'T' {
                if reaches() {
                    self.content.resize(offset, 0);
                }
                continue;
            }
            let mut done = 0;
            while done < data.len() {
                let at = offset + done;
                let end = data.len().min(done + SECTOR - at % SECTOR);
                if reaches() {
                    self.content.resize(self.content.len().max(offset + end), 0);
                    self.content[at..offset + end].copy_from_slice(&data[done..end]);
                }
                done = end;
            }
        }
    }
}

struct Record<'a> {
    kind: u8,
    offset: usize,
    path: &'a [u8],
    data: &'a [u8],
    end: u64,
}

/// The whole records of a log.
fn records(log: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = log.get(at..at + 15)?;
        let path_end = at + 15 + usize::from(u16::from_le_bytes(head[1..3].try_into().unwrap()));
        let data_end = path_end + u32::from_le_bytes(head[11..15].try_into().unwrap()) as usize;
        let (path, data) = (log.get(at + 15..path_end)?, log.get(path_end..data_end)?);
        at = data_end;
        let offset = usize::try_from(u64::from_le_bytes(head[3..11].try_into().unwrap())).unwrap();
        Some(Record { kind: head[0], offset, path, data, end: at as u64 })
    })
}

fn copy(from: &Path, to: &Path) {
    std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700).create(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Revocations, each with how much was written when it had been acknowledged.
fn revoke_some(disk: &Disk, daemon: &Daemon, count: usize) -> Vec<(String, u64)> {
    let line = daemon.line();
    let mut acknowledged = Vec::new();
    for _ in 0..count {
        let token = line.mint().unwrap().field("access_token");
        assert!(line.is_active(&token));
        assert_eq!(line.revoke(&token).unwrap().status, 200);
        acknowledged.push((token, disk.written()));
    }
    acknowledged
}

/// Starts the server on what a cut left: how many acknowledged revocations are lost. The database is sound.
fn lost(disk: &Disk, at: u64, random: &mut Seeded, acknowledged: &[(String, u64)]) -> usize {
    let after = disk.cut(at, random);
    let daemon = Daemon::start(&after, &[]);
    let line = daemon.line();
    let lost = acknowledged.iter().filter(|(token, end)| *end <= at && line.is_active(token)).count();
    assert!(daemon.stop().success());
    let sql = "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchall())";
    let said = Command::new("python3").args(["-c", sql]).arg(after.join("opalid.db")).output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap().trim(), "[('ok',)]");
    lost
}

#[test]
fn a_power_cut_loses_no_acknowledged_revocation() {
    let (disk, mut random) = (Disk::new(), Seeded(11));
    let mut daemon = disk.serve(&[]);
    let ready = disk.written();
    let acknowledged = revoke_some(&disk, &daemon, 40);
    daemon.kill();
    for _ in 0..if long() { 200 } else { 6 } {
        let at = ready + random.below(disk.written() - ready + 1);
        assert_eq!(lost(&disk, at, &mut random, &acknowledged), 0, "cut at {at}");
    }
    assert_eq!(lost(&disk, disk.written(), &mut random, &acknowledged), 0);
}

#[test]
fn a_log_that_is_not_synced_at_commit_loses_revocations_in_a_power_cut() {
    let (disk, mut random) = (Disk::new(), Seeded(12));
    let mut daemon = disk.serve(&[("SHIM_DROP_WAL_SYNC", "1")]);
    let acknowledged = revoke_some(&disk, &daemon, 10);
    daemon.kill();
    let found = (0..5).any(|_| lost(&disk, disk.written(), &mut random, &acknowledged) > 0);
    assert!(found, "the check of the test above finds nothing: it would not see synchronous=NORMAL");
}

#[test]
fn a_failed_sync_is_an_outage_then_the_end_and_the_next_start_loses_nothing() {
    let (disk, mut random) = (Disk::new(), Seeded(13));
    let daemon = disk.serve(&[]);
    let mut acknowledged = revoke_some(&disk, &daemon, 5);
    let token = daemon.line().mint().unwrap().field("access_token");
    std::fs::write(disk.path("fail"), "").unwrap();
    let reply = daemon.line().revoke(&token);
    assert_eq!(reply.map(|reply| reply.status), Some(503), "who waits for a disk that failed is told so");
    assert_eq!(daemon.ended().code(), Some(70));
    let mut daemon = disk.serve(&[]);
    assert!(acknowledged.iter().all(|(token, _)| !daemon.line().is_active(token)));
    acknowledged.extend(revoke_some(&disk, &daemon, 5));
    daemon.kill();
    for _ in 0..3 {
        assert_eq!(lost(&disk, disk.written(), &mut random, &acknowledged), 0);
    }
}

/// The master keys that lie in a data folder: that of the store, and one that was to take its place.
fn master_keys(data: &Path) -> [Option<String>; 2] {
    ["master.key", "master.key.new"].map(|name| std::fs::read_to_string(data.join(name)).ok())
}

/// Starts the server on a folder that a rotation was broken off in: it is under one of the two keys, and has all of its own.
/// Says under which.
fn goes_on(data: &Path, [old, new]: [&str; 2], token: &str) -> bool {
    let daemon = Daemon::start(data, &[]);
    let line = daemon.line();
    assert!(line.is_active(token), "the keys that made it are there");
    assert!(line.is_active(&line.mint().unwrap().field("access_token")));
    let is_new = match master_keys(data) {
        [Some(key), None] if key == old => false,
        [Some(key), None] if key == new => true,
        other => panic!("neither of both, or still both: {}", other.iter().flatten().count()),
    };
    let (rotated, said) = opalid(data, "key rotate-master", "");
    assert!(rotated, "{said}");
    assert!(line.is_active(token));
    assert!(daemon.stop().success());
    is_new
}

#[test]
fn a_master_key_whose_commit_the_disk_fails_is_thrown_away_by_nobody_and_the_next_start_goes_on_with_one_of_both() {
    let (disk, mut random) = (Disk::new(), Seeded(14));
    let daemon = disk.serve(&[]);
    let token = daemon.line().mint().unwrap().field("access_token");
    let begun = disk.written();
    std::fs::write(disk.path("fail"), "").unwrap();
    let (rotated, said) = opalid(&disk.data(), "key rotate-master", "");
    assert!(!rotated, "{said}");
    assert_eq!(daemon.ended().code(), Some(70));
    assert!(!disk.path("fail").exists(), "it was the log of the database that could not be synced");
    let keys = master_keys(&disk.data());
    let [Some(old), Some(new)] = keys.each_ref().map(Option::as_deref) else { panic!("a key was thrown away") };
    let failed = disk.written();
    // As it is after a crash of the server alone, and after cuts of power anywhere since the rotation began.
    assert!(goes_on(&disk.data_as_it_is(), [old, new], &token), "what was written is all there");
    let mut found = Vec::new();
    for _ in 0..if long() { 60 } else { 4 } {
        let at = begun + random.below(failed - begun + 1);
        found.push(goes_on(&disk.cut(at, &mut random), [old, new], &token));
    }
    assert!(found.contains(&false), "of what was not synced some was lost");
}

#[test]
fn everyone_who_waits_for_a_disk_that_fails_is_told_so() {
    let disk = Disk::new();
    let daemon = disk.serve(&[]);
    let tokens: Vec<_> = (0..8).map(|_| daemon.line().mint().unwrap().field("access_token")).collect();
    std::fs::write(disk.path("hold"), "").unwrap();
    let line = daemon.line();
    let waiting: Vec<_> = tokens
        .into_iter()
        .map(|token| std::thread::spawn(move || line.revoke(&token).map(|reply| reply.status)))
        .collect();
    // Some in the group whose sync is held, the others behind it.
    while daemon.metric("opalid_store_steps_waiting") < 8 {
        assert!(!waiting.iter().any(JoinHandle::is_finished), "somebody was told something while the disk hangs");
        std::thread::yield_now();
    }
    std::fs::write(disk.path("fail"), "").unwrap();
    std::fs::remove_file(disk.path("hold")).unwrap();
    let told: Vec<_> = waiting.into_iter().map(|one| one.join().unwrap()).collect();
    assert_eq!(told, [Some(503); 8]);
    assert_eq!(daemon.ended().code(), Some(70));
}

#[test]
fn a_full_disk_is_an_outage_for_writes_alone_and_ends_when_there_is_space() {
    let disk = Disk::new();
    let daemon = disk.serve(&[]);
    let line = daemon.line();
    let warm = line.mint().unwrap().field("access_token");
    assert!(line.is_active(&warm));
    std::fs::write(disk.path("full"), "").unwrap();
    let (mut refused, mut asked) = (0, 0);
    // The log file is used again from its start after a checkpoint: not every write needs more space.
    while refused < 3 {
        asked += 1;
        assert!(asked < 10_000, "a full disk refuses nothing");
        let token = line.mint().unwrap().field("access_token");
        let reply = line.revoke(&token).unwrap();
        if reply.status == 503 {
            assert_eq!(reply.field("error"), "temporarily_unavailable");
            assert!(line.is_active(&token), "nothing was said to be done, and nothing was");
            refused += 1;
        }
        assert!(line.is_active(&warm));
        assert_eq!(probes(line), (200, 200), "what is asked is answered");
    }
    std::fs::remove_file(disk.path("full")).unwrap();
    assert_eq!(line.revoke(&warm).unwrap().status, 200);
    assert!(!line.is_active(&warm));
    assert!(daemon.stop().success());
}

/// What `/healthz` and `/readyz` say.
fn probes(line: Line) -> (u16, u16) {
    let status = |target| line.ask("GET", target, "", "").unwrap().status;
    (status("/healthz"), status("/readyz"))
}

#[test]
fn a_store_that_cannot_be_read_is_not_ready_though_alive_and_ready_again_by_itself() {
    let disk = Disk::new();
    let daemon = disk.serve(&[]);
    let line = daemon.line();
    let (live, dead) = (line.mint().unwrap().field("access_token"), line.mint().unwrap().field("access_token"));
    let unknown = |line: Line| line.ask("GET", "/authorize?client_id=nobody", "", "").unwrap().status;
    assert_eq!((probes(line), unknown(line)), ((200, 200), 400));
    // What was read before is not enough any more once something was written.
    assert_eq!(line.revoke(&dead).unwrap().status, 200);
    std::fs::write(disk.path("unreadable"), "").unwrap();
    for _ in 0..3 {
        assert_eq!((probes(line), unknown(line)), ((200, 503), 503));
        assert!(line.is_active(&live) && !line.is_active(&dead), "memory answers for what it knows");
    }
    std::fs::remove_file(disk.path("unreadable")).unwrap();
    assert_eq!((probes(line), unknown(line)), ((200, 200), 400));
    assert!(line.is_active(&live) && !line.is_active(&dead));
    assert!(daemon.stop().success());
}
