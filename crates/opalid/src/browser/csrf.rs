//! Cross-site request forgery: a form is taken only from the browser and the page it was made for.
//!
//! Takes: the browser cookie, what the form is for, the request it belongs to.
//! Gives: the hidden field of the form, and its check when the form comes back.
//! Holds: a token fits one browser, one purpose, one request. What the browser itself says about where a
//! form came from (`Origin`, `Sec-Fetch-Site`) is believed when it speaks against the form.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderName, ORIGIN};
use subtle::ConstantTimeEq;

use crate::mac;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a form does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormPurpose {
    /// Signs in.
    SignIn,
    /// Chooses an account.
    SelectAccount,
    /// Allows or denies a client.
    Consent,
    /// Confirms that one wants to sign out.
    SignOut,
    /// Sets a password from a one-time link.
    SetPassword,
    /// Takes a step in the demo.
    Demo,
    /// Signs in to the console.
    ConsoleSignIn,
    /// Inspects a token.
    Inspect,
    /// Cuts the token that is shown.
    Cut,
    /// Makes a test JWT.
    TestJwt,
}

impl FormPurpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::SignIn => b"sign-in",
            Self::SelectAccount => b"select-account",
            Self::Consent => b"consent",
            Self::SignOut => b"sign-out",
            Self::SetPassword => b"set-password",
            Self::Demo => b"demo",
            Self::ConsoleSignIn => b"console-sign-in",
            Self::Inspect => b"inspect",
            Self::Cut => b"cut",
            Self::TestJwt => b"test-jwt",
        }
    }
}

/// The form did not come from our own page in this browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this form was not sent from its own page, or cookies are switched off; open the page again")]
pub struct Forged;

/// Makes and checks the hidden fields of forms.
pub struct FormTokens {
    key: hmac::Key,
    former: Vec<hmac::Key>,
    origin: String,
}

impl FormTokens {
    /// `origin` is the issuer's (`https://login.example`, no slash at the end), as browsers write it.
    pub fn new(key: &[u8; 32], origin: impl Into<String>) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), former: Vec::new(), origin: origin.into() }
    }

    /// Takes forms too that were made under this key.
    #[must_use]
    pub fn and_former(mut self, key: &[u8; 32]) -> Self {
        self.former.push(hmac::Key::new(hmac::HMAC_SHA256, key));
        self
    }

    /// The hidden field of a form shown to the browser with this cookie.
    pub fn token(&self, browser: &str, purpose: FormPurpose, request: &str) -> String {
        Self::token_under(&self.key, browser, purpose, request)
    }

    fn token_under(key: &hmac::Key, browser: &str, purpose: FormPurpose, request: &str) -> String {
        let parts: [&[u8]; 4] = [b"form", browser.as_bytes(), purpose.name(), request.as_bytes()];
        URL_SAFE_NO_PAD.encode(mac::mac(key, &parts))
    }

    /// Checks the field of a form that came back. Without a browser cookie nothing fits.
    pub fn check(&self, browser: Option<&str>, purpose: FormPurpose, request: &str, token: &str) -> Result<(), Forged> {
        let browser = browser.ok_or(Forged)?;
        let fits = |key| {
            let expected = Self::token_under(key, browser, purpose, request);
            bool::from(expected.as_bytes().ct_eq(token.as_bytes()))
        };
        if std::iter::once(&self.key).chain(&self.former).any(fits) { Ok(()) } else { Err(Forged) }
    }

    /// Checks what the browser says about where the form came from.
    ///
    /// `Origin: null` is what browsers send from our own pages, because of their `Referrer-Policy: no-referrer`
    /// (Fetch, "append a request `Origin` header"); so it says nothing, and `Sec-Fetch-Site` and the token do.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<(), Forged> {
        let foreign = |origin: &[u8]| origin != self.origin.as_bytes() && origin != b"null";
        if headers.get_all(ORIGIN).iter().any(|origin| foreign(origin.as_bytes())) {
            return Err(Forged);
        }
        let own = |site: &[u8]| site == b"same-origin" || site == b"none";
        if headers.get_all(SEC_FETCH_SITE).iter().any(|site| !own(site.as_bytes())) {
            return Err(Forged);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn tokens() -> FormTokens {
        FormTokens::new(&[3; 32], "https://login.example")
    }

    #[test]
    fn a_form_made_under_a_former_key_is_taken_and_none_is_made_under_it() {
        let made = |key| FormTokens::new(&[key; 32], "").token("b", FormPurpose::SignIn, "r");
        let now = FormTokens::new(&[4; 32], "").and_former(&[3; 32]);
        let check = |token: &str| now.check(Some("b"), FormPurpose::SignIn, "r", token);
        assert_eq!([check(&made(4)), check(&made(3)), check(&made(2))], [Ok(()), Ok(()), Err(Forged)]);
        assert_eq!(now.token("b", FormPurpose::SignIn, "r"), made(4));
    }

    fn origin(headers: &[(&'static str, &'static str)]) -> Result<(), Forged> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        tokens().check_origin(&headers)
    }

    #[test]
    fn a_token_fits_its_browser_purpose_and_request_alone() {
        let token = tokens().token("browser", FormPurpose::Consent, "request");
        let check = |browser, purpose, request, token: &str| tokens().check(browser, purpose, request, token);
        assert_eq!(check(Some("browser"), FormPurpose::Consent, "request", &token), Ok(()));
        assert_eq!(check(Some("another"), FormPurpose::Consent, "request", &token), Err(Forged));
        assert_eq!(check(None, FormPurpose::Consent, "request", &token), Err(Forged));
        assert_eq!(check(Some("browser"), FormPurpose::SignIn, "request", &token), Err(Forged));
        assert_eq!(check(Some("browser"), FormPurpose::Consent, "another", &token), Err(Forged));
        assert_eq!(check(Some("browser"), FormPurpose::Consent, "request", ""), Err(Forged));
        assert_eq!(check(Some("browser"), FormPurpose::Consent, "request", &token[1..]), Err(Forged));
        let elsewhere = FormTokens::new(&[4; 32], "https://login.example");
        assert_eq!(elsewhere.check(Some("browser"), FormPurpose::Consent, "request", &token), Err(Forged));
    }

    #[test]
    fn every_purpose_has_a_token_of_its_own() {
        use FormPurpose::{
            Consent, ConsoleSignIn, Cut, Demo, Inspect, SelectAccount, SetPassword, SignIn, SignOut, TestJwt,
        };
        let all = [SignIn, SelectAccount, Consent, SignOut, SetPassword, Demo, ConsoleSignIn, Inspect, Cut, TestJwt];
        let tokens: std::collections::HashSet<_> = all.map(|purpose| tokens().token("b", purpose, "r")).into();
        assert_eq!(tokens.len(), all.len());
    }

    #[test]
    fn a_foreign_origin_is_refused_and_ours_or_none_is_not() {
        assert_eq!(origin(&[]), Ok(()));
        assert_eq!(origin(&[("origin", "https://login.example")]), Ok(()));
        for foreign in ["https://evil.example", "http://login.example", "https://login.example:8443", ""] {
            assert_eq!(origin(&[("origin", foreign)]), Err(Forged), "{foreign}");
        }
        let mut two = HeaderMap::new();
        two.append(ORIGIN, HeaderValue::from_static("https://login.example"));
        two.append(ORIGIN, HeaderValue::from_static("https://evil.example"));
        assert_eq!(tokens().check_origin(&two), Err(Forged));
    }

    #[test]
    fn forms_from_other_sites_and_sibling_hosts_are_refused() {
        for site in ["cross-site", "same-site"] {
            assert_eq!(origin(&[("sec-fetch-site", site)]), Err(Forged));
            assert_eq!(origin(&[("origin", "null"), ("sec-fetch-site", site)]), Err(Forged));
            assert_eq!(origin(&[("origin", "https://login.example"), ("sec-fetch-site", site)]), Err(Forged));
        }
        assert_eq!(origin(&[("sec-fetch-site", "none")]), Ok(()));
    }

    #[test]
    fn our_own_pages_send_a_null_origin_because_of_their_referrer_policy() {
        assert_eq!(origin(&[("origin", "null"), ("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(origin(&[("origin", "null")]), Ok(()), "older browsers: the token decides");
    }
}
