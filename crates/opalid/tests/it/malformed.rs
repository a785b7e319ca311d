//! Whatever is wrong with a request to `/introspect` or `/revoke`, the answer has the code and status that the
//! specifications name (RFC 7662 §2.3, RFC 7009 §2.2.1), nothing is said of the token, and nothing happens to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::TOO_LARGE;
use crate::support::http::{Answer, basic};
use crate::support::person::{API, API_SERVER, PUBLIC};
use crate::support::{FORM, Server, machine};

const ENDPOINTS: [&str; 2] = ["/introspect", "/revoke"];
/// Whose token it is.
const OWNER: (&str, &str) = ("owner", "ocs_owner");

/// Status, and the code where there is one.
type Expected = (u16, Option<&'static str>);
const INVALID_REQUEST: Expected = (400, Some("invalid_request"));
const INVALID_CLIENT: Expected = (401, Some("invalid_client"));
const GOOD: Expected = (200, None);

/// A server, and a token of `OWNER` that is alive.
struct World {
    server: Server,
    token: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::with_people().await;
        server.client(OWNER.0, Some(OWNER.1), machine(&[(API, "read")])).await;
        let token = server.token_of(OWNER).await;
        Self { server, token }
    }

    /// One request of a form; `TOKEN` stands for the token.
    async fn ask(&self, endpoint: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.server.request("POST", endpoint, headers, body.replace("TOKEN", &self.token).as_bytes()).await
    }

    /// That the answer is the expected one, says nothing that it must not, and that the token lives on.
    async fn check(&self, what: &str, endpoint: &str, answer: &Answer, (status, error): Expected) {
        let what = format!("{endpoint} {what}: {}", answer.text());
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{what}");
        if let Some(error) = error {
            let body = answer.json();
            assert_eq!(body["error"], error, "{what}");
            let description = body["error_description"].as_str().unwrap();
            let allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
            assert!(!description.is_empty() && description.bytes().all(allowed), "{what}");
            assert_eq!(body.as_object().unwrap().len(), 2, "nothing else: {what}");
            for secret in [&*self.token, OWNER.1] {
                assert!(!answer.text().contains(secret), "{what}");
            }
        }
        if status != 200 {
            assert!(self.server.is_active(API_SERVER, &self.token).await, "{what}");
        }
    }
}

#[tokio::test]
async fn a_form_that_names_no_token_or_more_than_one_is_refused() {
    let world = World::new().await;
    let authorization = basic(OWNER);
    let headers = [FORM, ("authorization", authorization.as_str())];
    let many = format!("token=TOKEN{}", "&a".repeat(100));
    let long_name = format!("token=TOKEN&{}=x", "a".repeat(101));
    for body in [
        "",
        "token",
        "token=",
        "Token=TOKEN",
        "token_type_hint=access_token",
        "access_token=TOKEN",
        "token=TOKEN&token=TOKEN",
        "token=TOKEN&token=",
        "token=&token=TOKEN",
        "token=TOKEN&token_type_hint=access_token&token_type_hint=access_token",
        "token=TOKEN&unknown=x&unknown=x",
        "token=%",
        "token=%zz",
        "token=%ff",
        "token=TOKEN%00",
        "token=TOKEN\0",
        "{\"token\":\"TOKEN\"}",
        &many,
        &long_name,
    ] {
        for endpoint in ENDPOINTS {
            let answer = world.ask(endpoint, &headers, body).await;
            world.check(body, endpoint, &answer, INVALID_REQUEST).await;
        }
    }
    let not_text = [b"token=\xff\xfe".as_slice(), world.token.as_bytes()].concat();
    for endpoint in ENDPOINTS {
        let answer = world.server.request("POST", endpoint, &headers, &not_text).await;
        world.check("bytes", endpoint, &answer, INVALID_REQUEST).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_that_it_is_a_form_is_refused() {
    let world = World::new().await;
    let authorization = basic(OWNER);
    for types in [
        &[][..],
        &[""],
        &["application/json"],
        &["multipart/form-data; boundary=x"],
        &["text/plain"],
        &["application/x-www-form-urlencoded-not"],
        &[FORM.1, FORM.1],
        &["application/json", FORM.1],
    ] {
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(types.iter().map(|of| ("content-type", *of)));
        for endpoint in ENDPOINTS {
            let answer = world.ask(endpoint, &headers, "token=TOKEN").await;
            world.check(&format!("{types:?}"), endpoint, &answer, INVALID_REQUEST).await;
        }
    }
}

#[tokio::test]
async fn who_asks_is_settled_before_what_is_asked() {
    let world = World::new().await;
    let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let good = basic(OWNER);
    let spaced = good.replace("Basic ", "Basic\t");
    let cut = good[..good.len() - 2].to_owned();
    for (what, header, expected) in [
        ("nothing", None, INVALID_CLIENT),
        ("a wrong secret", Some(encoded("owner:ocs_wrong")), INVALID_CLIENT),
        ("no secret", Some(encoded("owner:")), INVALID_CLIENT),
        ("no colon", Some(encoded("owner")), INVALID_CLIENT),
        ("no name", Some(encoded(":ocs_owner")), INVALID_CLIENT),
        ("nobody", Some(encoded("nobody:ocs_owner")), INVALID_CLIENT),
        ("the name in capitals", Some(encoded("OWNER:ocs_owner")), INVALID_CLIENT),
        ("a broken escape", Some(encoded("own%zz:ocs_owner")), INVALID_CLIENT),
        ("a control character", Some(encoded("owner:ocs_owner\n")), INVALID_CLIENT),
        ("not base64", Some("Basic owner:ocs_owner".into()), INVALID_CLIENT),
        ("cut short", Some(cut), INVALID_CLIENT),
        ("a tab", Some(spaced), INVALID_CLIENT),
        ("Basic alone", Some("Basic".into()), INVALID_CLIENT),
        ("a bearer token", Some(format!("Bearer {}", world.token)), INVALID_CLIENT),
        ("another scheme", Some("Digest username=owner".into()), INVALID_CLIENT),
        ("too long", Some(encoded(&format!("owner:{}", "a".repeat(2_000)))), INVALID_CLIENT),
    ] {
        let mut headers = vec![FORM];
        headers.extend(header.as_deref().map(|value| ("authorization", value)));
        for endpoint in ENDPOINTS {
            // Without a token too: who may not ask is not told what is wrong with it.
            for body in ["token=TOKEN", "", "token="] {
                let answer = world.ask(endpoint, &headers, body).await;
                world.check(what, endpoint, &answer, expected).await;
            }
        }
    }
    let twice = [FORM, ("authorization", good.as_str()), ("authorization", good.as_str())];
    for endpoint in ENDPOINTS {
        let answer = world.ask(endpoint, &twice, "token=TOKEN").await;
        world.check("two headers", endpoint, &answer, INVALID_CLIENT).await;
    }
}

#[tokio::test]
async fn a_client_authenticates_once() {
    let world = World::new().await;
    let good = basic(OWNER);
    let basic_and = [FORM, ("authorization", good.as_str())];
    for (what, headers, more, expected) in [
        ("two methods", &basic_and[..], "client_id=owner&client_secret=ocs_owner", INVALID_REQUEST),
        ("a secret beside Basic", &basic_and, "client_secret=ocs_owner", INVALID_REQUEST),
        ("another name beside Basic", &basic_and, "client_id=app", INVALID_REQUEST),
        ("a name twice", &basic_and, "client_id=owner&client_id=owner", INVALID_REQUEST),
        ("a secret twice", &[FORM], "client_id=owner&client_secret=ocs_owner&client_secret=ocs_owner", INVALID_REQUEST),
        ("a broken secret", &[FORM], "client_id=owner&client_secret=%zz", INVALID_REQUEST),
        ("a name alone", &[FORM], "client_id=owner", INVALID_CLIENT),
        ("a secret alone", &[FORM], "client_secret=ocs_owner", INVALID_CLIENT),
        ("a wrong secret", &[FORM], "client_id=owner&client_secret=ocs_wrong", INVALID_CLIENT),
        ("a public one with a secret", &[FORM], "client_id=native&client_secret=x", INVALID_CLIENT),
        (
            "an assertion",
            &[FORM],
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=e30.e30.",
            INVALID_CLIENT,
        ),
    ] {
        for endpoint in ENDPOINTS {
            let answer = world.ask(endpoint, headers, &format!("token=TOKEN&{more}")).await;
            world.check(what, endpoint, &answer, expected).await;
        }
    }
    for (headers, more) in [(&basic_and[..], "client_id=owner"), (&[FORM], "client_id=owner&client_secret=ocs_owner")] {
        let body = format!("token=TOKEN&{more}&unknown=x");
        let answer = world.ask("/introspect", headers, &body).await;
        world.check(more, "/introspect", &answer, GOOD).await;
        assert_eq!(answer.json()["active"], true);
    }
}

#[tokio::test]
async fn a_public_client_is_told_apart_from_one_that_is_not_who_it_says() {
    let world = World::new().await;
    let (named, by_basic) = (format!("token=TOKEN&client_id={PUBLIC}"), basic((PUBLIC, "")));
    for (headers, body) in [(&[FORM][..], named.as_str()), (&[FORM, ("authorization", &by_basic)], "token=TOKEN")] {
        let answer = world.ask("/introspect", headers, body).await;
        world.check("a public client", "/introspect", &answer, (400, Some("unauthorized_client"))).await;
        let answer = world.ask("/revoke", headers, body).await;
        world.check("another's token", "/revoke", &answer, (400, Some("invalid_grant"))).await;
    }
    let answer = world.ask("/revoke", &[FORM], &format!("client_id={PUBLIC}")).await;
    world.check("no token", "/revoke", &answer, INVALID_REQUEST).await;
    let api = basic(API_SERVER);
    let answer = world.ask("/revoke", &[FORM, ("authorization", &api)], "token=TOKEN").await;
    world.check("its resource server", "/revoke", &answer, (400, Some("invalid_grant"))).await;
}

#[tokio::test]
async fn only_post_is_answered_and_nothing_is_taken_from_the_query() {
    let world = World::new().await;
    let authorization = basic(OWNER);
    let headers = [FORM, ("authorization", authorization.as_str())];
    for endpoint in ENDPOINTS {
        let target = format!("{endpoint}?token={}", world.token);
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            let answer = world.server.request(method, &target, &headers, b"").await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method} {endpoint}");
            assert_eq!(answer.text(), "");
        }
        let answer = world.server.request("POST", &target, &headers, b"").await;
        world.check("a token in the query", endpoint, &answer, INVALID_REQUEST).await;
    }
}

#[tokio::test]
async fn a_form_larger_than_is_read_is_refused_and_one_that_just_fits_is_not() {
    let world = World::new().await;
    let authorization = basic(OWNER);
    let headers = [FORM, ("authorization", authorization.as_str())];
    let padded = |length: usize| {
        let body = format!("token={}&padding=", world.token);
        format!("{body}{}", "a".repeat(length - body.len()))
    };
    for endpoint in ENDPOINTS {
        let answer = world.ask(endpoint, &headers, &padded(64 * 1024 + 1)).await;
        assert_eq!(answer.seen(), TOO_LARGE, "{endpoint}");
        assert!(world.server.is_active(API_SERVER, &world.token).await);
    }
    let answer = world.ask("/introspect", &headers, &padded(64 * 1024)).await;
    assert_eq!(answer.json()["active"], true);
    assert_eq!(world.ask("/revoke", &headers, &padded(64 * 1024)).await.seen(), "200");
    assert!(!world.server.is_active(API_SERVER, &world.token).await, "what was asked well was done");
}
