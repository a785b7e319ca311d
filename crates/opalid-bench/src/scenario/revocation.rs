//! Revocation (RFC 7009) of access tokens, each once: 200 and no body; afterwards one is shown to be dead.

use super::{Beside, Scenario, Stage};
use crate::acquire;
use crate::http::client::exchange;
use crate::load::Traffic;
use crate::traffic::{Expect, PerToken};
use anyhow::{Context, Result};
use std::cell::RefCell;
use std::rc::Rc;

/// The scenario, and the token that the current round revokes first.
#[derive(Default)]
pub struct Revocation {
    first: RefCell<Option<String>>,
}

impl Scenario for Revocation {
    fn beside(&self) -> Beside {
        Beside::Floors
    }

    fn traffic(&self, stage: &Stage) -> Result<Box<dyn Traffic>> {
        let opalid = &stage.opalid;
        let tokens = acquire::machine_tokens(opalid, stage.single_use)?;
        self.first.replace(tokens.find(0).map(Into::into));
        let template = |token: &str| opalid.post("/revoke", &opalid.client, &[("token", token)]);
        Ok(Box::new(PerToken::new(Rc::new(tokens), template, Expect::new(200, ""), true)?))
    }

    fn verify(&self, stage: &Stage) -> Result<()> {
        let first = self.first.take().context("nothing was revoked")?;
        let opalid = &stage.opalid;
        let request = opalid.post("/introspect", &opalid.introspector, &[("token", &first)]);
        let received = exchange(opalid.address, &request)?;
        Expect::new(200, r#""active":false"#).judge(&received.answer()?).context("a revoked token is alive")
    }
}
