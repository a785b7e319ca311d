//! Authorization codes: a person signs in once with a browser that has no JavaScript, then comes back for codes.
//!
//! Takes: a running Opalid and the client that people sign in to.
//! Gives: codes, unused, and what they are exchanged for.
//! Not here: what the pages look like; any chain of redirects and POST forms that ends at the redirect URI will do.

use super::html::Form;
use super::{CONNECTIONS, TokenResponse};
use crate::http::answer::{self, Answer};
use crate::http::client::exchange;
use crate::http::request::{form, get, post};
use crate::load::{self, Shape, Traffic};
use crate::opalid::{Opalid, demo};
use anyhow::{Context, Result, bail};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One verifier for every code: it is the server's work that is measured, not ours.
const VERIFIER: &str = "a-code-verifier-of-the-benches-that-is-long-enough";
/// What the person is asked to agree to; more than any code here is for.
const EVERY_SCOPE: &str = "openid profile email offline_access read write";
/// More pages than any sign-in has.
const HOPS: usize = 12;

/// The client that people sign in to, and a person who has.
pub struct CodeClient<'a> {
    opalid: &'a Opalid,
    cookie: String,
}

impl<'a> CodeClient<'a> {
    /// Signs the person in, once, and agrees to all that is asked for later.
    pub fn sign_in(opalid: &'a Opalid) -> Result<Self> {
        let mut client = Self { opalid, cookie: String::new() };
        client.cookie = client.walk()?;
        Ok(client)
    }

    /// Goes from page to page until the redirect URI, and keeps the cookies.
    fn walk(&self) -> Result<String> {
        let (username, password) = demo::PERSON;
        let mut browser = Browser { address: self.opalid.address, cookies: BTreeMap::new() };
        let mut at = authorize(EVERY_SCOPE);
        let mut filled: Option<Form> = None;
        for _ in 0..HOPS {
            let received = browser.visit(&at, filled.take())?;
            let answer = received.answer()?;
            if let Some(location) = redirect(&answer) {
                if location.starts_with(demo::REDIRECT_URI) {
                    code_of(location)?;
                    return Ok(browser.cookie());
                }
                at = path_of(location);
                continue;
            }
            let page = String::from_utf8_lossy(answer.body);
            let found = Form::find(&page).filter(|_| answer.status == 200);
            let mut form = found.with_context(|| format!("{at}: status {}, no form: {page}", answer.status))?;
            form.fill(username, password);
            if !form.action.is_empty() {
                at = path_of(&form.action);
            }
            filled = Some(form);
        }
        bail!("no code after {HOPS} pages; the last was {at}")
    }

    /// So many unused codes of this scope.
    pub fn codes(&self, scope: &str, count: usize) -> Result<Vec<String>> {
        let mut collecting = Collecting {
            client: self,
            authorize: authorize(scope),
            at: BTreeMap::new(),
            left: count,
            codes: Vec::new(),
            request: Vec::new(),
        };
        load::run(self.opalid.address, Shape::exhaustive(CONNECTIONS), &mut collecting).context("authorize")?;
        Ok(collecting.codes)
    }

    /// Gets one code of this scope and exchanges it.
    pub fn exchange_one(&self, scope: &str) -> Result<()> {
        let mut exchange = Exchange::of(self.opalid, self.codes(scope, 1)?);
        load::run(self.opalid.address, Shape::exhaustive(1), &mut exchange).map(drop)
    }
}

fn authorize(scope: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let query = form(&[
        ("response_type", "code"),
        ("client_id", demo::APP),
        ("redirect_uri", demo::REDIRECT_URI),
        ("scope", scope),
        ("state", "bench"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    format!("/authorize?{query}")
}

/// Follows each authorization request to its code, on many connections.
struct Collecting<'a> {
    client: &'a CodeClient<'a>,
    authorize: String,
    /// Where a connection was sent on to.
    at: BTreeMap<usize, String>,
    left: usize,
    codes: Vec<String>,
    request: Vec<u8>,
}

impl Traffic for Collecting<'_> {
    fn next(&mut self, connection: usize) -> Option<&[u8]> {
        let path = match self.at.remove(&connection) {
            Some(path) => path,
            None => {
                self.left = self.left.checked_sub(1)?;
                self.authorize.clone()
            }
        };
        self.request = get(self.client.opalid.address, &path, &[("Cookie", &self.client.cookie)]);
        Some(&self.request)
    }

    fn judge(&mut self, connection: usize, answer: &Answer<'_>) -> Result<()> {
        let location = redirect(answer).context("no redirect")?;
        if location.starts_with(demo::REDIRECT_URI) {
            self.codes.push(code_of(location)?);
        } else {
            self.at.insert(connection, path_of(location));
        }
        Ok(())
    }
}

/// Exchanges each code once; ends when they are used up.
pub struct Exchange {
    requests: std::vec::IntoIter<Vec<u8>>,
    request: Vec<u8>,
}

impl Exchange {
    /// The exchanges of these codes.
    pub fn of(opalid: &Opalid, codes: Vec<String>) -> Self {
        let request = |code: String| {
            opalid.post_as_app(
                "/token",
                &[
                    ("grant_type", "authorization_code"),
                    ("code", &code),
                    ("redirect_uri", demo::REDIRECT_URI),
                    ("code_verifier", VERIFIER),
                ],
            )
        };
        let requests: Vec<_> = codes.into_iter().map(request).collect();
        Self { requests: requests.into_iter(), request: Vec::new() }
    }
}

impl Traffic for Exchange {
    fn next(&mut self, _connection: usize) -> Option<&[u8]> {
        self.request = self.requests.next()?;
        Some(&self.request)
    }

    fn judge(&mut self, _connection: usize, answer: &Answer<'_>) -> Result<()> {
        TokenResponse::read(answer)?.refresh_token.context("no refresh token").map(drop)
    }
}

struct Browser {
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn visit(&mut self, path: &str, form: Option<Form>) -> Result<crate::http::client::Received> {
        let cookie = self.cookie();
        let origin = format!("http://localhost:{}", self.address.port());
        let mut headers = vec![("Accept", "text/html")];
        if !cookie.is_empty() {
            headers.push(("Cookie", &cookie));
        }
        let request = match form {
            None => get(self.address, path, &headers),
            Some(sent) => {
                headers.push(("Origin", &origin));
                let fields: Vec<_> = sent.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                post(self.address, path, &headers, &self::form(&fields))
            }
        };
        let received = exchange(self.address, &request).with_context(|| path.to_owned())?;
        for cookie in received.answer()?.headers("set-cookie") {
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.with_context(|| format!("not a cookie: {cookie}"))?;
            self.cookies.insert(name.trim().into(), value.trim().into());
        }
        Ok(received)
    }

    fn cookie(&self) -> String {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}

fn redirect<'a>(answer: &Answer<'a>) -> Option<&'a str> {
    answer.header("location").filter(|_| matches!(answer.status, 302 | 303))
}

/// The path and query of an absolute or relative address; the host is always the server under test.
fn path_of(address: &str) -> String {
    let after_host =
        address.split_once("://").map(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
    after_host.unwrap_or(address).to_owned()
}

fn code_of(location: &str) -> Result<String> {
    let (_, query) = location.split_once('?').context("a redirect without a query")?;
    let code = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
    code.map(|(_, code)| code.into_owned()).with_context(|| format!("no code: {}", answer::start(query.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_left_out() {
        assert_eq!(path_of("http://localhost:8080/sign-in?a=b://c"), "/sign-in?a=b://c");
        assert_eq!(path_of("http://localhost:8080"), "/");
        assert_eq!(path_of("/consent?x=1"), "/consent?x=1");
    }

    #[test]
    fn a_redirect_with_an_error_has_no_code() {
        assert_eq!(code_of("http://127.0.0.1/cb?state=x&code=a%2Db").unwrap(), "a-b");
        assert!(code_of("http://127.0.0.1/cb?error=access_denied").is_err());
        assert!(code_of("http://127.0.0.1/cb").is_err());
    }
}
