//! What holds for every endpoint: CORS, HEAD, unknown paths, bounds.

use opalid::http::routes::Endpoint;

use crate::support::http::raw;
use crate::support::{CLIENT_CREDENTIALS, DEMO_API, FORM, Server, basic};

const ORIGIN: (&str, &str) = ("origin", "https://app.example");
const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// The endpoints that scripts of other origins may call; a new one is not among them until it is written here.
const OPEN_TO_SCRIPTS: [&str; 6] = [
    "/userinfo",
    "/token",
    "/revoke",
    "/jwks",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];

#[tokio::test]
async fn a_path_that_leads_nowhere_has_a_page_for_a_browser_and_no_body_for_a_machine() {
    let server = Server::empty().await;
    let browser = [("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")];
    for path in ["/nowhere", "/nobody/sign-in", "/acme"] {
        let answer = server.request("GET", path, &browser, b"").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("There is no page at this address."), "{path}: {answer:?}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
        let machine = server.request("GET", path, &[("accept", "application/json")], b"").await;
        assert_eq!((machine.status, machine.text()), (404, ""), "{path}");
        let posted = server.request("POST", path, &browser, b"").await;
        assert_eq!((posted.status, posted.text()), (404, ""), "{path}");
    }
    let answer = server.request("GET", "/.well-known/other", &browser, b"").await;
    assert_eq!((answer.status, answer.text()), (404, ""));
}

#[tokio::test]
async fn a_preflight_is_answered_at_the_open_endpoints_and_nowhere_else() {
    let server = Server::demo().await;
    let asking = [ORIGIN, ("access-control-request-method", "POST"), ("access-control-request-headers", "dpop")];
    for endpoint in Endpoint::ALL {
        let path = endpoint.path();
        let answer = server.request("OPTIONS", path, &asking, b"").await;
        if OPEN_TO_SCRIPTS.contains(&path) {
            assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (204, Some("*")), "{path}");
            let allowed = answer.header("access-control-allow-headers");
            assert_eq!(allowed, Some("Authorization, Content-Type, DPoP"), "{path}");
            let methods = answer.header("access-control-allow-methods").unwrap();
            assert!(methods.split(", ").all(|method| endpoint.methods().split(", ").any(|known| known == method)));
        } else {
            let refused = answer.status == 405 || answer.status == 404;
            assert!(refused && answer.header(ALLOW_ORIGIN).is_none(), "{path} {answer:?}");
        }
    }
}

#[tokio::test]
async fn answers_of_the_open_endpoints_can_be_read_by_scripts_errors_too() {
    let server = Server::demo().await;
    for endpoint in Endpoint::ALL {
        let path = endpoint.path();
        let (method, headers) =
            if endpoint.methods().contains("POST") { ("POST", [ORIGIN, FORM]) } else { ("GET", [ORIGIN, FORM]) };
        let answer = server.request(method, path, &headers, b"").await;
        let expected = OPEN_TO_SCRIPTS.contains(&path).then_some("*");
        assert_eq!(answer.header(ALLOW_ORIGIN), expected, "{path}");
        let exposed = expected.map(|_| "WWW-Authenticate, Retry-After");
        assert_eq!(answer.header("access-control-expose-headers"), exposed, "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
    }
    let (authorization, body) = (basic(DEMO_API), b"grant_type=client_credentials");
    let headers = [ORIGIN, FORM, ("authorization", authorization.as_str())];
    let answer = server.request("POST", "/token", &headers, body).await;
    assert_eq!((answer.status, answer.header(ALLOW_ORIGIN)), (200, Some("*")));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::demo().await;
    for path in ["/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let get = server.get(path).await;
        let head = server.request("HEAD", path, &[], b"").await;
        assert_eq!((head.status, &head.headers), (200, &get.headers), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty());
    }
}

#[tokio::test]
async fn an_unknown_path_is_not_found_whatever_the_method() {
    let server = Server::demo().await;
    for path in ["/nothing", "/token/", "/TOKEN", "/token/x", "/tok%65n", "/introspect;x", "/../token"] {
        for method in ["GET", "POST", "OPTIONS", "BREW"] {
            let answer = server.request(method, path, &[], b"").await;
            assert_eq!((answer.status, answer.text()), (404, ""), "{method} {path}");
        }
    }
}

/// What a machine is told of a body that is too long.
pub const TOO_LARGE: &str =
    r#"413 {"error":"invalid_request","error_description":"the body is larger than this server reads"}"#;

#[tokio::test]
async fn a_body_larger_than_is_read_is_answered_as_the_endpoint_says_other_errors() {
    let server = Server::demo().await;
    let body = "x".repeat(64 * 1024 + 1);
    let mut pages = 0;
    for endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.methods().contains("POST")) {
        let answer = server.request("POST", endpoint.path(), &[FORM], body.as_bytes()).await;
        if endpoint.is_page() {
            pages += 1;
            let headers = (answer.header("content-type"), answer.header("x-frame-options"));
            assert_eq!((answer.status, headers), (413, (Some("text/html; charset=utf-8"), Some("DENY"))));
            let (said, id) = (answer.text(), answer.header("x-request-id").unwrap());
            assert!(said.contains("the body is larger than this server reads") && said.contains(id), "{said}");
        } else {
            assert_eq!(answer.seen(), TOO_LARGE, "{}", endpoint.path());
            let headers = (answer.header("content-type"), answer.header("cache-control"));
            assert_eq!(headers, (Some("application/json"), Some("no-store")));
            assert_eq!(answer.header(ALLOW_ORIGIN).is_some(), endpoint.cors().is_some(), "{}", endpoint.path());
        }
    }
    assert!(pages > 5, "{pages}");
}

#[tokio::test]
async fn a_body_larger_than_is_read_is_refused() {
    let server = Server::demo().await;
    let head = |length: usize| {
        let authorization = basic(DEMO_API);
        format!(
            "POST /token HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {}\r\nauthorization: {authorization}\r\ncontent-length: {length}\r\n\r\n",
            FORM.1
        )
    };
    let answer = raw(server.address, head(64 * 1024 + 1).as_bytes()).await;
    assert_eq!((answer.seen(), answer.header("content-type")), (TOO_LARGE.into(), Some("application/json")));
    let form = "grant_type=client_credentials&more=";
    let padded = format!("{form}{}", "x".repeat(64 * 1024 - form.len()));
    assert_eq!(raw(server.address, format!("{}{padded}", head(padded.len())).as_bytes()).await.status, 200);
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let server = Server::demo().await;
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(64 * 1024));
    for headers in [many, long] {
        let request = format!("GET /jwks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        assert_eq!(raw(server.address, request.as_bytes()).await.status, 431);
    }
    assert_eq!(server.get("/jwks").await.status, 200, "others are not disturbed");
}

#[tokio::test]
async fn a_request_that_is_not_http_is_refused() {
    let server = Server::demo().await;
    for rubbish in [
        "\x16\x03\x01\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /token HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ] {
        assert_eq!(raw(server.address, rubbish.as_bytes()).await.status, 400, "{rubbish:?}");
    }
    assert_eq!(server.get("/jwks").await.status, 200);
}

#[tokio::test]
async fn too_many_parameters_are_refused() {
    let server = Server::demo().await;
    let names: Vec<String> = (0..100).map(|n| format!("p{n}")).collect();
    let mut fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    fields.push(CLIENT_CREDENTIALS);
    let answer = server.form_post_as(DEMO_API, "/token", &fields).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_request","error_description":"more than 100 parameters"}"#);
    assert_eq!(server.form_post_as(DEMO_API, "/token", &fields[1..]).await.status, 200);
}

#[tokio::test]
async fn a_request_has_one_host_and_it_counts_for_nothing() {
    let server = Server::demo().await;
    let get = |hosts: &str| format!("GET /jwks HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
    for (hosts, status) in [("", 400), ("host: a\r\nhost: a\r\n", 400), ("host: evil.example\r\n", 200)] {
        assert_eq!(raw(server.address, get(hosts).as_bytes()).await.status, status, "{hosts:?}");
    }
}
