//! A PostgreSQL of one test's own, to be stopped, killed, slowed and set up otherwise.
//!
//! `./test` says in the environment where such clusters lie and how they are run, and ends those that a test left.
//! The tests of the binary use this file too.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};

/// A cluster; ends with the test.
pub struct Cluster {
    data: PathBuf,
    port: u16,
}

impl Cluster {
    /// Makes and starts one.
    pub fn start() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(1);
        let name = format!("of-test-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        let data = PathBuf::from(variable("OPALID_TEST_PG_ROOT")).join(name);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { data, port };
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]);
        let root = variable("OPALID_TEST_PG_ROOT");
        cluster.set(&format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{root}'\nmax_connections = 60\n"
        ));
        cluster.start_again();
        cluster
    }

    /// Starts it again.
    pub fn start_again(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-l", &format!("{}.log", self.data()), "-w", "start"]);
    }

    /// Stops it: `fast` ends sessions, `immediate` is as if it had been killed.
    pub fn stop(&self, how: &str) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", how, "-w", "stop"]);
    }

    /// Adds lines to its configuration.
    pub fn set(&self, lines: &str) {
        let path = self.data.join("postgresql.conf");
        let known = std::fs::read_to_string(&path).unwrap();
        // Over what is there: the file stays its owner's.
        std::fs::write(path, format!("{known}{lines}\n")).unwrap();
    }

    /// Makes it read its configuration again. It does so soon.
    pub fn reload(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "reload"]);
    }

    /// Puts a file into its data folder, for its eyes alone.
    pub fn put(&self, name: &str, text: &str) {
        let path = self.data.join(name);
        let status = self
            .command("sh")
            .args(["-c", "umask 077 && cat > \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes())?;
                child.wait()
            });
        assert!(status.is_ok_and(|status| status.success()), "{} cannot be written", path.display());
    }

    /// The URL of a database.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of the database that is always there.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its first process.
    pub fn postmaster(&self) -> i32 {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// The first process and all its children.
    pub fn processes(&self) -> Vec<i32> {
        let first = self.postmaster();
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
        std::iter::once(first).chain(children.split_whitespace().map(|pid| pid.parse().unwrap())).collect()
    }

    /// Sends a signal to a process of this cluster; it may be gone.
    pub fn signal(pid: i32, signal: Signal) {
        let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
    }

    fn data(&self) -> String {
        self.data.display().to_string()
    }

    /// A command as the user whose the cluster is.
    fn command(&self, program: &str) -> Command {
        let prefix = variable("OPALID_TEST_PG_RUN");
        let mut words = prefix.split_whitespace().chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).current_dir(variable("OPALID_TEST_PG_ROOT"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = PathBuf::from(variable("OPALID_TEST_PG_BIN")).join(program).display().to_string();
        let status = self.command(&program).args(arguments).status();
        let log = std::fs::read_to_string(format!("{}.log", self.data())).unwrap_or_default();
        assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?} failed:\n{log}");
    }
}

fn variable(name: &str) -> String {
    let found = std::env::vars().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no {name}: run ./test")).1
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data.join("postmaster.pid").exists() {
            // One that a test made stand still hears nothing else.
            for pid in self.processes() {
                Self::signal(pid, Signal::CONT);
            }
            self.stop("immediate");
        }
        drop(std::fs::remove_dir_all(&self.data));
        drop(std::fs::remove_file(format!("{}.log", self.data())));
    }
}
