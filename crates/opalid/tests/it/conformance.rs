//! What the OpenID Foundation's suite asks, line by line of CONFORMANCE.md. A line is quoted above its tests.
//!
//! Not here: logout, TLS (tested beside the listener), and the plans that come later.

mod certification;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::claims::StandardClaims;
use opalid_core::jwt::{IdTokenClaims, TYP_JWT};
use serde_json::Value;

use crate::support::Server;
use crate::support::browser::{Browser, Landed};
use crate::support::html::Page;
use crate::support::http::{Answer, encode};
use crate::support::person::{
    API, APP, Ask, CALLBACK, CHALLENGE, OTHER_APP, VERIFIER, between, refusal, value, web_app,
};
use crate::support::server::FORM;

/// A server, and a browser in which alice has signed in to `APP` and agreed to `openid`.
async fn signed_in() -> (Server, Browser, Answer) {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let code = browser.code(&server, &Ask::new(), "alice").await;
    let tokens = server.tokens(&code).await;
    (server, browser, tokens)
}

/// The claims of an ID token, whoever signed it.
fn decoded(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

// "PKCE is optional for confidential clients unless client or workspace demands it: 30 of 35 Basic modules send
// none. Nor may a `nonce` be demanded in the code flow."

#[tokio::test]
async fn a_confidential_client_needs_neither_pkce_nor_nonce() {
    let (server, _, tokens) = signed_in().await;
    let claims = server.id_token(&tokens).await;
    assert_eq!((claims.aud.as_str(), claims.nonce), (APP.0, None));
}

#[tokio::test]
async fn a_client_that_is_to_use_pkce_is_refused_without_it() {
    let server = Server::with_people().await;
    let settings = opalid_core::client::ClientSettings { require_pkce: true, ..web_app("Careful", &[CALLBACK]) };
    server.client("careful", Some("ocs_careful"), settings).await;
    let (mut browser, ask) = (Browser::new(), Ask::new().with("client_id", "careful"));
    assert_eq!(browser.error(&server, &ask).await, "invalid_request");
    let ask = ask.with("code_challenge", CHALLENGE).with("code_challenge_method", "S256");
    let code = browser.code(&server, &ask, "alice").await;
    let answer = server.redeem(("careful", "ocs_careful"), &code, &[("code_verifier", VERIFIER)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_nonce_comes_back_in_the_id_token() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let code = browser.code(&server, &Ask::new().with("nonce", "n ü"), "alice").await;
    assert_eq!(server.id_token(&server.tokens(&code).await).await.nonce.as_deref(), Some("n ü"));
}

// "RS256 stands in `id_token_signing_alg_values_supported`."

#[tokio::test]
async fn rs256_is_offered_and_is_what_signs_by_default() {
    let (server, _, tokens) = signed_in().await;
    let discovery = server.get("/.well-known/openid-configuration").await.json();
    assert!(discovery["id_token_signing_alg_values_supported"].as_array().unwrap().contains(&"RS256".into()));
    let token = tokens.field("id_token");
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!(header["alg"], "RS256");
    let keys = server.get("/jwks").await.json();
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.iter().filter(|key| key["kid"] == header["kid"] && key["kty"] == "RSA").count(), 1);
}

// "Userinfo answers GET, POST with the header, POST with the token in the form body."

#[tokio::test]
async fn userinfo_answers_get_post_with_the_header_and_post_with_the_form() {
    let (server, _, tokens) = signed_in().await;
    let token = tokens.field("access_token");
    let bearer = format!("Bearer {token}");
    let get = server.request("GET", "/userinfo", &[("authorization", &bearer)], b"").await;
    let post = server.request("POST", "/userinfo", &[("authorization", &bearer)], b"").await;
    let form = server.form_post("/userinfo", &[("access_token", &token)]).await;
    let empty_form = server.request("POST", "/userinfo", &[FORM, ("authorization", &bearer)], b"").await;
    for answer in [&get, &post, &form, &empty_form] {
        assert_eq!((answer.status, answer.json()), (200, get.json()), "{answer:?}");
    }
}

// "POST /authorize works like GET."

#[tokio::test]
async fn post_to_authorize_works_like_get() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let answer = browser.post(&server, "/authorize", &Ask::new().pairs()).await;
    let landed = browser.follow(&server, "/authorize", answer).await;
    assert_eq!(landed.path(), "/sign-in");
    let (_, parameters) = browser.sign_in_at(&server, landed, "alice").await.away();
    assert_eq!(value(&parameters, "state"), "s-1");
    server.tokens(value(&parameters, "code")).await;
    let answer = browser.post(&server, "/authorize", &Ask::new().pairs()).await;
    let (_, parameters) = browser.follow(&server, "/authorize", answer).await.away();
    server.tokens(value(&parameters, "code")).await;
}

#[tokio::test]
async fn a_post_to_authorize_from_the_clients_own_page_comes_without_cookies_and_still_finds_the_session() {
    let (server, mut browser, _) = signed_in().await;
    let headers = [FORM, ("origin", "https://app.example"), ("sec-fetch-site", "cross-site")];
    let body = encode(&Ask::new().with("prompt", "none").pairs());
    let answer = server.request("POST", "/authorize", &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 303);
    let (_, parameters) = browser.follow(&server, "/authorize", answer).await.away();
    server.tokens(value(&parameters, "code")).await;
}

// "Unknown parameters change nothing."

#[tokio::test]
async fn unknown_parameters_change_nothing() {
    let (server, mut browser, _) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new().with("extra", "foobar").with("claims_x", "{}")).await;
    let answer = server.redeem(APP, &code, &[("extra", "foobar")]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

// "Order of scopes and parameters does not matter."

#[tokio::test]
async fn the_order_of_scopes_and_parameters_does_not_matter() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let ask = Ask::new().with("scope", "email openid profile").reversed();
    let code = browser.code(&server, &ask, "alice").await;
    let one = server.userinfo(&server.tokens(&code).await.field("access_token")).await.json();
    let code = browser.silent_code(&server, &Ask::new().with("scope", "openid profile email")).await;
    assert_eq!(server.userinfo(&server.tokens(&code).await.field("access_token")).await.json(), one);
    assert!(one["email"].is_string() && one["name"].is_string());
}

// "`request` / `request_uri`: as long as they are not supported: redirect URI checked first (error page), then
// `request_not_supported` / `request_uri_not_supported` to the client; discovery says
// `request_parameter_supported: false`, `request_uri_parameter_supported: false` (its default is true). Ignoring
// them is a failure."

#[tokio::test]
async fn request_objects_are_refused_at_the_client_once_its_address_is_known_good() {
    let (server, mut browser, _) = signed_in().await;
    for (name, error) in [("request", "request_not_supported"), ("request_uri", "request_uri_not_supported")] {
        let ask = Ask::new().with(name, "eyJhbGciOiJub25lIn0.e30.");
        let (base, parameters) = browser.open(&server, &ask.target()).await.away();
        assert_eq!((base.as_str(), value(&parameters, "error"), value(&parameters, "state")), (CALLBACK, error, "s-1"));
        let answer = browser.get(&server, &ask.with("redirect_uri", "https://app.example/other").target()).await;
        assert_eq!((answer.status, answer.header("location")), (400, None));
    }
    let discovery = server.get("/.well-known/openid-configuration").await.json();
    assert_eq!(discovery["request_parameter_supported"], false);
    assert_eq!(discovery["request_uri_parameter_supported"], false);
}

// "`prompt=none` succeeds silently after a sign-in with the same `sub` and `auth_time`, and gives `login_required`
// without one"

#[tokio::test]
async fn prompt_none_succeeds_silently_after_a_sign_in_with_the_same_sub_and_auth_time() {
    let (server, mut browser, tokens) = signed_in().await;
    let first = server.id_token(&tokens).await;
    server.clock.advance(10);
    let code = browser.silent_code(&server, &Ask::new().with("prompt", "none")).await;
    let second = server.id_token(&server.tokens(&code).await).await;
    assert_eq!((&second.sub, second.auth_time, &second.sid), (&first.sub, first.auth_time, &first.sid));
    assert_eq!(second.iat.0, first.iat.0 + 10);
}

#[tokio::test]
async fn prompt_none_without_a_sign_in_is_login_required() {
    let server = Server::with_people().await;
    let ask = Ask::new().with("prompt", "none");
    let (base, parameters) = Browser::new().open(&server, &ask.target()).await.away();
    assert_eq!((base.as_str(), value(&parameters, "error")), (CALLBACK, "login_required"));
    assert_eq!((value(&parameters, "state"), value(&parameters, "iss")), ("s-1", server.issuer.as_str()));
}

// "`prompt=login` and an exceeded `max_age` ask again and `auth_time` grows; `max_age` not exceeded does not ask"

#[tokio::test]
async fn prompt_login_asks_again_and_auth_time_grows() {
    let (server, mut browser, tokens) = signed_in().await;
    let first = server.id_token(&tokens).await;
    server.clock.advance(1);
    let code = browser.code(&server, &Ask::new().with("prompt", "login"), "alice").await;
    let second = server.id_token(&server.tokens(&code).await).await;
    assert_eq!((&second.sub, second.auth_time.0), (&first.sub, first.auth_time.0 + 1));
}

#[tokio::test]
async fn an_exceeded_max_age_asks_again_and_auth_time_grows() {
    let (server, mut browser, tokens) = signed_in().await;
    let first = server.id_token(&tokens).await;
    server.clock.advance(2);
    let code = browser.code(&server, &Ask::new().with("max_age", "1"), "alice").await;
    let second = server.id_token(&server.tokens(&code).await).await;
    assert_eq!((&second.sub, second.auth_time.0), (&first.sub, first.auth_time.0 + 2));
    let ask = Ask::new().with("max_age", "0");
    assert_eq!(browser.open(&server, &ask.target()).await.path(), "/sign-in", "zero always asks");
    server.clock.advance(2);
    assert_eq!(browser.error(&server, &ask.with("max_age", "1").with("prompt", "none")).await, "login_required");
}

#[tokio::test]
async fn max_age_not_exceeded_does_not_ask() {
    let (server, mut browser, tokens) = signed_in().await;
    let first = server.id_token(&tokens).await;
    server.clock.advance(10_000);
    let code = browser.silent_code(&server, &Ask::new().with("max_age", "10000")).await;
    assert_eq!(server.id_token(&server.tokens(&code).await).await.auth_time, first.auth_time);
}

// "`id_token_hint` of the signed-in person is silent"

#[tokio::test]
async fn an_id_token_hint_of_the_signed_in_person_is_silent() {
    let (server, mut browser, tokens) = signed_in().await;
    let ask = Ask::new().with("prompt", "none").with("id_token_hint", &tokens.field("id_token"));
    server.clock.advance(7200);
    let code = browser.silent_code(&server, &ask).await;
    let (first, second) = (server.id_token(&tokens).await, server.id_token(&server.tokens(&code).await).await);
    assert_eq!(first.sub, second.sub, "also once it has expired");
}

#[tokio::test]
async fn an_id_token_hint_of_another_person_is_not() {
    let (server, mut browser, tokens) = signed_in().await;
    let hint = tokens.field("id_token");
    browser.code(&server, &Ask::new().with("prompt", "login"), "bob").await;
    let ask = Ask::new().with("id_token_hint", &hint);
    assert_eq!(browser.error(&server, &ask.clone().with("prompt", "none")).await, "login_required");
    let (_, parameters) = browser.sign_in(&server, &ask, "bob").await.away();
    assert_eq!(value(&parameters, "error"), "login_required", "another person than the hinted one signed in");
    browser.code(&server, &ask, "alice").await;
}

#[tokio::test]
async fn a_hint_that_cannot_be_read_is_no_answer_without_a_page_and_passed_over_where_people_are_asked() {
    let (server, mut browser, tokens) = signed_in().await;
    server.workspace("acme").await;
    let ours = server.app.find_issuer(None).await.unwrap().unwrap();
    let acme = server.app.find_issuer(Some("acme")).await.unwrap().unwrap();
    let claims = server.id_token(&tokens).await;
    let hint = tokens.field("id_token");
    let (message, signature) = hint.rsplit_once('.').unwrap();
    let (_, payload) = message.split_once('.').unwrap();
    let mut broken = URL_SAFE_NO_PAD.decode(signature).unwrap();
    broken[0] ^= 1;
    let elsewhere = IdTokenClaims { iss: acme.url.clone(), ..claims.clone() };
    for unreadable in [
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(broken)),
        format!("{message}."),
        format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#)),
        acme.signing[0].key.sign(TYP_JWT, &elsewhere).unwrap(),
        acme.signing[0].key.sign(TYP_JWT, &claims).unwrap(),
        ours.signing[0].key.sign(TYP_JWT, &elsewhere).unwrap(),
        "abc".to_owned(),
    ] {
        let ask = Ask::new().with("id_token_hint", &unreadable);
        let silent = ask.clone().with("prompt", "none");
        assert_eq!(browser.error(&server, &silent).await, "login_required", "{unreadable}");
        let posted = browser.post(&server, "/authorize", &silent.pairs()).await;
        let (_, parameters) = browser.follow(&server, "/authorize", posted).await.away();
        assert_eq!(value(&parameters, "error"), "login_required", "{unreadable}");
        browser.silent_code(&server, &ask).await;
        Browser::new().code(&server, &ask, "alice").await;
    }
    browser.silent_code(&server, &Ask::new().with("prompt", "none").with("id_token_hint", &hint)).await;
}

// "`login_hint`, `ui_locales`, `claims_locales`, `display`, `acr_values` never break anything (an `acr` is returned)."

#[tokio::test]
async fn hints_never_break_anything_and_an_acr_is_returned() {
    let hints = [
        ("login_hint", "somebody@else.example"),
        ("login_hint", "\"><script>alert(1)</script>"),
        ("ui_locales", "se"),
        ("ui_locales", "not a locale, nor * this"),
        ("claims_locales", "se"),
        ("ui_locales", "fr-CA fr en"),
        ("claims_locales", "fr-CA fr en"),
        ("claims_locales", "\u{202e} not a locale"),
        ("display", "page"),
        ("display", "popup"),
        ("display", "touch"),
        ("display", "wap"),
        ("display", "hologram"),
        ("acr_values", "1 2"),
        ("acr_values", "urn:none:such"),
    ];
    let (server, mut browser, _) = signed_in().await;
    for (name, hint) in hints {
        let code = browser.silent_code(&server, &Ask::new().with(name, hint)).await;
        let claims = server.id_token(&server.tokens(&code).await).await;
        assert_eq!(claims.acr.as_deref(), Some("1"), "{name}={hint}");
        let code = Browser::new().code(&server, &Ask::new().with(name, hint), "alice").await;
        server.tokens(&code).await;
    }
    let landed = Browser::new().open(&server, &Ask::new().with("login_hint", "bob").target()).await;
    assert_eq!(landed.page().attribute("login", "value"), Some("bob"));
}

// "Consent is remembered per user and client."

#[tokio::test]
async fn consent_is_remembered_per_user_and_client() {
    let (server, mut browser, _) = signed_in().await;
    browser.silent_code(&server, &Ask::new()).await;
    let mut elsewhere = Browser::new();
    let landed = elsewhere.open(&server, &Ask::new().target()).await;
    let landed = elsewhere.give_password(&server, landed, "alice", "alice likes long sentences").await;
    landed.away();
    let other_client = Ask::new().with("client_id", OTHER_APP.0);
    assert_eq!(browser.open(&server, &other_client.target()).await.path(), "/consent");
    assert_eq!(browser.error(&server, &other_client.with("prompt", "none")).await, "consent_required");
    let landed = browser.open(&server, &Ask::new().with("prompt", "login").target()).await;
    let landed = browser.give_password(&server, landed, "bob", "bob likes long sentences").await;
    assert_eq!(landed.path(), "/consent", "alice's consent is not bob's");
}

#[tokio::test]
async fn whoever_wants_more_than_was_agreed_to_asks_again() {
    let (server, mut browser, _) = signed_in().await;
    let more = Ask::new().with("scope", "openid email");
    assert_eq!(browser.error(&server, &more.clone().with("prompt", "none")).await, "consent_required");
    let landed = browser.open(&server, &more.target()).await;
    assert_eq!(landed.path(), "/consent");
    browser.allow(&server, landed).await.away();
    browser.silent_code(&server, &more.with("prompt", "none")).await;
    browser.silent_code(&server, &Ask::new().with("prompt", "none")).await;
}

// "The suite sends `offline_access` with `prompt=consent`; without it, remembered consent or a first-party client
// suffices, else the consent page asks; it is never dropped silently."

#[tokio::test]
async fn offline_access_is_asked_for_with_prompt_consent_each_time() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let ask = Ask::new().with("scope", "openid offline_access").with("prompt", "consent");
    let code = browser.code(&server, &ask, "alice").await;
    assert_eq!(server.tokens(&code).await.field("scope"), "offline_access openid");
    let landed = browser.open(&server, &ask.target()).await;
    assert_eq!(landed.path(), "/consent", "remembered, and still asked");
    let (_, parameters) = browser.allow(&server, landed).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.field("scope"), "offline_access openid");
}

#[tokio::test]
async fn offline_access_without_prompt_consent_asks_once_and_is_never_dropped() {
    let (server, mut browser, _) = signed_in().await;
    let ask = Ask::new().with("scope", "openid offline_access");
    assert_eq!(browser.error(&server, &ask.clone().with("prompt", "none")).await, "consent_required");
    let landed = browser.open(&server, &ask.target()).await;
    assert_eq!(landed.path(), "/consent");
    let (_, parameters) = browser.allow(&server, landed).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.field("scope"), "offline_access openid");
    let code = browser.silent_code(&server, &ask.with("prompt", "none")).await;
    assert_eq!(server.tokens(&code).await.field("scope"), "offline_access openid");
}

#[tokio::test]
async fn a_first_party_client_gets_offline_access_without_a_question() {
    let server = Server::with_people().await;
    let settings = opalid_core::client::ClientSettings { first_party: true, ..web_app("Ours", &[CALLBACK]) };
    server.client("ours", Some("ocs_ours"), settings).await;
    let (mut browser, ask) =
        (Browser::new(), Ask::new().with("client_id", "ours").with("scope", "openid offline_access"));
    let landed = browser.open(&server, &ask.target()).await;
    let (_, parameters) = browser.give_password(&server, landed, "alice", "alice likes long sentences").await.away();
    let answer = server.redeem(("ours", "ocs_ours"), value(&parameters, "code"), &[]).await;
    assert_eq!(answer.field("scope"), "offline_access openid");
}

// "Codes: a second use is `invalid_grant`, at once and 30 s later, and the tokens from it die."

#[tokio::test]
async fn a_code_used_again_at_once_is_refused_and_its_tokens_die() {
    code_used_again_after(0).await;
}

#[tokio::test]
async fn a_code_used_again_30_seconds_later_is_refused_and_its_tokens_die() {
    code_used_again_after(30).await;
}

#[tokio::test]
async fn a_code_used_again_after_its_time_is_refused_and_its_tokens_die() {
    code_used_again_after(90).await;
}

async fn code_used_again_after(seconds: i64) {
    let (server, mut browser, of_another_code) = signed_in().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    let tokens = server.tokens(&code).await;
    let token = tokens.field("access_token");
    assert!(server.knows(&token).await && server.is_active(APP, &token).await);
    server.clock.advance(seconds);
    let again = server.redeem(APP, &code, &[]).await;
    assert_eq!(refusal(&again), (400, "invalid_grant".into()));
    assert!(!server.knows(&token).await && !server.is_active(APP, &token).await);
    let refreshed = refresh(&server, APP, &tokens.field("refresh_token")).await;
    assert_eq!(refusal(&refreshed), (400, "invalid_grant".into()));
    assert!(server.knows(&of_another_code.field("access_token")).await, "what came of another code lives on");
}

async fn refresh(server: &Server, client: (&str, &str), token: &str) -> Answer {
    server.form_post_as(client, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

// "Another client's refresh token: 400 `invalid_grant`. Refresh tokens have ≥ 128 bits."

#[tokio::test]
async fn another_clients_refresh_token_is_invalid_grant_and_one_has_at_least_128_bits() {
    let (server, _, tokens) = signed_in().await;
    let token = tokens.field("refresh_token");
    assert_eq!(refusal(&refresh(&server, OTHER_APP, &token).await), (400, "invalid_grant".into()));
    assert_eq!(refresh(&server, APP, &token).await.status, 200, "its own client still gets on");
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix("ort_").unwrap()).unwrap();
    // Key number, nonce, sealed (row, generation, 32 random bytes), tag.
    assert_eq!(bytes.len(), 1 + 12 + 16 + 4 + 32 + 16);
}

// "Token answers: `Cache-Control: no-store`."

#[tokio::test]
async fn no_answer_of_the_token_endpoint_is_stored() {
    let (server, _, tokens) = signed_in().await;
    let refused = server.redeem(APP, "oac_nonsense", &[]).await;
    let unauthorized = server.redeem(("nobody", "x"), "oac_nonsense", &[]).await;
    for answer in [tokens, refused, unauthorized] {
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
    }
}

// "Wrong `redirect_uri` (not registered, missing with several registered, other query): an error page of ours, never
// a redirect."

#[tokio::test]
async fn a_wrong_redirect_uri_ends_on_an_error_page_and_never_redirects() {
    let (server, mut browser, _) = signed_in().await;
    server.client("two", Some("ocs_two"), web_app("Two", &[CALLBACK, "https://app.example/callback?which=2"])).await;
    let two = Ask::new().with("client_id", "two");
    let wrong = [
        Ask::new().with("redirect_uri", "https://evil.example/callback"),
        Ask::new().with("redirect_uri", "https://app.example/callback?foo=bar"),
        Ask::new().with("redirect_uri", "https://app.example/callback?"),
        Ask::new().with("redirect_uri", "https://app.example/callback#f"),
        Ask::new().with("redirect_uri", "https://app.example/callback/"),
        Ask::new().with("redirect_uri", "https://APP.example/callback"),
        Ask::new().with("redirect_uri", "http://app.example/callback"),
        Ask::new().with("redirect_uri", "https://app.example/x/../callback"),
        Ask::new().with("redirect_uri", "https://app.example@evil.example/callback"),
        Ask::new().without("redirect_uri"),
        Ask::new().and("redirect_uri", CALLBACK),
        two.clone().without("redirect_uri"),
        two.clone().without("redirect_uri").with("scope", "read").with("resource", API),
        two.clone().with("redirect_uri", "https://app.example/callback?which=3"),
        two.clone().with("redirect_uri", "https://app.example/callback?which=2&foo=bar"),
        two.clone().with("redirect_uri", "https://app.example/callback?foo=bar&which=2"),
    ];
    for ask in wrong {
        for ask in [ask.clone(), ask.clone().with("prompt", "none"), ask.with("response_mode", "form_post")] {
            let answer = browser.get(&server, &ask.target()).await;
            assert_eq!((answer.status, answer.header("location")), (400, None), "{ask:?}");
            assert!(Page::parse(answer.text()).has("error-code") && !answer.text().contains("form-post"), "{ask:?}");
            let answer = browser.post(&server, "/authorize", &ask.pairs()).await;
            assert_eq!((answer.status, answer.header("location")), (400, None), "{ask:?}");
        }
    }
    let ask = two.with("redirect_uri", "https://app.example/callback?which=2");
    let landed = browser.open(&server, &ask.target()).await;
    let Landed::Away(url) = browser.allow(&server, landed).await else { panic!("not answered") };
    assert!(url.starts_with("https://app.example/callback?which=2&code=oac_"), "its own query stays: {url}");
}

// "Claims: scope `profile` gives every standard claim that the user has (a lab user has all of them), `email` with
// `email_verified`, later `address`, `phone`. In the code flow they stand in userinfo; `sub` is the same in both."

#[tokio::test]
async fn the_profile_scope_gives_every_standard_claim_in_userinfo_and_sub_is_the_same_in_both() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    for (scope, expected) in [
        ("openid", &[][..]),
        ("openid profile", StandardClaims::PROFILE),
        ("openid email", StandardClaims::EMAIL),
        ("openid profile email", &[StandardClaims::PROFILE, StandardClaims::EMAIL].concat()),
    ] {
        let ask = Ask::new().with("scope", scope);
        let landed = match browser.open(&server, &ask.target()).await {
            landed @ Landed::Here(..) if landed.path() == "/sign-in" => {
                browser.sign_in_at(&server, landed, "alice").await
            }
            landed => browser.allow(&server, landed).await,
        };
        let (_, parameters) = landed.away();
        let tokens = server.tokens(value(&parameters, "code")).await;
        let userinfo = server.userinfo(&tokens.field("access_token")).await.json();
        let mut names: Vec<&str> = userinfo.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [&["sub"], expected].concat();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected, "{scope}");
        assert_eq!(userinfo["sub"], server.id_token(&tokens).await.sub);
        let id_token = decoded(&tokens.field("id_token"));
        assert!(id_token.get("name").is_none() && id_token.get("email").is_none(), "{id_token}");
    }
    let code = browser.silent_code(&server, &Ask::new().with("scope", "openid profile email")).await;
    let userinfo = server.userinfo(&server.tokens(&code).await.field("access_token")).await.json();
    let typed = [("name", "name of alice"), ("zoneinfo", "Europe/Berlin"), ("email", "alice@mail.example")];
    for (name, text) in typed {
        assert_eq!(userinfo[name], text);
    }
    assert_eq!((&userinfo["updated_at"], &userinfo["email_verified"]), (&1_900_000_000.into(), &true.into()));
}

// "form_post: success and error alike."

#[tokio::test]
async fn form_post_carries_success_and_error_alike() {
    let (server, mut browser, _) = signed_in().await;
    let ask = Ask::new().with("response_mode", "form_post").with("state", "\"'><s>&amp;");
    for (ask, answer_is) in [(ask.clone(), "code"), (ask.clone().with("response_type", "token"), "error")] {
        let landed = browser.open(&server, &ask.target()).await;
        assert_eq!(landed.path(), "/authorize");
        let answer = landed.answer();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let form = Page::parse(answer.text()).form("continue");
        assert_eq!((form.method.as_str(), form.action.as_str()), ("POST", CALLBACK));
        let fields: Vec<_> = form.fields.clone();
        assert_eq!(value(&fields, "state"), "\"'><s>&amp;");
        assert_eq!(value(&fields, "iss"), server.issuer);
        assert!(!value(&fields, answer_is).is_empty());
        if answer_is == "code" {
            server.tokens(value(&fields, "code")).await;
        } else {
            assert_eq!(value(&fields, "error"), "unsupported_response_type");
        }
    }
    let denied = Ask::new().with("response_mode", "form_post").with("scope", "openid email");
    let landed = browser.open(&server, &denied.target()).await;
    let form = landed.page().form("deny");
    let form = browser.submit(&server, &form).await.page().form("continue");
    assert_eq!(value(&form.fields, "error"), "access_denied");
}

// "Pages: sign-in, consent, confirm sign-out, signed out and error have distinct URLs, titles and stable element ids
// (`login`, `password`, `sign-in`, `allow`, `deny`, `sign-out`). Plain forms: its browser runs no `class`, no
// `async`, no `fetch`; a broken script beside a plain form does no harm."

#[tokio::test]
async fn the_pages_have_distinct_urls_titles_and_stable_ids_and_plain_forms() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let sign_in = browser.open(&server, &Ask::new().target()).await;
    assert_eq!(sign_in.path(), "/sign-in");
    let Landed::Here(target, answer) = &sign_in else { panic!() };
    let page = Page::parse(answer.text());
    assert!(["login", "password", "sign-in"].iter().all(|id| page.has(id)));
    assert_eq!(page.form("sign-in").method, "POST");
    let mut titles = vec![title(answer)];
    let landed = Landed::Here(target.clone(), answer.clone());
    let consent = browser.give_password(&server, landed, "alice", "alice likes long sentences").await;
    assert_eq!(consent.path(), "/consent");
    let answer = consent.answer();
    let page = Page::parse(answer.text());
    assert!(["allow", "deny"].iter().all(|id| page.has(id)) && !page.has("sign-in"));
    titles.push(title(&answer));
    let wrong = Ask::new().with("client_id", "nobody");
    let error = browser.open(&server, &wrong.target()).await;
    assert_eq!(error.path(), "/authorize");
    titles.push(title(&error.answer()));
    let select = browser.open(&server, &Ask::new().with("prompt", "select_account").target()).await;
    assert_eq!(select.path(), "/sign-in/account");
    titles.push(title(&select.answer()));
    let form_post = Ask::new().with("response_mode", "form_post").with("scope", "");
    let form_post = browser.open(&server, &form_post.with("prompt", "none").target()).await;
    titles.push(title(&form_post.answer()));
    let sign_out = browser.open(&server, "/logout").await;
    assert_eq!(sign_out.path(), "/sign-out");
    let answer = sign_out.answer();
    titles.push(title(&answer));
    let form = Page::parse(answer.text()).form("sign-out");
    let signed_out = browser.submit(&server, &form).await;
    assert_eq!(signed_out.path(), "/signed-out");
    titles.push(title(&signed_out.answer()));
    assert_eq!(titles.len(), 7);
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), 7, "{titles:?}");
    let script = server.get("/-/ui/form-post.js").await;
    for word in ["class ", "async", "fetch", "=>", "const ", "let "] {
        assert!(!script.text().contains(word), "{word} in {}", script.text());
    }
}

fn title(answer: &Answer) -> String {
    between(answer.text(), "<title>", "</title>").to_owned()
}

// "146 sign-ins of one user from one address in four minutes are not an attack: only failures count."

#[tokio::test]
async fn a_hundred_and_forty_six_sign_ins_in_four_minutes_are_no_attack() {
    let server = Server::with_people().await;
    for n in 0..146 {
        Browser::new().code(&server, &Ask::new(), "alice").await;
        server.clock.advance(if n % 2 == 0 { 1 } else { 2 });
    }
}

// "every endpoint https under one name; discovery without members that nobody knows."

#[tokio::test]
async fn discovery_has_only_members_that_are_registered_and_all_endpoints_under_the_issuer() {
    // RFC 8414 §2, OpenID Discovery §3, RP-Initiated Logout §2.1, Initiating User Registration (prompt values), RFC 9207 §3, RFC 9126 §5, RFC 9449
    // §5.1, RFC 9068 and Back-Channel Logout §2.1 as later work needs them.
    const KNOWN: &[&str] = &[
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "registration_endpoint",
        "scopes_supported",
        "response_types_supported",
        "response_modes_supported",
        "grant_types_supported",
        "acr_values_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
        "display_values_supported",
        "claim_types_supported",
        "claims_supported",
        "service_documentation",
        "claims_locales_supported",
        "ui_locales_supported",
        "claims_parameter_supported",
        "request_parameter_supported",
        "request_uri_parameter_supported",
        "require_request_uri_registration",
        "op_policy_uri",
        "op_tos_uri",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
        "revocation_endpoint",
        "revocation_endpoint_auth_methods_supported",
        "introspection_endpoint",
        "introspection_endpoint_auth_methods_supported",
        "introspection_signing_alg_values_supported",
        "userinfo_signing_alg_values_supported",
        "id_token_encryption_alg_values_supported",
        "id_token_encryption_enc_values_supported",
        "userinfo_encryption_alg_values_supported",
        "userinfo_encryption_enc_values_supported",
        "introspection_encryption_alg_values_supported",
        "introspection_encryption_enc_values_supported",
        "code_challenge_methods_supported",
        "prompt_values_supported",
        "authorization_response_iss_parameter_supported",
        "end_session_endpoint",
    ];
    let server = Server::with_people().await;
    let discovery = server.get("/.well-known/openid-configuration").await.json();
    for (name, value) in discovery.as_object().unwrap() {
        assert!(KNOWN.contains(&name.as_str()), "nobody knows {name}");
        if name.ends_with("_endpoint") || name == "jwks_uri" {
            assert!(value.as_str().unwrap().starts_with(&format!("{}/", server.issuer)), "{name}: {value}");
        }
    }
}
