//! A POST of a form to the issuer, over https or to loopback over http.
//!
//! Holds: a secret goes nowhere but to the issuer, whose certificate was checked; an answer that was cut short is an
//! error.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use zeroize::Zeroizing;

const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST: u64 = 1024 * 1024;

/// A way to an issuer.
pub struct Line {
    /// Host, and port if it is written.
    authority: String,
    /// What the issuer's own paths begin with.
    base: String,
    tls: Option<Arc<ClientConfig>>,
}

/// Status and body.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Line {
    /// To this issuer; over https its certificate comes from this authority, or one that the system trusts.
    pub fn new(issuer: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        let (scheme, rest) = issuer.split_once("://").with_context(|| format!("{issuer} is not a URL"))?;
        let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
        let base = path.map(|path| format!("/{path}")).unwrap_or_default();
        let tls = if scheme == "https" { Some(Arc::new(trust(ca)?)) } else { None };
        Ok(Self { authority: authority.to_owned(), base, tls })
    }

    /// Posts a form as a client: by HTTP Basic with its secret (RFC 6749 §2.3.1), or by its name alone.
    pub fn post(
        &self,
        path: &str,
        (client_id, secret): (&str, Option<&str>),
        form: Vec<(&'static str, String)>,
    ) -> anyhow::Result<Answer> {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        let authorization = match secret {
            None => {
                body.append_pair("client_id", client_id);
                Zeroizing::new(String::new())
            }
            Some(secret) => {
                let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let secret = Zeroizing::new(encode(secret));
                let pair = Zeroizing::new(format!("{}:{}", encode(client_id), *secret));
                let pair = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
                Zeroizing::new(format!("Authorization: Basic {}\r\n", *pair))
            }
        };
        let body = Zeroizing::new(body.finish());
        let (authority, base) = (&self.authority, &self.base);
        let request = Zeroizing::new(format!(
            "POST {base}{path} HTTP/1.0\r\nHost: {authority}\r\n{}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{}",
            *authorization,
            body.len(),
            *body
        ));
        let answer = self.exchange(request.as_bytes())?;
        read(&answer).with_context(|| format!("{authority} did not answer in HTTP, or not all of it"))
    }

    /// Why an exchange that was begun broke off.
    fn broke_off(&self, error: &std::io::Error) -> anyhow::Error {
        let authority = &self.authority;
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(why)) if is_no_leaf(why) => anyhow!(
                "{authority} shows a certificate of an authority as its own, which is not taken; give the server one that \
                 an authority made for it (basicConstraints CA:FALSE), and name that authority with --ca FILE"
            ),
            Some(error @ rustls::Error::InvalidCertificate(_)) => anyhow!(
                "the certificate of {authority} is not taken: {error}; where it comes from an authority of your own, name a \
                 PEM file with that, or with itself if it is self-signed: --ca FILE"
            ),
            Some(error) => anyhow!("{authority} and this command did not agree on TLS: {error}"),
            None => anyhow!("{authority} broke off: {error}"),
        }
    }

    fn exchange(&self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (host, port) = match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().context("the issuer's port")?),
            _ => (self.authority.as_str(), if self.tls.is_some() { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = connect(host, port)?;
        let Some(config) = &self.tls else { return ask(stream, request).map_err(|error| self.broke_off(&error)) };
        let name = ServerName::try_from(host.to_owned()).with_context(|| format!("{host} is no name for a server"))?;
        let stream = StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, stream);
        ask(stream, request).map_err(|error| self.broke_off(&error))
    }
}

/// Whether a certificate that may sign others was shown as a server's own.
fn is_no_leaf(why: &CertificateError) -> bool {
    matches!(why, CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity"))
}

fn trust(ca: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let named = || format!("--ca {}: expected certificates in PEM form", path.display());
            for certificate in CertificateDer::pem_file_iter(path).with_context(named)? {
                roots.add(certificate.with_context(named)?).with_context(named)?;
            }
            if roots.is_empty() {
                bail!(
                    "--ca: there is no certificate in {}; name a PEM file with that of the authority",
                    path.display()
                );
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    if roots.is_empty() {
        bail!("no authority is trusted here: name a PEM file with --ca FILE");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn ask(mut stream: impl Read + Write, request: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut answer = Vec::new();
    match stream.take(LONGEST).read_to_end(&mut answer) {
        // TLS that ends without its own good-bye; whether all came, Content-Length says.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(answer),
        Err(error) => Err(error),
        Ok(_) => Ok(answer),
    }
}

fn connect(host: &str, port: u16) -> anyhow::Result<TcpStream> {
    let mut refused = None;
    for address in (host, port)
        .to_socket_addrs()
        .with_context(|| format!("cannot find the address of {host}, the host of the issuer"))?
    {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => refused = Some(error),
        }
    }
    let refused = refused.map_or_else(|| "it has no address".into(), |error| error.to_string());
    bail!("cannot connect to {host}:{port}: {refused}")
}

/// An HTTP/1.0 answer: its body ends with the connection, where its length says.
fn read(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, body) = answer.split_at_checked(end)?;
    let (head, body) = (std::str::from_utf8(head).ok()?, body.get(4..)?);
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, length)| length.trim());
    let whole = length.map(str::parse).all(|length| length == Ok(body.len()));
    whole.then(|| Answer { status, body: body.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_whole_body() {
        let answer = read(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\n{}\r\n").unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (401, b"{}\r\n".as_slice()));
        assert!(read(b"HTTP/1.1 200 OK\r\n").is_none());
        assert!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}").is_none());
    }

    #[test]
    fn an_issuer_with_a_path_is_asked_below_it() {
        let line = Line::new("http://[::1]:8080/acme", None).unwrap();
        assert_eq!((&*line.authority, &*line.base, line.tls.is_none()), ("[::1]:8080", "/acme", true));
    }
}
