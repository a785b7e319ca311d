//! One request on its way through: parsed once, handed to its endpoint.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::form::Form;
use opalid_core::time::UnixTime;

use crate::app::App;
use crate::issuer::Issuer;
use crate::telemetry::RequestId;

/// A request at an issuer.
pub struct Call<'a> {
    /// What every request shares.
    pub app: &'a Arc<App>,
    /// Who is asked.
    pub issuer: &'a Arc<Issuer>,
    /// When.
    pub now: UnixTime,
    /// Method, URI and headers.
    pub parts: &'a Parts,
    /// The body; empty for GET.
    pub body: Bytes,
    /// Its number, in logs and on error pages.
    pub request_id: RequestId,
    /// Whose request it is, behind trusted proxies too.
    pub address: IpAddr,
    /// The cookie that tells this browser from others, if it gets one with the answer.
    pub new_browser: OnceLock<String>,
}

impl Call<'_> {
    /// Whether a form is among what the body says to be. Saying two things is for [`Self::form`] to refuse.
    pub fn says_form(&self) -> bool {
        self.parts.headers.get_all(CONTENT_TYPE).iter().any(is_form)
    }

    /// The body as a form; any other type is refused.
    pub fn form(&self) -> Result<Form<'_>, OAuthError> {
        let mut types = self.parts.headers.get_all(CONTENT_TYPE).iter();
        if !types.next().is_some_and(is_form) || types.next().is_some() {
            let description = "expected a body of type application/x-www-form-urlencoded";
            return Err(OAuthError::new(ErrorCode::InvalidRequest, description));
        }
        Form::parse(&self.body)
    }

    /// The query, as it came.
    pub fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }
}

fn is_form(content_type: &HeaderValue) -> bool {
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}
