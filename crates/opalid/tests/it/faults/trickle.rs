//! Clients that send a byte at a time, two thousand of them, at real routes: who asks at a usual speed is answered.

use futures_util::future::join_all;
use opalid::http::limits::raise_descriptor_limit;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::browser::Browser;
use crate::support::person::{API_SERVER, APP, Ask};
use crate::support::{FORM, Server, basic};

const CLIENTS: usize = 2_000;

/// A request that is begun and never ended: its head, or the beginning of its body.
fn begun(n: usize, authorization: &str) -> String {
    let endpoints = ["/token", "/introspect", "/revoke", "/userinfo", "/authorize", "/sign-in", "/consent", "/logout"];
    let endpoint = endpoints[n / 2 % endpoints.len()];
    if n.is_multiple_of(2) {
        return format!("POST {endpoint} HTTP/1.1\r\nhost: x\r\ncontent-ty");
    }
    let head =
        format!("POST {endpoint} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\ncontent-type: {}", FORM.1);
    format!("{head}\r\ncontent-length: 60000\r\n\r\ntoken=")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_that_send_a_byte_at_a_time_keep_no_good_request_from_its_answer() {
    raise_descriptor_limit();
    let server = Server::with_people().await;
    let mut browser = Browser::new();
    let token = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await.field("access_token");
    let authorization = basic(APP);
    let mut slow = Vec::new();
    for n in 0..CLIENTS {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begun(n, &authorization).as_bytes()).await.unwrap();
        slow.push(stream);
    }
    for round in 0..3 {
        // The server may have given one up by now.
        join_all(slow.iter_mut().map(|stream| stream.write_all(b"p"))).await;
        assert!(server.is_active(APP, &token).await && server.knows(&token).await, "round {round}");
        assert!(!server.is_active(API_SERVER, &token).await);
        let code = browser.silent_code(&server, &Ask::new()).await;
        let fresh = server.tokens(&code).await.field("access_token");
        assert_eq!(server.form_post_as(APP, "/revoke", &[("token", &fresh)]).await.status, 200);
        assert!(!server.is_active(APP, &fresh).await);
        Browser::new().code(&server, &Ask::new(), "bob").await;
    }
    drop(slow);
}
