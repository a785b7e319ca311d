//! `opalid apply`, `diff` and `export`: what is declared, and what is.

pub mod making;
mod place;
mod shown;
mod unique;

use std::collections::HashMap;
use std::fs;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use std::process::exit;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use opalid_core::apply::{Document, PlannedChange, SecretSource};

pub use making::Making;

use super::output::{Format, Output, plain, write};
use super::progress::Progress;
use super::reach::{Reaching, Server};
use crate::config::process_environment;
use crate::manage::apply::{Applied, Declared, FoundSecrets, RotatedClientSecret};
use crate::manage::{Command, Handed, Reply};
use shown::shown;
use unique::Unique;

/// The longest document.
const LONGEST: u64 = 12 * 1024 * 1024;
const WHICH: &str = "a document says itself which workspaces it is about";

/// Makes what a document declares be so: workspaces, resources, roles, clients, users. Running it again changes
/// nothing; nothing is deleted without --prune.
#[derive(Debug, Args)]
pub struct ApplyCommand {
    /// The document, TOML or JSON; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Delete what the document does not list, of the kinds that it does
    #[arg(long)]
    prune: bool,
}

/// Shows what apply would change of workspaces, resources, roles, clients and users; exits with 0 if nothing, 1 if something, 2 if that cannot be said.
#[derive(Debug, Args)]
pub struct DiffCommand {
    /// The document, TOML or JSON; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Show also what --prune would delete
    #[arg(long)]
    prune: bool,
}

/// Writes what there is as a document that apply reads: all workspaces, or that of -w, with their resources, roles,
/// clients and users. No secrets are in it.
#[derive(Debug, Args)]
pub struct ExportCommand {
    /// Leave users out
    #[arg(long)]
    without_users: bool,
}

impl Reaching for ApplyCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.no_workspace(WHICH)?;
        let (declared, text) = declared(&self.file, self.prune)?;
        making::run(server, Command::Apply(declared)).map_err(|error| with_lines(error, &text))
    }
}

impl Reaching for DiffCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.no_workspace(WHICH)?;
        let (declared, text) = declared(&self.file, self.prune)?;
        let reply = server.ask(Command::Compare(declared)).map_err(|error| with_lines(error, &text))?;
        server.output.print(&reply)?;
        match reply {
            Reply::Planned(changes) if changes.is_empty() => Ok(()),
            _ => exit(1),
        }
    }
}

impl Reaching for ExportCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let mut said = Progress::new("read");
        for reply in server.stream_in(None, Command::Export { users: !self.without_users })? {
            match (reply, server.output.format) {
                (Ok(Reply::Read { entries }), _) => said.count(entries, "entries"),
                (reply, format) => {
                    said.end();
                    return match (reply?, format) {
                        (Reply::Document(document), Format::Table) => write(&toml::to_string(&document)?),
                        (reply, _) => server.output.print(&reply),
                    };
                }
            }
        }
        bail!("the server stopped before all was read")
    }
}

/// An error with the lines of the text that it is about, if it names any.
fn with_lines(error: anyhow::Error, text: &str) -> anyhow::Error {
    let said = error.to_string();
    let with_lines = place::with_lines(&said, text);
    if with_lines == said { error } else { anyhow!(with_lines) }
}

/// Reads a document, as text too, and the secrets that it names.
fn declared(file: &Path, prune: bool) -> anyhow::Result<(Declared, String)> {
    let text = read(file)?;
    let document = parse(&text).with_context(|| format!("{} is not a document", file.display()))?;
    let secrets = find_secrets(&document, &process_environment())?;
    Ok((Declared { document, secrets, prune }, text))
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let cannot = || format!("cannot read {}", file.display());
    if file == Path::new("-") {
        stdin().lock().take(LONGEST).read_to_string(&mut text).with_context(cannot)?;
    } else {
        fs::File::open(file).and_then(|file| file.take(LONGEST).read_to_string(&mut text)).with_context(cannot)?;
    }
    if u64::try_from(text.len()).is_ok_and(|length| length >= LONGEST) {
        bail!("{} is longer than 12 MiB; divide it", file.display());
    }
    Ok(text)
}

/// JSON if it begins with a brace, else TOML; an error names line and column, or the entry and its field, and shows
/// nothing of what stands there: that may be a secret, or the file another one than was meant.
pub(super) fn parse(text: &str) -> anyhow::Result<Document> {
    let is_json = text.trim_start().starts_with('{');
    if is_json {
        // What is said twice is no value yet.
        let unique = serde_json::from_str::<Unique>(text);
        unique.map_err(|error| anyhow!("{}", place::without_value(&error.to_string())))?;
    }
    let read = if is_json {
        serde_json::from_str(text).map_err(|error| place::without_value(&error.to_string()))
    } else {
        toml::from_str(text).map_err(|error: toml::de::Error| place::in_toml(text, error.span(), error.message()))
    };
    read.map_err(|error: String| {
        let value = if is_json { serde_json::from_str(text).ok() } else { toml::from_str(text).ok() };
        let toml = (!is_json).then_some(text);
        let problems = value.as_ref().map(|value| place::problems(value, toml)).unwrap_or_default();
        if problems.is_empty() { anyhow!("{error}") } else { anyhow!("{}", problems.join("\n")) }
    })
}

/// The secrets that a document names, as far as they are there; the server says which of the others it needs.
pub(super) fn find_secrets(document: &Document, environment: &HashMap<String, String>) -> anyhow::Result<FoundSecrets> {
    let mut found = Vec::new();
    for source in document.secret_sources() {
        let text = match source {
            SecretSource::Env(name) => environment.get(name).cloned(),
            SecretSource::File(path) => secret_file(Path::new(path))?,
        };
        found.extend(text.map(|text| (source.clone(), Handed::new(text))));
    }
    Ok(found)
}

/// What a file holds, without the line feed at its end; `None` if there is no such file.
pub(super) fn secret_file(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let end = text.trim_end_matches('\n').trim_end_matches('\r').len();
            Ok(Some(text.get(..end).unwrap_or_default().to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read the secret in {}", path.display())),
    }
}

/// What would change.
pub(super) fn plan(changes: &[PlannedChange]) -> String {
    if changes.is_empty() {
        return "Nothing to change.\n".into();
    }
    changes.iter().map(shown).collect()
}

/// What was changed, what was drawn, and what is left.
pub(super) fn applied(applied: &Applied) -> String {
    let mut said = Making::new(Format::Table);
    let done: String = applied.done.iter().map(|done| said.begins(done).unwrap_or_default() + &said.made()).collect();
    done + &said.end(applied).unwrap_or_default()
}

/// A document, for people.
pub(super) fn document(document: &Document) -> String {
    toml::to_string(document).unwrap_or_default()
}

/// A new secret.
pub(super) fn rotated(rotated: &RotatedClientSecret, output: &Output) -> String {
    let client = plain(&rotated.client_id);
    let new = match &rotated.secret {
        Some(secret) => format!("The new secret of client {client}, shown this once: {}\n", plain(secret.expose())),
        None => format!("Client {client} has the new secret.\n"),
    };
    match rotated.old_until {
        Some(end) => format!("{new}The old one is good until {}.\n", output.time(end)),
        None => format!("{new}No other secret of this client is good any more.\n"),
    }
}

#[cfg(test)]
mod tests;
