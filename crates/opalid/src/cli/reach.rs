//! Reaching the running server: where it is, what is asked, how the answer is printed.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::output::{Format, Output};
use super::starting::how_to_start;
use super::way::{way_of, with_way};
use crate::config::{Settings, Sources, mistaken, process_environment};
use crate::manage::socket::{Line, Named, connect};
use crate::manage::{Command, Paging, Reply, Request};

/// The longest line of an answer.
const LINE_MAX: u64 = 256 * 1024 * 1024;
/// What these options are listed under.
const SERVER: &str = "Which server, and how to print";

/// Where the server is, and how to print.
#[derive(Debug, Args)]
pub struct Reach {
    /// The data folder of the running server [default: ./opalid-data, or the setting `data`]
    #[arg(long, global = true, value_name = "DIR", help_heading = SERVER)]
    data: Option<PathBuf>,
    /// The server's configuration file, for its data folder
    #[arg(long, global = true, value_name = "FILE", help_heading = SERVER)]
    config: Option<PathBuf>,
    /// The workspace to work in [default: the root workspace]
    #[arg(short, long, global = true, value_name = "NAME", help_heading = SERVER)]
    workspace: Option<String>,
    /// How to print: table, for people, or json, for programs [default: table]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    #[arg(help_heading = SERVER)]
    output: Option<Format>,
}

/// The same, where it stands before the command. Its ids are its own: those of global arguments are shared with what is above.
#[derive(Debug, Default, Args)]
pub struct Before {
    /// The data folder of the running server [default: ./opalid-data, or the setting `data`]
    #[arg(id = "data before", long = "data", value_name = "DIR", help_heading = SERVER)]
    data: Option<PathBuf>,
    /// The server's configuration file, for its data folder
    #[arg(id = "config before", long = "config", value_name = "FILE", help_heading = SERVER)]
    config: Option<PathBuf>,
    /// The workspace to work in [default: the root workspace]
    #[arg(id = "workspace before", short, long = "workspace", value_name = "NAME", help_heading = SERVER)]
    workspace: Option<String>,
    /// How to print: table, for people, or json, for programs [default: table]
    #[arg(id = "output before", short, long = "output", value_enum, value_name = "FORMAT")]
    #[arg(hide_possible_values = true, help_heading = SERVER)]
    output: Option<Format>,
}

impl Before {
    /// Refuses all of it, before a command that reaches no server.
    pub fn refuse(&self, command: &str) -> anyhow::Result<()> {
        if self.workspace.is_some() {
            bail!("opalid {command} concerns the whole server; leave -w away");
        }
        if self.output.is_some() {
            bail!("opalid {command} prints in one way only; leave -o away");
        }
        let flag = [("--data", &self.data), ("--config", &self.config)].into_iter().find(|(_, given)| given.is_some());
        match flag {
            Some((flag, _)) => bail!("{flag} stands after the command here: opalid {command} … {flag} …"),
            None => Ok(()),
        }
    }
}

/// A group of commands that reach the server.
#[derive(Debug, Args)]
pub struct Managing<C: Subcommand> {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    command: C,
}

/// One command that reaches the server.
#[derive(Debug, Args)]
pub struct Alone<C: Args> {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    command: C,
}

impl<C: Args + Reaching> Alone<C> {
    /// Runs the command.
    pub fn run(self, before: Before) -> anyhow::Result<()> {
        self.command.run(&self.reach.server(before)?)
    }
}

/// A command that reaches the server.
pub trait Reaching {
    /// Asks, and prints.
    fn run(self, server: &Server) -> anyhow::Result<()>;
}

impl<C: Subcommand + Reaching> Managing<C> {
    /// Runs the command.
    pub fn run(self, before: Before) -> anyhow::Result<()> {
        self.command.run(&self.reach.server(before)?)
    }
}

impl Reach {
    /// The server there.
    pub fn server(self, before: Before) -> anyhow::Result<Server> {
        let config = once("--config", before.config, self.config)?;
        let data = once("--data", before.data, self.data)?;
        let way = way_of(config.as_deref(), data.as_deref());
        let data = match (data, config.clone()) {
            (Some(data), None) => (data, Named::Explicitly),
            (data, config) => {
                let flags = data.iter().map(|data| ("data", data.display().to_string())).collect();
                let sources = Sources::read(config, process_environment(), flags, false)?;
                let settings = Settings::new(sources);
                let named = if settings.names_data() { Named::Explicitly } else { Named::ByDefault };
                let found = settings.data().map_err(mistaken)?;
                (data.unwrap_or(found), named)
            }
        };
        let workspace = once("-w", before.workspace, self.workspace)?;
        let output = once("-o", before.output, self.output)?.unwrap_or_default();
        Ok(Server { data, way, config, workspace, output: Output::new(output) })
    }
}

/// What stands before the command or after it, not both.
fn once<T>(flag: &str, before: Option<T>, after: Option<T>) -> anyhow::Result<Option<T>> {
    if before.is_some() && after.is_some() {
        bail!("{flag} stands before the command and after it; which one is meant?");
    }
    Ok(before.or(after))
}

/// The server of a data folder, and where its answers are printed.
pub struct Server {
    data: (PathBuf, Named),
    way: String,
    config: Option<PathBuf>,
    workspace: Option<String>,
    /// Where to print.
    pub output: Output,
}

impl Server {
    /// Asks one thing and prints the reply.
    pub fn show(&self, command: Command) -> anyhow::Result<()> {
        self.output.print(&self.ask(command)?)
    }

    /// Asks one thing in the workspace of `-w`.
    pub fn ask(&self, command: Command) -> anyhow::Result<Reply> {
        self.ask_in(None, command)
    }

    /// Asks one thing in a workspace; none is that of `-w`.
    pub fn ask_in(&self, workspace: Option<String>, command: Command) -> anyhow::Result<Reply> {
        self.stream_in(workspace, command)?
            .next()
            .unwrap_or_else(|| bail!("the server hung up without an answer; see its log"))
    }

    /// What is said, with how this server was named in every command that it advises.
    pub fn advise(&self, text: &str) -> String {
        with_way(text, &self.way)
    }

    /// Refuses `-w` with a command that names its workspace itself, unless it is the same.
    pub fn names(&self, name: &str) -> anyhow::Result<()> {
        match &self.workspace {
            Some(other) if other != name => bail!("-w {other} and workspace {name}: which one is meant? Leave -w away"),
            _ => Ok(()),
        }
    }

    /// Refuses `-w` with a command that concerns all workspaces, or those that `why` says.
    pub fn no_workspace(&self, why: &str) -> anyhow::Result<()> {
        match &self.workspace {
            Some(name) => bail!("{why}; leave -w {name} away"),
            None => Ok(()),
        }
    }

    /// Says what to do when no server can be reached.
    fn unreachable(&self, error: std::io::Error) -> anyhow::Error {
        let folder = self.data.0.display();
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => anyhow::anyhow!(
                "no server runs on the data folder {folder}; {} (or name the folder of a running one with --data DIR)",
                how_to_start(&self.data.0, self.config.as_deref(), &self.way)
            ),
            std::io::ErrorKind::PermissionDenied => anyhow::anyhow!(
                "this user may not command the server on {folder}; run the command as the user that the server runs as"
            ),
            _ => anyhow::Error::new(error).context(format!("cannot reach the server on the data folder {folder}")),
        }
    }

    /// Asks for something that has several answers.
    pub fn stream_in(&self, workspace: Option<String>, command: Command) -> anyhow::Result<Answers> {
        let (data, named) = &self.data;
        let mut stream = connect(data, *named).map_err(|error| self.unreachable(error))?;
        let request = Request { workspace: workspace.or_else(|| self.workspace.clone()), command };
        let mut line = Zeroizing::new(serde_json::to_vec(&request)?);
        line.push(b'\n');
        // Not as the cause: that a pipe is closed is forgiven where it is our own output.
        stream.write_all(&line).map_err(|error| anyhow::anyhow!("the server hung up: {error}"))?;
        Ok(Answers { stream: BufReader::new(stream), way: self.way.clone() })
    }
}

/// What the server answers, one after the other.
pub struct Answers {
    stream: BufReader<UnixStream>,
    way: String,
}

impl Answers {
    /// Tells the server that what it said last has arrived. If it is gone, the next answer says so.
    pub fn go_on(&mut self) {
        drop(self.stream.get_mut().write_all(b"\n"));
    }
}

impl Iterator for Answers {
    type Item = anyhow::Result<Reply>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = read_line(&mut self.stream).transpose()?;
        Some(line.and_then(|line| match line {
            Line::Ok(Reply::Done { message }) => Ok(Reply::Done { message: with_way(&message, &self.way) }),
            Line::Ok(Reply::Applied(mut end)) => {
                end.stopped = end.stopped.map(|why| with_way(&why, &self.way));
                Ok(Reply::Applied(end))
            }
            Line::Ok(reply) => Ok(reply),
            Line::Error(error) => bail!("{}", with_way(&error.to_string(), &self.way)),
        }))
    }
}

fn read_line(lines: &mut impl BufRead) -> anyhow::Result<Option<Line>> {
    let mut line = Vec::new();
    lines.take(LINE_MAX).read_until(b'\n', &mut line).map_err(broke_off)?;
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).context("the server's answer is not one that this opalid knows")
}

fn broke_off(error: std::io::Error) -> anyhow::Error {
    anyhow::anyhow!("the server's answer broke off ({error}); see its log")
}

/// Which part of a long list.
#[derive(Debug, Clone, Args)]
pub struct Part {
    /// Go on after this row of the part before
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// How many rows, 1,000 at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl From<Part> for Paging {
    fn from(part: Part) -> Self {
        Self { after: part.after, limit: Some(part.limit) }
    }
}
