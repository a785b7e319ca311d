//! Opalid as the runner sees it: a program that is started, found ready, and spoken to over HTTP.
//!
//! Not here: anything of Opalid's insides; see `seed`. What may change with its command line is in `command` alone.

use crate::child::{Child, PATIENCE};
use crate::clock;
use crate::http::request::{Credentials, get};
use crate::http::{client, request};
use anyhow::{Result, bail};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What `serve --demo` brings with it, and prints.
pub mod demo {
    /// The client that people sign in to; it has no secret.
    pub const APP: &str = "demo-app";
    /// A redirect URI of that client; not one on loopback, for there people are asked each time.
    pub const REDIRECT_URI: &str = "https://app.demo.example/callback";
    /// The resource server, which gets tokens for itself and introspects.
    pub const API: (&str, &str) = ("demo-api", "ocs_demo-api-secret-known-to-everyone");
    /// Who signs in, with which password.
    pub const PERSON: (&str, &str) = ("alice", "alice-demo-password");
}

/// Where an Opalid keeps what it knows, and how it is started.
#[derive(Clone)]
pub struct Place {
    /// The program.
    pub program: PathBuf,
    /// Its data folder.
    pub data: PathBuf,
    /// Its database (`postgres://…`); a SQLite file in the folder without it.
    pub database: Option<String>,
    /// Whether it is a demo: with people and clients to speak as.
    pub demo: bool,
    /// The core it is bound to.
    pub cpu: Option<usize>,
}

impl Place {
    /// The command that starts the server. Settings that are no flags are variables.
    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("serve").args(self.demo.then_some("--demo")).arg("--data").arg(&self.data);
        if let Some(database) = &self.database {
            command.args(["--database", database]);
        }
        command.env("OPALID_LISTEN", format!("127.0.0.1:{port}"));
        command.env("OPALID_ISSUER", format!("http://localhost:{port}"));
        command.env("OPALID_WORKERS", "1");
        command.env("OPALID_METRICS_LISTEN", "127.0.0.1:0");
        command
    }
}

/// A running server. Dropping it stops it.
pub struct Opalid {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// The resource server's credentials.
    pub api: Credentials,
    /// From its start to the first 200 of `/readyz`.
    pub ready_after: Duration,
}

impl Opalid {
    /// Starts a server and waits until it is ready.
    pub fn start(place: &Place) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let started_at = clock::now();
        let mut child = Child::start(&place.command(port), place.cpu)?;
        wait_until_ready(&mut child, address)?;
        let ready_after = clock::now() - started_at;
        let (id, secret) = demo::API;
        Ok(Self { child, address, api: Credentials { id: id.into(), secret: secret.into() }, ready_after })
    }

    /// Its resident memory in bytes, where the system tells.
    pub fn resident(&self) -> Option<u64> {
        self.child.resident()
    }

    /// A form posted by the resource server, which authenticates with Basic.
    pub fn post_as_api(&self, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        request::post(self.address, path, &[("Authorization", &self.api.basic())], &request::form(fields))
    }

    /// A form posted by the client that people sign in to, which says only its name.
    pub fn post_as_app(&self, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let fields = [fields, &[("client_id", demo::APP)]].concat();
        request::post(self.address, path, &[], &request::form(&fields))
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
