//! Access tokens for a machine (RFC 6749 §4.4).

use super::{Beside, Scenario, Stage};
use crate::load::Traffic;
use crate::traffic::{Expect, Fixed};
use anyhow::Result;

/// The scenario.
pub struct ClientCredentials;

impl Scenario for ClientCredentials {
    fn beside(&self) -> Beside {
        Beside::References
    }

    fn traffic<'s>(&self, stage: &'s Stage) -> Result<Box<dyn Traffic + 's>> {
        let request = stage.opalid.post_as_api("/token", &[("grant_type", "client_credentials")]);
        Ok(Box::new(Fixed::endless(request, Expect::new(200, r#""access_token":"oat_"#))))
    }
}
