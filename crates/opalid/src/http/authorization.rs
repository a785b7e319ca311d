//! The `Authorization` header: Basic and Bearer, read strictly and without allocating.
//!
//! Takes: the headers; for Basic a buffer, which the decoded text lives in and which is wiped afterwards.
//! Gives: client id and secret as RFC 6749 §2.3.1 encodes them (form-urlencoded, then base64), or the token.
//! Holds: one spelling per value: canonical base64 (RFC 4648 §3.5), whole percent escapes, printable ASCII.
//! Not here: whether the secret or the token is right.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap};
use zeroize::Zeroize;

/// The longest decoded `client_id:client_secret`, in bytes.
const MAX_CREDENTIALS: usize = 1024;

/// An `Authorization` header that is not what its scheme demands: 401 for client credentials, 400 for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorization {
    /// More than one header.
    #[error("the Authorization header is repeated")]
    Repeated,
    /// Not `Basic`, a space, canonical base64 of `client_id:client_secret`, both form-urlencoded.
    #[error("the Basic credentials are not base64 of client_id:client_secret, each form-urlencoded")]
    Basic,
    /// Not `Bearer`, a space, a token (RFC 6750 §2.1).
    #[error("the Bearer token is malformed")]
    Bearer,
}

/// What the header says.
#[derive(Debug, Clone, Copy)]
pub enum Authorization<'h> {
    /// There is no header.
    Absent,
    /// `Basic`, not decoded yet.
    Basic(EncodedCredentials<'h>),
    /// `Bearer`, well formed.
    Bearer(BearerToken<'h>),
    /// Another scheme.
    Other,
}

impl<'h> Authorization<'h> {
    /// Reads the header.
    pub fn read(headers: &'h HeaderMap) -> Result<Self, BadAuthorization> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(Self::Absent) };
        if values.next().is_some() {
            return Err(BadAuthorization::Repeated);
        }
        let value = value.as_bytes();
        let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at_checked(end).unwrap_or((value, &[]));
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        let rest = rest.split_at_checked(spaces).map_or(rest, |(_, rest)| rest);
        if scheme.eq_ignore_ascii_case(b"basic") {
            Ok(Self::Basic(EncodedCredentials(rest)))
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            BearerToken::parse(rest).map(Self::Bearer)
        } else {
            Ok(Self::Other)
        }
    }
}

/// A bearer token as it came: never stored, compared or printed.
#[derive(Clone, Copy)]
pub struct BearerToken<'h>(&'h str);

impl<'h> BearerToken<'h> {
    /// `b64token` (RFC 6750 §2.1): `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
    fn parse(token: &'h [u8]) -> Result<Self, BadAuthorization> {
        let body = token.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
        if body == 0 || !token.iter().take(body).all(good) {
            return Err(BadAuthorization::Bearer);
        }
        std::str::from_utf8(token).map(Self).map_err(|_| BadAuthorization::Bearer)
    }

    /// The text, to be opened.
    pub fn as_str(&self) -> &'h str {
        self.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

/// A client secret as it came: never stored, compared or printed; hash it.
#[derive(Clone, Copy)]
pub struct ClientSecret<'a>(&'a str);

impl<'a> ClientSecret<'a> {
    /// A secret from elsewhere: the form parameter `client_secret`.
    pub fn new(secret: &'a str) -> Self {
        Self(secret)
    }

    /// Its bytes, to be hashed.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for ClientSecret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// What decoded credentials live in, on the caller's stack; wiped when it goes.
pub struct CredentialsBuffer {
    bytes: [u8; MAX_CREDENTIALS],
    used: usize,
}

impl CredentialsBuffer {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self { bytes: [0; MAX_CREDENTIALS], used: 0 }
    }
}

impl Default for CredentialsBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for CredentialsBuffer {
    fn drop(&mut self) {
        if let Some(used) = self.bytes.get_mut(..self.used) {
            used.zeroize();
        }
    }
}

/// Client id and secret from Basic.
#[derive(Debug, Clone, Copy)]
pub struct BasicCredentials<'b> {
    /// Who the client says it is.
    pub client_id: &'b str,
    /// Its secret; empty if it has none.
    pub secret: ClientSecret<'b>,
}

/// What stands behind `Basic`.
#[derive(Clone, Copy)]
pub struct EncodedCredentials<'h>(&'h [u8]);

impl fmt::Debug for EncodedCredentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodedCredentials(…)")
    }
}

impl EncodedCredentials<'_> {
    /// Decodes into `buffer`.
    pub fn decode(self, buffer: &mut CredentialsBuffer) -> Result<BasicCredentials<'_>, BadAuthorization> {
        // Until the length is known, all of it may hold secrets.
        buffer.used = MAX_CREDENTIALS;
        let len = STANDARD.decode_slice(self.0, &mut buffer.bytes).map_err(|_| BadAuthorization::Basic)?;
        buffer.used = len;
        let decoded = buffer.bytes.get_mut(..len).ok_or(BadAuthorization::Basic)?;
        let colon = decoded.iter().position(|byte| *byte == b':').ok_or(BadAuthorization::Basic)?;
        let (id, secret) = decoded.split_at_mut_checked(colon).ok_or(BadAuthorization::Basic)?;
        let (_, secret) = secret.split_at_mut_checked(1).ok_or(BadAuthorization::Basic)?;
        let client_id = form_decoded(id)?;
        if client_id.is_empty() {
            return Err(BadAuthorization::Basic);
        }
        Ok(BasicCredentials { client_id, secret: ClientSecret(form_decoded(secret)?) })
    }
}

/// Decodes `application/x-www-form-urlencoded` in place. Printable ASCII only, before and after (RFC 6749
/// appendix A.1, A.2: `*VSCHAR`).
fn form_decoded(text: &mut [u8]) -> Result<&str, BadAuthorization> {
    let len = if text.iter().any(|byte| matches!(byte, b'%' | b'+')) { unescape(text)? } else { text.len() };
    let text = text.get(..len).ok_or(BadAuthorization::Basic)?;
    if !text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(BadAuthorization::Basic);
    }
    std::str::from_utf8(text).map_err(|_| BadAuthorization::Basic)
}

/// Replaces `+` and escapes within `text`; returns how long it is then.
fn unescape(text: &mut [u8]) -> Result<usize, BadAuthorization> {
    let (mut from, mut to) = (0, 0);
    while let Some(byte) = text.get(from).copied() {
        let (decoded, width) = match byte {
            b'+' => (b' ', 1),
            b'%' => {
                let high = hex_digit(text.get(from + 1)).ok_or(BadAuthorization::Basic)?;
                let low = hex_digit(text.get(from + 2)).ok_or(BadAuthorization::Basic)?;
                (high << 4 | low, 3)
            }
            other => (other, 1),
        };
        if let Some(place) = text.get_mut(to) {
            *place = decoded;
        }
        from += width;
        to += 1;
    }
    Ok(to)
}

fn hex_digit(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        headers
    }

    fn basic_header(value: &str) -> Result<(String, String), BadAuthorization> {
        let headers = headers(value);
        let Authorization::Basic(encoded) = Authorization::read(&headers)? else { panic!("not Basic: {value}") };
        let mut buffer = CredentialsBuffer::new();
        let BasicCredentials { client_id, secret } = encoded.decode(&mut buffer)?;
        Ok((client_id.into(), String::from_utf8(secret.as_bytes().into()).unwrap()))
    }

    fn basic(credentials: impl AsRef<[u8]>) -> Result<(String, String), BadAuthorization> {
        basic_header(&format!("Basic {}", STANDARD.encode(credentials)))
    }

    fn pair(id: &str, secret: &str) -> Result<(String, String), BadAuthorization> {
        Ok((id.into(), secret.into()))
    }

    fn bearer(value: &str) -> Result<String, BadAuthorization> {
        let headers = headers(value);
        let Authorization::Bearer(token) = Authorization::read(&headers)? else { panic!("not Bearer: {value}") };
        Ok(token.as_str().into())
    }

    #[test]
    fn basic_gives_client_id_and_secret() {
        assert_eq!(
            basic_header("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"),
            pair("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw")
        );
        assert_eq!(
            basic_header("basic  czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3").map(|it| it.0),
            Ok("s6BhdRkqt3".into())
        );
        assert_eq!(basic("client:"), pair("client", ""));
        assert_eq!(basic("client:a:b"), pair("client", "a:b"));
    }

    #[test]
    fn both_halves_are_form_urldecoded() {
        assert_eq!(basic("my+client%3A%2f:a%25b%2Bc+d"), pair("my client:/", "a%b+c d"));
        assert_eq!(basic("https%3A%2F%2Fclient.example%2F:s"), pair("https://client.example/", "s"));
        for bad in ["c%:s", "c%4:s", "c%4g:s", "c:s%", "c:s%2", "c:%zz", "c:%+1"] {
            assert_eq!(basic(bad), Err(BadAuthorization::Basic), "{bad}");
        }
    }

    #[test]
    fn what_is_not_printable_ascii_is_refused_escaped_or_not() {
        for bad in ["c\0:s", "c:s\n", "c%00:s", "c:%0a", "c:%7F", "c:\u{fc}", "c%C3%BC:s"] {
            assert_eq!(basic(bad), Err(BadAuthorization::Basic), "{bad:?}");
        }
        assert_eq!(basic(b"c:\xff"), Err(BadAuthorization::Basic));
    }

    #[test]
    fn only_canonical_base64_is_read() {
        // "c:s" is Yzpz; "c:ss" is Yzpzcw==
        assert_eq!(basic_header("Basic Yzpzcw=="), pair("c", "ss"));
        for bad in
            ["Yzpzcw", "Yzpzcw=", "Yzpzcx==", "Yzpz cw==", "Yzpzcw== ", "Yzpzcw==\t", "Yzpzcw==, x", "Yz-zcw==", "===="]
        {
            assert_eq!(basic_header(&format!("Basic {bad}")), Err(BadAuthorization::Basic), "{bad}");
        }
    }

    #[test]
    fn credentials_need_a_colon_a_client_id_and_a_bounded_length() {
        for bad in ["", "client", ":secret", "client%3Asecret"] {
            assert_eq!(basic(bad), Err(BadAuthorization::Basic), "{bad}");
        }
        assert_eq!(basic_header("Basic"), Err(BadAuthorization::Basic));
        let longest = "s".repeat(MAX_CREDENTIALS - 2);
        assert_eq!(basic(format!("c:{longest}")), pair("c", &longest));
        assert_eq!(basic(format!("c:{longest}s")), Err(BadAuthorization::Basic));
        assert_eq!(basic("x".repeat(100_000)), Err(BadAuthorization::Basic));
    }

    #[test]
    fn a_bearer_token_is_a_b64token() {
        assert_eq!(bearer("Bearer oat_AZaz09-._~+/=="), Ok("oat_AZaz09-._~+/==".into()));
        assert_eq!(bearer("bEARER  x"), Ok("x".into()));
        for bad in
            ["Bearer", "Bearer ", "Bearer =", "Bearer a=b", "Bearer a b", "Bearer a,b", "Bearer \"a\"", "Bearer \u{fc}"]
        {
            assert_eq!(bearer(bad), Err(BadAuthorization::Bearer), "{bad}");
        }
    }

    #[test]
    fn absent_other_and_repeated_headers_are_told_apart() {
        assert!(matches!(Authorization::read(&HeaderMap::new()), Ok(Authorization::Absent)));
        for other in ["Digest x", "Basic2 Yzpz", "Bearerx y", "BasicYzpz", ""] {
            assert!(matches!(Authorization::read(&headers(other)), Ok(Authorization::Other)), "{other}");
        }
        let mut twice = headers("Basic Yzpz");
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        assert_eq!(Authorization::read(&twice).err(), Some(BadAuthorization::Repeated));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let value = format!("Basic {}", STANDARD.encode("client:hunter2"));
        let headers = headers(&value);
        let Ok(Authorization::Basic(encoded)) = Authorization::read(&headers) else { panic!() };
        let mut buffer = CredentialsBuffer::new();
        let shown = format!("{encoded:?} {:?}", encoded.decode(&mut buffer).unwrap());
        assert!(shown.contains("client") && !shown.contains("hunter2") && !shown.contains(&value[6..]), "{shown}");
        assert!(!format!("{:?}", BearerToken::parse(b"oat_secret")).contains("secret"));
    }
}
