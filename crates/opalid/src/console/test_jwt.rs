//! A JWT for tests, made for administrators who write or try a resource server.
//!
//! Takes: an algorithm and claims. Gives: the token, and the JWK Set that verifies it.
//! Holds: a throw-away key signs it (`crate::test_jwt`), on a thread where nobody else waits for it, one at a time.

use http::HeaderValue;
use http::header::RETRY_AFTER;
use opalid_core::error::{ErrorCode, OAuthError};

use super::{ADVICE, Administrator, Visitor, forged, url, visitor};
use crate::browser;
use crate::browser::csrf::FormPurpose;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::Reply;
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::TestJwtPage;
use crate::test_jwt::{FOR_TESTS, NotMade, TestJwt};

/// GET /console/test-jwt.
pub async fn show(call: &Call<'_>) -> Reply {
    match visitor(call).await {
        Visitor::Administrator(administrator) => answer(call, &administrator, ("ES256", "{}"), None),
        Visitor::Other(reply) => *reply,
    }
}

/// POST /console/test-jwt.
pub async fn submit(call: &Call<'_>) -> Reply {
    let administrator = match visitor(call).await {
        Visitor::Administrator(administrator) => administrator,
        Visitor::Other(reply) => return *reply,
    };
    let form = match call.form() {
        Ok(form) => form,
        Err(error) => return page::error_page(call, &error, ADVICE),
    };
    if let Err(error) = browser::check_form(call, &form, FormPurpose::TestJwt, &administrator.form()) {
        return forged(call, error);
    }
    let asked = (form.one("alg").unwrap_or("ES256"), form.one("claims").unwrap_or("{}"));
    let Some(place) = call.app.test_jwts.take() else { return busy(call) };
    match place.make(asked, call.now).await {
        Ok(made) => answer(call, &administrator, asked, Some(made)),
        Err(ended) => {
            let error = OAuthError::new(ErrorCode::ServerError, "the token could not be made").because(ended);
            page::error_page(call, &error, ADVICE)
        }
    }
}

fn busy(call: &Call<'_>) -> Reply {
    let description = "Another test JWT is being made; this server makes one at a time.";
    let mut reply = page::error_page(call, &OAuthError::new(ErrorCode::ServerBusy, description), ADVICE);
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

fn answer(
    call: &Call<'_>,
    administrator: &Administrator,
    (alg, claims): (&str, &str),
    made: Option<Result<TestJwt, NotMade>>,
) -> Reply {
    let (made, problem) = match made {
        Some(Ok(made)) => (Some((made.token, format!("{:#}", made.jwks))), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (None, None),
    };
    let page = TestJwtPage {
        workspace: call.issuer.display_name(),
        user: &administrator.user.username,
        action: &url(call, Endpoint::TestJwt),
        csrf: &browser::form_token(call, FormPurpose::TestJwt, &administrator.form()),
        inspect_url: &url(call, Endpoint::Inspect),
        sign_out_url: &url(call, Endpoint::SignOut),
        note: FOR_TESTS,
        alg,
        claims,
        problem: problem.as_deref(),
        made,
    };
    page::page(call, &page, Forms::StayHere)
}
