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
        let template = |token: &str| stage.opalid.post_as_api("/introspect", &[("token", token)]);
        let expect = Expect::new(200, r#""active":true"#);
        Ok(Box::new(PerToken::new(stage.tokens(Which::All)?, template, expect, false)?))
    }
}
