//! The headers every page carries, whatever is on it.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use super::Transport;

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Where a page's forms can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// Always with us.
    StayHere,
    /// At a client, after redirects (sign-in, consent, sign-out). Browsers apply `form-action` to the whole
    /// chain, so consent to an https or private-scheme client would die silently. And the client may have
    /// opened us as a pop-up: `Cross-Origin-Opener-Policy` would cut it off from the window that waits for it.
    MayEndAtClient,
}

/// What a page may load and do.
pub const fn page_policy(forms: Forms) -> &'static str {
    match forms {
        Forms::StayHere => {
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; \
             frame-ancestors 'none'; form-action 'self'"
        }
        Forms::MayEndAtClient => {
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        }
    }
}

/// Adds the headers to a page's response.
pub fn add(headers: &mut HeaderMap, transport: Transport, forms: Forms) {
    if forms == Forms::StayHere {
        headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page_policy(forms)));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if transport == Transport::Https {
        // Two years, this host alone: whether its sub-domains speak https is not ours to say.
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(transport: Transport, forms: Forms) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
        add(&mut headers, transport, forms);
        headers
    }

    #[test]
    fn a_page_loads_nothing_from_elsewhere_and_is_not_framed_or_kept() {
        let headers = page(Transport::Https, Forms::StayHere);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        let expected = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; \
                        frame-ancestors 'none'; form-action 'self'";
        assert_eq!(policy, expected);
        assert_eq!(headers[X_FRAME_OPTIONS], "DENY");
        assert_eq!(headers[REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(), ["no-store"]);
        assert_eq!(headers[CROSS_ORIGIN_OPENER_POLICY], "same-origin");
        assert_eq!(headers[STRICT_TRANSPORT_SECURITY], "max-age=63072000");
    }

    #[test]
    fn a_page_that_can_end_at_a_client_has_no_form_action_and_keeps_its_opener() {
        let headers = page(Transport::Https, Forms::MayEndAtClient);
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains("form-action") && policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!headers.contains_key(CROSS_ORIGIN_OPENER_POLICY));
        assert_eq!(headers[X_FRAME_OPTIONS], "DENY");
    }

    #[test]
    fn loopback_http_promises_no_https() {
        assert!(!page(Transport::LoopbackHttp, Forms::StayHere).contains_key(STRICT_TRANSPORT_SECURITY));
    }
}
