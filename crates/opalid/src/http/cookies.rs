//! Cookies: the few we set, read strictly.
//!
//! Holds: a cookie of ours that came twice, quoted or with characters we never write counts as absent: which
//! of two was planted by a sibling host nobody can tell. On https the name's `__Host-` prefix makes browsers
//! refuse one set by another host or over http (RFC 6265bis §4.1.3.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HeaderMap, HeaderValue};
use opalid_core::time::Seconds;

use super::Transport;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookiePurpose {
    /// The session of a browser that has logged in.
    Session,
    /// Tells browsers apart, so that a form comes back from the one it was made for.
    Browser,
    /// Proves an earlier sign-in; lives long.
    Device,
    /// Finds a walk through the demo again.
    Walk,
}

/// A value that would not come back as it was set: empty, or not of `A-Z a-z 0-9 - _ .`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cookie value")]
pub struct NotACookieValue;

/// The cookies of one workspace.
#[derive(Debug, Clone)]
pub struct CookieNames {
    transport: Transport,
    session: String,
    browser: String,
    device: String,
    walk: String,
}

impl CookieNames {
    /// `workspace` is its name in the issuer's path (`[a-z0-9-]`).
    pub fn new(transport: Transport, workspace: &str) -> Self {
        let prefix = match transport {
            Transport::Https => "__Host-",
            Transport::LoopbackHttp => "",
        };
        let name = |purpose| format!("{prefix}opalid-{workspace}-{purpose}");
        let (session, browser, device) = (name("session"), name("browser"), name("device"));
        Self { transport, session, browser, device, walk: name("walk") }
    }

    fn name(&self, purpose: CookiePurpose) -> &str {
        match purpose {
            CookiePurpose::Session => &self.session,
            CookiePurpose::Browser => &self.browser,
            CookiePurpose::Device => &self.device,
            CookiePurpose::Walk => &self.walk,
        }
    }

    /// The cookie's value, if it came exactly once and is well formed.
    pub fn find<'h>(&self, headers: &'h HeaderMap, purpose: CookiePurpose) -> Option<&'h str> {
        let name = self.name(purpose).as_bytes();
        // HTTP/2 may split the header (RFC 9113 §8.2.3).
        let pairs = headers.get_all(COOKIE).iter().flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
        let mut values = pairs.filter_map(|pair| value_of(pair.trim_ascii(), name));
        let value = values.next()?;
        if values.next().is_some() || !is_value(value) {
            return None;
        }
        std::str::from_utf8(value).ok()
    }

    /// `Set-Cookie`; without `valid_for` the cookie goes with the browser's session.
    pub fn set(
        &self,
        purpose: CookiePurpose,
        value: &str,
        valid_for: Option<Seconds>,
    ) -> Result<HeaderValue, NotACookieValue> {
        if !is_value(value.as_bytes()) {
            return Err(NotACookieValue);
        }
        self.header(purpose, value, valid_for)
    }

    /// `Set-Cookie` that removes the cookie.
    pub fn delete(&self, purpose: CookiePurpose) -> Result<HeaderValue, NotACookieValue> {
        self.header(purpose, "", Some(Seconds(0)))
    }

    fn header(
        &self,
        purpose: CookiePurpose,
        value: &str,
        valid_for: Option<Seconds>,
    ) -> Result<HeaderValue, NotACookieValue> {
        let mut text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax", self.name(purpose));
        if self.transport == Transport::Https {
            text.push_str("; Secure");
        }
        if let Some(Seconds(seconds)) = valid_for {
            text.push_str(&format!("; Max-Age={seconds}"));
        }
        let mut header = HeaderValue::try_from(text).map_err(|_| NotACookieValue)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// The value of a new browser cookie: 128 random bits.
pub fn browser_value(random: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// The value in `name=value`. A space before `=` belongs to another name, as browsers see it.
fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pair.strip_prefix(name)?.strip_prefix(b"=")
}

fn is_value(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use CookiePurpose::{Browser, Device, Session};

    fn names() -> CookieNames {
        CookieNames::new(Transport::Https, "acme")
    }

    fn find(cookies: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_bytes(cookie.as_bytes()).unwrap());
        }
        names().find(&headers, Session).map(str::to_owned)
    }

    #[test]
    fn a_cookie_is_found_among_others_and_in_a_split_header() {
        let found = Some("v-1_x.Y".to_owned());
        assert_eq!(find(&["__Host-opalid-acme-session=v-1_x.Y"]), found);
        assert_eq!(find(&["a=b; __Host-opalid-acme-session=v-1_x.Y; c=d"]), found);
        assert_eq!(find(&["a=b;__Host-opalid-acme-session=v-1_x.Y;c"]), found);
        assert_eq!(find(&["a=b", "__Host-opalid-acme-session=v-1_x.Y"]), found);
        assert_eq!(find(&["a=\"\u{fc}\"; __Host-opalid-acme-session=v-1_x.Y"]), found);
    }

    #[test]
    fn other_names_are_other_cookies() {
        for other in [
            "opalid-acme-session=v",
            "__Host-opalid-acme-browser=v",
            "__Host-opalid-acme2-session=v",
            "__host-opalid-acme-session=v",
            "x__Host-opalid-acme-session=v",
            "__Host-opalid-acme-session =v",
            "__Host-opalid-acme-session",
            "a=__Host-opalid-acme-session=v",
            "",
        ] {
            assert_eq!(find(&[other]), None, "{other}");
        }
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn a_cookie_that_came_twice_counts_as_absent() {
        let one = "__Host-opalid-acme-session=v";
        assert_eq!(find(&["__Host-opalid-acme-session=v; __Host-opalid-acme-session=w"]), None);
        assert_eq!(find(&["__Host-opalid-acme-session=v; __Host-opalid-acme-session=v"]), None);
        assert_eq!(find(&["__Host-opalid-acme-session=; __Host-opalid-acme-session=v"]), None);
        assert_eq!(find(&[one, one]), None);
        assert_eq!(find(&[one, "__Host-opalid-acme-browser=v"]), Some("v".into()));
    }

    #[test]
    fn a_value_we_never_write_counts_as_absent() {
        for value in ["", "\"v\"", "v w", "v=w", "v,w", "v%20", "\u{fc}"] {
            assert_eq!(find(&[format!("__Host-opalid-acme-session={value}").leak()]), None, "{value}");
        }
    }

    #[test]
    fn on_https_cookies_are_secure_and_bound_to_the_host() {
        let set = |purpose, valid_for| names().set(purpose, "v", valid_for).unwrap();
        let expected = "__Host-opalid-acme-session=v; Path=/; HttpOnly; SameSite=Lax; Secure";
        assert_eq!(set(Session, None), expected);
        let expected = "__Host-opalid-acme-device=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=31536000";
        assert_eq!(set(Device, Some(Seconds(31_536_000))), expected);
        assert!(set(Session, None).is_sensitive());
    }

    #[test]
    fn on_loopback_http_they_have_no_prefix_and_are_not_secure() {
        let names = CookieNames::new(Transport::LoopbackHttp, "acme");
        let expected = "opalid-acme-browser=v; Path=/; HttpOnly; SameSite=Lax";
        assert_eq!(names.set(Browser, "v", None).unwrap(), expected);
    }

    #[test]
    fn a_deleted_cookie_keeps_the_attributes_its_prefix_demands() {
        let expected = "__Host-opalid-acme-session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0";
        assert_eq!(names().delete(Session).unwrap(), expected);
    }

    #[test]
    fn only_what_would_come_back_can_be_set() {
        for value in ["", "a;b", "a b", "a\r\nb", "a=b", "\u{fc}"] {
            assert_eq!(names().set(Session, value, None), Err(NotACookieValue), "{value:?}");
        }
        let value = browser_value([0xff; 16]);
        assert!(names().set(Browser, &value, None).is_ok());
        assert_eq!(value.len(), 22);
    }
}
