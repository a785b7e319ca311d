//! Exchange of authorization codes (RFC 6749 §4.1.3), each once; the codes are got just before the round.

use super::{Beside, Scenario, Stage};
use crate::acquire::codes::{CodeClient, Exchange};
use crate::floor::Work;
use crate::load::Traffic;
use crate::seed::{WITH_OPENID, WITHOUT_OPENID};
use anyhow::Result;

/// The scenario.
pub struct CodeExchange {
    /// Whether an ID token is signed for each.
    pub with_id_token: bool,
}

impl Scenario for CodeExchange {
    /// The code is marked as used, a refresh chain begins.
    fn beside(&self) -> Beside {
        Beside::Floors(Work { inserts: 1, signs: self.with_id_token })
    }

    fn traffic<'s>(&self, stage: &'s Stage) -> Result<Box<dyn Traffic + 's>> {
        let scope = if self.with_id_token { WITH_OPENID } else { WITHOUT_OPENID };
        let codes = CodeClient::sign_in(&stage.opalid)?.codes(scope, stage.single_use)?;
        Ok(Box::new(Exchange::of(&stage.opalid, codes)))
    }
}
