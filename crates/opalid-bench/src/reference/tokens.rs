//! The tokens that the references know: a function of their number, so that server and load agree without talking.

use crate::http::request::Credentials;
use crate::traffic::Tokens;
use anyhow::Result;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The one client that may ask, with an id and a secret as long as Opalid's.
pub fn caller() -> Credentials {
    let secret = URL_SAFE_NO_PAD.encode(digest(&SHA256, b"the caller's secret"));
    Credentials { id: "01900000-0000-7000-8000-000000000000".into(), secret: format!("ocs_{secret}") }
}

/// The token of this number, as long as a plain sealed reference.
pub fn token(number: usize) -> String {
    let part = |tail: u8| digest(&SHA256, &[number.to_be_bytes().as_slice(), &[tail]].concat());
    let bytes = [part(0).as_ref(), part(1).as_ref(), part(2).as_ref()].concat();
    let sealed = bytes.get(..69).unwrap_or(&bytes);
    format!("oat_{}", URL_SAFE_NO_PAD.encode(sealed))
}

/// The first `count` tokens.
pub fn tokens(count: usize) -> Result<Tokens> {
    let mut tokens = Tokens::default();
    (0..count).try_for_each(|number| tokens.push(&token(number)))?;
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_as_long_as_a_plain_sealed_reference_and_never_comes_twice() {
        assert_eq!(token(1).len(), 4 + 92);
        assert_eq!(token(1), token(1));
        assert_ne!(token(1), token(2));
    }
}
