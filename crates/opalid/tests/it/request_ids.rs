//! The id of a request: in what is logged about it, and in the answer that needs explaining.

use std::net::{Ipv4Addr, SocketAddr};

use crate::paste::{self, How};
use crate::support::folder::Folder;
use crate::support::http::{Answer, request};
use crate::support::{DEMO_API, FORM, Server, basic};

const CHOSEN: (&str, &str) = ("x-request-id", "chosen-by-the-client");

#[tokio::test]
async fn errors_and_pages_carry_an_id_of_the_servers_own_and_nothing_else_does() {
    let server = Server::demo().await;
    let id = |answer: &Answer| answer.header("x-request-id").map(str::to_owned);
    let mut seen = Vec::new();
    for (path, status) in [("/", 200), ("/token", 405), ("/nowhere", 404), ("/acme", 404), ("/authorize", 400)] {
        let answer = server.request("GET", path, &[CHOSEN], b"").await;
        assert_eq!(answer.status, status, "{path}");
        seen.push(id(&answer).unwrap());
    }
    let refused = server.form_post("/introspect", &[("token", "x")]).await;
    assert_eq!(refused.status, 401);
    seen.push(id(&refused).unwrap());
    assert!(seen.iter().all(|id| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit())), "{seen:?}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "each its own");
    assert_eq!(id(&server.get("/jwks").await), None);
    let fine = server.form_post_as(DEMO_API, "/introspect", &[("token", "x")]).await;
    assert_eq!((fine.status, id(&fine)), (200, None));
}

#[tokio::test]
async fn what_is_logged_of_a_request_carries_the_id_that_its_answer_names() {
    for format in ["text", "json"] {
        let data = Folder::new();
        let more = ["--log-level", "opalid=debug", "--log-format", format];
        let running = paste::start_with(data.path(), How { demo: true, arguments: &more, ..How::default() });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, running.port));
        let authorization = basic(("demo-api", "not-its-secret-but-long-enough"));
        let headers = [FORM, CHOSEN, ("authorization", &authorization)];
        let refused = request(address, "POST", "/introspect", &headers, b"token=x").await;
        let page = request(address, "GET", "/authorize?client_id=nobody", &[CHOSEN], b"").await;
        let (_, said) = running.terminate();
        for answer in [refused, page] {
            let id = answer.header("x-request-id").unwrap();
            let written = if format == "json" { format!("\"request\":\"{id}\"") } else { format!(" request={id}") };
            let lines: Vec<_> = said.lines().filter(|line| line.contains(&written)).collect();
            assert!(lines.iter().any(|line| line.contains("refused")), "{written}: {said}");
        }
        assert!(!said.contains(CHOSEN.1), "{said}");
    }
}
