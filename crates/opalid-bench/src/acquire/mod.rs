//! Tokens from a running Opalid, got as any client gets them and outside the measured time.

pub mod codes;
mod html;

use crate::http::answer::Answer;
use crate::load::{self, Shape, Traffic};
use crate::opalid::Opalid;
use crate::traffic::Tokens;
use anyhow::{Context, Result, ensure};
use codes::{CodeClient, Exchange};
use serde::Deserialize;
use std::borrow::Cow;

/// Connections used while preparing.
pub const CONNECTIONS: usize = 16;
/// Codes live a minute, so they are made and used in batches.
const BATCH: usize = 4_000;

/// The parts of a token response that a client keeps.
#[derive(Deserialize)]
pub struct TokenResponse<'a> {
    /// The access token.
    #[serde(borrow)]
    pub access_token: Cow<'a, str>,
    /// The refresh token, if there is one.
    #[serde(borrow)]
    pub refresh_token: Option<Cow<'a, str>>,
}

impl<'a> TokenResponse<'a> {
    /// Reads a successful token response.
    pub fn read(answer: &Answer<'a>) -> Result<Self> {
        ensure!(answer.status == 200, "status {} and not 200", answer.status);
        serde_json::from_slice(answer.body).context("not a token response")
    }
}

/// Access tokens by client_credentials: as many as asked for, all of the client's one standing grant.
pub fn machine_tokens(opalid: &Opalid, count: usize) -> Result<Tokens> {
    let request = opalid.post("/token", &opalid.client, &[("grant_type", "client_credentials")]);
    let mut minting = Minting { request, left: count, tokens: Tokens::default() };
    load::run(opalid.address, Shape::exhaustive(CONNECTIONS), &mut minting).context("client_credentials")?;
    Ok(minting.tokens)
}

/// Access tokens by the code flow: each of a grant of its own.
pub fn people_tokens(opalid: &Opalid, count: usize) -> Result<Tokens> {
    let mut tokens = Tokens::default();
    for exchanged in exchanges(opalid, count)? {
        tokens.push(&exchanged.access_token)?;
    }
    Ok(tokens)
}

/// Refresh tokens by the code flow: each of a chain and grant of its own.
pub fn chains(opalid: &Opalid, count: usize) -> Result<Vec<String>> {
    let chain = |exchanged: codes::Exchanged| exchanged.refresh_token.context("no refresh token was issued");
    exchanges(opalid, count)?.into_iter().map(chain).collect()
}

fn exchanges(opalid: &Opalid, count: usize) -> Result<Vec<codes::Exchanged>> {
    let client = CodeClient::of(opalid)?;
    let mut exchanged = Vec::with_capacity(count);
    while exchanged.len() < count {
        let codes = client.codes((count - exchanged.len()).min(BATCH))?;
        let mut exchange = Exchange::keeping(&client, codes);
        load::run(opalid.address, Shape::exhaustive(CONNECTIONS), &mut exchange).context("code exchange")?;
        exchanged.append(&mut exchange.kept);
    }
    Ok(exchanged)
}

struct Minting {
    request: Vec<u8>,
    left: usize,
    tokens: Tokens,
}

impl Traffic for Minting {
    fn next(&mut self, _connection: usize) -> Option<&[u8]> {
        self.left = self.left.checked_sub(1)?;
        Some(&self.request)
    }

    fn judge(&mut self, _connection: usize, answer: &Answer<'_>) -> Result<()> {
        self.tokens.push(&TokenResponse::read(answer)?.access_token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_response_is_read_with_and_without_a_refresh_token() {
        let answer = |body| Answer { status: 200, head: b"", body };
        let both = answer(br#"{"access_token":"a","token_type":"Bearer","expires_in":60,"refresh_token":"r"}"#);
        assert_eq!(TokenResponse::read(&both).unwrap().refresh_token.as_deref(), Some("r"));
        let one = answer(br#"{"access_token":"a"}"#);
        assert_eq!(TokenResponse::read(&one).unwrap().access_token, "a");
    }

    #[test]
    fn a_refusal_is_no_token_response() {
        let refusal = Answer { status: 400, head: b"", body: br#"{"access_token":"a"}"# };
        assert!(TokenResponse::read(&refusal).is_err());
    }
}
