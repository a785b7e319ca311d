//! Whatever is wrong with a request, the answer has the code and status that the specifications name, and nothing of
//! what it presented is used up.

use opalid_core::request::GrantType;

use crate::http::TOO_LARGE;
use crate::support::browser::Browser;
use crate::support::http::{Answer, basic};
use crate::support::person::{API, API_SERVER, APP, Ask, PUBLIC, VERIFIER, refusal, web_app};
use crate::support::{FORM, Server, machine};

const MACHINE: (&str, &str) = ("machine", "ocs_machine");
/// May use every grant type.
const ALL: (&str, &str) = ("all", "ocs_all");
const CALLBACK: &str = "https%3A%2F%2Fapp.example%2Fcallback";
/// A secret that stands in the form.
const NOBODY: Option<(&str, &str)> = None;

/// Who asks, with what, and what comes of it. `CODE` and `TOKEN` stand for good ones of `ALL`.
type Case<'c, Body = &'c str> = (Option<(&'c str, &'c str)>, Body, (u16, &'c str));

const INVALID_REQUEST: (u16, &str) = (400, "invalid_request");
const INVALID_CLIENT: (u16, &str) = (401, "invalid_client");
const INVALID_GRANT: (u16, &str) = (400, "invalid_grant");
const INVALID_SCOPE: (u16, &str) = (400, "invalid_scope");
const INVALID_TARGET: (u16, &str) = (400, "invalid_target");
const UNAUTHORIZED: (u16, &str) = (400, "unauthorized_client");
const UNSUPPORTED: (u16, &str) = (400, "unsupported_grant_type");

/// A server with `ALL`, whose code and refresh token are good.
struct World {
    server: Server,
    code: String,
    token: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::with_people().await;
        server.client(MACHINE.0, Some(MACHINE.1), machine(&[(API, "read")])).await;
        let all = opalid_core::client::ClientSettings {
            grant_types: GrantType::ALL.to_vec(),
            ..web_app("All", &["https://app.example/callback"])
        };
        server.client(ALL.0, Some(ALL.1), all).await;
        let mut browser = Browser::new();
        let ask = Ask::new().with("client_id", ALL.0);
        let first = browser.code(&server, &ask, "alice").await;
        let token = server.redeem(ALL, &first, &[]).await.field("refresh_token");
        let code = browser.silent_code(&server, &ask).await;
        Self { server, code, token }
    }

    async fn ask(&self, client: Option<(&str, &str)>, body: &str) -> Answer {
        let body = body.replace("CODE", &self.code).replace("TOKEN", &self.token).replace("CALLBACK", CALLBACK);
        let authorization = client.map(basic);
        let mut headers = vec![FORM];
        headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
        self.server.request("POST", "/token", &headers, body.as_bytes()).await
    }

    async fn check<Body: AsRef<str>>(&self, cases: &[Case<'_, Body>]) {
        for (client, body, expected) in cases {
            let body = body.as_ref();
            let answer = self.ask(*client, body).await;
            let (status, error) = refusal(&answer);
            assert_eq!((status, error.as_str()), *expected, "{client:?} {body}: {}", answer.text());
            assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{body}");
            assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
            let description = answer.field("error_description");
            let allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
            assert!(!description.is_empty() && description.bytes().all(allowed), "{description}");
            for secret in [&*self.code, &*self.token, ALL.1] {
                assert!(!description.contains(secret), "{description}");
            }
        }
    }

    /// That code and refresh token are as good as before.
    async fn nothing_was_used_up(&self) {
        for good in [
            "grant_type=refresh_token&refresh_token=TOKEN",
            "grant_type=authorization_code&code=CODE&redirect_uri=CALLBACK",
        ] {
            let answer = self.ask(Some(ALL), good).await;
            assert_eq!(answer.status, 200, "{good}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn what_says_no_grant_type_or_says_it_wrongly_is_refused() {
    let world = World::new().await;
    let long = format!("grant_type={}", "a".repeat(10_000));
    let many = format!("grant_type=client_credentials{}", "&a".repeat(100));
    world
        .check(&[
            (Some(ALL), "", INVALID_REQUEST),
            (Some(ALL), "code=CODE&redirect_uri=CALLBACK", INVALID_REQUEST),
            (Some(ALL), "grant_type", INVALID_REQUEST),
            (Some(ALL), "grant_type=&refresh_token=TOKEN", INVALID_REQUEST),
            (Some(ALL), "grant_type=password", UNSUPPORTED),
            (Some(ALL), "grant_type=REFRESH_TOKEN&refresh_token=TOKEN", UNSUPPORTED),
            (Some(ALL), "grant_type=refresh_token+&refresh_token=TOKEN", UNSUPPORTED),
            (Some(ALL), "grant_type=urn:ietf:params:oauth:grant-type:device_code", UNSUPPORTED),
            (Some(ALL), &long, UNSUPPORTED),
            (Some(ALL), &many, INVALID_REQUEST),
            (Some(ALL), "grant_type=refresh_token&grant_type=refresh_token&refresh_token=TOKEN", INVALID_REQUEST),
            (Some(ALL), "grant_type=refresh_token&grant_type=&refresh_token=TOKEN", INVALID_REQUEST),
            (Some(ALL), "{\"grant_type\":\"client_credentials\"}", INVALID_REQUEST),
            // Another method of authentication wrong as well: who asks is settled first.
            (Some((ALL.0, "wrong")), "grant_type=password", INVALID_CLIENT),
            (NOBODY, "", INVALID_CLIENT),
        ])
        .await;
    world.nothing_was_used_up().await;
}

#[tokio::test]
async fn a_client_that_is_not_one_or_says_so_twice_is_refused() {
    let world = World::new().await;
    let good = "grant_type=refresh_token&refresh_token=TOKEN";
    let with = |more: &str| format!("{good}&{more}");
    let cases: Vec<Case<'_, String>> = vec![
        (NOBODY, good.to_owned(), INVALID_CLIENT),
        (NOBODY, with("client_id="), INVALID_CLIENT),
        (NOBODY, with("client_id=all"), INVALID_CLIENT),
        (NOBODY, with("client_id=all&client_secret="), INVALID_CLIENT),
        (NOBODY, with("client_id=all&client_secret=wrong"), INVALID_CLIENT),
        (NOBODY, with("client_id=all&client_secret=OCS_ALL"), INVALID_CLIENT),
        (NOBODY, with("client_id=nobody&client_secret=ocs_all"), INVALID_CLIENT),
        (NOBODY, with("client_id=ALL&client_secret=ocs_all"), INVALID_CLIENT),
        (NOBODY, with("client_secret=ocs_all"), INVALID_CLIENT),
        (NOBODY, with(&format!("client_id=all&client_secret={}", "a".repeat(20_000))), INVALID_CLIENT),
        (NOBODY, with(&format!("client_id={}&client_secret=ocs_all", "a".repeat(20_000))), INVALID_CLIENT),
        (NOBODY, with("client_id=all&client_id=all&client_secret=ocs_all"), INVALID_REQUEST),
        (NOBODY, with("client_id=all&client_secret=ocs_all&client_secret=ocs_all"), INVALID_REQUEST),
        (NOBODY, with("client_id=all&client_secret=%zz"), INVALID_REQUEST),
        (NOBODY, with("client_id=all%00&client_secret=ocs_all"), INVALID_REQUEST),
        (Some((ALL.0, "")), good.to_owned(), INVALID_CLIENT),
        (Some((ALL.0, "wrong")), good.to_owned(), INVALID_CLIENT),
        (Some(("", ALL.1)), good.to_owned(), INVALID_CLIENT),
        (Some(ALL), with("client_id=app"), INVALID_REQUEST),
        (Some(ALL), with("client_secret=ocs_all"), INVALID_REQUEST),
        (Some(ALL), with("client_id=all&client_secret=ocs_all"), INVALID_REQUEST),
        // A public client proves nothing, and nothing that it sends makes it another.
        (NOBODY, with(&format!("client_id={PUBLIC}&client_secret=x")), INVALID_CLIENT),
        (Some((PUBLIC, "x")), good.to_owned(), INVALID_CLIENT),
        (Some((PUBLIC, "")), good.to_owned(), INVALID_GRANT),
        (NOBODY, with(&format!("client_id={PUBLIC}")), INVALID_GRANT),
        (Some((PUBLIC, "")), with("client_id=all"), INVALID_REQUEST),
        (Some((PUBLIC, "")), with("client_secret=x"), INVALID_REQUEST),
        // Others who are who they say.
        (Some(APP), good.to_owned(), INVALID_GRANT),
        (Some(MACHINE), good.to_owned(), UNAUTHORIZED),
        (Some(API_SERVER), good.to_owned(), UNAUTHORIZED),
    ];
    world.check(&cases).await;
    for fine in [with("client_id=all"), with("client_secret="), with("client_id=&client_secret=")] {
        assert_eq!(world.ask(Some(ALL), &fine).await.status, 200, "{fine}: what has no value counts as omitted");
    }
    world.nothing_was_used_up().await;
}

#[tokio::test]
async fn a_code_is_refused_for_what_is_wrong_with_its_request() {
    let world = World::new().await;
    let good = "grant_type=authorization_code&code=CODE&redirect_uri=CALLBACK";
    let with = |more: &str| format!("{good}&{more}");
    let cases = [
        ("grant_type=authorization_code&redirect_uri=CALLBACK".into(), INVALID_REQUEST),
        ("grant_type=authorization_code&code=&redirect_uri=CALLBACK".into(), INVALID_REQUEST),
        ("grant_type=authorization_code&code=CODE%00&redirect_uri=CALLBACK".into(), INVALID_REQUEST),
        (with("code=CODE"), INVALID_REQUEST),
        (with("redirect_uri=CALLBACK"), INVALID_REQUEST),
        (with("code_verifier=a&code_verifier="), INVALID_REQUEST),
        ("grant_type=authorization_code&code=x&redirect_uri=CALLBACK".into(), INVALID_GRANT),
        ("grant_type=authorization_code&code=TOKEN&redirect_uri=CALLBACK".into(), INVALID_GRANT),
        (format!("grant_type=authorization_code&code={}&redirect_uri=CALLBACK", "a".repeat(20_000)), INVALID_GRANT),
        ("grant_type=authorization_code&code=CODE".into(), INVALID_GRANT),
        ("grant_type=authorization_code&code=CODE&redirect_uri=".into(), INVALID_GRANT),
        ("grant_type=authorization_code&code=CODE&redirect_uri=https://app.example/".into(), INVALID_GRANT),
        (with(&format!("code_verifier={VERIFIER}")), INVALID_GRANT),
        (with("code_verifier=short"), INVALID_GRANT),
        (with(&format!("code_verifier={}", "a".repeat(129))), INVALID_GRANT),
        (with(&format!("code_verifier={}", "%2F".repeat(43))), INVALID_GRANT),
        (with("resource=relative"), INVALID_TARGET),
        (with("resource=https://api.example/%23part"), INVALID_TARGET),
        (with("resource=https://nowhere.example/"), INVALID_TARGET),
        (with("resource=https://api.example/"), INVALID_TARGET),
        (with("resource=https://api.example/&resource=https://nowhere.example/"), INVALID_TARGET),
    ];
    world.check(&cases.map(|(body, expected): (String, _)| (Some(ALL), body, expected))).await;
    world.check(&[(Some(MACHINE), good, UNAUTHORIZED), (Some(APP), good, INVALID_GRANT)]).await;
    world.nothing_was_used_up().await;
}

#[tokio::test]
async fn a_refresh_token_is_refused_for_what_is_wrong_with_its_request() {
    let world = World::new().await;
    let good = "grant_type=refresh_token&refresh_token=TOKEN";
    let with = |more: &str| format!("{good}&{more}");
    let scopes = |count| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join("+");
    let cases = [
        ("grant_type=refresh_token".into(), INVALID_REQUEST),
        ("grant_type=refresh_token&refresh_token=".into(), INVALID_REQUEST),
        ("grant_type=refresh_token&refresh_token=TOKEN%00".into(), INVALID_REQUEST),
        (with("refresh_token=TOKEN"), INVALID_REQUEST),
        (with("scope=openid&scope=openid"), INVALID_REQUEST),
        ("grant_type=refresh_token&refresh_token=x".into(), INVALID_GRANT),
        ("grant_type=refresh_token&refresh_token=CODE".into(), INVALID_GRANT),
        (format!("grant_type=refresh_token&refresh_token=ort_{}", "a".repeat(20_000)), INVALID_GRANT),
        (with("scope=%22"), INVALID_SCOPE),
        (with("scope=openid%09profile"), INVALID_SCOPE),
        (with("scope=read"), INVALID_SCOPE),
        (with("scope=openid+offline_access"), INVALID_SCOPE),
        (with("scope=nonsense"), INVALID_SCOPE),
        (with(&format!("scope={}", "a".repeat(101))), INVALID_SCOPE),
        (with(&format!("scope={}", scopes(101))), INVALID_SCOPE),
        (with("resource=relative"), INVALID_TARGET),
        (with("resource=https://nowhere.example/"), INVALID_TARGET),
        (with("resource=https://api.example/"), INVALID_TARGET),
        (with("resource=https://api.example/&resource=https://nowhere.example/"), INVALID_TARGET),
    ];
    world.check(&cases.map(|(body, expected): (String, _)| (Some(ALL), body, expected))).await;
    world.nothing_was_used_up().await;
}

#[tokio::test]
async fn a_client_that_asks_for_itself_is_refused_for_what_is_wrong_with_its_request() {
    let world = World::new().await;
    let good = "grant_type=client_credentials&resource=https://api.example/";
    let with = |more: &str| format!("{good}&{more}");
    let cases: Vec<Case<'_, String>> = vec![
        (Some(ALL), "grant_type=client_credentials".into(), INVALID_TARGET),
        (Some(ALL), "grant_type=client_credentials&resource=".into(), INVALID_TARGET),
        (Some(ALL), "grant_type=client_credentials&resource=relative".into(), INVALID_TARGET),
        (Some(ALL), "grant_type=client_credentials&resource=https://nowhere.example/".into(), INVALID_TARGET),
        (Some(ALL), with("resource=https://nowhere.example/"), INVALID_TARGET),
        (Some(ALL), with("scope=read&scope=read"), INVALID_REQUEST),
        (Some(ALL), with("scope=read%00"), INVALID_REQUEST),
        (Some(ALL), with("scope=%5C"), INVALID_SCOPE),
        (Some(ALL), with("scope=delete"), INVALID_SCOPE),
        (Some(ALL), with("scope=openid"), INVALID_SCOPE),
        (Some(ALL), with("scope=read+offline_access"), INVALID_SCOPE),
        (Some(APP), good.into(), UNAUTHORIZED),
        (NOBODY, with(&format!("client_id={PUBLIC}")), UNAUTHORIZED),
    ];
    world.check(&cases).await;
    for fine in [good.to_owned(), with("scope="), with("resource=https://api.example/&resource=")] {
        assert_eq!(world.ask(Some(ALL), &fine).await.field("scope"), "read write", "{fine}");
    }
}

#[tokio::test]
async fn a_form_larger_than_is_read_is_refused_and_uses_nothing_up() {
    let world = World::new().await;
    let padded = |length: usize| format!("grant_type=refresh_token&refresh_token=TOKEN&padding={}", "a".repeat(length));
    assert_eq!(world.ask(Some(ALL), &padded(64 * 1024)).await.seen(), TOO_LARGE);
    assert_eq!(world.ask(Some(ALL), &padded(60 * 1024)).await.status, 200);
    world.nothing_was_used_up().await;
}
