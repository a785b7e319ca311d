//! Path issuers: nothing of one workspace is anything at another.

use crate::support::{CLIENT_CREDENTIALS, DEMO_API, Server, machine};

const API: &str = "https://api.demo.example/";

/// The demo, and workspaces `acme` and `globex` with a client of the same name and secret, and the same resource.
async fn server() -> Server {
    let server = Server::demo().await;
    for name in ["acme", "globex"] {
        let id = server.workspace(name).await;
        server.resource_in(id, API, "read write").await;
        let mut settings = machine(&[(API, "read")]);
        settings.serves = vec![API.into()];
        server.client_in(id, DEMO_API.0, Some(DEMO_API.1), settings).await;
    }
    server
}

#[tokio::test]
async fn a_token_of_one_workspace_is_nothing_at_another() {
    let server = server().await;
    let issuers = ["", "/acme", "/globex"];
    for at in issuers {
        let token = server.token_at(at, DEMO_API).await;
        for asked in issuers {
            let answer = server.form_post_as(DEMO_API, &format!("{asked}/introspect"), &[("token", &token)]).await;
            let facts = answer.json();
            assert_eq!(facts["active"], asked == at, "a token of {at:?} at {asked:?}");
            if asked == at {
                assert_eq!(facts["iss"], format!("{}{at}", server.issuer));
            }
        }
        for asked in issuers.into_iter().filter(|asked| *asked != at) {
            let answer = server.form_post_as(DEMO_API, &format!("{asked}/revoke"), &[("token", &token)]).await;
            assert_eq!(answer.seen(), "200");
        }
        let answer = server.form_post_as(DEMO_API, &format!("{at}/introspect"), &[("token", &token)]).await;
        assert_eq!(answer.json()["active"], true, "revoked only at other issuers");
    }
}

#[tokio::test]
async fn a_client_of_one_workspace_is_nobody_at_another() {
    let server = server().await;
    let acme = server.app.store.find_workspace("acme").await.unwrap().unwrap().workspace.id;
    server.client_in(acme, "only-here", Some("ocs_here"), machine(&[(API, "read")])).await;
    let client = ("only-here", "ocs_here");
    assert_eq!(server.form_post_as(client, "/acme/token", &[CLIENT_CREDENTIALS]).await.status, 200);
    for other in ["/token", "/globex/token"] {
        let answer = server.form_post_as(client, other, &[CLIENT_CREDENTIALS]).await;
        assert_eq!((answer.status, answer.field("error").as_str()), (401, "invalid_client"), "{other}");
        let challenge = answer.header("www-authenticate").unwrap();
        let realm = format!("realm=\"{}{}\"", server.issuer, other.trim_end_matches("/token"));
        assert!(challenge.contains(&realm), "{challenge}");
    }
}

#[tokio::test]
async fn workspaces_share_no_keys() {
    let server = server().await;
    let mut seen = std::collections::BTreeSet::new();
    for at in ["", "/acme", "/globex"] {
        let keys = server.get(&format!("{at}/jwks")).await.json();
        for key in keys["keys"].as_array().unwrap() {
            assert!(seen.insert(key["kid"].to_string()), "{key} is at {at:?} too");
        }
    }
}

#[tokio::test]
async fn a_workspace_that_is_not_there_is_not_found() {
    let server = server().await;
    for path in
        ["/nobody/token", "/demo/token", "/ACME/token", "/acme/acme/token", "/acme/token/", "//token", "/acme%2ftoken"]
    {
        let answer = server.form_post_as(DEMO_API, path, &[CLIENT_CREDENTIALS]).await;
        assert_eq!((answer.status, answer.text()), (404, ""), "{path}");
    }
}

#[tokio::test]
async fn the_roots_workspace_has_a_name_but_no_second_issuer() {
    let server = Server::empty().await;
    assert!(server.app.store.find_workspace("default").await.unwrap().is_some());
    for path in
        ["/default/jwks", "/default/.well-known/openid-configuration", "/.well-known/openid-configuration/default"]
    {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}
