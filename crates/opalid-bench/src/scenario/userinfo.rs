//! Userinfo (OpenID Connect Core §5.3) with people's tokens, each of a grant of its own.

use super::{Beside, Scenario, Stage};
use crate::http::request::get;
use crate::load::Traffic;
use crate::seed::Which;
use crate::traffic::{Expect, PerToken};
use anyhow::Result;

/// The scenario.
pub struct Userinfo;

impl Scenario for Userinfo {
    fn beside(&self) -> Beside {
        Beside::References
    }

    fn traffic<'s>(&self, stage: &'s Stage) -> Result<Box<dyn Traffic + 's>> {
        let address = stage.opalid.address;
        let template = |token: &str| get(address, "/userinfo", &[("Authorization", &format!("Bearer {token}"))]);
        let tokens = stage.tokens(Which::WithOpenId)?;
        Ok(Box::new(PerToken::new(tokens, template, Expect::new(200, r#""sub":""#), false)?))
    }
}
