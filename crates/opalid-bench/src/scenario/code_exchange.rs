//! Exchange of authorization codes (RFC 6749 §4.1.3), each once; the codes are got just before the round.

use super::{Beside, Scenario, Stage};
use crate::acquire::codes::{CodeClient, Exchange};
use crate::load::Traffic;
use anyhow::Result;

/// The scenario.
pub struct CodeExchange;

impl Scenario for CodeExchange {
    fn beside(&self) -> Beside {
        Beside::Floors
    }

    fn traffic(&self, stage: &Stage) -> Result<Box<dyn Traffic>> {
        let client = CodeClient::of(&stage.opalid)?;
        let codes = client.codes(stage.single_use)?;
        Ok(Box::new(Exchange::measuring(&client, codes)))
    }
}
