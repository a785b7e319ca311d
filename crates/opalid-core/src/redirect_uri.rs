//! Redirect URIs: what may be registered, what a request may ask for, and where an answer may go.
//!
//! Takes: a text from `apply` or the console; a text from a request.
//! Gives: a `ReturnAddress`, the only thing that can be redirected to.
//! Holds: URIs are compared byte for byte (RFC 9700 §2.1), never parsed again or normalised; the one exception
//! is the port of a loopback address (RFC 8252 §7.3).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::uri::{BadUri, split_authority, split_scheme};

/// The loopback addresses whose port is chosen anew at each start. `localhost` is a name that can be made to
/// point elsewhere (RFC 8252 §8.3), so it keeps its port.
const LOOPBACK: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

/// Why a text cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirectUri {
    /// Not an absolute URI without a fragment.
    #[error("the redirect URI {0}")]
    Uri(#[from] BadUri),
    /// A wildcard.
    #[error("the redirect URI has a wildcard (*): register every URI in full")]
    Wildcard,
    /// An upper-case scheme, which browsers rewrite.
    #[error("the redirect URI has a scheme with upper-case letters: write it in lower case")]
    UpperCaseScheme,
    /// A scheme that could run a script, read a file or lead nowhere.
    #[error(
        "the redirect URI has a scheme that is not allowed: expected https, http on loopback, or a private scheme with a dot such as com.example.app"
    )]
    Scheme,
    /// `http` anywhere but on this machine.
    #[error("the redirect URI uses http: only http://127.0.0.1, http://[::1] and http://localhost may")]
    PlainHttp,
    /// A user name before the host.
    #[error("the redirect URI has a user name or an @ in its authority")]
    UserInfo,
    /// No host, or not a host.
    #[error("the redirect URI has no valid host: expected a name of letters, digits, dots and hyphens, or an address")]
    Host,
    /// A port that is not one.
    #[error("the redirect URI has a port that is not a number from 1 to 65535")]
    Port,
    /// A bracket outside an IPv6 address.
    #[error("the redirect URI has a bracket outside an IPv6 address: write %5B or %5D")]
    Bracket,
}

/// A redirect URI that was registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RedirectUri(Box<str>);

impl RedirectUri {
    /// Checks a text that is to be registered.
    pub fn register(text: &str) -> Result<Self, BadRedirectUri> {
        let (scheme, rest) = split_scheme(text)?;
        if text.contains('*') {
            return Err(BadRedirectUri::Wildcard);
        }
        if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(BadRedirectUri::UpperCaseScheme);
        }
        let authority = split_authority(rest);
        if authority.is_some_and(|(authority, _)| authority.contains('@')) {
            return Err(BadRedirectUri::UserInfo);
        }
        match scheme {
            "https" | "http" => check_web(scheme, authority.ok_or(BadRedirectUri::Host)?)?,
            _ if !scheme.contains('.') => return Err(BadRedirectUri::Scheme),
            _ if rest.contains(['[', ']']) => return Err(BadRedirectUri::Bracket),
            _ => {}
        }
        Ok(Self(text.into()))
    }

    /// The URI as it was registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request may ask for this URI: the same bytes, but for the port of a loopback address.
    pub fn admits(&self, asked: &str) -> bool {
        let without_port = |text| LOOPBACK.into_iter().find_map(|host| Some((host, behind_port(text, host)?)));
        *self.0 == *asked || without_port(&self.0).is_some_and(|known| without_port(asked) == Some(known))
    }
}

/// What follows `host` and the port, if there is one; `None` if the text does not begin so.
fn behind_port<'t>(text: &'t str, host: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(host)?;
    let Some(rest) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest);
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (port, rest) = rest.split_at_checked(end)?;
    is_port(port).then_some(rest)
}

/// Whether the text is a port as it is usually written: no sign, no leading zero.
fn is_port(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse::<u16>().is_ok()
}

fn check_web(scheme: &str, (authority, path): (&str, &str)) -> Result<(), BadRedirectUri> {
    let (host, port) = match authority.rfind(']') {
        Some(end) => authority.split_at_checked(end + 1).ok_or(BadRedirectUri::Host)?,
        None => {
            authority.split_at_checked(authority.find(':').unwrap_or(authority.len())).ok_or(BadRedirectUri::Host)?
        }
    };
    let name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    let address = |host: &str| Some(host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok());
    if host.is_empty() || !address(host).unwrap_or_else(|| name(host)) {
        return Err(BadRedirectUri::Host);
    }
    if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
        return Err(BadRedirectUri::Port);
    }
    if path.contains(['[', ']']) {
        return Err(BadRedirectUri::Bracket);
    }
    if scheme == "http" && !matches!(host, "127.0.0.1" | "[::1]" | "localhost") {
        return Err(BadRedirectUri::PlainHttp);
    }
    Ok(())
}

impl FromStr for RedirectUri {
    type Err = BadRedirectUri;
    fn from_str(text: &str) -> Result<Self, BadRedirectUri> {
        Self::register(text)
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = BadRedirectUri;
    fn try_from(text: String) -> Result<Self, BadRedirectUri> {
        Self::register(&text)
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0.into()
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a request gets a page of ours and no redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReturnAddress {
    /// None is asked for, and there are several to choose from, or none, or it is an OpenID request.
    #[error("redirect_uri is missing: expected one of the URIs registered for this client")]
    Missing,
    /// Not one that is registered.
    #[error("redirect_uri is not registered for this client: expected the same text, character for character")]
    Unknown,
}

/// The redirect URIs of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RedirectUris(pub Vec<RedirectUri>);

impl RedirectUris {
    /// Whether none is registered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The web site that answers go to: the root of the first https address. None where all of them are a program's own.
    pub fn site(&self) -> Option<String> {
        self.0.iter().find_map(|uri| {
            let (authority, _) = split_authority(uri.0.strip_prefix("https:")?)?;
            Some(format!("https://{authority}/"))
        })
    }

    /// Where the answer goes. No URI asked for is fine while exactly one is registered (RFC 6749 §3.1.2.3).
    pub fn return_address(&self, asked: Option<&str>) -> Result<ReturnAddress, BadReturnAddress> {
        match (asked, self.0.as_slice()) {
            (Some(asked), _) => self.exact_return_address(Some(asked)),
            (None, [only]) => Ok(ReturnAddress(only.to_string())),
            (None, _) => Err(BadReturnAddress::Missing),
        }
    }

    /// Where the answer to an OpenID request goes: the URI has to be asked for (OpenID Core §3.1.2.1).
    pub fn exact_return_address(&self, asked: Option<&str>) -> Result<ReturnAddress, BadReturnAddress> {
        let asked = asked.ok_or(BadReturnAddress::Missing)?;
        let known = self.0.iter().any(|uri| uri.admits(asked));
        known.then(|| ReturnAddress(asked.to_owned())).ok_or(BadReturnAddress::Unknown)
    }
}

/// Where a browser may go once it has signed out (OpenID RP-Initiated Logout §3): the same bytes, no exception.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PostLogoutRedirectUris(pub Vec<RedirectUri>);

impl PostLogoutRedirectUris {
    /// Whether none is registered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the browser goes.
    pub fn return_address(&self, asked: &str) -> Result<ReturnAddress, BadReturnAddress> {
        let known = self.0.iter().any(|uri| uri.as_str() == asked);
        known.then(|| ReturnAddress(asked.to_owned())).ok_or(BadReturnAddress::Unknown)
    }
}

/// A place that a browser may be sent to. Only a client's own list makes one, so without a registered URI there
/// is nothing to redirect to. It is never stored: a stored request keeps what was asked for and asks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnAddress(String);

impl ReturnAddress {
    /// The address without any answer, as the target of a form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is sent there reaches the client and nobody else: an https address is its owner's. Any program on a
    /// person's machine can listen on loopback or claim a private scheme (RFC 8252 §8.6).
    pub fn proves_the_client(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The address with parameters added to its query.
    pub fn with_query(&self, parameters: &[(&str, &str)]) -> String {
        let separator = match self.0.split_once('?') {
            _ if parameters.is_empty() => "",
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        self.with(separator, parameters)
    }

    /// The address with parameters as its fragment; a registered URI has none of its own.
    pub fn with_fragment(&self, parameters: &[(&str, &str)]) -> String {
        self.with("#", parameters)
    }

    fn with(&self, separator: &str, parameters: &[(&str, &str)]) -> String {
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("{}{separator}{encoded}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_site_of_a_client_is_the_root_of_its_first_https_address() {
        let uris =
            |texts: &[&str]| RedirectUris(texts.iter().map(|text| RedirectUri::register(text).unwrap()).collect());
        assert_eq!(uris(&["https://app.example:8443/cb?a=/b"]).site().as_deref(), Some("https://app.example:8443/"));
        assert_eq!(uris(&["https://app.example?a"]).site().as_deref(), Some("https://app.example/"));
        let all = ["com.example.app:/cb", "http://127.0.0.1/cb", "https://[2001:db8::1]/cb", "https://b.example/"];
        assert_eq!(uris(&all).site().as_deref(), Some("https://[2001:db8::1]/"));
        assert_eq!(uris(&all[..2]).site(), None);
    }

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::register(text).unwrap()
    }

    fn uris(texts: &[&str]) -> RedirectUris {
        RedirectUris(texts.iter().map(|text| uri(text)).collect())
    }

    #[test]
    fn https_loopback_and_private_schemes_with_a_dot_are_registered_as_they_are() {
        for good in [
            "https://client.example",
            "https://client.example/cb?a=1&b=%2F",
            "https://client_1.example:8443/",
            "https://[2001:db8::1]/cb",
            "https://client.example/user@host",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:4000",
            "http://[::1]:4000/cb",
            "http://localhost:4000/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
            "com.example.app:cb",
        ] {
            assert_eq!(uri(good).as_str(), good);
        }
    }

    #[test]
    fn what_cannot_be_compared_safely_is_not_registered() {
        use BadRedirectUri::*;
        for (bad, reason) in [
            ("", Uri(BadUri::NotAbsolute)),
            ("/cb", Uri(BadUri::NotAbsolute)),
            ("//client.example/cb", Uri(BadUri::NotAbsolute)),
            ("client.example/cb", Uri(BadUri::NotAbsolute)),
            ("https:", Uri(BadUri::Empty)),
            ("https://client.example/cb#", Uri(BadUri::Fragment)),
            ("https://client.example/cb#x", Uri(BadUri::Fragment)),
            ("https://client.example/%zz", Uri(BadUri::PercentEncoding)),
            ("https://client.example/%4", Uri(BadUri::PercentEncoding)),
            (" https://client.example/", Uri(BadUri::Character)),
            ("https://client.example/a b", Uri(BadUri::Character)),
            ("https://client.example/\n", Uri(BadUri::Character)),
            ("https://client.example\\@evil.example/", Uri(BadUri::Character)),
            ("https://cl\u{ed}ent.example/", Uri(BadUri::Character)),
            ("https://client.example/\"", Uri(BadUri::Character)),
            ("https://*.example/cb", Wildcard),
            ("https://client.example/*", Wildcard),
            ("https://user@client.example/cb", UserInfo),
            ("https://client.example:x@evil.example/", UserInfo),
            ("com.example.app://user@host/", UserInfo),
            ("HTTPS://client.example/cb", UpperCaseScheme),
            ("JavaScript:alert(1)", UpperCaseScheme),
            ("https:/client.example/cb", Host),
            ("https:client.example/cb", Host),
            ("https:///cb", Host),
            ("https://:443/cb", Host),
            ("https://client%2eexample/cb", Host),
            ("https://[client]/cb", Host),
            ("https://x[::1]/cb", Host),
            ("https://client.example:/cb", Port),
            ("https://client.example:0/cb", Port),
            ("https://client.example:65536/cb", Port),
            ("https://client.example:+80/cb", Port),
            ("https://client.example:80:80/cb", Port),
            ("https://[::1]x/cb", Port),
            ("https://client.example/cb?a[]=1", Bracket),
            ("http://client.example/cb", PlainHttp),
            ("http://127.0.0.2/cb", PlainHttp),
            ("http://127.1/cb", PlainHttp),
            ("http://LOCALHOST/cb", PlainHttp),
            ("http://[0:0:0:0:0:0:0:1]/cb", PlainHttp),
            ("http://localhost.evil.example/cb", PlainHttp),
            ("myapp:/cb", Scheme),
            ("urn:ietf:wg:oauth:2.0:oob", Scheme),
        ] {
            assert_eq!(RedirectUri::register(bad), Err(reason), "{bad:?}");
        }
        let long = format!("https://client.example/{}", "a".repeat(2048));
        assert_eq!(RedirectUri::register(&long), Err(Uri(BadUri::TooLong)));
    }

    #[test]
    fn schemes_that_run_scripts_or_open_files_are_refused() {
        for scheme in
            ["javascript", "data", "vbscript", "file", "about", "blob", "filesystem", "ws", "ftp", "mailto", "intent"]
        {
            for rest in [":x", "://client.example/x"] {
                assert_eq!(RedirectUri::register(&format!("{scheme}{rest}")), Err(BadRedirectUri::Scheme), "{scheme}");
            }
        }
    }

    #[test]
    fn only_the_same_bytes_are_admitted() {
        let known = uri("https://client.example/cb?a=1");
        assert!(known.admits("https://client.example/cb?a=1"));
        for other in [
            "https://client.example/cb",
            "https://client.example/cb?a=1&b=2",
            "https://client.example/cb?a=2",
            "https://client.example/cb?a=1#",
            "https://client.example/cb/?a=1",
            "https://client.example/x/../cb?a=1",
            "https://client.example:443/cb?a=1",
            "https://CLIENT.example/cb?a=1",
            "https://client.example/c%62?a=1",
            "HTTPS://client.example/cb?a=1",
            "http://client.example/cb?a=1",
            " https://client.example/cb?a=1",
            "https://client.example.evil.example/cb?a=1",
        ] {
            assert!(!known.admits(other), "{other}");
        }
    }

    #[test]
    fn a_loopback_address_is_admitted_with_any_port_and_nothing_else_changed() {
        for known in ["http://127.0.0.1/cb", "http://127.0.0.1:4000/cb"] {
            for same in ["http://127.0.0.1/cb", "http://127.0.0.1:4000/cb", "http://127.0.0.1:65535/cb"] {
                assert!(uri(known).admits(same), "{known} {same}");
            }
            for other in [
                "http://127.0.0.1:/cb",
                "http://127.0.0.1:0/cb",
                "http://127.0.0.1:080/cb",
                "http://127.0.0.1:65536/cb",
                "http://127.0.0.1:+80/cb",
                "http://127.0.0.1:80@evil.example/cb",
                "http://127.0.0.1:80/cb/",
                "http://127.0.0.1:80/cb?x",
                "http://127.0.0.1:80/cb#x",
                "http://127.0.0.1.evil.example/cb",
                "http://127.0.0.1@evil.example/cb",
                "http://127.0.0.1:80\\@evil.example/cb",
                "https://127.0.0.1:80/cb",
                "http://[::1]:80/cb",
                "http://localhost:80/cb",
            ] {
                assert!(!uri(known).admits(other), "{known} {other}");
            }
        }
        assert!(uri("http://[::1]/cb").admits("http://[::1]:9/cb"));
        assert!(uri("http://127.0.0.1").admits("http://127.0.0.1:9"));
        assert!(!uri("http://127.0.0.1").admits("http://127.0.0.1.evil.example"));
        assert!(!uri("http://127.0.0.1").admits("http://127.0.0.1@evil.example"));
        assert!(!uri("http://127.0.0.1").admits("http://127.0.0.1:9/"));
    }

    #[test]
    fn localhost_and_https_keep_their_port() {
        assert!(!uri("http://localhost:4000/cb").admits("http://localhost:4001/cb"));
        assert!(!uri("https://127.0.0.1:4000/cb").admits("https://127.0.0.1:4001/cb"));
    }

    #[test]
    fn a_missing_redirect_uri_is_fine_while_exactly_one_is_registered() {
        let (one, two) = (uris(&["https://a.example/"]), uris(&["https://a.example/", "https://b.example/"]));
        assert_eq!(one.return_address(None).unwrap().as_str(), "https://a.example/");
        assert_eq!(two.return_address(None), Err(BadReturnAddress::Missing));
        assert_eq!(uris(&[]).return_address(None), Err(BadReturnAddress::Missing));
        assert_eq!(one.exact_return_address(None), Err(BadReturnAddress::Missing));
    }

    #[test]
    fn only_a_registered_uri_becomes_a_return_address() {
        let known = uris(&["https://a.example/", "http://127.0.0.1/cb"]);
        assert_eq!(known.return_address(Some("http://127.0.0.1:9/cb")).unwrap().as_str(), "http://127.0.0.1:9/cb");
        assert_eq!(known.return_address(Some("https://b.example/")), Err(BadReturnAddress::Unknown));
        assert_eq!(uris(&["https://a.example/"]).return_address(Some("")), Err(BadReturnAddress::Unknown));
        assert_eq!(known.exact_return_address(Some("https://a.example/x")), Err(BadReturnAddress::Unknown));
    }

    #[test]
    fn after_sign_out_only_the_same_bytes_are_admitted() {
        let known = PostLogoutRedirectUris(vec![uri("http://127.0.0.1/out")]);
        assert!(known.return_address("http://127.0.0.1/out").is_ok());
        assert_eq!(known.return_address("http://127.0.0.1:9/out"), Err(BadReturnAddress::Unknown));
    }

    #[test]
    fn an_answer_is_encoded_and_keeps_the_query_that_is_there() {
        let to = |text: &str| ReturnAddress(text.to_owned());
        let answer = [("code", "oac_1-_"), ("state", "a b&c=\"\r\n\u{fc}#")];
        let encoded = "code=oac_1-_&state=a+b%26c%3D%22%0D%0A%C3%BC%23";
        assert_eq!(to("https://a.example/cb").with_query(&answer), format!("https://a.example/cb?{encoded}"));
        assert_eq!(to("https://a.example/cb?x=1").with_query(&answer), format!("https://a.example/cb?x=1&{encoded}"));
        assert_eq!(to("https://a.example/cb?").with_query(&answer), format!("https://a.example/cb?{encoded}"));
        assert_eq!(to("https://a.example?x=1&").with_query(&answer), format!("https://a.example?x=1&{encoded}"));
        assert_eq!(to("https://a.example?x=1").with_fragment(&answer), format!("https://a.example?x=1#{encoded}"));
        assert_eq!(to("com.example.app:/cb").with_query(&answer), format!("com.example.app:/cb?{encoded}"));
        assert_eq!(to("https://a.example/cb").with_query(&[]), "https://a.example/cb");
    }

    #[test]
    fn stored_text_is_checked_again() {
        let known: RedirectUris = serde_json::from_str(r#"["https://a.example/cb"]"#).unwrap();
        assert_eq!(serde_json::to_string(&known).unwrap(), r#"["https://a.example/cb"]"#);
        let error = serde_json::from_str::<RedirectUris>(r#"["javascript:alert(1)"]"#).unwrap_err();
        assert!(error.to_string().contains("a scheme that is not allowed"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_registered_or_refused_and_a_registered_one_admits_itself(text in "(https?|[a-z.]{1,5}):/{0,2}[a-z:@/?#%\\[\\]*.0-9]{0,20}") {
            if let Ok(uri) = RedirectUri::register(&text) {
                prop_assert!(uri.admits(&text));
            }
        }

        #[test]
        fn whatever_a_loopback_address_admits_could_itself_be_registered(rest in "[:@/?#\\\\0-9c.]{0,8}") {
            let asked = format!("http://127.0.0.1{rest}");
            for known in ["http://127.0.0.1", "http://127.0.0.1/c", "http://127.0.0.1:80?0"] {
                prop_assert!(!uri(known).admits(&asked) || RedirectUri::register(&asked).is_ok());
            }
        }
    }
}
