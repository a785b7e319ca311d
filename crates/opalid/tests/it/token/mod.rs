//! `/token`: what all grant types share, and a module for each.

mod authorization_code;
mod client_authentication;
mod client_credentials;
pub mod id_token;
mod jwt;
mod jwt_rights;
mod malformed;
mod refresh_token;

use crate::support::{CLIENT_CREDENTIALS, DEMO_API, FORM, Server, basic};

#[tokio::test]
async fn only_post_is_answered_and_the_answer_says_so() {
    let server = Server::demo().await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let answer = server.request(method, "/token", &[], b"").await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method}");
    }
}

#[tokio::test]
async fn the_body_is_a_form_and_says_that_it_is_one() {
    let server = Server::demo().await;
    let authorization = basic(DEMO_API);
    let body = b"grant_type=client_credentials";
    for good in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded ; charset=utf-8"] {
        let headers = [("authorization", authorization.as_str()), ("content-type", good)];
        assert_eq!(server.request("POST", "/token", &headers, body).await.status, 200, "{good}");
    }
    for bad in [Some("application/json"), Some("multipart/form-data"), Some(""), None] {
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(bad.map(|bad| ("content-type", bad)));
        let answer = server.request("POST", "/token", &headers, body).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_request","error_description":"expected a body of type application/x-www-form-urlencoded"}"#);
        }
    }
    let twice = [("authorization", authorization.as_str()), FORM, FORM];
    assert_eq!(server.request("POST", "/token", &twice, body).await.status, 400);
}

#[tokio::test]
async fn a_repeated_parameter_is_refused_and_an_unknown_one_ignored() {
    let server = Server::demo().await;
    let repeated = server.form_post_as(DEMO_API, "/token", &[CLIENT_CREDENTIALS, CLIENT_CREDENTIALS]).await;
    insta::assert_snapshot!(repeated.seen(), @r#"400 {"error":"invalid_request","error_description":"parameter grant_type is given more than once"}"#);
    let empty = server.form_post_as(DEMO_API, "/token", &[CLIENT_CREDENTIALS, ("scope", ""), ("scope", "read")]).await;
    insta::assert_snapshot!(empty.seen(), @r#"400 {"error":"invalid_request","error_description":"parameter scope is given more than once"}"#);
    let unknown = server.form_post_as(DEMO_API, "/token", &[CLIENT_CREDENTIALS, ("colour", "red")]).await;
    assert_eq!(unknown.status, 200);
}

#[tokio::test]
async fn an_unknown_or_missing_grant_type_is_refused() {
    let server = Server::demo().await;
    let unknown = server.form_post_as(DEMO_API, "/token", &[("grant_type", "password")]).await;
    insta::assert_snapshot!(unknown.seen(), @r#"400 {"error":"unsupported_grant_type","error_description":"unknown grant_type; expected one of authorization_code, refresh_token, client_credentials"}"#);
    let missing = server.form_post_as(DEMO_API, "/token", &[("scope", "read")]).await;
    insta::assert_snapshot!(missing.seen(), @r#"400 {"error":"invalid_request","error_description":"parameter grant_type is missing or has no value"}"#);
}

#[tokio::test]
async fn a_broken_encoding_is_refused() {
    let server = Server::demo().await;
    let authorization = basic(DEMO_API);
    let headers = [("authorization", authorization.as_str()), FORM];
    for broken in ["grant_type=%", "grant_type=%zz", "grant_type=a%00b", "grant_type=%ff"] {
        let answer = server.request("POST", "/token", &headers, broken.as_bytes()).await;
        assert_eq!((answer.status, answer.field("error").as_str()), (400, "invalid_request"), "{broken}");
    }
}

#[tokio::test]
async fn a_grant_type_that_the_client_may_not_use_is_refused() {
    let server = Server::demo().await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "ort_x")];
    let answer = server.form_post_as(DEMO_API, "/token", &fields).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"unauthorized_client","error_description":"this client may not use grant_type refresh_token"}"#);
}
