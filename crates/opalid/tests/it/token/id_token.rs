//! ID tokens as a client checks them: the algorithm that was declared, a key that `/jwks` lists, and nothing of ours to
//! verify them with.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::person::{Ask, password_of, value};

const SECRET: &str = "a-secret-of-all-of-them";

/// Clients that ask for an algorithm each, and one that does not.
const DOCUMENT: &str = r#"
[[workspace]]
name = "default"

[[workspace.client]]
client_id = "RS256"
id_token_signed_response_alg = "RS256"
secret = { env = "SECRET" }
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
first_party = true

[[workspace.client]]
client_id = "PS256"
id_token_signed_response_alg = "PS256"
secret = { env = "SECRET" }
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
first_party = true

[[workspace.client]]
client_id = "ES256"
id_token_signed_response_alg = "ES256"
secret = { env = "SECRET" }
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
first_party = true

[[workspace.client]]
client_id = "ES384"
id_token_signed_response_alg = "ES384"
secret = { env = "SECRET" }
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
first_party = true

[[workspace.client]]
client_id = "EdDSA"
id_token_signed_response_alg = "EdDSA"
secret = { env = "SECRET" }
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
first_party = true

[[workspace.client]]
client_id = "any"
secret = { env = "SECRET" }
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["https://app.example/callback"]
first_party = true
"#;

async fn server() -> Server {
    let server = Server::with_people().await;
    server.apply(DOCUMENT, &[("SECRET", SECRET)]).await;
    server
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Header and claims of a token that a key of this set has signed.
pub fn verified(token: &str, keys: &Value) -> (Value, Value) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let part = |n| serde_json::from_slice::<Value>(&decode(signed.split('.').nth(n).unwrap())).unwrap();
    let (header, claims) = (part(0), part(1));
    let named: Vec<&Value> =
        keys["keys"].as_array().unwrap().iter().filter(|key| key["kid"] == header["kid"]).collect();
    let [key] = named[..] else { panic!("{} keys for {header}", named.len()) };
    assert_eq!((&key["alg"], &key["use"]), (&header["alg"], &json!("sig")));
    let member = |name: &str| decode(key[name].as_str().unwrap());
    let (message, signature) = (signed.as_bytes(), decode(signature));
    match (header["alg"].as_str().unwrap(), key["kty"].as_str().unwrap()) {
        (alg @ ("RS256" | "PS256"), "RSA") => {
            let components = RsaPublicKeyComponents { n: member("n"), e: member("e") };
            let rsa = if alg == "RS256" { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PSS_2048_8192_SHA256 };
            components.verify(rsa, message, &signature)
        }
        (alg @ ("ES256" | "ES384"), "EC") => {
            let point = [vec![4], member("x"), member("y")].concat();
            let ecdsa = if alg == "ES256" { &ECDSA_P256_SHA256_FIXED } else { &ECDSA_P384_SHA384_FIXED };
            UnparsedPublicKey::new(ecdsa, point).verify(message, &signature)
        }
        ("EdDSA", "OKP") => UnparsedPublicKey::new(&ED25519, member("x")).verify(message, &signature),
        other => panic!("{other:?}"),
    }
    .expect("the signature is good");
    (header, claims)
}

/// The left half of the digest of an access token.
fn half(algorithm: &'static digest::Algorithm, token: &str) -> String {
    let whole = digest(algorithm, token.as_bytes());
    URL_SAFE_NO_PAD.encode(&whole.as_ref()[..whole.as_ref().len() / 2])
}

async fn tokens(server: &Server, browser: &mut Browser, client: &str) -> Answer {
    let ask = Ask::new().with("client_id", client);
    let mut landed = browser.open(server, &ask.target()).await;
    if matches!(landed, crate::support::browser::Landed::Here(..)) {
        landed = browser.give_password(server, landed, "alice", &password_of("alice")).await;
    }
    let (_, parameters) = landed.away();
    let answer = server.redeem((client, SECRET), value(&parameters, "code"), &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

#[tokio::test]
async fn an_id_token_is_signed_as_its_client_is_declared_and_the_published_key_verifies_it() {
    let (server, mut browser) = (server().await, Browser::new());
    let keys = server.get("/jwks").await.json();
    let clients = ["RS256", "PS256", "ES256", "ES384", "EdDSA"].map(|name| (name, name));
    for (client, algorithm) in clients.into_iter().chain([("any", "RS256")]) {
        let first = tokens(&server, &mut browser, client).await;
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &*first.field("refresh_token"))];
        let refreshed = server.form_post_as((client, SECRET), "/token", &fields).await;
        for answer in [&first, &refreshed] {
            let (header, claims) = verified(&answer.field("id_token"), &keys);
            assert_eq!((&header["alg"], &header["typ"]), (&json!(algorithm), &json!("JWT")), "{client}");
            assert_eq!((&claims["iss"], &claims["aud"]), (&json!(server.issuer), &json!(client)));
            let digest = match algorithm {
                "EdDSA" => &SHA512,
                "ES384" => &SHA384,
                _ => &SHA256,
            };
            assert_eq!(claims["at_hash"], half(digest, &answer.field("access_token")), "{client}");
        }
        let hint = Ask::new().with("client_id", client).with("prompt", "none");
        browser.silent_code(&server, &hint.with("id_token_hint", &first.field("id_token"))).await;
    }
}

#[tokio::test]
async fn the_algorithm_of_a_workspace_is_that_of_clients_which_name_none() {
    let (server, mut browser) = (server().await, Browser::new());
    let keys = server.get("/jwks").await.json();
    for algorithm in ["EdDSA", "ES384", "ES256", "PS256", "RS256"] {
        server.settings(&format!("id_token_signing_alg = \"{algorithm}\"")).await.unwrap();
        for (client, expected) in [("any", algorithm), ("ES256", "ES256"), ("RS256", "RS256")] {
            let answer = tokens(&server, &mut browser, client).await;
            let (header, _) = verified(&answer.field("id_token"), &keys);
            assert_eq!(header["alg"], expected, "{client} under {algorithm}");
        }
    }
}

#[tokio::test]
async fn no_other_algorithm_can_be_declared() {
    let server = server().await;
    for name in ["none", "HS256", "RS512", "PS384", "rs256", ""] {
        let refused = server.settings(&format!("id_token_signing_alg = \"{name}\"")).await.unwrap_err();
        assert!(refused.contains("expected RS256, PS256, ES256, ES384 or EdDSA"), "{name}: {refused}");
        let document = DOCUMENT.replace("alg = \"ES256\"", &format!("alg = \"{name}\""));
        let refused = server.try_apply(&document, &[("SECRET", SECRET)]).await.unwrap_err();
        assert!(refused.contains("expected RS256, PS256, ES256, ES384 or EdDSA"), "{name}: {refused}");
    }
}

#[tokio::test]
async fn it_says_that_the_person_gave_a_password_and_so_does_the_one_after_a_refresh() {
    let (server, mut browser) = (server().await, Browser::new());
    let keys = server.get("/jwks").await.json();
    let first = tokens(&server, &mut browser, "any").await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &*first.field("refresh_token"))];
    let refreshed = server.form_post_as(("any", SECRET), "/token", &fields).await;
    for answer in [first, refreshed] {
        let (_, claims) = verified(&answer.field("id_token"), &keys);
        assert_eq!((&claims["acr"], &claims["amr"]), (&json!("1"), &json!(["pwd"])));
    }
}
