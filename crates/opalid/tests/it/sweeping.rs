//! What is over goes by itself from the store of the real binary, and what lives stays.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use opalid::clock::boottime;

use crate::faults::daemon::Line;
use crate::paste;
use crate::support::browser::Browser;
use crate::support::demo_person::{CALLBACK, CHALLENGE, DEMO_APP, code, redeem};
use crate::support::http::encode;
use crate::support::{DEMO_API, Server};

/// What of 2017 is in a store: requests, codes, audit rows, dead tokens.
const OVER: &str = "SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM code), \
                    (SELECT count(*) FROM audit WHERE at < 1600000000), (SELECT count(*) FROM killed)";
/// What never ends by itself.
const KEPT: &str = "SELECT (SELECT count(*) FROM workspace), (SELECT count(*) FROM client), \
                    (SELECT count(*) FROM resource), (SELECT count(*) FROM users), (SELECT count(*) FROM consent)";

/// The numbers of one row.
fn counts(data: &Path, sql: &str) -> Vec<u64> {
    let script = "import sqlite3, sys; d = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True); \
                  print(*d.execute(sys.argv[2]).fetchone())";
    let said = Command::new("python3").args(["-c", script]).arg(data.join("opalid.db")).arg(sql).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let text = String::from_utf8(said.stdout).unwrap();
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[tokio::test]
async fn what_is_over_goes_by_itself_from_the_store_of_a_running_server() {
    let server = Server::demo_in_2017().await;
    let mut browser = Browser::new();
    let tokens = redeem(&server, &code(&server, &mut browser, "openid read offline_access").await).await;
    assert_eq!(tokens.status, 200);
    code(&server, &mut browser, "openid").await;
    let fields = [
        ("client_id", DEMO_APP),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let waiting = Browser::new().open(&server, &format!("/authorize?{}", encode(&fields))).await;
    assert!(waiting.page().has("sign-in"), "a request waits for a sign-in that never comes");
    let token = server.token_of(DEMO_API).await;
    assert_eq!(server.form_post_as(DEMO_API, "/revoke", &[("token", &token)]).await.status, 200);
    let data = server.stop().await;
    let (over, kept) = (counts(data.path(), OVER), counts(data.path(), KEPT));
    assert!(over.iter().chain(&kept).all(|count| *count > 0), "{over:?} {kept:?}");

    let running = paste::start(data.path(), true);
    let line = Line { port: running.port };
    let token = line.mint().unwrap().field("access_token");
    let begun = boottime();
    while counts(data.path(), OVER).iter().any(|count| *count > 0) {
        // Not a promise about speed: what is never swept shall fail the test, not stop the run.
        assert!(boottime() - begun < Duration::from_secs(60), "{:?}", counts(data.path(), OVER));
    }
    assert_eq!(counts(data.path(), KEPT), kept);
    assert!(line.is_active(&token));
    assert!(running.terminate().0.success());
}
