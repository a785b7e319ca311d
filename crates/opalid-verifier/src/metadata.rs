//! Protected resource metadata (RFC 9728): where tokens for a resource come from, for clients that only know its URL.
//!
//! Takes: the resource's identifier and what is to be told of it. Gives: the document, its URL, and the answer that
//! serves it; with the feature `tower` it is a service.
//! Holds: the URL comes from the identifier, never from a request; what has no value is left out (§3.2).
//! Not here: signed metadata (§2.2).

use std::sync::Arc;

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use opalid_core::resource_uri::{BadResourceUri, ResourceUri};
use opalid_core::scope::{BadScope, Scopes};
use serde::Serialize;

/// What is inserted between host and path (§3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Why there can be no such metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMetadata {
    /// An identifier or an address that is no absolute URI without a fragment.
    #[error("{0}: {1}")]
    Uri(&'static str, BadResourceUri),
    /// One that is no https URL.
    #[error("{0}: expected https://, a host and no user name; http:// only of localhost, 127.0.0.1 and [::1]")]
    NotHttps(&'static str),
    /// An issuer with a query (RFC 8414 §2).
    #[error("authorization_servers: an issuer has no query")]
    Query,
    /// Nobody who issues tokens for it.
    #[error("authorization_servers: there is none")]
    NoAuthorizationServer,
    /// What is no list of scopes.
    #[error("scopes_supported: {0}")]
    Scope(#[from] BadScope),
}

/// The members of the document (§2).
#[derive(Debug, Default, Serialize)]
struct Document {
    resource: String,
    authorization_servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_tos_uri: Option<String>,
}

/// What is told of a resource, ready to be served. A clone is the same document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceMetadata(Arc<Published>);

#[derive(Debug, PartialEq, Eq)]
struct Published {
    resource: String,
    url: String,
    /// Where in `url` the path begins, and where it ends.
    path: (usize, usize),
    json: String,
}

impl ResourceMetadata {
    /// Metadata of a resource: the https URL by which clients call it, which is also the `aud` of its tokens.
    pub fn builder(resource: impl Into<String>) -> MetadataBuilder {
        MetadataBuilder { document: Document { resource: resource.into(), ..Document::default() }, scopes: Vec::new() }
    }

    /// The identifier.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.0.resource
    }

    /// Where clients look for the document (§3.1).
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The path of that URL: where the server that answers for the host has to serve it.
    #[must_use]
    pub fn path(&self) -> &str {
        let (start, end) = self.0.path;
        self.0.url.get(start..end).unwrap_or(WELL_KNOWN)
    }

    /// The document.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0.json
    }

    /// The answer to a request for [`path`](Self::path), whose query has to be that of the URL if that has one.
    #[must_use]
    pub fn answer<B: From<String>>(&self, method: &Method, query: Option<&str>) -> Response<B> {
        let own = self.0.url.split_once('?').map(|(_, query)| query);
        let is_read = method == Method::GET || method == Method::HEAD;
        let (status, body) = match own {
            Some(own) if query != Some(own) => (StatusCode::NOT_FOUND, String::new()),
            _ if !is_read => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
            _ => (StatusCode::OK, self.json().to_owned()),
        };
        let mut answer = Response::new(B::from(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        // It is public, and clients in browsers look for it too.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        if status == StatusCode::OK {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        } else {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        answer
    }
}

#[cfg(feature = "tower")]
impl<B> tower_service::Service<http::Request<B>> for ResourceMetadata {
    type Response = Response<String>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Response<String>, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        std::future::ready(Ok(self.answer(request.method(), request.uri().query())))
    }
}

/// Builds [`ResourceMetadata`].
#[derive(Debug)]
#[must_use]
pub struct MetadataBuilder {
    document: Document,
    scopes: Vec<String>,
}

impl MetadataBuilder {
    /// The issuer of an authorization server that issues tokens for the resource. Said again, it is one more.
    pub fn authorization_server(mut self, issuer: impl Into<String>) -> Self {
        self.document.authorization_servers.push(issuer.into());
        self
    }

    /// The scopes that clients may ask for there: one, or several with blanks between them.
    pub fn scopes(mut self, scopes: impl Into<String>) -> Self {
        self.scopes.push(scopes.into());
        self
    }

    /// What people call it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.document.resource_name = Some(name.into());
        self
    }

    /// A page for developers.
    pub fn documentation(mut self, url: impl Into<String>) -> Self {
        self.document.resource_documentation = Some(url.into());
        self
    }

    /// A page on what clients may do with what they read there.
    pub fn policy(mut self, url: impl Into<String>) -> Self {
        self.document.resource_policy_uri = Some(url.into());
        self
    }

    /// A page with its terms of service.
    pub fn terms_of_service(mut self, url: impl Into<String>) -> Self {
        self.document.resource_tos_uri = Some(url.into());
        self
    }

    /// The metadata.
    pub fn build(self) -> Result<ResourceMetadata, BadMetadata> {
        let Self { mut document, scopes } = self;
        let at = Https::split("resource", &document.resource)?;
        let origin = at.origin.to_owned();
        let rest =
            if at.rest == "/" || at.rest.starts_with("/?") { at.rest.get(1..).unwrap_or_default() } else { at.rest };
        let url = format!("{origin}{WELL_KNOWN}{rest}");
        let path = (origin.len(), url.find('?').unwrap_or(url.len()));
        if document.authorization_servers.is_empty() {
            return Err(BadMetadata::NoAuthorizationServer);
        }
        for issuer in &document.authorization_servers {
            if Https::split("authorization_servers", issuer)?.rest.contains('?') {
                return Err(BadMetadata::Query);
            }
        }
        for (member, page) in [
            ("resource_documentation", &document.resource_documentation),
            ("resource_policy_uri", &document.resource_policy_uri),
            ("resource_tos_uri", &document.resource_tos_uri),
        ] {
            page.as_deref().map(|page| Https::split(member, page)).transpose()?;
        }
        let scopes =
            scopes.iter().try_fold(Scopes::default(), |all, some| Scopes::parse(some).map(|some| all.union(&some)))?;
        document.scopes_supported = scopes.iter().map(str::to_owned).collect();
        document.bearer_methods_supported = ["header"];
        // Texts and lists of texts: nothing of it can fail to be JSON.
        let json = serde_json::to_string(&document).unwrap_or_default();
        Ok(ResourceMetadata(Arc::new(Published { resource: document.resource, url, path, json })))
    }
}

/// An https URL, or an http one of this machine, at its first `/` or `?` behind the host.
struct Https<'a> {
    origin: &'a str,
    rest: &'a str,
}

impl<'a> Https<'a> {
    fn split(member: &'static str, url: &'a str) -> Result<Self, BadMetadata> {
        url.parse::<ResourceUri>().map_err(|bad| BadMetadata::Uri(member, bad))?;
        let bad = || BadMetadata::NotHttps(member);
        let (scheme, after) = url.split_once("://").ok_or_else(bad)?;
        let (authority, rest) =
            after.split_at_checked(after.find(['/', '?']).unwrap_or(after.len())).ok_or_else(bad)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_here = ["localhost", "127.0.0.1", "[::1]"].iter().any(|here| host.eq_ignore_ascii_case(here));
        let is_safe = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") && is_here;
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
        if !is_safe || host.is_empty() || authority.contains('@') || !is_port {
            return Err(bad());
        }
        let origin = url.strip_suffix(rest).ok_or_else(bad)?;
        Ok(Self { origin, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(resource: &str) -> Result<ResourceMetadata, BadMetadata> {
        ResourceMetadata::builder(resource).authorization_server("https://id.example").build()
    }

    #[test]
    fn the_well_known_path_goes_between_host_and_path() {
        for (resource, url, path) in [
            ("https://a.example", "https://a.example/.well-known/oauth-protected-resource", ""),
            ("https://a.example/", "https://a.example/.well-known/oauth-protected-resource", ""),
            ("https://a.example/b/c", "https://a.example/.well-known/oauth-protected-resource/b/c", "/b/c"),
            // Only the slash behind the host goes (§3.1).
            ("https://a.example/b/", "https://a.example/.well-known/oauth-protected-resource/b/", "/b/"),
            ("https://a.example?c=/d", "https://a.example/.well-known/oauth-protected-resource?c=/d", ""),
            ("https://a.example/?c", "https://a.example/.well-known/oauth-protected-resource?c", ""),
            ("https://a.example/b?c", "https://a.example/.well-known/oauth-protected-resource/b?c", "/b"),
            ("https://a.example:8443/b", "https://a.example:8443/.well-known/oauth-protected-resource/b", "/b"),
            ("HTTPS://A.example/b", "HTTPS://A.example/.well-known/oauth-protected-resource/b", "/b"),
            ("https://[2001:db8::1]/b", "https://[2001:db8::1]/.well-known/oauth-protected-resource/b", "/b"),
            ("http://localhost:3000/b", "http://localhost:3000/.well-known/oauth-protected-resource/b", "/b"),
            ("http://[::1]", "http://[::1]/.well-known/oauth-protected-resource", ""),
        ] {
            let metadata = of(resource).unwrap();
            assert_eq!(metadata.resource(), resource);
            assert_eq!(metadata.url(), url);
            assert_eq!(metadata.path(), format!("{WELL_KNOWN}{path}"), "{resource}");
        }
    }

    #[test]
    fn what_is_no_https_url_has_no_metadata() {
        for bad in ["urn:example:api", "https:a", "https://", "https:///a", "https://:80/", "https://u@a.example/"] {
            assert_eq!(of(bad), Err(BadMetadata::NotHttps("resource")), "{bad}");
        }
        for bad in ["http://a.example", "http://localhost.example/", "http://localhost@a.example/", "ftp://localhost/"]
        {
            assert_eq!(of(bad), Err(BadMetadata::NotHttps("resource")), "{bad}");
        }
        for bad in ["https://a.example:x/", "https://a.example:99999/", "https://a.example:/"] {
            assert_eq!(of(bad), Err(BadMetadata::NotHttps("resource")), "{bad}");
        }
        for bad in ["", "/a", "https://a.example/#b", "https://a.example/\"", "https://a.example/\r\nb"] {
            assert!(matches!(of(bad), Err(BadMetadata::Uri("resource", _))), "{bad:?}");
        }
    }

    #[test]
    fn somebody_issues_its_tokens_and_is_named_as_an_issuer_is() {
        let by = |issuer: &str| ResourceMetadata::builder("https://a.example").authorization_server(issuer).build();
        assert_eq!(ResourceMetadata::builder("https://a.example").build(), Err(BadMetadata::NoAuthorizationServer));
        assert!(by("https://id.example/w").is_ok() && by("http://localhost:8080").is_ok());
        assert_eq!(by("https://id.example?w"), Err(BadMetadata::Query));
        assert_eq!(by("http://id.example"), Err(BadMetadata::NotHttps("authorization_servers")));
    }

    #[test]
    fn the_document_says_what_was_said_and_leaves_the_rest_out() {
        insta::assert_snapshot!(of("https://a.example/").unwrap().json(), @r#"{"resource":"https://a.example/","authorization_servers":["https://id.example"],"bearer_methods_supported":["header"]}"#);
        let whole = ResourceMetadata::builder("https://a.example/b")
            .authorization_server("https://id.example")
            .authorization_server("https://id2.example/w")
            .scopes("write read")
            .scopes("admin")
            .name("Orders \"B\"")
            .documentation("https://a.example/docs")
            .policy("https://a.example/policy")
            .terms_of_service("https://a.example/terms")
            .build();
        insta::assert_snapshot!(whole.unwrap().json(), @r#"{"resource":"https://a.example/b","authorization_servers":["https://id.example","https://id2.example/w"],"scopes_supported":["admin","read","write"],"bearer_methods_supported":["header"],"resource_name":"Orders \"B\"","resource_documentation":"https://a.example/docs","resource_policy_uri":"https://a.example/policy","resource_tos_uri":"https://a.example/terms"}"#);
    }

    #[test]
    fn what_people_are_sent_to_is_https_and_scopes_are_scopes() {
        let with = || ResourceMetadata::builder("https://a.example").authorization_server("https://id.example");
        let script = "javascript:alert(1)";
        assert_eq!(with().documentation(script).build(), Err(BadMetadata::NotHttps("resource_documentation")));
        assert_eq!(with().policy(script).build(), Err(BadMetadata::NotHttps("resource_policy_uri")));
        assert_eq!(with().terms_of_service(script).build(), Err(BadMetadata::NotHttps("resource_tos_uri")));
        assert_eq!(with().scopes("a\"b").build(), Err(BadMetadata::Scope(BadScope::Character)));
    }

    #[test]
    fn it_is_read_by_anyone_for_a_while_and_nothing_else() {
        let metadata = of("https://a.example").unwrap();
        let answer: Response<String> = metadata.answer(&Method::GET, None);
        assert_eq!((answer.status(), answer.body().as_str()), (StatusCode::OK, metadata.json()));
        insta::assert_debug_snapshot!(answer.headers(), @r#"
        {
            "access-control-allow-origin": "*",
            "content-type": "application/json",
            "cache-control": "public, max-age=300",
        }
        "#);
        assert_eq!(metadata.answer::<String>(&Method::HEAD, Some("x")).status(), StatusCode::OK);
        let answer: Response<String> = metadata.answer(&Method::POST, None);
        assert_eq!((answer.status(), answer.body().as_str()), (StatusCode::METHOD_NOT_ALLOWED, ""));
        insta::assert_debug_snapshot!(answer.headers(), @r#"
        {
            "access-control-allow-origin": "*",
            "cache-control": "no-store",
            "allow": "GET, HEAD",
        }
        "#);
    }

    #[test]
    fn a_query_of_the_identifier_has_to_be_in_the_request() {
        let metadata = of("https://a.example/b?c=d").unwrap();
        let status = |query| metadata.answer::<String>(&Method::GET, query).status();
        assert_eq!(status(Some("c=d")), StatusCode::OK);
        for other in [None, Some(""), Some("c=e"), Some("c=d&e")] {
            assert_eq!(status(other), StatusCode::NOT_FOUND, "{other:?}");
        }
    }
}
