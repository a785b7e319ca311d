//! Answers to the client, through the browser: query, fragment or form_post, always with `iss` (RFC 9207).

use opalid_core::client::Client;
use opalid_core::error::OAuthError;
use opalid_core::redirect_uri::ReturnAddress;
use opalid_core::request::{ReplyTo, ResponseMode};

use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::security_headers::Forms;
use crate::pages::{FormPost, HiddenField};

/// The code.
pub(super) fn code(call: &Call<'_>, client: &Client, to: (&ReturnAddress, &ReplyTo), code: &str) -> Reply {
    send(call, client, to, vec![("code", code)])
}

/// An error.
pub(super) fn error(call: &Call<'_>, client: &Client, to: (&ReturnAddress, &ReplyTo), error: &OAuthError) -> Reply {
    reply::log(error);
    let description = error.wire_description();
    send(call, client, to, vec![("error", error.code.wire_name()), ("error_description", &description)])
}

fn send(
    call: &Call<'_>,
    client: &Client,
    (address, reply_to): (&ReturnAddress, &ReplyTo),
    parameters: Vec<(&str, &str)>,
) -> Reply {
    let mut parameters: Vec<(&str, &str)> = parameters.into_iter().collect();
    if let Some(state) = &reply_to.state {
        parameters.push(("state", state));
    }
    parameters.push(("iss", &call.issuer.url));
    match reply_to.response_mode {
        ResponseMode::Query => reply::see_other(&address.with_query(&parameters)),
        ResponseMode::Fragment => reply::see_other(&address.with_fragment(&parameters)),
        ResponseMode::FormPost => {
            let fields = parameters.iter().map(|(name, value)| HiddenField { name, value }).collect();
            let form = FormPost {
                workspace: call.issuer.display_name(),
                client: client.display_name(),
                action: address.as_str(),
                fields,
            };
            page::page(call, &form, Forms::MayEndAtClient)
        }
    }
}
