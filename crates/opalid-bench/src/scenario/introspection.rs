//! Introspection of tokens that are alive (RFC 7662), each answer `"active":true`.

use super::{Beside, Scenario, Stage};
use crate::load::Traffic;
use crate::traffic::{Expect, PerToken};
use anyhow::Result;

/// The scenario.
pub struct Introspection;

impl Scenario for Introspection {
    fn beside(&self) -> Beside {
        Beside::References
    }

    fn traffic(&self, stage: &Stage) -> Result<Box<dyn Traffic>> {
        let opalid = &stage.opalid;
        let template = |token: &str| opalid.post("/introspect", &opalid.introspector, &[("token", token)]);
        let expect = Expect::new(200, r#""active":true"#);
        Ok(Box::new(PerToken::new(stage.tokens()?, template, expect, false)?))
    }
}
