//! Opalid as the runner sees it: a program that is started, found ready, and spoken to over HTTP.
//!
//! Not here: anything of Opalid's insides. What may change with its command line is in `command` and
//! `printed_credentials` alone.

use crate::child::{Child, PATIENCE};
use crate::clock;
use crate::floor::sqlite::Folder;
use crate::http::request::{Credentials, get};
use crate::http::{client, request};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Which Opalid, and who asks it.
#[derive(Args, Clone)]
pub struct Subject {
    /// The program; without it only the references and floors are measured
    #[arg(long)]
    pub opalid: Option<PathBuf>,
    /// The database of Opalid (`postgres://…`); SQLite without it
    #[arg(long)]
    pub database: Option<String>,
    /// `ID:SECRET` of the client that gets, revokes and introspects tokens; else the first that Opalid prints
    #[arg(long, value_parser = credentials)]
    pub client: Option<Credentials>,
    /// `ID:SECRET` of the client that introspects, if it is another one
    #[arg(long, value_parser = credentials)]
    pub introspector: Option<Credentials>,
    /// `ID` or `ID:SECRET` of the client that people sign in to
    #[arg(long, default_value = "demo-app")]
    pub code_client: Option<String>,
    /// A redirect URI of that client
    #[arg(long, default_value = "http://127.0.0.1:1/callback")]
    pub redirect_uri: String,
    /// What that client asks for
    #[arg(long, default_value = "openid profile email offline_access")]
    pub code_scope: String,
    /// Who signs in
    #[arg(long, default_value = "alice")]
    pub username: String,
    /// With which password
    #[arg(long, default_value = "alice-demo-password")]
    pub password: String,
}

fn credentials(pair: &str) -> Result<Credentials, String> {
    let (id, secret) = pair.split_once(':').ok_or("not ID:SECRET")?;
    Ok(Credentials { id: id.into(), secret: secret.into() })
}

/// The command that starts the server. Settings that are no flags are variables.
fn command(options: &Subject, program: &Path, data: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["serve", "--demo", "--data"]).arg(data);
    if let Some(database) = &options.database {
        command.args(["--database", database]);
    }
    command.env("OPALID_LISTEN", format!("127.0.0.1:{port}"));
    command.env("OPALID_ISSUER", format!("http://localhost:{port}"));
    command.env("OPALID_WORKERS", "1");
    command.env("OPALID_METRICS_LISTEN", "off");
    command
}

/// The clients in what `serve --demo` prints: the `-u ID:SECRET` of its `curl` lines, each once, in order.
fn printed_credentials(lines: &[String]) -> Vec<Credentials> {
    let mut found: Vec<Credentials> = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            let Some(pair) = ["-u", "--user"].contains(&word).then(|| words.next()).flatten() else { continue };
            let pair = pair.trim_matches(['\'', '"']);
            match credentials(pair) {
                Ok(pair) if found.iter().all(|known| known.id != pair.id) => found.push(pair),
                _ => {}
            }
        }
    }
    found
}

/// A running server and the clients that speak to it. Dropped in this order: first it stops, then its folder goes.
pub struct Opalid {
    child: Child,
    _folder: Folder,
    /// Where it listens.
    pub address: SocketAddr,
    /// The client that gets and revokes tokens.
    pub client: Credentials,
    /// The client that introspects.
    pub introspector: Credentials,
    /// How it was started and whom to sign in.
    pub options: Subject,
    ready_after: Duration,
    resident_idle: Option<u64>,
}

/// What the server costs by being there.
#[derive(Serialize)]
pub struct Standing {
    /// Milliseconds from its start to the first 200 of `/readyz`.
    pub ready_after_ms: f64,
    /// Resident bytes before the first request.
    pub resident_idle: Option<u64>,
    /// Resident bytes at the end.
    pub resident_at_end: Option<u64>,
}

impl Opalid {
    /// Starts a server with a new data folder under `data`, on core `cpu`, and waits until it is ready.
    pub fn start(options: &Subject, program: &Path, data: &Path, cpu: Option<usize>) -> Result<Self> {
        let folder = Folder::under(data)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let started_at = clock::now();
        let mut child = Child::start(&command(options, program, &folder.0.join("opalid"), port), cpu)?;
        wait_until_ready(&mut child, address)?;
        let ready_after = clock::now() - started_at;
        child.listen(Duration::from_millis(500));
        let printed = printed_credentials(&child.printed);
        let client = options.client.clone().or_else(|| printed.first().cloned());
        let client = client.context("Opalid printed no client; name one with --client ID:SECRET")?;
        let second = if options.client.is_none() { printed.get(1).cloned() } else { None };
        let introspector = options.introspector.clone().or(second).unwrap_or_else(|| client.clone());
        let (options, resident_idle) = (options.clone(), child.resident());
        Ok(Self { child, _folder: folder, address, client, introspector, options, ready_after, resident_idle })
    }

    /// What it costs now.
    pub fn standing(&self) -> Standing {
        Standing {
            ready_after_ms: self.ready_after.as_secs_f64() * 1_000.0,
            resident_idle: self.resident_idle,
            resident_at_end: self.child.resident(),
        }
    }

    /// A form posted by a client that authenticates with Basic.
    pub fn post(&self, path: &str, client: &Credentials, fields: &[(&str, &str)]) -> Vec<u8> {
        request::post(self.address, path, &[("Authorization", &client.basic())], &request::form(fields))
    }
}

fn wait_until_ready(child: &mut Child, address: SocketAddr) -> Result<()> {
    let started_at = clock::now();
    let question = get(address, "/readyz", &[]);
    while clock::now() - started_at < PATIENCE {
        let received = client::exchange(address, &question);
        if received.is_ok_and(|received| received.answer().is_ok_and(|answer| answer.status == 200)) {
            return Ok(());
        }
        if child.ended()? {
            child.listen(Duration::from_millis(100));
            bail!("Opalid ended before it was ready: {}", child.printed.join("\n"));
        }
        clock::pause(Duration::from_millis(2));
    }
    bail!("Opalid was not ready after {} s", PATIENCE.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_clients_are_found_once_and_in_order() {
        let lines = [
            "Issuer: http://localhost:8080",
            "  curl -s -u 'a:s1' -d grant_type=client_credentials http://localhost:8080/token",
            "  curl -s --user b:s2 -d token=$TOKEN http://localhost:8080/introspect",
            "  curl -s -u a:s1 -d token=$TOKEN http://localhost:8080/revoke -u",
        ];
        let found = printed_credentials(&lines.map(String::from));
        let found: Vec<_> = found.iter().map(|found| (found.id.as_str(), found.secret.as_str())).collect();
        assert_eq!(found, [("a", "s1"), ("b", "s2")]);
    }

    #[test]
    fn a_pair_without_a_colon_is_no_credentials() {
        assert!(credentials("alone").is_err());
    }
}
