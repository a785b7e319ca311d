//! `/jwks` (RFC 7517): public keys, and only what is public of them.

use std::collections::BTreeSet;

use crate::support::Server;

#[tokio::test]
async fn every_signing_key_is_listed_with_its_use_and_without_private_members() {
    let server = Server::empty().await;
    let answer = server.get("/jwks").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=300")));
    let set = answer.json();
    let keys = set["keys"].as_array().unwrap();
    let algorithms: Vec<_> = keys.iter().map(|key| key["alg"].as_str().unwrap()).collect();
    assert_eq!(algorithms, ["RS256", "PS256", "ES256", "ES384", "EdDSA"]);
    let ids: BTreeSet<_> = keys.iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), keys.len(), "each has a kid of its own");
    for key in keys {
        let members: BTreeSet<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        let public = match key["kty"].as_str().unwrap() {
            "RSA" => &["n", "e"][..],
            "EC" => &["crv", "x", "y"],
            "OKP" => &["crv", "x"],
            other => panic!("{other}"),
        };
        let expected: BTreeSet<_> = ["kty", "kid", "alg", "use"].iter().chain(public).copied().collect();
        assert_eq!(members, expected);
        assert_eq!(key["use"], "sig");
    }
}
