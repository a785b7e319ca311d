//! Revocation (RFC 7009) of people's access tokens, each once: 200 and no body; afterwards one is shown to be dead.

use super::{Beside, Scenario, Stage};
use crate::floor::Work;
use crate::http::client::exchange;
use crate::load::Traffic;
use crate::seed::Which;
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
    /// The token's row; the grant counts it; a change in the feed; a row in the audit log.
    fn beside(&self) -> Beside {
        Beside::Floors(Work { inserts: 3, signs: false })
    }

    fn traffic<'s>(&self, stage: &'s Stage) -> Result<Box<dyn Traffic + 's>> {
        let tokens = stage.seeded.access_tokens(Which::All, stage.single_use)?;
        self.first.replace(tokens.find(0).map(Into::into));
        let template = |token: &str| stage.opalid.post_as_app("/revoke", &[("token", token)]);
        Ok(Box::new(PerToken::new(Rc::new(tokens), template, Expect::new(200, ""), true)?))
    }

    fn verify(&self, stage: &Stage) -> Result<()> {
        let first = self.first.take().context("nothing was revoked")?;
        let received = exchange(stage.opalid.address, &stage.opalid.post_as_api("/introspect", &[("token", &first)]))?;
        Expect::new(200, r#""active":false"#).judge(&received.answer()?).context("a revoked token is alive")
    }
}
