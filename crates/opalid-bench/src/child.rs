//! A server that the runner starts, listens to and stops: by its own process id, and no other.

use crate::clock;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// How long a server may take to start, and then to stop.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running server; dropping it stops it.
pub struct Child {
    process: std::process::Child,
    lines: Receiver<String>,
    /// What it has printed so far.
    pub printed: Vec<String>,
}

impl Child {
    /// Starts a program, bound to one core where there is `taskset`.
    pub fn start(program: &Command, cpu: Option<usize>) -> Result<Self> {
        let mut command = match cpu.filter(|_| cfg!(target_os = "linux")) {
            Some(cpu) => pinned(program, cpu),
            None => copy(program, Command::new(program.get_program())),
        };
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let out = process.stdout.take().context("no standard output")?;
        let (sender, lines) = channel();
        // Reads to the end, so that the child never waits for a full pipe.
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { process, lines, printed: Vec::new() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The rest of the first line that begins so.
    pub fn line(&mut self, start: &str) -> Result<String> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let found = line.strip_prefix(start).map(str::to_owned);
                    self.printed.push(line);
                    if let Some(found) = found {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("the server never printed “{start}…”"),
                Err(RecvTimeoutError::Disconnected) => bail!("the server ended: {:?}", self.process.wait()?),
            }
        }
    }

    /// Collects what has been printed until nothing came for a moment.
    pub fn listen(&mut self, moment: Duration) {
        while let Ok(line) = self.lines.recv_timeout(moment) {
            self.printed.push(line);
        }
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Result<bool> {
        Ok(self.process.try_wait()?.is_some())
    }

    /// Resident memory in bytes, where the system tells.
    pub fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        resident_of(&status)
    }

    fn stop(&mut self) -> Result<()> {
        if self.ended()? {
            return Ok(());
        }
        #[cfg(unix)]
        self.ask_to_end()?;
        if !self.ended()? {
            self.process.kill()?;
            self.process.wait()?;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn ask_to_end(&mut self) -> Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        let id = Pid::from_raw(i32::try_from(self.id())?).context("not a process id")?;
        kill_process(id, Signal::TERM)?;
        let asked_at = clock::now();
        while !self.ended()? && clock::now() - asked_at < PATIENCE {
            clock::pause(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("process {} could not be stopped: {error:#}", self.process.id());
        }
    }
}

/// `taskset` becomes the program, so the process id stays the same.
fn pinned(program: &Command, cpu: usize) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &cpu.to_string()]).arg(program.get_program());
    copy(program, command)
}

fn copy(program: &Command, mut command: Command) -> Command {
    command.args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t    1234 kB\nThreads: 1\n"), Some(1_263_616));
        assert_eq!(resident_of("Name:\tx\n"), None);
    }

    #[test]
    fn a_child_is_heard_and_then_stopped() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo before; echo listening on $WHERE; exec cat /dev/zero >/dev/null"])
            .env("WHERE", "here");
        let mut child = Child::start(&command, None).unwrap();
        assert_eq!(child.line("listening on ").unwrap(), "here");
        assert_eq!(child.printed, ["before", "listening on here"]);
        assert!(!child.ended().unwrap());
        child.stop().unwrap();
        assert!(child.ended().unwrap());
    }

    #[test]
    fn a_child_that_ends_without_the_line_is_an_error() {
        let mut child = Child::start(&Command::new("true"), None).unwrap();
        assert!(child.line("listening on ").is_err());
    }
}
