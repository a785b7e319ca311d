//! The floor with HTTP: what a durable path of a token endpoint cannot leave out, and nothing else.
//!
//! Takes: a form with a secret. Gives: JSON as long as a token response, once a step is committed.
//! Does: parses the form, hashes twice (what was presented, what comes next), makes one durable step through the
//! writer or pool of the floor without HTTP, signs an ID token where Opalid would. No client, no grant is looked up,
//! nothing is judged, sealed, logged or counted.

use super::postgres::Connections;
use super::sqlite::Writer;
use super::{CHAINS, StepInput, Work};
use crate::child::Child;
use crate::http::request;
use crate::load::{self, Shape};
use crate::reference::{LISTENING, Reply, response};
use crate::stats::Sample;
use crate::traffic::{Expect, Fixed};
use ::http::{Request, Response};
use anyhow::{Context, Result, anyhow};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

/// Far enough apart that neighbours in time are not neighbours in a page; no divisor of [`CHAINS`].
const STRIDE: usize = 6_181;

/// Where steps go.
pub enum Engine {
    /// To the writer of a SQLite file.
    Sqlite(Writer),
    /// To a pool of connections.
    Postgres(Connections),
}

impl Engine {
    async fn submit(&self, input: StepInput) -> Result<()> {
        match self {
            Self::Sqlite(writer) => writer.submit(input).await,
            Self::Postgres(connections) => connections.step(input).await,
        }
    }
}

/// How the server is started.
pub struct Place {
    /// Where the SQLite file is made.
    pub data: PathBuf,
    /// The database, if it is not that.
    pub database: Option<String>,
    /// Connections to it.
    pub pool: usize,
    /// What a step does.
    pub work: Work,
}

/// A server that runs.
pub struct Running {
    address: SocketAddr,
    _child: Child,
}

impl Running {
    /// Starts it on a core.
    pub fn start(place: &Place, cpu: Option<usize>) -> Result<Self> {
        let mut program = Command::new(std::env::current_exe()?);
        program.arg("floor-http").arg("--data").arg(&place.data);
        program.args(["--pool", &place.pool.to_string(), "--inserts", &place.work.inserts.to_string()]);
        program.args(place.work.signs.then_some("--signs"));
        program.args(place.database.iter().flat_map(|url| ["--database", url]));
        let mut child = Child::start(&program, cpu)?;
        Ok(Self { address: child.line(LISTENING)?.parse()?, _child: child })
    }

    /// Measures it.
    pub fn measure(&self, shape: Shape) -> Result<Sample> {
        let secret = URL_SAFE_NO_PAD.encode([7; 81]);
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &secret), ("client_id", "demo-app")];
        let request = request::post(self.address, "/token", &[], &request::form(&fields));
        load::run(self.address, shape, &mut Fixed::endless(request, Expect::new(200, r#""access_token":"#)))
    }
}

struct Floor {
    engine: Engine,
    work: Work,
    key: Option<RsaKeyPair>,
    turn: Cell<usize>,
}

/// Serves until the process ends.
pub fn serve(place: &Place) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let engine = match &place.database {
            Some(url) => Engine::Postgres(Connections::open(url, place.pool).await?),
            None => Engine::Sqlite(Writer::start(&place.data)?),
        };
        let key = place.work.signs.then(|| RsaKeyPair::generate(KeySize::Rsa2048)).transpose();
        let key = key.map_err(|_| anyhow!("no RSA key"))?;
        let floor = Rc::new(Floor { engine, work: place.work, key, turn: Cell::new(0) });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut out = std::io::stdout();
        writeln!(out, "{LISTENING}{}", listener.local_addr()?)?;
        out.flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let floor = Rc::clone(&floor);
            let service = service_fn(move |request| answer(Rc::clone(&floor), request));
            tokio::task::spawn_local(async move {
                // A load generator that hangs up is no error of the server's.
                let _closed = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

async fn answer(floor: Rc<Floor>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let form = request.into_body().collect().await?.to_bytes();
    let reply = floor.token(&form).await.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        Reply { status: 503, body: Vec::new().into() }
    });
    Ok(response(reply))
}

impl Floor {
    async fn token(&self, form: &[u8]) -> Result<Reply> {
        let secret = form_urlencoded::parse(form).find(|(name, _)| name == "refresh_token").map(|(_, secret)| secret);
        let presented = digest(&SHA256, secret.context("no secret")?.as_bytes());
        let next = digest(&SHA256, presented.as_ref());
        let turn = self.turn.get();
        self.turn.set(turn + 1);
        let chain = i64::try_from(turn * STRIDE % CHAINS)?;
        let hash = next.as_ref().try_into()?;
        self.engine.submit(StepInput { chain, hash, inserts: self.work.inserts }).await?;
        let secret = URL_SAFE_NO_PAD.encode([next.as_ref(), next.as_ref()].concat());
        let id_token = self.key.as_ref().map(|key| sign(key, &secret)).transpose()?;
        let body = serde_json::json!({
            "access_token": format!("oat_{secret}"), "token_type": "Bearer", "expires_in": 600, "scope": "read write",
            "refresh_token": format!("ort_{secret}"), "id_token": id_token,
        });
        Ok(Reply { status: 200, body: serde_json::to_vec(&body)?.into() })
    }
}

fn sign(key: &RsaKeyPair, claims: &str) -> Result<String> {
    let mut signature = vec![0; key.public_modulus_len()];
    let (random, claims) = (SystemRandom::new(), claims.repeat(4));
    key.sign(&RSA_PKCS1_SHA256, &random, claims.as_bytes(), &mut signature).map_err(|_| anyhow!("cannot sign"))?;
    Ok(format!("{claims}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
