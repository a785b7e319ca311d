//! Verifying a JWT where it is presented, as a resource server does that asks nobody: signature, type, issuer.

use crate::clock;
use crate::http::client;
use crate::http::request::get;
use anyhow::{Context, Result};
use opalid_core::jwt::{Jwk, PublicKey, PublicKeys};
use serde_json::Value;
use std::hint::black_box;
use std::net::SocketAddr;

/// How often it is done: enough for the clock, and for a key's tables to be warm.
const TIMES: u32 = 2_000;

/// Nanoseconds for one, the best of five series.
pub fn verify(address: SocketAddr, jwt: &str) -> Result<f64> {
    let received = client::exchange(address, &get(address, "/jwks", &[]))?;
    let set: Value = serde_json::from_slice(received.answer()?.body)?;
    let keys: Vec<Jwk> = serde_json::from_value(set.get("keys").context("no keys")?.clone())?;
    let keys = PublicKeys::new(keys.into_iter().map(PublicKey::from_jwk).collect::<Result<_, _>>()?);
    let issuer = format!("http://localhost:{}", address.port());
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let began_at = clock::now();
        for _ in 0..TIMES {
            black_box(keys.verify_access_token(black_box(jwt), &issuer)).context("it does not verify")?;
        }
        let elapsed = clock::now() - began_at;
        best = best.min(elapsed.as_nanos() as f64 / f64::from(TIMES));
    }
    Ok(best)
}
