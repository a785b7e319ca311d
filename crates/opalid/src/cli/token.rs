//! `opalid token`: an access token over HTTP, like any client: by client_credentials (RFC 6749 §4.4), or through the
//! browser by a code with PKCE.
//!
//! Holds: the secret comes from a prompt, standard input or a file, never from an argument or a plain variable.
//! Not here: what the browser is sent to and comes back with; see `browser`.

mod browser;
mod http;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use opalid_core::client::{ClientKind, ClientSettings};
use opalid_core::request::GrantType;
use opalid_core::visible::escaped_json;
use serde_json::Value;

use self::http::Line;
use super::output::{Format, write};
use super::reach::{Reaching, Server};
use super::secret;
use crate::config::{SECRET_FILE, process_environment};
use crate::manage::{Command, Handed, Reply};

/// Gets an access token for a client: with its secret (from a prompt, standard input or a file), or through the browser.
#[derive(Debug, Args)]
pub struct TokenCommand {
    /// The client's client_id
    #[arg(long, value_name = "CLIENT_ID")]
    client: String,
    /// A file with the client's secret; also the variable OPALID_CLIENT_SECRET_FILE
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A resource that the token opens; repeated for several [default: the client's]
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,
    /// Scopes, separated by blanks [default: all that the client may have there]
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
    /// Through the browser, for whoever signs in there [default: where the client cannot ask for itself]
    #[arg(long)]
    browser: bool,
    /// A PEM file with the authority that the server's certificate comes from [default: those of this system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Reaching for TokenCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let Reply::Workspace(workspace) = server.ask(Command::ShowWorkspace {})? else {
            bail!("the server answered something else");
        };
        let Reply::Client(client) = server.ask(Command::ShowClient { client_id: self.client.clone() })? else {
            bail!("the server answered something else");
        };
        let issuer = workspace.row.issuer;
        let line = Line::new(&issuer, self.ca.as_deref())?;
        let form = if self.by_browser(server, &client.settings)? {
            browser::code((&issuer, server), &self.client, &client.settings.redirect_uris, &self.wish())?
        } else {
            [&[("grant_type", "client_credentials".to_owned())], self.wish().as_slice()].concat()
        };
        let secret = match client.settings.kind {
            ClientKind::Public => None,
            ClientKind::Confidential => Some(self.secret()?),
        };
        let answer = line.post("/token", (&self.client, secret.as_ref().map(Handed::expose)), form)?;
        let document: Value =
            serde_json::from_slice(&answer.body).with_context(|| format!("{issuer} did not answer in JSON"))?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        match (answer.status, text("access_token"), server.output.format) {
            (200, Some(token), Format::Table) => write(&format!("{token}\n")),
            (200, Some(_), Format::Json) => write(&escaped_json(&format!("{document:#}\n"))),
            (status, ..) => {
                let error = text("error").unwrap_or("no error code");
                bail!(
                    "{issuer} refused ({status} {error}): {}",
                    text("error_description").unwrap_or("without a reason")
                )
            }
        }
    }
}

impl TokenCommand {
    /// What the token is to be good for.
    fn wish(&self) -> Vec<(&'static str, String)> {
        let resource = self.resource.iter().map(|resource| ("resource", resource.clone()));
        resource.chain(self.scope.iter().map(|scope| ("scope", scope.clone()))).collect()
    }

    fn by_browser(&self, server: &Server, settings: &ClientSettings) -> anyhow::Result<bool> {
        let may = |grant_type| settings.grant_types.contains(&grant_type);
        let alone = settings.kind == ClientKind::Confidential && may(GrantType::ClientCredentials);
        match (alone, may(GrantType::AuthorizationCode)) {
            (true, _) if !self.browser => Ok(false),
            (_, true) => Ok(true),
            (_, false) => bail!(
                "client {} may use neither client_credentials with a secret nor authorization_code; see: {}",
                self.client,
                server.advise(&format!("opalid client show {}", self.client))
            ),
        }
    }

    fn secret(&self) -> anyhow::Result<Handed> {
        let named = self.secret_file.clone().or_else(|| process_environment().remove(SECRET_FILE).map(PathBuf::from));
        let Some(path) = named else { return secret::ask(&format!("Secret of client {}: ", self.client)) };
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Handed::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}
