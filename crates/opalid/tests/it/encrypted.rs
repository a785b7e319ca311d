//! What is encrypted for its reader: ID tokens, userinfo, signed introspection answers, access tokens of a resource.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::jwt::{KeyParameters, SigningAlgorithm, SigningKey};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::http::{Answer, basic, encode};
use crate::support::person::{API, Ask, refusal, value};
use crate::support::{CLIENT_CREDENTIALS, FORM, Server};
use crate::token::id_token::verified;

/// Somebody whom answers are encrypted for.
struct Reader {
    key: OaepPrivateDecryptingKey,
    jwks: Value,
}

impl Reader {
    fn new() -> Self {
        let pkcs8 = SigningKey::generate(SigningAlgorithm::Rs256).unwrap();
        let public = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &pkcs8).unwrap().public_jwk();
        let KeyParameters::Rsa { n, e } = public.parameters else { panic!("an RSA key") };
        let key = OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
        Self { key, jwks: json!({"keys": [{"kty": "RSA", "n": n, "e": e, "use": "enc", "kid": "mine"}]}) }
    }

    /// Header and content of a JWE for it.
    fn open(&self, jwe: &str) -> (Value, String) {
        let parts: Vec<&str> = jwe.split('.').collect();
        let [header, encrypted_key, iv, ciphertext, tag] = parts[..] else { panic!("no JWE: {jwe}") };
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let mut content_key = vec![0; self.key.min_output_size()];
        let content_key =
            self.key.decrypt(&OAEP_SHA256_MGF1SHA256, &bytes(encrypted_key), &mut content_key, None).unwrap();
        let content_key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, content_key).unwrap());
        let mut content = [bytes(ciphertext), bytes(tag)].concat();
        let nonce = Nonce::try_assume_unique_for_key(&bytes(iv)).unwrap();
        let content = content_key.open_in_place(nonce, Aad::from(header.as_bytes()), &mut content).unwrap();
        (serde_json::from_slice(&bytes(header)).unwrap(), String::from_utf8(content.to_vec()).unwrap())
    }
}

const SECRET: &str = "a-secret-of-all-of-them";
const HOW: (&str, &str) = ("RSA-OAEP-256", "A256GCM");

/// People, an application whose answers are encrypted, an API whose JWTs are, a machine.
async fn server(reader: &Reader) -> Server {
    let server = Server::with_people().await;
    let jwks = &reader.jwks;
    let document = json!({"workspace": [{
        "name": "default",
        "resource": [{
            "uri": API, "scopes": "read write", "access_token_format": "jwt", "introspects_jwts": true, "jwks": jwks,
            "access_token_encryption_alg": HOW.0, "access_token_encryption_enc": HOW.1,
        }],
        "client": [
            {
                "client_id": "enc", "secret": {"env": "SECRET"}, "first_party": true, "jwks": jwks,
                "grant_types": ["authorization_code", "refresh_token"], "redirect_uris": ["https://app.example/callback"],
                "id_token_encrypted_response_alg": HOW.0, "id_token_encrypted_response_enc": HOW.1,
                "userinfo_encrypted_response_alg": HOW.0, "userinfo_encrypted_response_enc": HOW.1,
                "introspection_encrypted_response_alg": HOW.0, "introspection_encrypted_response_enc": HOW.1,
                "access": {API: "read"}, "serves": [API],
            },
            {
                "client_id": "machine", "secret": {"env": "SECRET"}, "grant_types": ["client_credentials"],
                "access": {API: "read"}, "default_resources": [API],
            },
        ],
    }]});
    server.apply(&document.to_string(), &[("SECRET", SECRET)]).await;
    server
}

async fn tokens(server: &Server, ask: Ask) -> Answer {
    let ask = ask.with("client_id", "enc");
    let code = value(&Browser::new().sign_in(server, &ask, "alice").await.away().1, "code").to_owned();
    let answer = server.redeem(("enc", SECRET), &code, &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

#[tokio::test]
async fn an_id_token_is_signed_and_then_encrypted_for_its_client() {
    let reader = Reader::new();
    let server = server(&reader).await;
    let (header, jwt) = reader.open(&tokens(&server, Ask::new()).await.field("id_token"));
    assert_eq!(header, json!({"alg": HOW.0, "enc": HOW.1, "cty": "JWT", "kid": "mine"}));
    let (_, claims) = verified(&jwt, &server.get("/jwks").await.json());
    assert_eq!((&claims["aud"], &claims["iss"]), (&json!("enc"), &json!(server.issuer)));
}

#[tokio::test]
async fn userinfo_is_encrypted_and_signed_as_the_client_is_declared() {
    let reader = Reader::new();
    let server = server(&reader).await;
    let token = tokens(&server, Ask::new().with("scope", "openid email")).await.field("access_token");
    let answer = server.userinfo(&token).await;
    assert_eq!(answer.header("content-type"), Some("application/jwt"));
    let (header, json) = reader.open(std::str::from_utf8(&answer.body).unwrap());
    assert_eq!(header.get("cty"), None, "claims, not a JWT");
    let claims: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&claims["email"], &claims["aud"]), (&json!("alice@mail.example"), &json!("enc")));

    let client = server.app.store.find_client(server.app.root, "enc").await.unwrap().unwrap();
    let mut settings = client.settings.clone();
    settings.userinfo_signed_response_alg = Some(SigningAlgorithm::Es256);
    server.update_client("enc", settings.clone()).await;
    let answer = server.userinfo(&token).await;
    let (header, jwt) = reader.open(std::str::from_utf8(&answer.body).unwrap());
    let keys = server.get("/jwks").await.json();
    assert_eq!((&header["cty"], &verified(&jwt, &keys).0["alg"]), (&json!("JWT"), &json!("ES256")));

    settings.userinfo_encrypted_response_alg = None;
    settings.userinfo_encrypted_response_enc = None;
    server.update_client("enc", settings).await;
    let answer = server.userinfo(&token).await;
    let (_, claims) = verified(std::str::from_utf8(&answer.body).unwrap(), &keys);
    assert_eq!((&claims["iss"], &claims["email"]), (&json!(server.issuer), &json!("alice@mail.example")));
}

#[tokio::test]
async fn a_signed_introspection_answer_is_encrypted_for_its_caller() {
    let reader = Reader::new();
    let server = server(&reader).await;
    let headers =
        [("authorization", &*basic(("enc", SECRET))), FORM, ("accept", "application/token-introspection+jwt")];
    let answer = server.request("POST", "/introspect", &headers, encode(&[("token", "x")]).as_bytes()).await;
    let (_, jwt) = reader.open(std::str::from_utf8(&answer.body).unwrap());
    let (header, claims) = verified(&jwt, &server.get("/jwks").await.json());
    assert_eq!(header["typ"], "token-introspection+jwt");
    assert_eq!(claims["token_introspection"], json!({"active": false}));
}

#[tokio::test]
async fn the_reader_of_an_encrypted_access_token_introspects_what_is_inside_and_the_outside_is_nothing() {
    let reader = Reader::new();
    let server = server(&reader).await;
    let machine = ("machine", SECRET);
    let outer = server.form_post_as(machine, "/token", &[CLIENT_CREDENTIALS]).await.field("access_token");
    let (header, inner) = reader.open(&outer);
    assert_eq!(header["cty"], "JWT");
    let (header, claims) = verified(&inner, &server.get("/jwks").await.json());
    assert_eq!((&header["typ"], &claims["aud"]), (&json!("at+jwt"), &json!(API)));
    let api = ("enc", SECRET);
    assert!(server.is_active(api, &inner).await);
    for caller in [api, machine] {
        assert_eq!(server.introspect(caller, &outer).await.seen(), r#"200 {"active":false}"#);
    }
    assert!(!server.knows(&outer).await);
    let refused = server.form_post_as(machine, "/revoke", &[("token", &outer)]).await;
    assert_eq!(refusal(&refused), (400, "unsupported_token_type".into()));
    assert!(server.is_active(api, &inner).await, "nothing happened to it");
    assert_eq!(server.form_post_as(machine, "/revoke", &[("token", &inner)]).await.status, 200);
    assert!(!server.is_active(api, &inner).await);
}

#[tokio::test]
async fn the_grant_of_an_encrypted_access_token_can_be_cut() {
    let reader = Reader::new();
    let server = server(&reader).await;
    let answer = tokens(&server, Ask::new().with("scope", "openid read").with("resource", API)).await;
    let (_, inner) = reader.open(&answer.field("access_token"));
    assert!(server.is_active(("enc", SECRET), &inner).await);
    let fields = [("token", &*answer.field("refresh_token"))];
    assert_eq!(server.form_post_as(("enc", SECRET), "/revoke", &fields).await.status, 200);
    assert!(!server.is_active(("enc", SECRET), &inner).await);
}

#[tokio::test]
async fn an_encryption_that_cannot_work_is_refused_when_it_is_declared() {
    let server = Server::with_people().await;
    let reader = Reader::new();
    let ec = json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "x": "a", "y": "b"}]});
    let with = |name: &str, value: Value| {
        let mut jwks = reader.jwks.clone();
        jwks["keys"][0][name] = value;
        jwks
    };
    for (fields, words) in [
        (json!({"id_token_encrypted_response_alg": HOW.0}), "id_token_encrypted_response_alg needs jwks"),
        (json!({"userinfo_encrypted_response_enc": HOW.1}), "userinfo_encrypted_response_enc needs"),
        (
            json!({"introspection_encrypted_response_alg": HOW.0, "jwks": ec}),
            "has no key to encrypt for with RSA-OAEP-256",
        ),
        (
            json!({"id_token_encrypted_response_alg": "ECDH-ES", "jwks": reader.jwks}),
            "no key to encrypt for with ECDH-ES",
        ),
        (json!({"id_token_encrypted_response_alg": "RSA1_5", "jwks": reader.jwks}), "expected RSA-OAEP-256"),
        (
            json!({"id_token_encrypted_response_alg": HOW.0, "id_token_encrypted_response_enc": "A192GCM", "jwks": reader.jwks}),
            "expected A128GCM",
        ),
        (json!({"jwks": {"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}]}}), "key 1"),
        (json!({"jwks": with("e", json!("Aw"))}), "its exponent is not an odd number of at least 65537"),
        (json!({"jwks": with("own", json!([{"key": {"kty": "RSA", "d": "AQAB"}}]))}), "its member d is private"),
    ] {
        let mut client = json!({"client_id": "app", "secret": {"env": "SECRET"}});
        client.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let document = json!({"workspace": [{"name": "default", "client": [client]}]}).to_string();
        let refused = server.try_apply(&document, &[("SECRET", SECRET)]).await.unwrap_err();
        assert!(refused.contains(words), "{fields}: {refused}");
    }
    let document =
        json!({"workspace": [{"name": "default", "resource": [{"uri": API, "jwks": with("e", json!("Aw"))}]}]});
    let refused = server.try_apply(&document.to_string(), &[]).await.unwrap_err();
    assert!(refused.contains("its exponent is not"), "of a resource: {refused}");
}
