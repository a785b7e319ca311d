//! Pages for people: rendered, with the headers every page carries.

use http::header::{ACCEPT, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use opalid_core::error::{ErrorCode, OAuthError};

use crate::app::App;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::security_headers::{self, Forms};
use crate::pages::{ErrorPage, Template};
use crate::telemetry::RequestId;

/// A page with 200.
pub fn page(call: &Call<'_>, template: &impl Template, forms: Forms) -> Reply {
    page_with(call, StatusCode::OK, template, forms)
}

/// A page with another status.
pub fn page_with(call: &Call<'_>, status: StatusCode, template: &impl Template, forms: Forms) -> Reply {
    rendered(call.app, status, template, forms)
}

fn rendered(app: &App, status: StatusCode, template: &impl Template, forms: Forms) -> Reply {
    match template.render() {
        Ok(html) => {
            let mut reply = reply::with_body(status, "text/html; charset=utf-8", html);
            security_headers::add(reply.headers_mut(), app.transport, forms);
            reply
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            reply::empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// What a person sees instead of a redirect that must not happen.
pub fn error_page(call: &Call<'_>, error: &OAuthError, advice: &str) -> Reply {
    error_page_of(call.app, call.issuer.display_name(), call.request_id, (error, advice))
}

/// What a person sees when it cannot be said whose page it is.
pub fn nobodys_error_page(app: &App, error: &OAuthError) -> Reply {
    error_page_of(app, "Opalid", app.request_ids.next(), (error, "Wait a moment, then load this page again."))
}

/// Nothing is there: a page for a browser, and no body for machines, which ask for no page; nor below a well-known path.
pub fn not_found(app: &App, parts: &Parts, id: RequestId) -> Reply {
    let mut accepted = parts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let by_a_browser = accepted.any(|value| value.contains("text/html"));
    let looked_up = parts.method == Method::GET || parts.method == Method::HEAD;
    if !by_a_browser || !looked_up || parts.uri.path().contains("/.well-known/") {
        return reply::empty(StatusCode::NOT_FOUND);
    }
    let request_id = id.to_string();
    let page = ErrorPage {
        workspace: "Opalid",
        what: "There is no page at this address.",
        advice: "Go back to the application that you came from, or look at the address again.",
        code: "not_found",
        request_id: &request_id,
    };
    rendered(app, StatusCode::NOT_FOUND, &page, Forms::StayHere)
}

/// An error page before there is a call.
pub fn error_page_of(app: &App, workspace: &str, id: RequestId, (error, advice): (&OAuthError, &str)) -> Reply {
    reply::log(error);
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let request_id = id.to_string();
    let page = ErrorPage {
        workspace,
        what: &error.description,
        advice,
        code: error.code.wire_name(),
        request_id: &request_id,
    };
    let mut reply = rendered(app, status, &page, Forms::StayHere);
    reply::mark(&mut reply, error);
    if error.code == ErrorCode::TooManyRequests {
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("60"));
    }
    reply
}

/// The page for a form that did not come from its own page, or a request that is gone.
pub fn start_again(call: &Call<'_>, what: impl Into<std::borrow::Cow<'static, str>>) -> Reply {
    error_page(call, &OAuthError::new(ErrorCode::InvalidRequest, what), "Go back to the application and start again.")
}
