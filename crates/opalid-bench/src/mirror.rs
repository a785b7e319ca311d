//! A check from memory beside the verification of a signature, on one core.
//!
//! Takes: how many tokens are remembered. Gives: nanoseconds for a check that finds its token (clock, digest of the whole token, lease,
//! look-up), nanoseconds for a signature of each algorithm, and how many of the one take as long as the other.
//! Holds: tokens are asked about in an order that is none, so that what is asked about does not lie in the cache by luck; a signature is
//! verified with a key that is parsed already, and nothing else of a JWT is looked at.

use crate::clock;
use anyhow::{Context, Result, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use clap::Args;
use opalid_core::lease::{Grant, HolderId, Incarnation, News, Position};
use opalid_core::mirror::{Answer, DigestKey, Found, Mirror, Room, Tag};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// What is asked for.
#[derive(Args)]
pub struct Options {
    /// How many tokens are remembered; several times for several rows
    #[arg(long, default_values_t = [100_000, 1_000_000])]
    entries: Vec<usize>,
    /// Everything in little, to see whether it still works; the figures mean nothing
    #[arg(long)]
    quick: bool,
}

/// What a verifier knows of a token, about as much as an API asks for.
struct Facts {
    subject: String,
    scopes: String,
}

/// Measures, and prints a table.
pub fn run(options: &Options) -> Result<()> {
    let (times, series) = if options.quick { (200, 1) } else { (2_000, 7) };
    let signatures = signatures()?;
    let mut verified = Vec::new();
    for (name, verify) in &signatures {
        let took = best_of(series, times, |_| verify().map_or(0, usize::from))?;
        verified.push((*name, took));
    }
    println!(
        "| tokens remembered | check | {} |",
        verified.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | ")
    );
    println!("|---|---|{}", "---|".repeat(verified.len()));
    for entries in &options.entries {
        let entries = if options.quick { entries / 100 } else { *entries };
        let took = checks(entries, series, times * 100)?;
        let beside = verified.iter().map(|(_, other)| format!(" {other:.0} ns, {:.0} × |", other / took));
        println!("| {entries} | {took:.0} ns |{}", beside.collect::<String>());
    }
    Ok(())
}

/// Nanoseconds for one, the best of several series.
fn best_of(series: usize, times: usize, mut work: impl FnMut(usize) -> usize) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..series {
        let began_at = clock::now();
        let done: usize = (0..times).map(&mut work).sum();
        let elapsed = clock::now() - began_at;
        ensure!(done == times, "{} of {times} did not do what they should", times - done);
        best = best.min(elapsed.as_nanos() as f64 / times as f64);
    }
    Ok(best)
}

fn checks(entries: usize, series: usize, times: usize) -> Result<f64> {
    let mirror = Mirror::new(HolderId(1), Room { entries: entries * 2, ..Room::default() });
    let at = Position { incarnation: Incarnation(1), n: 0 };
    let grant = Some(Grant { asked_at: clock::boottime(), valid_for: Duration::from_secs(3600) });
    mirror.hear(clock::boottime(), News { from: None, to: at, changes: Vec::new(), grant });
    let key = DigestKey::new([7; 16]);
    let expires_at = clock::boottime().after(Duration::from_secs(3600));
    let tokens: Vec<String> =
        (0..entries).map(|number| format!("oat_{:092x}", (number as u128).wrapping_mul(ODD))).collect();
    for (number, token) in tokens.iter().enumerate() {
        // What a person's token hangs from: workspace, client, user, credentials, session, consent, grant, resource, role.
        let tags: Vec<Tag> = [1, 8, 100, 101, 102, 103, 104, 8, 4]
            .into_iter()
            .map(|of| Tag((number as u64 % (of * 1_000)) << 8 | of))
            .collect();
        let facts = Arc::new(Facts { subject: number.to_string(), scopes: "read write".into() });
        ensure!(mirror.fill(&Answer { of: key.of(token), facts, expires_at, tags: &tags, at }), "not remembered");
    }
    best_of(series, times, |round| {
        let token = tokens.get(round.wrapping_mul(1_000_003) % entries).map_or("", String::as_str);
        let found = mirror.find(clock::boottime(), key.of(black_box(token)));
        usize::from(matches!(&found, Found::Active(facts) if !facts.subject.is_empty() && facts.scopes.len() == 10))
    })
}

/// Spreads numbers over all of a token.
const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

type Verify = Box<dyn Fn() -> Option<bool>>;

/// One signature of each algorithm over as many bytes as a JWT access token's, and what verifies it.
fn signatures() -> Result<Vec<(&'static str, Verify)>> {
    let message = vec![b'x'; 480];
    let verified = |key: ParsedPublicKey, signature: Vec<u8>| -> Verify {
        let message = message.clone();
        Box::new(move || key.verify_sig(black_box(&message), black_box(&signature)).ok().map(|()| true))
    };
    let random = SystemRandom::new();
    let es256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let signature = es256.sign(&random, &message)?.as_ref().to_vec();
    let es256 = verified(ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, es256.public_key().as_ref())?, signature);
    let eddsa = Ed25519KeyPair::generate()?;
    let signature = eddsa.sign(&message).as_ref().to_vec();
    let eddsa = verified(ParsedPublicKey::new(&ED25519, eddsa.public_key().as_ref())?, signature);
    let rs256 = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let mut signature = vec![0; rs256.public_modulus_len()];
    rs256.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).ok().context("RSA does not sign")?;
    let rs256 = verified(ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rs256.public_key().as_ref())?, signature);
    Ok(vec![("ES256", es256), ("EdDSA", eddsa), ("RS256", rs256)])
}
