//! A person who signs in to the demo application, as far as a code and the tokens for it.

use super::browser::{Browser, Landed};
use super::html::Page;
use super::http::{Answer, encode};
use super::server::Server;

/// The public client of the demo, and its loopback redirect URI.
pub const DEMO_APP: &str = opalid::demo::PUBLIC_CLIENT;
pub const CALLBACK: &str = "http://127.0.0.1:53219/callback";
/// The pair of RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Signs in as alice where it is asked for, agrees where it is asked for, and gives the code.
pub async fn code(server: &Server, browser: &mut Browser, scope: &str) -> String {
    let query = encode(&[
        ("client_id", DEMO_APP),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", scope),
        ("state", "s"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    let mut landed = browser.open(server, &format!("/authorize?{query}")).await;
    while let Landed::Here(..) = landed {
        let page = landed.page();
        landed = browser.submit(server, &next(&page)).await;
    }
    let (base, parameters) = landed.away();
    assert_eq!(base, CALLBACK);
    let code = parameters.iter().find(|(name, _)| name == "code");
    code.unwrap_or_else(|| panic!("no code: {parameters:?}")).1.clone()
}

/// What alice does on a page.
fn next(page: &Page) -> super::html::Form {
    if page.has("allow") {
        return page.form("allow");
    }
    assert!(!page.has("problem"), "signing in failed");
    let (login, password) = opalid::demo::USERS[0];
    page.form("sign-in").with("login", login).with("password", password)
}

/// The token endpoint's answer to a code.
pub async fn redeem(server: &Server, code: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", DEMO_APP),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    server.form_post("/token", &fields).await
}

/// The token endpoint's answer to a refresh token.
pub async fn refresh(server: &Server, token: &str) -> Answer {
    let fields = [("grant_type", "refresh_token"), ("client_id", DEMO_APP), ("refresh_token", token)];
    server.form_post("/token", &fields).await
}
