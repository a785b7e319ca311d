//! Userinfo (OpenID Connect Core §5.3) with tokens that people granted.

use super::{Beside, Scenario, Stage};
use crate::http::request::get;
use crate::load::Traffic;
use crate::traffic::{Expect, PerToken};
use anyhow::Result;

/// The scenario.
pub struct Userinfo;

impl Scenario for Userinfo {
    fn beside(&self) -> Beside {
        Beside::References
    }

    fn traffic(&self, stage: &Stage) -> Result<Box<dyn Traffic>> {
        let address = stage.opalid.address;
        let template = |token: &str| get(address, "/userinfo", &[("Authorization", &format!("Bearer {token}"))]);
        Ok(Box::new(PerToken::new(stage.people()?, template, Expect::new(200, r#""sub":""#), false)?))
    }
}
