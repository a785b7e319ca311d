//! Proof key for code exchange (RFC 7636), S256 only.
//!
//! Takes: `code_challenge` and its method when a code is asked for, `code_verifier` when it is redeemed.
//! Holds: `plain` is never accepted (RFC 9700 §2.1.1), and an absent method means plain (RFC 7636 §4.3).
//! Not here: whether a client must send a challenge, and what a challenge without a verifier means.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::error::{ErrorCode, OAuthError};

/// The one `code_challenge_method`, as discovery lists it.
pub const CHALLENGE_METHOD: &str = "S256";

/// What is wrong with a challenge or a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProofKey {
    /// A method without a challenge.
    #[error("code_challenge_method is given without code_challenge")]
    MethodAlone,
    /// No method, which means `plain`.
    #[error("code_challenge_method is missing, which means plain; expected S256")]
    NoMethod,
    /// Another method.
    #[error("code_challenge_method is not supported; expected S256")]
    OtherMethod,
    /// Not the text of a SHA-256.
    #[error("code_challenge is not a SHA-256 in base64url: expected 43 characters without padding")]
    Challenge,
    /// Not what RFC 7636 §4.1 calls a verifier.
    #[error("code_verifier is malformed: expected 43 to 128 characters out of A-Z a-z 0-9 - . _ ~")]
    Verifier,
}

/// A malformed challenge is a malformed request; a malformed verifier matches no challenge (RFC 7636 §4.6).
impl From<BadProofKey> for OAuthError {
    fn from(bad: BadProofKey) -> Self {
        let code = match bad {
            BadProofKey::Verifier => ErrorCode::InvalidGrant,
            _ => ErrorCode::InvalidRequest,
        };
        Self::new(code, bad.to_string())
    }
}

/// The SHA-256 that the verifier of a code must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// Reads the two parameters of an authorization request; neither there: no challenge.
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Self>, BadProofKey> {
        match (challenge, method) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(BadProofKey::MethodAlone),
            (Some(_), None) => Err(BadProofKey::NoMethod),
            (Some(challenge), Some(CHALLENGE_METHOD)) => Self::from_text(challenge).map(Some),
            (Some(_), Some(_)) => Err(BadProofKey::OtherMethod),
        }
    }

    /// Reads 43 base64url characters; a second spelling of the same bytes is refused.
    fn from_text(text: &str) -> Result<Self, BadProofKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadProofKey::Challenge)?;
        bytes.try_into().map(Self).map_err(|_| BadProofKey::Challenge)
    }

    /// Whether this is the challenge of that verifier; takes equally long either way.
    pub fn admits(&self, verifier: &CodeVerifier) -> bool {
        self.0.ct_eq(&verifier.0).into()
    }
}

impl From<CodeChallenge> for String {
    fn from(challenge: CodeChallenge) -> Self {
        URL_SAFE_NO_PAD.encode(challenge.0)
    }
}

impl TryFrom<String> for CodeChallenge {
    type Error = BadProofKey;
    fn try_from(text: String) -> Result<Self, BadProofKey> {
        Self::from_text(&text)
    }
}

/// The verifier of a code. Only its SHA-256 is kept, so it can be neither printed nor stored.
pub struct CodeVerifier([u8; 32]);

impl CodeVerifier {
    /// Reads `code_verifier`.
    pub fn parse(text: &str) -> Result<Self, BadProofKey> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if !(43..=128).contains(&text.len()) || !text.bytes().all(unreserved) {
            return Err(BadProofKey::Verifier);
        }
        digest(&SHA256, text.as_bytes()).as_ref().try_into().map(Self).map_err(|_| BadProofKey::Verifier)
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn challenge(text: &str) -> Result<Option<CodeChallenge>, BadProofKey> {
        CodeChallenge::parse(Some(text), Some("S256"))
    }

    #[test]
    fn the_example_of_the_specification_matches() {
        let challenge = challenge(CHALLENGE).unwrap().unwrap();
        assert!(challenge.admits(&CodeVerifier::parse(VERIFIER).unwrap()));
        assert!(!challenge.admits(&CodeVerifier::parse(&VERIFIER.to_lowercase()).unwrap()));
    }

    #[test]
    fn only_s256_is_accepted_and_an_absent_method_means_plain() {
        assert_eq!(CodeChallenge::parse(None, None), Ok(None));
        assert_eq!(CodeChallenge::parse(Some(CHALLENGE), None), Err(BadProofKey::NoMethod));
        assert_eq!(CodeChallenge::parse(None, Some("S256")), Err(BadProofKey::MethodAlone));
        for method in ["plain", "s256", "S512"] {
            assert_eq!(CodeChallenge::parse(Some(CHALLENGE), Some(method)), Err(BadProofKey::OtherMethod));
        }
    }

    #[test]
    fn a_challenge_is_exactly_43_canonical_characters() {
        let standard_alphabet = CHALLENGE.replace('-', "+");
        let second_spelling = format!("{}N", &CHALLENGE[..42]);
        let padded = format!("{CHALLENGE}=");
        let longer = format!("{CHALLENGE}A");
        for text in
            [&CHALLENGE[..42], &padded, &longer, &standard_alphabet, &second_spelling, VERIFIER.trim_end_matches('k')]
        {
            assert_eq!(challenge(text), Err(BadProofKey::Challenge), "{text}");
        }
    }

    #[test]
    fn a_verifier_has_43_to_128_unreserved_characters() {
        for good in ["a".repeat(43), "-._~".repeat(32)] {
            assert!(CodeVerifier::parse(&good).is_ok());
        }
        for bad in
            ["a".repeat(42), "a".repeat(129), format!("{VERIFIER}+"), format!("{VERIFIER} "), "\u{fc}".repeat(30)]
        {
            assert_eq!(CodeVerifier::parse(&bad).err(), Some(BadProofKey::Verifier));
        }
    }

    #[test]
    fn a_stored_challenge_is_read_back_and_a_damaged_one_is_not() {
        let challenge = challenge(CHALLENGE).unwrap().unwrap();
        let json = serde_json::to_string(&challenge).unwrap();
        assert_eq!(json, format!("\"{CHALLENGE}\""));
        assert_eq!(serde_json::from_str::<CodeChallenge>(&json).unwrap(), challenge);
        assert!(serde_json::from_str::<CodeChallenge>("\"short\"").is_err());
    }

    #[test]
    fn a_verifier_shows_nothing_when_printed() {
        assert_eq!(format!("{:?}", CodeVerifier::parse(VERIFIER).unwrap()), "CodeVerifier(..)");
    }

    #[test]
    fn a_malformed_verifier_is_a_grant_that_does_not_match() {
        assert_eq!(OAuthError::from(BadProofKey::Verifier).code, ErrorCode::InvalidGrant);
        assert_eq!(OAuthError::from(BadProofKey::NoMethod).code, ErrorCode::InvalidRequest);
    }
}
