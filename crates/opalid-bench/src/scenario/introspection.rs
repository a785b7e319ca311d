//! Introspection of people's tokens that are alive (RFC 7662), each of a grant of its own.

use super::{Beside, Scenario, Stage};
use crate::load::Traffic;
use crate::seed::Which;
use crate::traffic::{Expect, PerToken};
use anyhow::Result;

/// The scenario.
pub struct Introspection;

impl Scenario for Introspection {
    fn beside(&self) -> Beside {
        Beside::References
    }

    fn traffic<'s>(&self, stage: &'s Stage) -> Result<Box<dyn Traffic + 's>> {
        Ok(Box::new(traffic(stage, Which::All, false)?))
    }
}

/// Introspections of an access token of each of these grants: `once`, or again and again.
pub fn traffic(stage: &Stage, which: Which, once: bool) -> Result<PerToken> {
    let template = |token: &str| stage.opalid.post_as_api("/introspect", &[("token", token)]);
    PerToken::new(stage.tokens(which)?, template, Expect::new(200, r#""active":true"#), once)
}
