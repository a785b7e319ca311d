//! The smallest HTTP/1.1 client: one connection per request, nothing added that a test did not ask for,
//! nothing hidden of what came back.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// All headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The one header of this name; a test that meets two stops.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "header {name} is there {} times", all.len());
        all.first().copied()
    }

    /// Every header of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON, which its type says it is.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A field of the JSON body that is a text.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        let json = self.json();
        json[name].as_str().unwrap_or_else(|| panic!("no text {name} in {json}")).to_owned()
    }

    /// Status and body, for a snapshot.
    pub fn seen(&self) -> String {
        let text = self.text();
        if text.is_empty() { self.status.to_string() } else { format!("{} {text}", self.status) }
    }
}

/// The `Authorization` header of HTTP Basic (both parts must need no form encoding).
pub fn basic((client_id, secret): (&str, &str)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{client_id}:{secret}")))
}

/// Fields as a form body or a query.
pub fn encode(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Sends one request with `Host`, `Connection: close` and, unless it is empty or GET, `Content-Length`.
pub async fn request(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: localhost:{}\r\nconnection: close\r\n", address.port());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() || method == "POST" {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let bytes = [head.as_bytes(), body].concat();
    let mut answer = raw(address, &bytes).await;
    if method == "HEAD" {
        assert_eq!(answer.body, b"", "an answer to HEAD has no body");
    } else if let Some(length) = answer.header("content-length") {
        assert_eq!(length, answer.body.len().to_string(), "the body is whole");
    }
    answer.headers.retain(|(name, _)| name != "date" && name != "connection");
    answer
}

/// Sends these bytes and reads until the server closes.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    // Not a promise about speed: a server that hangs shall fail the test, not stop the run.
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    parse(&answer).unwrap_or_else(|| panic!("no answer ({ended:?}): {:?}", String::from_utf8_lossy(&answer)))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let headers = lines
        .map(|line| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())))
        .collect::<Option<_>>()?;
    Some(Answer { status, headers, body: bytes[end + 4..].to_vec() })
}
