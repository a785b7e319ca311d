//! A verifier that knows four tokens, and a server that is asked over a socket.

use std::sync::Arc;

use axum::Router;
use opalid_verifier::{Outage, Token, Verdict, Verify};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What it says of a token is in the token's name.
#[derive(Clone)]
pub struct Scripted;

impl Verify for Scripted {
    async fn verify(&self, token: &str) -> Result<Verdict, Outage> {
        let (audience, scope) = match token {
            "reader" => ("https://api.demo.example/", "read"),
            "writer" => ("https://api.demo.example/", "read write"),
            "canceller" => ("https://api.demo.example/", "cancel read write"),
            "elsewhere" => ("https://other.demo.example/", "read write"),
            "away" => return Err(Outage),
            _ => return Ok(Verdict::Inactive),
        };
        let facts = format!(
            r#"{{"active":true,"sub":"alice","aud":"{audience}","client_id":"demo-app","scope":"{scope}",
                "exp":1795474544,"iat":1795470944,"token_type":"Bearer"}}"#
        );
        Ok(Verdict::Active(Arc::new(Token::parse(&facts).unwrap())))
    }
}

/// An API on a free port of this machine.
pub struct Served {
    address: std::net::SocketAddr,
}

impl Served {
    pub async fn begin(api: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, api).await });
        Self { address }
    }

    /// The whole answer to a request without a body, without its date.
    pub async fn ask(&self, method: &str, path: &str, headers: &[&str]) -> String {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")).await
    }

    /// The whole answer to the form `body`.
    pub async fn post(&self, path: &str, body: &str) -> String {
        let form = format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}", body.len());
        self.send(&format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{form}\r\n\r\n{body}"))
            .await
    }

    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let lines = answer.lines().filter(|line| !line.starts_with("date: ") && *line != "connection: close");
        lines.collect::<Vec<_>>().join("\n")
    }

    pub async fn status(&self, method: &str, path: &str, headers: &[&str]) -> u16 {
        self.ask(method, path, headers).await.split(' ').nth(1).unwrap().parse().unwrap()
    }
}
