//! Every URL there is, and which endpoint answers it.
//!
//! The root issuer answers at `/token`, the others at `/{workspace}/token`; well-known documents of a path
//! issuer are found in all three forms that clients probe (RFC 8414 §3.1, OpenID Discovery §4).

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, Version, header};
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::workspace::check_workspace_name;

use crate::app::{App, IssuerError};
use crate::http::body::{BodyError, read_body};
use crate::http::call::Call;
use crate::http::client_address::client_address;
use crate::http::cors::{self, CorsEndpoint};
use crate::http::listen::Request;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::request_body::RequestBody;
use crate::issuer::Issuer;
use crate::metrics::StoreFailure;
use crate::readiness;
use crate::telemetry::RequestId;
use crate::{browser, console, demo, feed, home, login, oauth, pages, telemetry};

macro_rules! endpoints {
    ($($(#[$doc:meta])* $name:ident => $path:literal, $methods:literal, $cors:expr;)*) => {
        /// Something that answers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Endpoint { $($(#[$doc])* $name,)* }

        impl Endpoint {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its path under the issuer.
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)* }
            }

            /// The methods it answers, as `Allow` lists them.
            pub const fn methods(self) -> &'static str {
                match self { $(Self::$name => $methods,)* }
            }

            /// Whether scripts of other origins may call it.
            pub const fn cors(self) -> Option<CorsEndpoint> {
                match self { $(Self::$name => $cors,)* }
            }

            /// Their paths in order, as metrics name them.
            pub fn names() -> Vec<&'static str> {
                Self::ALL.iter().map(|endpoint| endpoint.path()).collect()
            }

            /// Whether a person sees what it answers.
            pub const fn is_page(self) -> bool {
                self.cors().is_none() && !matches!(self, Self::Introspect | Self::Feed) && !self.is_probe()
            }

            /// Whether it says how the server is; it says so without an issuer.
            const fn is_probe(self) -> bool {
                matches!(self, Self::Healthz | Self::Readyz)
            }

            /// Whether it stands beside the root issuer alone: it is not of one workspace.
            const fn is_of_the_server(self) -> bool {
                self.is_probe() || self.is_of_the_demo()
            }

            /// Whether it exists with `--demo` alone.
            const fn is_of_the_demo(self) -> bool {
                matches!(self, Self::Demo | Self::DemoCallback)
            }

            fn at(path: &str) -> Option<Self> {
                match path { $($path => Some(Self::$name),)* _ => None }
            }
        }
    };
}

endpoints! {
    /// What this server is, for whoever comes by.
    Home => "/", "GET, HEAD", None;
    /// Introspection (RFC 7662).
    Introspect => "/introspect", "POST", None;
    /// The token endpoint (RFC 6749 §3.2).
    Token => "/token", "POST", Some(CorsEndpoint::Token);
    /// Revocation (RFC 7009).
    Revoke => "/revoke", "POST", Some(CorsEndpoint::Revocation);
    /// What verifiers are told, over a WebSocket (RFC 6455).
    Feed => "/feed", "GET", None;
    /// The public keys (RFC 7517).
    Jwks => "/jwks", "GET, HEAD", Some(CorsEndpoint::Jwks);
    /// Userinfo (OpenID Core §5.3).
    Userinfo => "/userinfo", "GET, HEAD, POST", Some(CorsEndpoint::Userinfo);
    /// The authorization endpoint (RFC 6749 §3.1).
    Authorize => "/authorize", "GET, POST", None;
    /// Goes on with a stored request.
    ContinueAuthorize => "/authorize/continue", "GET", None;
    /// Name and password.
    SignIn => "/sign-in", "GET, HEAD, POST", None;
    /// This account or another.
    SelectAccount => "/sign-in/account", "GET, HEAD, POST", None;
    /// What a client may have.
    Consent => "/consent", "GET, HEAD, POST", None;
    /// A client asks to sign the person out (OpenID RP-Initiated Logout §2).
    Logout => "/logout", "GET, POST", None;
    /// Goes on with a stored request to sign out.
    ContinueLogout => "/logout/continue", "GET", None;
    /// Whether to sign out.
    SignOut => "/sign-out", "GET, HEAD, POST", None;
    /// After signing out.
    SignedOut => "/signed-out", "GET, HEAD", None;
    /// A new password, by a one-time link.
    SetPassword => "/set-password", "GET, HEAD, POST", None;
    /// After setting it.
    PasswordSet => "/set-password/done", "GET, HEAD", None;
    /// To the inspector.
    Console => "/console", "GET, HEAD", None;
    /// Name and password, of an administrator.
    ConsoleSignIn => "/console/sign-in", "GET, HEAD, POST", None;
    /// What a token is, for administrators.
    Inspect => "/console/inspect", "GET, HEAD, POST", None;
    /// Cuts a token that was inspected.
    InspectCut => "/console/inspect/cut", "POST", None;
    /// Makes a JWT for tests.
    TestJwt => "/console/test-jwt", "GET, HEAD, POST", None;
    /// The walk through the demo; only with `--demo`.
    Demo => "/demo", "GET, HEAD, POST", None;
    /// Where the demo's application takes its codes.
    DemoCallback => "/demo/callback", "GET, HEAD", None;
    /// Whether the process answers.
    Healthz => "/healthz", "GET, HEAD", None;
    /// Whether it can do its work: the store answers.
    Readyz => "/readyz", "GET, HEAD", None;
    /// OpenID Discovery.
    OpenIdConfiguration => "/.well-known/openid-configuration", "GET, HEAD", Some(CorsEndpoint::Metadata);
    /// OAuth server metadata (RFC 8414).
    ServerMetadata => "/.well-known/oauth-authorization-server", "GET, HEAD", Some(CorsEndpoint::Metadata);
}

/// Where a path leads: the workspace it names, if it is not the root's, and the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'p> {
    /// The workspace in the path.
    pub workspace: Option<&'p str>,
    /// What answers.
    pub endpoint: Endpoint,
}

/// Finds what a path leads to.
pub fn find(path: &str) -> Option<Place<'_>> {
    if let Some(endpoint) = Endpoint::at(path) {
        return Some(Place { workspace: None, endpoint });
    }
    for endpoint in [Endpoint::OpenIdConfiguration, Endpoint::ServerMetadata] {
        if let Some(name) = path.strip_prefix(endpoint.path()).and_then(|rest| rest.strip_prefix('/')) {
            return check_workspace_name(name).ok().map(|()| Place { workspace: Some(name), endpoint });
        }
    }
    let inner = path.strip_prefix('/')?;
    let name = inner.split('/').next().unwrap_or(inner);
    check_workspace_name(name).ok()?;
    let rest = inner.strip_prefix(name)?;
    let found = Endpoint::at(if rest.is_empty() { "/" } else { rest });
    found.filter(|endpoint| !endpoint.is_of_the_server()).map(|endpoint| Place { workspace: Some(name), endpoint })
}

/// Answers one request.
///
/// The request is taken apart before the future is made, which so keeps it once: it is moved for every request.
pub fn answer(app: Arc<App>, request: Request, peer: SocketAddr) -> impl Future<Output = Reply> + Send {
    let (parts, body) = request.into_parts();
    let id = app.request_ids.next();
    telemetry::within(id, async move {
        let place = find(parts.uri.path()).filter(|place| app.demo || !place.endpoint.is_of_the_demo());
        let Some(place) = place else { return telemetry::identify(asset(&app, &parts, id), id) };
        let (endpoint, cors) = (place.endpoint, place.endpoint.cors());
        if endpoint.is_probe() {
            let reply = probe(&app, endpoint, &parts.method).await;
            app.metrics.request(endpoint as usize, reply.status());
            return telemetry::identify(reply, id);
        }
        let issuer = app.find_issuer(place.workspace).await;
        let mut reply = match issuer {
            Ok(Some(issuer)) => at_issuer(&app, &issuer, endpoint, (&parts, peer, id), body).await,
            Ok(None) => return telemetry::identify(page::not_found(&app, &parts, id), id),
            Err(error) => without_issuer(&app, endpoint, error),
        };
        app.metrics.request(endpoint as usize, reply.status());
        if reply.status() == StatusCode::SERVICE_UNAVAILABLE && reply.extensions().get::<reply::Refused>().is_none() {
            app.metrics.store_failures.count(StoreFailure::Unavailable);
        }
        if cors.is_some() {
            cors::allow_any_origin(reply.headers_mut());
        }
        telemetry::identify(reply, id)
    })
}

/// The answer when it cannot be said who is asked.
fn without_issuer(app: &App, endpoint: Endpoint, error: IssuerError) -> Reply {
    let error = match error {
        IssuerError::Outage(error) => reply::outage(&error),
        IssuerError::Keys(error) => {
            OAuthError::new(ErrorCode::ServerError, "this issuer cannot use its keys").because(error)
        }
    };
    if endpoint.is_page() {
        return page::nobodys_error_page(app, &error);
    }
    reply::oauth_error(&error, &app.base_url)
}

/// Style sheet, script and icon of the pages; or 404.
fn asset(app: &App, parts: &Parts, id: RequestId) -> Reply {
    let Some(asset) = pages::assets::find_asset(parts.uri.path()) else {
        return page::not_found(app, parts, id);
    };
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return reply::method_not_allowed("GET, HEAD");
    }
    let version = parts.uri.query().and_then(|query| query.strip_prefix("v="));
    reply::asset(asset, version)
}

async fn at_issuer(
    app: &Arc<App>,
    issuer: &Arc<Issuer>,
    endpoint: Endpoint,
    (parts, peer, request_id): (&Parts, SocketAddr, RequestId),
    body: RequestBody,
) -> Reply {
    if parts.version == Version::HTTP_11 && parts.headers.get_all(header::HOST).iter().count() != 1 {
        return reply::empty(StatusCode::BAD_REQUEST);
    }
    if let Some(endpoint) = endpoint.cors()
        && cors::is_preflight(&parts.method, &parts.headers)
    {
        return cors::preflight(endpoint);
    }
    if !endpoint.methods().split(", ").any(|method| method == parts.method.as_str()) {
        return reply::method_not_allowed(endpoint.methods());
    }
    let address = client_address(peer.ip(), &parts.headers, &app.trusted_proxies);
    let body = if parts.method == Method::POST {
        match read_body(body, app.body_limits, (&app.bodies, address)).await {
            Ok(body) => body,
            Err(BodyError::Full) => return reply::come_again(),
            Err(error) => return unread(app, issuer, (endpoint, request_id), error),
        }
    } else {
        Bytes::new()
    };
    let call = Call { app, issuer, now: app.now(), parts, body, address, request_id, new_browser: OnceLock::new() };
    dispatch(&call, endpoint).await
}

/// The answer to a body that was not read: said as the endpoint says what else is wrong.
fn unread(app: &App, issuer: &Issuer, (endpoint, id): (Endpoint, RequestId), why: BodyError) -> Reply {
    let error = OAuthError::new(ErrorCode::InvalidRequest, why.to_string());
    let mut reply = if endpoint.is_page() {
        page::error_page_of(
            app,
            issuer.display_name(),
            id,
            (&error, "Go back and send it again, shorter if it was long."),
        )
    } else {
        reply::oauth_error(&error, &issuer.url)
    };
    *reply.status_mut() = why.status();
    reply
}

async fn dispatch(call: &Call<'_>, endpoint: Endpoint) -> Reply {
    match endpoint {
        Endpoint::Introspect => oauth::introspect::endpoint(call).await,
        Endpoint::Token => oauth::token::endpoint(call).await,
        Endpoint::Userinfo => oauth::userinfo::endpoint(call).await,
        // Boxed, so that what the hot paths keep while they wait stays small.
        other => browser::with_cookie(call, Box::pin(others(call, other)).await),
    }
}

async fn others(call: &Call<'_>, endpoint: Endpoint) -> Reply {
    let is_post = call.parts.method == Method::POST;
    match endpoint {
        Endpoint::Home => home::show(call),
        Endpoint::Demo if is_post => demo::submit(call).await,
        Endpoint::Demo => demo::show(call).await,
        Endpoint::DemoCallback => demo::callback(call).await,
        Endpoint::Authorize => oauth::authorize::endpoint(call).await,
        Endpoint::ContinueAuthorize => oauth::authorize::resume(call).await,
        Endpoint::SignIn if is_post => login::sign_in::submit(call).await,
        Endpoint::SignIn => login::sign_in::show(call).await,
        Endpoint::SelectAccount if is_post => login::select_account::submit(call).await,
        Endpoint::SelectAccount => login::select_account::show(call).await,
        Endpoint::Consent if is_post => login::consent::submit(call).await,
        Endpoint::Consent => login::consent::show(call).await,
        Endpoint::Logout => oauth::logout::endpoint(call).await,
        Endpoint::ContinueLogout => oauth::logout::resume(call).await,
        Endpoint::SignOut if is_post => login::sign_out::submit(call).await,
        Endpoint::SignOut => login::sign_out::show(call).await,
        Endpoint::SignedOut => login::sign_out::done(call).await,
        Endpoint::SetPassword if is_post => login::set_password::submit(call).await,
        Endpoint::SetPassword => login::set_password::show(call).await,
        Endpoint::PasswordSet => login::set_password::done(call),
        Endpoint::Console => console::home(call),
        Endpoint::ConsoleSignIn if is_post => console::sign_in::submit(call).await,
        Endpoint::ConsoleSignIn => console::sign_in::show(call),
        Endpoint::Inspect if is_post => console::inspect::submit(call).await,
        Endpoint::Inspect => console::inspect::show(call).await,
        Endpoint::InspectCut => console::inspect::cut(call).await,
        Endpoint::TestJwt if is_post => console::test_jwt::submit(call).await,
        Endpoint::TestJwt => console::test_jwt::show(call).await,
        Endpoint::Introspect | Endpoint::Token | Endpoint::Userinfo | Endpoint::Healthz | Endpoint::Readyz => {
            reply::empty(StatusCode::NOT_FOUND)
        }
        Endpoint::Feed => feed::endpoint(call).await,
        Endpoint::Revoke => oauth::revoke::endpoint(call).await,
        Endpoint::Jwks => oauth::jwks::endpoint(call),
        Endpoint::OpenIdConfiguration | Endpoint::ServerMetadata => oauth::metadata::endpoint(call),
    }
}

/// Says how the server is, whatever became of its store.
async fn probe(app: &Arc<App>, endpoint: Endpoint, method: &Method) -> Reply {
    if !endpoint.methods().split(", ").any(|known| known == method.as_str()) {
        return reply::method_not_allowed(endpoint.methods());
    }
    if endpoint == Endpoint::Healthz {
        return reply::with_no_store("text/plain; charset=utf-8", "ok\n");
    }
    if readiness::is_ready(app).await {
        reply::with_no_store("text/plain; charset=utf-8", "ready\n")
    } else {
        reply::empty(StatusCode::SERVICE_UNAVAILABLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Option<(Option<&str>, Endpoint)> {
        find(path).map(|place| (place.workspace, place.endpoint))
    }

    #[test]
    fn the_root_answers_without_a_path_and_others_under_their_name() {
        assert_eq!(place("/token"), Some((None, Endpoint::Token)));
        assert_eq!(place("/acme/token"), Some((Some("acme"), Endpoint::Token)));
        for nowhere in [
            "/acme/acme/token",
            "/Acme/token",
            "/token/token",
            "/token/",
            "//token",
            "/.well-known/other",
            "/acme/demo",
        ] {
            assert_eq!(place(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn every_issuer_has_a_home_page() {
        assert_eq!(place("/"), Some((None, Endpoint::Home)));
        assert_eq!(place("/acme"), Some((Some("acme"), Endpoint::Home)));
    }

    #[test]
    fn metadata_is_found_in_all_three_forms_that_clients_probe() {
        let metadata = Some((Some("acme"), Endpoint::ServerMetadata));
        assert_eq!(place("/.well-known/oauth-authorization-server/acme"), metadata);
        assert_eq!(place("/acme/.well-known/oauth-authorization-server"), metadata);
        let discovery = Some((Some("acme"), Endpoint::OpenIdConfiguration));
        assert_eq!(place("/acme/.well-known/openid-configuration"), discovery);
        assert_eq!(place("/.well-known/openid-configuration/acme"), discovery);
        assert_eq!(place("/.well-known/openid-configuration"), Some((None, Endpoint::OpenIdConfiguration)));
    }

    #[test]
    fn no_workspace_can_take_a_path_of_ours() {
        for endpoint in Endpoint::ALL {
            let first = endpoint.path().trim_start_matches('/').split('/').next().unwrap();
            assert!(first.is_empty() || check_workspace_name(first).is_err(), "{first}");
        }
    }
}
