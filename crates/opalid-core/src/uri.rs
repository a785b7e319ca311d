//! The characters of a URI (RFC 3986 §2), for the URIs that are registered and then compared as text.
//!
//! Nothing here normalises: two readers who normalise differently are how a comparison is fooled.

/// The longest URI that is registered or asked for, in bytes.
pub(crate) const MAX_URI: usize = 2048;

/// A text that is not an absolute URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUri {
    /// No scheme, so it is relative.
    #[error("is not absolute: expected a scheme such as https:")]
    NotAbsolute,
    /// Nothing after the scheme.
    #[error("has nothing after its scheme")]
    Empty,
    /// Longer than 2048 bytes.
    #[error("is longer than 2048 bytes")]
    TooLong,
    /// A fragment.
    #[error("has a fragment (#), which is not allowed")]
    Fragment,
    /// A character that a URI cannot hold.
    #[error(
        "holds a character that a URI cannot hold, such as a space, a control character, a backslash or a letter outside ASCII"
    )]
    Character,
    /// `%` without two hexadecimal digits.
    #[error("has a broken percent-encoding: expected % and two hexadecimal digits")]
    PercentEncoding,
}

/// Checks a text and splits it at the colon behind its scheme.
pub(crate) fn split_scheme(text: &str) -> Result<(&str, &str), BadUri> {
    if text.len() > MAX_URI {
        return Err(BadUri::TooLong);
    }
    if !text.bytes().all(|byte| byte == b'#' || allowed(byte)) {
        return Err(BadUri::Character);
    }
    if text.contains('#') {
        return Err(BadUri::Fragment);
    }
    let two_digits = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(two_digits) {
        return Err(BadUri::PercentEncoding);
    }
    let (scheme, rest) = text.split_once(':').ok_or(BadUri::NotAbsolute)?;
    let tail = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(tail) {
        return Err(BadUri::NotAbsolute);
    }
    if rest.is_empty() {
        return Err(BadUri::Empty);
    }
    Ok((scheme, rest))
}

/// RFC 3986 §2: unreserved, reserved (without `#`) and `%`.
fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte)
}

/// The authority of a URI without its scheme, if it has one, and what follows it.
pub(crate) fn split_authority(rest: &str) -> Option<(&str, &str)> {
    let hierarchy = rest.strip_prefix("//")?;
    let end = hierarchy.find(['/', '?']).unwrap_or(hierarchy.len());
    hierarchy.split_at_checked(end)
}
