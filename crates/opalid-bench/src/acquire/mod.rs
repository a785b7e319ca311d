//! Tokens from a running Opalid, got as any client gets them and outside the measured time.

pub mod codes;
mod html;

use crate::http::answer::Answer;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::borrow::Cow;

/// Connections used while preparing.
pub const CONNECTIONS: usize = 16;

/// The parts of a token response that a client keeps.
#[derive(Debug, Deserialize)]
pub struct TokenResponse<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    /// The refresh token, if there is one.
    #[serde(borrow)]
    pub refresh_token: Option<Cow<'a, str>>,
}

impl<'a> TokenResponse<'a> {
    /// Reads a successful token response.
    pub fn read(answer: &Answer<'a>) -> Result<Self> {
        ensure!(answer.status == 200, "status {} and not 200", answer.status);
        let response: Self = serde_json::from_slice(answer.body).context("not a token response")?;
        ensure!(response.access_token.starts_with("oat_"), "an access token of another kind");
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_response_is_read_with_and_without_a_refresh_token() {
        let answer = |body| Answer { status: 200, head: b"", body };
        let both = answer(br#"{"access_token":"oat_a","token_type":"Bearer","expires_in":60,"refresh_token":"r"}"#);
        assert_eq!(TokenResponse::read(&both).unwrap().refresh_token.as_deref(), Some("r"));
        let one = answer(br#"{"access_token":"oat_a"}"#);
        assert_eq!(TokenResponse::read(&one).unwrap().access_token, "oat_a");
    }

    #[test]
    fn a_refusal_is_no_token_response() {
        let refusal = Answer { status: 400, head: b"", body: br#"{"access_token":"oat_a"}"# };
        assert!(TokenResponse::read(&refusal).is_err());
        let another = Answer { status: 200, head: b"", body: br#"{"access_token":"a"}"# };
        assert!(TokenResponse::read(&another).is_err());
    }
}
