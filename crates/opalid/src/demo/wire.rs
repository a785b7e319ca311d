//! How the demo speaks to the server: HTTP/1.1 over a connection of its own, byte for byte what is shown.
//!
//! Takes: a URL of the issuer, perhaps a form. Gives: the bytes sent, the bytes received.
//! Holds: it connects to the issuer alone; an answer is bounded in size and time.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest answer that is read.
const LONGEST: u64 = 64 * 1024;
/// How long an answer may take.
const TIME: Duration = Duration::from_secs(10);

/// A request and its answer, as they went over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The bytes sent.
    pub sent: String,
    /// The bytes received.
    pub received: String,
    /// The status in them.
    pub status: u16,
}

impl Exchange {
    /// What follows the headers.
    pub fn body(&self) -> &str {
        self.received.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.body()).unwrap_or_default()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not the issuer's.
    #[error("{0} is not an address of the issuer")]
    Elsewhere(String),
    /// The demo's own client is a plain one.
    #[error("the demo speaks plain http; start it without tls to walk through it")]
    Https,
    /// The connection broke.
    #[error("the server did not answer: {0}")]
    Broken(#[from] std::io::Error),
    /// It took too long.
    #[error("the server did not answer in time")]
    Slow,
    /// It did not answer with HTTP.
    #[error("what came back is not HTTP")]
    NotHttp,
}

/// GET with perhaps an `Authorization`.
pub async fn get(issuer: &str, url: &str, authorization: Option<&str>) -> Result<Exchange, WireError> {
    let (host, path) = place(issuer, url)?;
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    let sent =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Accept: */*\r\nConnection: close\r\n\r\n");
    exchange(host, sent).await
}

/// POST of a form with perhaps an `Authorization`.
pub async fn post(
    issuer: &str,
    url: &str,
    authorization: Option<&str>,
    fields: &[(&str, &str)],
) -> Result<Exchange, WireError> {
    let (host, path) = place(issuer, url)?;
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let sent = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    exchange(host, sent).await
}

/// Host and path of a URL of the issuer.
fn place<'u>(issuer: &str, url: &'u str) -> Result<(&'u str, &'u str), WireError> {
    let elsewhere = || WireError::Elsewhere(url.to_owned());
    let path = url.strip_prefix(issuer).filter(|path| path.starts_with('/')).ok_or_else(elsewhere)?;
    if path.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
        return Err(elsewhere());
    }
    let rest = url.strip_prefix("http://").ok_or(WireError::Https)?;
    let host = rest.split('/').next().unwrap_or(rest);
    let path = rest.strip_prefix(host).ok_or_else(elsewhere)?;
    Ok((host, path))
}

async fn exchange(host: &str, sent: String) -> Result<Exchange, WireError> {
    let with_port = if host.ends_with(']') || !host.contains(':') { format!("{host}:80") } else { host.to_owned() };
    let received = tokio::time::timeout(TIME, speak(&with_port, &sent)).await.map_err(|_| WireError::Slow)??;
    let received = String::from_utf8_lossy(&received).into_owned();
    let status = received.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    Ok(Exchange { sent, status: status.ok_or(WireError::NotHttp)?, received })
}

async fn speak(address: &str, sent: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(sent.as_bytes()).await?;
    let mut received = Vec::new();
    stream.take(LONGEST).read_to_end(&mut received).await?;
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// An issuer that answers once with `answer`, and what it was told.
    async fn issuer(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let told = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut told = [0; 4096];
            let count = stream.read(&mut told).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(told[..count].to_vec()).unwrap()
        });
        (issuer, told)
    }

    #[tokio::test]
    async fn what_is_shown_is_what_went_over_the_wire() {
        let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 11\r\n\r\n{\"a\": \"b\"}\n";
        let (issuer, told) = issuer(answer).await;
        let exchange = post(&issuer, &format!("{issuer}/token"), Some("Basic eDp5"), &[("a", "b c")]).await.unwrap();
        assert_eq!(exchange.sent, told.await.unwrap());
        assert!(exchange.sent.starts_with("POST /token HTTP/1.1\r\n") && exchange.sent.ends_with("\r\n\r\na=b+c"));
        assert!(exchange.sent.contains("\r\nAuthorization: Basic eDp5\r\n"));
        assert_eq!((exchange.status, exchange.received.as_str()), (401, answer));
        assert_eq!(exchange.json()["a"], "b");
    }

    #[tokio::test]
    async fn it_speaks_to_the_issuer_alone() {
        for url in ["http://evil.example/token", "http://localhost:80800/token", "http://localhost:8080", "/token"] {
            let refused = get("http://localhost:8080", url, None).await;
            assert!(matches!(refused, Err(WireError::Elsewhere(_))), "{url}");
        }
        let split = get("http://localhost:8080", "http://localhost:8080/a\r\nX: y", None).await;
        assert!(matches!(split, Err(WireError::Elsewhere(_))));
    }

    #[tokio::test]
    async fn an_answer_that_is_not_http_is_an_error() {
        let (issuer, _told) = issuer("SSH-2.0-whatever\r\n").await;
        assert!(matches!(get(&issuer, &format!("{issuer}/"), None).await, Err(WireError::NotHttp)));
    }
}
