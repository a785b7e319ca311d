//! Server metadata: OpenID Discovery and RFC 8414, one document for both, generated from the enums.

use opalid_core::claims::StandardClaims;
use opalid_core::jwt::SigningAlgorithm;
use opalid_core::jwt::jwe::{ContentEncryption, KeyManagement};
use opalid_core::pkce::CHALLENGE_METHOD;
use opalid_core::request::{GrantType, Prompt, ResponseMode, ResponseType};
use opalid_core::scope::OpenIdScope;
use serde::Serialize;

use crate::http::call::Call;
use crate::http::client_auth::ClientAuthMethod;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;

#[derive(Serialize)]
struct Metadata<'a> {
    issuer: &'a str,
    authorization_endpoint: String,
    userinfo_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    end_session_endpoint: String,
    scopes_supported: Vec<&'static str>,
    response_types_supported: Vec<&'static str>,
    response_modes_supported: Vec<&'static str>,
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    code_challenge_methods_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: Vec<&'static str>,
    id_token_encryption_alg_values_supported: Vec<&'static str>,
    id_token_encryption_enc_values_supported: Vec<&'static str>,
    userinfo_signing_alg_values_supported: Vec<&'static str>,
    userinfo_encryption_alg_values_supported: Vec<&'static str>,
    userinfo_encryption_enc_values_supported: Vec<&'static str>,
    introspection_signing_alg_values_supported: Vec<&'static str>,
    introspection_encryption_alg_values_supported: Vec<&'static str>,
    introspection_encryption_enc_values_supported: Vec<&'static str>,
    prompt_values_supported: Vec<&'static str>,
    claim_types_supported: [&'static str; 1],
    claims_supported: Vec<&'static str>,
    authorization_response_iss_parameter_supported: bool,
    claims_parameter_supported: bool,
    request_parameter_supported: bool,
    request_uri_parameter_supported: bool,
}

/// GET the well-known documents.
pub fn endpoint(call: &Call<'_>) -> Reply {
    let issuer = call.issuer.url.as_str();
    let at = |endpoint: Endpoint| format!("{issuer}{}", endpoint.path());
    let auth_methods = |all: bool| -> Vec<_> {
        let fits = |method: &&ClientAuthMethod| all || **method != ClientAuthMethod::None;
        ClientAuthMethod::ALL.iter().filter(fits).map(|method| method.wire_name()).collect()
    };
    let algorithms = || SigningAlgorithm::ALL.iter().map(|alg| alg.wire_name()).collect();
    let key_management = || KeyManagement::ALL.iter().map(|alg| alg.wire_name()).collect();
    let content_encryption = || ContentEncryption::ALL.iter().map(|enc| enc.wire_name()).collect();
    let own_claims = ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"];
    reply::public_json(&Metadata {
        issuer,
        authorization_endpoint: at(Endpoint::Authorize),
        userinfo_endpoint: at(Endpoint::Userinfo),
        token_endpoint: at(Endpoint::Token),
        jwks_uri: at(Endpoint::Jwks),
        introspection_endpoint: at(Endpoint::Introspect),
        revocation_endpoint: at(Endpoint::Revoke),
        end_session_endpoint: at(Endpoint::Logout),
        scopes_supported: OpenIdScope::ALL.iter().map(|scope| scope.wire_name()).collect(),
        response_types_supported: ResponseType::ALL.iter().map(|kind| kind.wire_name()).collect(),
        response_modes_supported: ResponseMode::ALL.iter().map(|mode| mode.wire_name()).collect(),
        grant_types_supported: GrantType::ALL.iter().map(|kind| kind.wire_name()).collect(),
        token_endpoint_auth_methods_supported: auth_methods(true),
        introspection_endpoint_auth_methods_supported: auth_methods(false),
        revocation_endpoint_auth_methods_supported: auth_methods(true),
        code_challenge_methods_supported: [CHALLENGE_METHOD],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms(),
        id_token_encryption_alg_values_supported: key_management(),
        id_token_encryption_enc_values_supported: content_encryption(),
        userinfo_signing_alg_values_supported: algorithms(),
        userinfo_encryption_alg_values_supported: key_management(),
        userinfo_encryption_enc_values_supported: content_encryption(),
        introspection_signing_alg_values_supported: algorithms(),
        introspection_encryption_alg_values_supported: key_management(),
        introspection_encryption_enc_values_supported: content_encryption(),
        prompt_values_supported: Prompt::ALL.iter().map(|prompt| prompt.wire_name()).collect(),
        claim_types_supported: ["normal"],
        claims_supported: [&own_claims[..], StandardClaims::PROFILE, StandardClaims::EMAIL].concat(),
        authorization_response_iss_parameter_supported: true,
        claims_parameter_supported: false,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
    })
}
