//! The token of a request (RFC 6750 §2.1).
//!
//! Takes: the headers, and nothing else: a token in the query or in a form is not looked at (RFC 9700 §4.3.2).
//! Gives: the token, none, or what is wrong with the header.
//! Holds: exactly one `Authorization`, and in it exactly one token.

use http::header::{AUTHORIZATION, HeaderMap};

use super::refusal::Reason;

/// The one token of a request; None if there is none, or credentials of another scheme.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<&str>, Reason> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Reason::RepeatedAuthorization);
    }
    let value = value.as_bytes();
    let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    let rest = value.get(scheme.len()..).unwrap_or_default();
    let rest = std::str::from_utf8(rest).map_err(|_| Reason::MalformedBearer)?;
    let token = rest.trim_start_matches(' ');
    if is_token(token) { Ok(Some(token)) } else { Err(Reason::MalformedBearer) }
}

/// `b64token`: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        token(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn one_token_is_read_whatever_the_case_of_its_scheme() {
        for value in ["Bearer oat_AZaz09-._~+/==", "bearer oat_AZaz09-._~+/==", "bEARER   oat_AZaz09-._~+/=="] {
            assert_eq!(read(&[value]), Ok(Some("oat_AZaz09-._~+/==".into())), "{value}");
        }
    }

    #[test]
    fn what_is_not_exactly_one_token_is_malformed() {
        for rest in ["", " ", " =", " a=b", " a b", " a ", " a,b", " \"a\"", " \u{fc}", " a, Bearer b", " a\t"] {
            assert_eq!(read(&[&format!("Bearer{rest}")]), Err(Reason::MalformedBearer), "{rest:?}");
        }
    }

    #[test]
    fn another_scheme_or_no_header_is_no_token() {
        assert_eq!(read(&[]), Ok(None));
        for other in ["", "Basic YTpi", "DPoP a", "Bearerx a", "Bearer\ta", "oat_a", "\"Bearer\" a"] {
            assert_eq!(read(&[other]), Ok(None), "{other}");
        }
    }

    #[test]
    fn two_headers_are_refused_whatever_is_in_them() {
        for two in [["Bearer a", "Bearer a"], ["Bearer a", "Basic YTpi"], ["Basic YTpi", "Bearer a"], ["", ""]] {
            assert_eq!(read(&two), Err(Reason::RepeatedAuthorization), "{two:?}");
        }
    }
}
