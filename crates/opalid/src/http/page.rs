//! Pages for people: rendered, with the headers every page carries.

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
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

fn error_page_of(app: &App, workspace: &str, id: RequestId, (error, advice): (&OAuthError, &str)) -> Reply {
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
