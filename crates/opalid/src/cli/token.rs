//! `opalid token`: an access token by client_credentials (RFC 6749 §4.4), over HTTP like any client.
//!
//! Holds: the secret comes from a prompt, standard input or a file, never from an argument or a plain variable.
//! Not here: the way through the browser.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::output::{Format, write};
use super::reach::{Reaching, Server};
use super::secret;
use crate::config::process_environment;
use crate::manage::{Command, Handed, Reply};

/// The variable that names a file with the client's secret.
const SECRET_FILE: &str = "OPALID_CLIENT_SECRET_FILE";

/// Gets an access token for a client, by its secret: from a prompt, standard input or a file.
#[derive(Debug, Args)]
pub struct TokenCommand {
    /// The client's client_id
    #[arg(long, value_name = "CLIENT_ID")]
    client: String,
    /// A file with the client's secret; also the variable OPALID_CLIENT_SECRET_FILE
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The resource that the token opens [default: the client's]
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// Scopes, separated by blanks [default: all that the client may have there]
    #[arg(long, value_name = "SCOPES")]
    scope: Option<String>,
}

impl Reaching for TokenCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let Reply::Workspace(workspace) = server.ask(Command::ShowWorkspace {})? else {
            bail!("the server answered something else");
        };
        let secret = self.secret()?;
        let issuer = &workspace.row.issuer;
        let answer = http::post(&format!("{issuer}/token"), (&self.client, secret.expose()), &self.form())?;
        let document: serde_json::Value =
            serde_json::from_slice(&answer.body).with_context(|| format!("{issuer} did not answer in JSON"))?;
        let text = |name: &str| document.get(name).and_then(serde_json::Value::as_str);
        match (answer.status, text("access_token"), server.output.format) {
            (200, Some(token), Format::Table) => write(&format!("{token}\n")),
            (200, Some(_), Format::Json) => write(&format!("{document:#}\n")),
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
    fn form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(resource) = &self.resource {
            form.append_pair("resource", resource);
        }
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        form.finish()
    }

    fn secret(&self) -> anyhow::Result<Handed> {
        let named = self.secret_file.clone().or_else(|| process_environment().remove(SECRET_FILE).map(PathBuf::from));
        let Some(path) = named else { return secret::ask(&format!("Secret of client {}: ", self.client)) };
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Handed::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

mod http {
    //! One POST over plain HTTP to this machine.

    use std::io::{Read, Write};
    use std::net::{TcpStream, ToSocketAddrs};
    use std::time::Duration;

    use anyhow::{Context, bail};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use zeroize::Zeroizing;

    const PATIENCE: Duration = Duration::from_secs(30);
    const LONGEST: u64 = 1024 * 1024;

    /// Status and body.
    pub struct Answer {
        pub status: u16,
        pub body: Vec<u8>,
    }

    /// Posts a form with HTTP Basic authentication (RFC 6749 §2.3.1).
    pub fn post(url: &str, (user, password): (&str, &str), form: &str) -> anyhow::Result<Answer> {
        let Some(rest) = url.strip_prefix("http://") else {
            bail!(
                "{url} is https, which this command does not speak; get the token with: curl -u CLIENT_ID -d \
                 grant_type=client_credentials {url}"
            );
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let address = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = Zeroizing::new(format!("{}:{}", encode(user), Zeroizing::new(encode(password)).as_str()));
        let request = Zeroizing::new(format!(
            "POST /{path} HTTP/1.0\r\nHost: {authority}\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            STANDARD.encode(pair.as_bytes()),
            form.len()
        ));
        let mut stream = connect(&address)?;
        stream.write_all(request.as_bytes()).with_context(|| format!("{address} hung up"))?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).with_context(|| format!("{address} broke off"))?;
        read(&answer).with_context(|| format!("{address} did not answer in HTTP"))
    }

    fn connect(address: &str) -> anyhow::Result<TcpStream> {
        let mut refused = None;
        for address in address.to_socket_addrs().with_context(|| format!("cannot find {address}"))? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    return Ok(stream);
                }
                Err(error) => refused = Some(error),
            }
        }
        let refused = refused.map_or_else(|| "it has no address".into(), |error| error.to_string());
        bail!("cannot connect to {address}: {refused}")
    }

    /// An HTTP/1.0 answer: its body ends with the connection.
    fn read(answer: &[u8]) -> Option<Answer> {
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let (head, body) = answer.split_at_checked(end)?;
        let status = std::str::from_utf8(head).ok()?.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, body: body.get(4..)?.to_vec() })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_answer_has_a_status_and_a_body() {
            let answer = read(b"HTTP/1.1 401 Unauthorized\r\nA: b\r\n\r\n{}\r\n").unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (401, b"{}\r\n".as_slice()));
            assert!(read(b"HTTP/1.1 200 OK\r\n").is_none());
        }

        #[test]
        fn a_secret_never_goes_over_https_that_is_not_spoken_here() {
            let refused = post("https://login.example/token", ("a", "b"), "").err().unwrap().to_string();
            assert!(refused.contains("curl -u CLIENT_ID -d grant_type=client_credentials https://login.example/token"));
        }
    }
}
