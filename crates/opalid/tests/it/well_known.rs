//! Server metadata (RFC 8414) and OpenID Discovery, at every address where clients look for them.

use opalid::http::client_auth::ClientAuthMethod;
use opalid_core::jwt::SigningAlgorithm;
use opalid_core::request::{GrantType, Prompt, ResponseMode, ResponseType};
use opalid_core::scope::OpenIdScope;
use serde_json::{Value, json};

use crate::support::Server;

#[tokio::test]
async fn the_root_issuer_is_described_at_both_addresses_alike() {
    let server = Server::empty().await;
    let oauth = server.get("/.well-known/oauth-authorization-server").await;
    assert_eq!((oauth.status, oauth.header("cache-control")), (200, Some("public, max-age=300")));
    let openid = server.get("/.well-known/openid-configuration").await;
    assert_eq!(oauth.json(), openid.json());
    assert_eq!(oauth.field("issuer"), server.issuer);
}

#[tokio::test]
async fn a_path_issuer_is_described_in_all_three_forms_that_clients_probe() {
    let server = Server::empty().await;
    server.workspace("acme").await;
    let mut documents = Vec::new();
    for form in [
        "/.well-known/oauth-authorization-server/acme",
        "/.well-known/openid-configuration/acme",
        "/acme/.well-known/openid-configuration",
        "/acme/.well-known/oauth-authorization-server",
    ] {
        let answer = server.get(form).await;
        assert_eq!(answer.status, 200, "{form}");
        documents.push(answer.json());
    }
    assert!(documents.iter().all(|document| *document == documents[0]));
    assert_eq!(documents[0]["issuer"], format!("{}/acme", server.issuer));
    assert_eq!(documents[0]["token_endpoint"], format!("{}/acme/token", server.issuer));
}

#[tokio::test]
async fn every_endpoint_it_names_is_there() {
    let server = Server::empty().await;
    server.workspace("acme").await;
    for path in ["", "/acme"] {
        let document = server.get(&format!("{path}/.well-known/openid-configuration")).await.json();
        let issuer = document["issuer"].as_str().unwrap();
        let names = document.as_object().unwrap().iter();
        let urls = names.filter(|(name, _)| name.ends_with("_endpoint") || name.ends_with("_uri"));
        let mut count = 0;
        for (name, url) in urls {
            let inside = url.as_str().unwrap().strip_prefix(issuer).unwrap();
            let answer = server.get(&format!("{path}{inside}")).await;
            assert_ne!(answer.status, 404, "{name}");
            count += 1;
        }
        assert!(count >= 4, "{document}");
    }
}

#[tokio::test]
async fn it_lists_what_the_enums_list() {
    fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Value {
        all.iter().map(|one| Value::from(name(*one))).collect()
    }
    let server = Server::empty().await;
    let document = server.get("/.well-known/openid-configuration").await.json();
    assert_eq!(document["grant_types_supported"], names(GrantType::ALL, GrantType::wire_name));
    assert_eq!(document["response_types_supported"], names(ResponseType::ALL, ResponseType::wire_name));
    assert_eq!(document["response_modes_supported"], names(ResponseMode::ALL, ResponseMode::wire_name));
    assert_eq!(document["prompt_values_supported"], names(Prompt::ALL, Prompt::wire_name));
    assert_eq!(document["scopes_supported"], names(OpenIdScope::ALL, OpenIdScope::wire_name));
    let algorithms = names(SigningAlgorithm::ALL, SigningAlgorithm::wire_name);
    assert_eq!(document["id_token_signing_alg_values_supported"], algorithms);
    let methods = names(ClientAuthMethod::ALL, ClientAuthMethod::wire_name);
    assert_eq!(document["token_endpoint_auth_methods_supported"], methods);
    assert_eq!(document["revocation_endpoint_auth_methods_supported"], methods);
    let confidential =
        methods.as_array().unwrap().iter().filter(|method| **method != "none").cloned().collect::<Value>();
    assert_eq!(document["introspection_endpoint_auth_methods_supported"], confidential);
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
}

#[tokio::test]
async fn unknown_documents_and_unknown_issuers_are_not_found() {
    let server = Server::demo().await;
    server.workspace("acme").await;
    for path in [
        "/.well-known/",
        "/.well-known/webfinger",
        "/.well-known/security.txt",
        "/.well-known/openid-configuration/",
        "/.well-known/openid-configuration/nobody",
        "/.well-known/openid-configuration/acme/more",
        "/.well-known/openid-configuration/token",
        "/nobody/.well-known/openid-configuration",
        "/acme/.well-known/webfinger",
        "/acme/.well-known/openid-configuration/acme",
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text()), (404, ""), "{path}");
    }
}

#[tokio::test]
async fn urls_come_from_the_issuer_never_from_the_request() {
    let server = Server::empty().await;
    let expected = server.get("/.well-known/openid-configuration").await.json();
    let lies =
        [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https"), ("forwarded", "host=evil.example")];
    let answer = server.request("GET", "/.well-known/openid-configuration", &lies, b"").await;
    assert_eq!(answer.json(), expected);
    let head = "GET /.well-known/openid-configuration HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let answer = crate::support::http::raw(server.address, head.as_bytes()).await;
    assert_eq!(answer.json(), expected);
}

/// Every member with its value (OpenID Discovery §3, RFC 8414 §2, RFC 9207 §3, RP-Initiated Logout §2.1, RFC 9701 §7).
fn whole(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "end_session_endpoint": format!("{issuer}/logout"),
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
        "id_token_encryption_alg_values_supported": ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"],
        "id_token_encryption_enc_values_supported": ["A128GCM", "A256GCM", "A128CBC-HS256"],
        "userinfo_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
        "userinfo_encryption_alg_values_supported": ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"],
        "userinfo_encryption_enc_values_supported": ["A128GCM", "A256GCM", "A128CBC-HS256"],
        "introspection_encryption_alg_values_supported": ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW"],
        "introspection_encryption_enc_values_supported": ["A128GCM", "A256GCM", "A128CBC-HS256"],
        "introspection_signing_alg_values_supported": ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
            "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
            "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at", "email", "email_verified",
        ],
        "authorization_response_iss_parameter_supported": true,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    })
}

#[tokio::test]
async fn every_member_has_exactly_this_value_and_there_is_no_other() {
    for server in [Server::empty().await, Server::behind_proxy(&[]).await, Server::demo().await] {
        server.workspace("acme").await;
        let acme = format!("{}/acme", server.issuer);
        for (path, issuer) in [
            ("/.well-known/openid-configuration", &server.issuer),
            ("/.well-known/oauth-authorization-server", &server.issuer),
            ("/acme/.well-known/openid-configuration", &acme),
            ("/.well-known/oauth-authorization-server/acme", &acme),
        ] {
            assert_eq!(server.get(path).await.json(), whole(issuer), "{path}");
        }
    }
    assert!(Server::behind_proxy(&[]).await.issuer.starts_with("https://"));
}

#[tokio::test]
async fn where_the_issuer_is_https_every_address_is_https_under_one_name() {
    let server = Server::behind_proxy(&[]).await;
    server.workspace("acme").await;
    let name = format!("https://localhost:{}/", server.address.port());
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/acme/.well-known/openid-configuration",
        "/acme/.well-known/oauth-authorization-server",
    ] {
        let document = server.get(path).await.json();
        let texts = document.as_object().unwrap().iter().filter_map(|(member, value)| Some((member, value.as_str()?)));
        let addresses: Vec<_> = texts.filter(|(member, _)| *member != "issuer").collect();
        assert_eq!(addresses.len(), 7, "{document}");
        for (member, address) in addresses {
            assert!(address.starts_with(&name), "{member} is {address}");
        }
    }
}
