//! The token as an argument of an axum handler, and a refusal as its answer.
//!
//! Takes: what the guard's layer left with the request. Gives: [`Admitted`].
//! Holds: a handler that asks for a token and is not behind a guard answers nothing but 500, and the log says why.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use super::{Admitted, Refusal};

impl<S: Sync> FromRequestParts<S> for Admitted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let missing = || Refusal::misconfigured("a handler takes `Admitted`, and its route has no `Guard` as a layer");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.answer()
    }
}
