//! A PostgreSQL of one test's own, to be stopped, killed and slowed.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::NoTls;

use super::place::unique;

/// A cluster in the folder of temporary files; ends with the test.
pub struct Cluster {
    folder: PathBuf,
    port: u16,
}

impl Cluster {
    /// Makes and starts one.
    pub fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("opalid_cluster_{}_{}", std::process::id(), unique()));
        std::fs::create_dir(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { folder, port };
        if rustix::process::getuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(&cluster.folder));
        }
        let data = cluster.data();
        cluster
            .command("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]);
        cluster.start_again();
        cluster
    }

    /// Starts it, or starts it again.
    pub fn start_again(&self) {
        let folder = self.folder.display();
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}", self.port);
        let log = format!("{folder}/log");
        self.command("pg_ctl", &["-D", &self.data(), "-l", &log, "-o", &options, "-w", "start"]);
    }

    /// Stops it: `fast` ends sessions, `immediate` is as if it had been killed.
    pub fn stop(&self, how: &str) {
        self.command("pg_ctl", &["-D", &self.data(), "-m", how, "-w", "stop"]);
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The processes that serve a database's sessions.
    pub async fn backends(&self, url: &str) -> Vec<i32> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// Sends a signal to a process of this cluster; it may be gone.
    pub fn signal(pid: i32, signal: Signal) {
        let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn command(&self, program: &str, arguments: &[&str]) {
        let program = programs().join(program);
        // PostgreSQL does not run as root.
        let mut command = if rustix::process::getuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        run(command.args(arguments).current_dir(&self.folder));
    }
}

fn run(command: &mut Command) {
    let null = std::process::Stdio::null;
    let status = command.stdin(null()).stdout(null()).stderr(null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?} failed: run ./test");
}

/// Where the newest PostgreSQL's own programs lie.
fn programs() -> PathBuf {
    let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let installed = std::fs::read_dir("/usr/lib/postgresql").expect("no PostgreSQL is installed: run ./test");
    let newest = installed.map(|entry| entry.unwrap().path()).max_by_key(version);
    newest.expect("no PostgreSQL is installed: run ./test").join("bin")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.folder.join("data/postmaster.pid").exists() {
            self.stop("immediate");
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
