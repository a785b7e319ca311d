//! Refresh with rotation (RFC 6749 §6): every connection walks along a chain of its own.

use super::{Beside, Scenario, Stage};
use crate::acquire::{self, TokenResponse, codes::CodeClient};
use crate::http::answer::Answer;
use crate::load::Traffic;
use anyhow::{Context, Result, ensure};

/// The scenario.
pub struct Refresh;

impl Scenario for Refresh {
    fn beside(&self) -> Beside {
        Beside::Floors
    }

    fn traffic(&self, stage: &Stage) -> Result<Box<dyn Traffic>> {
        let client = CodeClient::of(&stage.opalid)?;
        let chains = acquire::chains(&stage.opalid, stage.connections)?;
        Ok(Box::new(Chains { client, chains, request: Vec::new() }))
    }
}

struct Chains {
    client: CodeClient,
    /// The newest refresh token of each connection.
    chains: Vec<String>,
    request: Vec<u8>,
}

impl Traffic for Chains {
    fn next(&mut self, connection: usize) -> Option<&[u8]> {
        let token = self.chains.get(connection)?;
        self.request = self.client.token_request(&[("grant_type", "refresh_token"), ("refresh_token", token)]);
        Some(&self.request)
    }

    fn judge(&mut self, connection: usize, answer: &Answer<'_>) -> Result<()> {
        let next = TokenResponse::read(answer)?.refresh_token.context("no refresh token")?;
        let chain = self.chains.get_mut(connection).context("a connection without a chain")?;
        ensure!(*chain != next, "the refresh token was not rotated: nothing durable happened");
        *chain = next.into_owned();
        Ok(())
    }
}
