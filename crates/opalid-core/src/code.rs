//! What an authorization code is bound to (RFC 6749 §4.1.3, RFC 7636 §4.6).

use serde::{Deserialize, Serialize};

use crate::grant::EntitlementNo;
use crate::pkce::{CodeChallenge, CodeVerifier};

/// What was asked for at the authorization endpoint, to be met at the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeBinding {
    /// The redirect URI as it was asked for; `None` if the request named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// What the verifier has to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<CodeChallenge>,
    /// Goes into the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What of the grant the code gives.
    pub entitlement: EntitlementNo,
}

/// A code redeemed with something else than it was asked for with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unbound {
    /// Another redirect URI, or none where there was one.
    #[error("redirect_uri is not the one of the authorization request")]
    RedirectUri,
    /// A challenge without a verifier (RFC 7636 §4.6).
    #[error("code_verifier is missing: the authorization request had a code_challenge")]
    VerifierMissing,
    /// A verifier without a challenge (RFC 9700 §2.1.1: a downgrade).
    #[error("code_verifier was sent, but the authorization request had no code_challenge")]
    VerifierUnasked,
    /// A verifier that does not match.
    #[error("code_verifier does not match the code_challenge")]
    VerifierWrong,
}

impl CodeBinding {
    /// Whether the code may be redeemed with these.
    pub fn admits(&self, redirect_uri: Option<&str>, verifier: Option<&CodeVerifier>) -> Result<(), Unbound> {
        if self.redirect_uri.is_some() && self.redirect_uri.as_deref() != redirect_uri {
            return Err(Unbound::RedirectUri);
        }
        match (&self.code_challenge, verifier) {
            (None, None) => Ok(()),
            (Some(challenge), Some(verifier)) if challenge.admits(verifier) => Ok(()),
            (Some(_), Some(_)) => Err(Unbound::VerifierWrong),
            (Some(_), None) => Err(Unbound::VerifierMissing),
            (None, Some(_)) => Err(Unbound::VerifierUnasked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn binding(redirect_uri: Option<&str>, challenge: bool) -> CodeBinding {
        let challenge = challenge.then_some(CHALLENGE);
        CodeBinding {
            redirect_uri: redirect_uri.map(str::to_owned),
            code_challenge: CodeChallenge::parse(challenge, challenge.map(|_| "S256")).unwrap(),
            nonce: None,
            entitlement: EntitlementNo(0),
        }
    }

    #[test]
    fn a_code_is_redeemed_only_with_what_it_was_asked_for_with() {
        let verifier = CodeVerifier::parse(VERIFIER).unwrap();
        let other = CodeVerifier::parse(&"a".repeat(43)).unwrap();
        let with = |challenge, verifier: Option<&CodeVerifier>| {
            binding(Some("https://a/cb"), challenge).admits(Some("https://a/cb"), verifier)
        };
        assert_eq!(with(true, Some(&verifier)), Ok(()));
        assert_eq!(with(true, Some(&other)), Err(Unbound::VerifierWrong));
        assert_eq!(with(true, None), Err(Unbound::VerifierMissing));
        assert_eq!(with(false, Some(&verifier)), Err(Unbound::VerifierUnasked));
        assert_eq!(with(false, None), Ok(()));
        let redirect = |asked, given: Option<&str>| binding(asked, false).admits(given, None);
        assert_eq!(redirect(Some("https://a/cb"), Some("https://a/other")), Err(Unbound::RedirectUri));
        assert_eq!(redirect(Some("https://a/cb"), None), Err(Unbound::RedirectUri));
        assert_eq!(redirect(None, None), Ok(()));
    }
}
