//! Cross-origin requests: which endpoints scripts of any origin may call.
//!
//! Holds: `*` and never credentials, so a page can only use what it was given (a code, a token), not the
//! cookies of the person in front of it. Authorize has no variant here and so no CORS headers, ever.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN,
};
use http::{Method, Response, StatusCode};

/// The endpoints that scripts may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorsEndpoint {
    /// The token endpoint.
    Token,
    /// Revocation.
    Revocation,
    /// Userinfo.
    Userinfo,
    /// Discovery and server metadata.
    Metadata,
    /// The keys.
    Jwks,
}

impl CorsEndpoint {
    const fn methods(self) -> &'static str {
        match self {
            Self::Token | Self::Revocation => "POST",
            Self::Userinfo => "GET, POST",
            Self::Metadata | Self::Jwks => "GET",
        }
    }
}

/// Adds what lets any origin read a response of one of these endpoints, errors too.
pub fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("WWW-Authenticate, Retry-After"));
}

/// Whether a browser asks before the real request.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that.
pub fn preflight<B: Default>(endpoint: CorsEndpoint) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(endpoint.methods()));
    // By name: `*` does not include Authorization.
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Authorization, Content-Type, DPoP"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::ACCESS_CONTROL_ALLOW_CREDENTIALS;

    const ALL: [CorsEndpoint; 5] = [
        CorsEndpoint::Token,
        CorsEndpoint::Revocation,
        CorsEndpoint::Userinfo,
        CorsEndpoint::Metadata,
        CorsEndpoint::Jwks,
    ];

    #[test]
    fn preflights_allow_every_origin_and_the_headers_of_oauth() {
        for endpoint in ALL {
            let response = preflight::<()>(endpoint);
            assert_eq!(response.status(), 204);
            assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "Authorization, Content-Type, DPoP");
            assert_eq!(response.headers()[ACCESS_CONTROL_MAX_AGE], "7200");
        }
        let methods = ALL.map(|endpoint| preflight::<()>(endpoint).headers()[ACCESS_CONTROL_ALLOW_METHODS].clone());
        assert_eq!(methods, ["POST", "POST", "GET, POST", "GET", "GET"]);
    }

    #[test]
    fn credentials_are_never_allowed() {
        let mut headers = HeaderMap::new();
        allow_any_origin(&mut headers);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(headers[ACCESS_CONTROL_EXPOSE_HEADERS], "WWW-Authenticate, Retry-After");
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        for endpoint in ALL {
            assert!(!preflight::<()>(endpoint).headers().contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        }
    }

    #[test]
    fn a_preflight_is_an_options_request_with_origin_and_method() {
        let mut headers = HeaderMap::new();
        assert!(!is_preflight(&Method::OPTIONS, &headers));
        headers.insert(ORIGIN, HeaderValue::from_static("https://app.example"));
        assert!(!is_preflight(&Method::OPTIONS, &headers));
        headers.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("POST"));
        assert!(is_preflight(&Method::OPTIONS, &headers));
        assert!(!is_preflight(&Method::POST, &headers));
    }
}
