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
        Self::start_with(&[])
    }

    /// The same with these files in its data folder, names and texts.
    pub fn start_with(files: &[(&str, &str)]) -> Self {
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
        files.iter().for_each(|(name, text)| cluster.put(name, text));
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
    fn put(&self, name: &str, text: &str) {
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

    /// The URL of the database that is always there.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Its first process and all that one's children.
    pub fn processes(&self) -> Vec<i32> {
        let first = self.first_process();
        let children = first.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok());
        let children = children.unwrap_or_default();
        first.into_iter().chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }

    /// Its first process, while it runs.
    fn first_process(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.parse().ok()?;
        is_running(pid).then_some(pid)
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
        // Without unwrapping: a test that failed ends here too.
        if let Some(first) = self.first_process() {
            // One that a test made stand still hears nothing else.
            self.processes().into_iter().for_each(|pid| Self::signal(pid, Signal::CONT));
            Self::signal(first, Signal::QUIT);
            while is_running(first) {
                std::thread::yield_now();
            }
        }
        drop(std::fs::remove_dir_all(&self.data));
        drop(std::fs::remove_file(format!("{}.log", self.data())));
    }
}

fn is_running(pid: i32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
    name.is_ok_and(|name| name.trim() == "postgres")
}
